"""Tables of floats: gaps, columns as they are, weights, precision; by identities."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from foldwise.solver import fits
from foldwise.solver.fits import (
    FitRequest,
    Running,
    SolverOptions,
    TrainingSet,
    no_histories,
    pays_in_single,
    solve,
)
from foldwise.solver.layout import Layout
from foldwise.solver.linear import Fit, decision_scores, probabilities
from foldwise.solver.objective import Batch, Tiling, evaluate, sigmoid_link, softmax_link

ROWS, FEATURES, FOLDS = 120, 6, 3
OPTIONS = SolverOptions(double=True, tol=1e-8)


def table(classes: int, *, gaps: bool = True) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    draws = np.random.default_rng(classes)
    labels = draws.integers(0, classes, ROWS)
    X = draws.normal(size=(ROWS, FEATURES)) + 0.7 * labels[:, np.newaxis]
    X = X * [1, 1e-3, 100, 1, 1, 1] + [0, 5, -1e4, 1, 0, 0]
    if gaps:
        X[draws.random(X.shape) < 0.1] = np.nan
    return X, labels


def layout(X: NDArray[np.float64], labels: NDArray[np.int64], **more: Any) -> Layout:
    parts = [np.arange(part, ROWS, FOLDS) for part in range(FOLDS)]
    return Layout.of_table(X, labels, parts, classes=int(labels.max()) + 1, **more)


def fitted(arranged: Layout) -> Fit:
    [fit] = solve(arranged, [FitRequest(frozenset({1}), 0.05)], OPTIONS)
    return fit


@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("class_weight", [None, "balanced"])
def test_the_gradient_is_the_slope_of_the_objective(classes: int, class_weight: Any) -> None:
    """In the coefficients, through gaps, columns as they are and weights of rows and classes."""
    X, labels = table(classes)
    weights = np.random.default_rng(1).uniform(0, 2, ROWS)
    scaled = np.arange(FEATURES) != 3
    arranged = layout(X, labels, weights=weights, class_weight=class_weight, is_scaled=scaled)
    training = TrainingSet.of(arranged, frozenset({1}), 0.0)
    start = np.random.default_rng(2).normal(size=(arranged.outputs, arranged.width))
    value, gradient = _objective(arranged, training, start)
    for place in np.ndindex(*start.shape):
        step = np.zeros_like(start)
        step[place] = 1e-6
        ahead, behind = (_objective(arranged, training, start + s)[0] for s in (step, -step))
        assert gradient[place] == pytest.approx((ahead - behind) / 2e-6, abs=1e-6)
    assert np.isfinite(value)


def test_a_gap_is_the_mean_of_the_rows_trained_on() -> None:
    """A fit with gaps is the one whose gaps were filled by hand, and predicts so, too."""
    X, labels = table(3)
    trained = np.arange(ROWS) % FOLDS != 1
    filled = np.where(np.isnan(X), np.nanmean(X[trained], axis=0), X)
    with_gaps, by_hand = fitted(layout(X, labels)).model, fitted(layout(filled, labels)).model
    np.testing.assert_allclose(with_gaps.coefficients, by_hand.coefficients, atol=1e-6)
    np.testing.assert_allclose(
        decision_scores(with_gaps, X), decision_scores(by_hand, filled), atol=1e-6
    )


def test_a_column_without_any_value_has_no_say() -> None:
    X, labels = table(2)
    X[:, 4] = np.nan
    model = fitted(layout(X, labels)).model
    assert (model.coefficients[:, 4] == 0).all()
    assert np.isfinite(decision_scores(model, X)).all()


def test_columns_as_they_are_have_mean_0_and_scale_1() -> None:
    X, labels = table(2)
    scaled = np.arange(FEATURES) != 3
    model = fitted(layout(X, labels, is_scaled=scaled)).model
    assert (model.mean[~scaled], model.scale[~scaled]) == (0, 1)


def test_a_row_of_weight_2_is_two_rows() -> None:
    X, labels = table(3)
    weights = np.random.default_rng(1).integers(0, 3, ROWS)
    often = np.repeat(np.arange(ROWS), weights)
    parts = [np.flatnonzero(often % FOLDS == part) for part in range(FOLDS)]
    weighted = fitted(layout(X, labels, weights=weights.astype(np.float64))).model
    repeated = fitted(Layout.of_table(X[often], labels[often], parts, classes=3)).model
    np.testing.assert_allclose(weighted.mean, repeated.mean, rtol=1e-12)
    np.testing.assert_allclose(weighted.scale, repeated.scale, rtol=1e-9)
    np.testing.assert_allclose(weighted.coefficients, repeated.coefficients, atol=1e-6)


def test_the_deviation_of_a_large_mean_is_exact() -> None:
    """The square of the mean would take all its digits."""
    X, labels = table(2, gaps=False)
    shifted = X.copy()
    shifted[:, 0] += 1e9
    near, far = (layout(each, labels).standardisation(frozenset())[1] for each in (X, shifted))
    assert far[0] == pytest.approx(near[0], rel=1e-7)


def test_float32_rows_are_kept_as_they_are() -> None:
    """And solved in float64."""
    X, labels = table(2)
    arranged = layout(X.astype(np.float32), labels)
    assert arranged.lanes[0][0][0].pixels.dtype == np.float32
    exact = fitted(layout(X.astype(np.float32).astype(np.float64), labels)).model
    np.testing.assert_allclose(fitted(arranged).model.coefficients, exact.coefficients, atol=1e-9)


def hard_table(classes: int) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Years, huge and tiny numbers, heavy tails, an outlier, a drift, twins, a rare value, gaps."""
    draws = np.random.default_rng(classes)
    labels = draws.integers(0, classes, 1200)
    normal = draws.normal(size=(1200, 12)) + 0.3 * draws.normal(size=(classes, 12))[labels]
    X = normal.copy()
    X[:, 0] = 2000 + np.round(3 * normal[:, 0])
    X[:, 1] += 1e9
    X[:, 2] *= 1e9
    X[:, 3] *= 1e-9
    X[:, 4] = draws.standard_cauchy(1200)
    X[:, 5] = np.exp(4 * normal[:, 5])
    X[7, 6] = 1e12
    X[:, 7] = np.linspace(0, 1e3, 1200) + normal[:, 7]
    X[:, 8] = X[:, 9] + 1e-4 * normal[:, 8]
    X[:, 10] = 7 + 1e6 * (draws.random(1200) < 0.003)
    X[draws.random(X.shape) < 0.05] = np.nan
    X[:400, 11] = np.nan
    return X, labels


IN_ORDER = np.array_split(np.arange(1200), 4)
SINGLE = SolverOptions()


@pytest.mark.parametrize(("classes", "C"), [(2, 1e-3), (2, 1e3), (4, 1.0)])
def test_in_single_precision_the_slopes_in_double_are_below_the_tolerance(
    classes: int, C: float
) -> None:
    """Whatever means and scales columns have, and however parts differ: by the definition."""
    X, labels = hard_table(classes)
    single = Layout.of_table(X, labels, IN_ORDER, classes=classes, is_single=True)
    assert single.lanes[0][0][0].pixels.dtype == np.float32
    for out in (frozenset({0}), frozenset({1, 3})):
        [fit] = solve(single, [FitRequest(out, C)], SINGLE)
        rows = np.concatenate([part for at, part in enumerate(IN_ORDER) if at not in out])
        model, filled = fit.model, np.where(np.isnan(X), fit.model.mean, X)[rows]
        residuals = probabilities(model, filled)
        residuals[np.arange(len(rows)), labels[rows]] -= 1
        residuals = residuals[:, 1:] if classes == 2 else residuals
        slopes = residuals.T @ ((filled - model.mean) / model.scale)
        slopes = (slopes + model.coefficients / C) / len(rows)
        assert fit.outcome.status == "converged"
        assert np.abs(slopes).max() < 1.01 * SINGLE.tol
        assert np.abs(residuals.mean(axis=0)).max() < 1.01 * SINGLE.tol


def test_a_fit_in_single_precision_has_the_same_bits_in_any_company_and_with_any_threads() -> None:
    X, labels = hard_table(2)
    single = Layout.of_table(X, labels, IN_ORDER, classes=2, is_single=True)
    request = FitRequest(frozenset({1}), 0.5)
    company = [FitRequest(frozenset({out}), C) for out in range(4) for C in (0.1, 0.5, 2.0)]
    [alone] = solve(single, [request], SINGLE)
    for threads in (1, 2):
        among = solve(single, company, SolverOptions(threads=threads))
        [found] = [fit for fit in among if (fit.left_out, fit.model.C) == (request.left_out, 0.5)]
        assert found.model.coefficients.tobytes() == alone.model.coefficients.tobytes()
        assert found.model.intercepts.tobytes() == alone.model.intercepts.tobytes()


def test_in_single_precision_what_a_fit_leaves_out_moves_no_bit_of_it() -> None:
    X, labels = hard_table(2)
    other = X.copy()
    other[IN_ORDER[1]] *= -3
    told = [
        next(solve(arranged, [FitRequest(frozenset({1}), 0.5)], SINGLE)).model.coefficients
        for arranged in (
            Layout.of_table(each, labels, IN_ORDER, classes=2, is_single=True)
            for each in (X, other)
        )
    ]
    assert told[0].tobytes() == told[1].tobytes()


def test_rows_in_a_parts_terms_are_those_given() -> None:
    """What is missing is 0 there, as in double precision."""
    X, labels = hard_table(2)
    single = Layout.of_table(X, labels, IN_ORDER, classes=2, is_single=True)
    double = Layout.of_table(X, labels, IN_ORDER, classes=2)
    deviation = np.append(1, np.nanstd(X, axis=0))
    for part in range(4):
        for mine, theirs in zip(single.lanes[part], double.lanes[part], strict=True):
            for block, given in zip(mine, theirs, strict=True):
                difference = (single.raw(part, block) - given.pixels)[:, : single.width]
                assert np.abs(difference / deviation).max() < 1e-5
                assert (single.raw(part, block)[given.pixels == 0] == 0).all()


def test_single_precision_is_for_large_tables_usual_tolerances_and_narrow_tiles(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Tiles of twelve hold ten classes well, and two badly."""
    monkeypatch.setattr(fits, "tiling", lambda _: Tiling(12, 12))
    assert pays_in_single(1_000_000, 10, 1e-4)
    assert not pays_in_single(999_999, 10, 1e-4)
    assert not pays_in_single(1_000_000, 10, 1e-6)
    assert not pays_in_single(1_000_000, 2, 1e-4)
    monkeypatch.setattr(fits, "tiling", lambda _: Tiling(1, 1))
    assert pays_in_single(1_000_000, 2, 1e-4)


def test_some_rows_scores_are_those_of_all_at_their_places() -> None:
    X, labels = table(3)
    model = fitted(layout(X, labels)).model
    rows = np.array([5, 3, 117, 5])
    expected = decision_scores(model, X)[rows]
    np.testing.assert_allclose(decision_scores(model, X, rows), expected, rtol=1e-12)


def _objective(
    arranged: Layout, training: TrainingSet, point: NDArray[np.float64]
) -> tuple[float, NDArray[np.float64]]:
    """As a fit under way is told it."""
    histories = no_histories(arranged, OPTIONS, 1)
    running = Running.begun(training, 0.5, OPTIONS, start=point, histories=histories)
    class_weight = training.class_weight
    batch = Batch(
        running.weights()[np.newaxis],
        np.array([[True], [False], [True]]),
        None if class_weight is None else class_weight[np.newaxis],
    )
    link = softmax_link if arranged.outputs > 1 else sigmoid_link
    with ThreadPoolExecutor(1) as pool:
        losses, gradients = evaluate(arranged, batch, link, pool)
    running.receive(losses[0], gradients[0])
    [descent] = running.descents
    return descent.value, descent._gradient.reshape(point.shape).astype(np.float64)
