"""The batched solver: scikit-learn's answers, whatever the batch, the threads and the layout."""

import threading
from collections.abc import Generator, Iterator
from typing import Any

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from foldwise.solver.descent import is_curved
from foldwise.solver.fits import FitRequest, SolverOptions, TrainingSet, solve
from foldwise.solver.layout import Layout, rank_by_peeling
from foldwise.solver.linear import Fit, probabilities
from tests.unit.solver.gradients import objective_and_gradient
from tests.unit.solver.solver_cases import CASES, Case, digits, reference, two_digits

STRENGTHS = (1e-3, 0.03, 1.0)
NOTHING = frozenset[int]()


@pytest.fixture(autouse=True)
def single_threaded_blas() -> Iterator[None]:
    with threadpool_limits(limits=1, user_api="blas"):
        yield


def fits_of(case: Case, requests: list[FitRequest], **options: Any) -> dict[FitRequest, Fit]:
    fits = solve(case.layout(), requests, SolverOptions(**options))
    return {FitRequest(fit.left_out, fit.model.C): fit for fit in fits}


@pytest.mark.parametrize("multiclass", ["multinomial", "ovr"])
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_predictions_are_scikit_learns(case: Case, multiclass: str) -> None:
    """In float64 at tol 1e-9, probabilities are within 1e-4 of scikit-learn's at tol 1e-10.

    In float32 at the study's tolerance the objective is within 1e-4 of the tight one.
    """
    requests = [FitRequest(frozenset({0, 2}), C) for C in STRENGTHS]
    fits = fits_of(case, requests, tol=1e-9, double=True, multiclass=multiclass, max_iter=20_000)
    loose = fits_of(case, requests[:2], tol=1e-4, multiclass=multiclass)
    for request, fit in fits.items():
        theirs = reference(case, request.left_out, C=request.C, multiclass=multiclass, tol=1e-10)
        ours = probabilities(fit.model, case.images)
        assert np.abs(ours - theirs.predict_proba(case.images)).max() < 1e-4
        assert fit.outcome.status != "exhausted"
    for request in requests[:2]:
        best = fits[request].outcome.objective
        assert loose[request].outcome.objective == pytest.approx(best, rel=1e-4)


@pytest.mark.parametrize("multiclass", ["multinomial", "ovr"])
def test_the_company_a_fit_keeps_does_not_change_it(multiclass: str) -> None:
    """A fit made alone has the coefficients that it has in a batch of forty, to the bit."""
    case = digits(300)
    requests = [
        FitRequest(frozenset({out}), C) for out in range(4) for C in np.geomspace(1e-3, 3, 10)
    ]
    together = fits_of(case, requests, multiclass=multiclass)
    for request in requests[::7]:
        alone = fits_of(case, [request], multiclass=multiclass)[request]
        np.testing.assert_array_equal(
            alone.model.coefficients, together[request].model.coefficients
        )


@pytest.mark.parametrize("multiclass", ["multinomial", "ovr"])
def test_threads_do_not_change_a_bit(multiclass: str) -> None:
    """One, two and five threads give the same bytes."""
    requests = [FitRequest(frozenset({out}), 0.1) for out in range(4)]
    runs = [fits_of(digits(300), requests, threads=n, multiclass=multiclass) for n in (1, 2, 5)]
    for request in requests:
        assert len({run[request].model.coefficients.tobytes() for run in runs}) == 1


def test_each_training_set_is_standardised_by_its_own_rows() -> None:
    """Whichever the layout was asked for before."""
    case = digits()
    layout = case.layout()
    for out in [frozenset({0}), frozenset({1}), frozenset({0, 1}), frozenset({0})]:
        mean, spread, rows = layout.standardisation(out)
        training = TrainingSet.of(layout, out, 0.0)
        assert (training.rows, training.mean.tolist()) == (rows, mean.tolist())
        own = case.images[case.training_rows(out)]
        assert rows == len(own)
        np.testing.assert_allclose(mean, own.mean(axis=0))
        np.testing.assert_allclose(spread, own.std(axis=0), atol=1e-6)


@pytest.mark.parametrize("multiclass", ["multinomial", "ovr"])
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_what_a_fit_leaves_out_moves_no_bit_of_it(case: Case, multiclass: str) -> None:
    """Other labels and images, with pixels lit that were dark: the very same numbers."""
    images, labels, out = case.images.copy(), case.labels.copy(), case.parts[1]
    images[out] = np.random.default_rng(3).integers(0, 256, (len(out), images.shape[1]))
    labels[out] = (labels[out] + 1) % case.classes
    changed = Case("changed", images, labels)
    request = FitRequest(frozenset({1}), 1.0)
    before, after = (
        fits_of(each, [request], multiclass=multiclass, scale_floor=0.1)[request].model
        for each in (case, changed)
    )
    for name in ("mean", "scale", "coefficients", "intercepts"):
        np.testing.assert_array_equal(getattr(before, name), getattr(after, name))


def test_a_floor_bounds_what_a_rarely_lit_pixel_is_magnified_by() -> None:
    """No scale is below the floor's share of the training rows' range; others are as they were."""
    case = CASES[2]
    request = FitRequest(frozenset({0}), 1.0)
    plain, floored = (
        fits_of(case, [request], scale_floor=floor)[request].model for floor in (0.0, 0.1)
    )
    rows = case.images[case.training_rows(request.left_out)]
    least = 0.1 * (int(rows.max()) - int(rows.min()))
    assert plain.scale[6] < least
    np.testing.assert_array_equal(floored.scale, np.maximum(plain.scale, least))


@pytest.mark.parametrize("multiclass", ["multinomial", "ovr"])
def test_floored_predictions_are_scikit_learns_with_that_scale(multiclass: str) -> None:
    """A stock scaler whose ``scale_`` is set, and scikit-learn's fit on what it gives."""
    case = CASES[2]
    request = FitRequest(frozenset({0}), 0.3)
    options = {"tol": 1e-9, "double": True, "max_iter": 20_000, "multiclass": multiclass}
    model = fits_of(case, [request], scale_floor=0.2, **options)[request].model
    theirs = reference(
        case, request.left_out, C=0.3, multiclass=multiclass, tol=1e-10, scale=model.scale
    )
    ours = probabilities(model, case.images)
    assert np.abs(ours - theirs.predict_proba(case.images)).max() < 1e-4


def test_constant_pixels_get_no_coefficient() -> None:
    """A pixel constant in a fit's training rows has scale 1 and coefficient 0."""
    case = CASES[2]
    request = FitRequest(frozenset({0}), 1.0)
    model = fits_of(case, [request])[request].model
    assert model.scale[[4, 5]].tolist() == [1, 1]
    assert not model.coefficients[:, [4, 5]].any()
    assert model.mean[5] == 17


def test_two_classes_take_one_sigmoid() -> None:
    """Two classes give (1, features) coefficients, multinomial and one-vs-rest alike."""
    request = FitRequest(NOTHING, 0.1)
    shapes = {
        fits_of(two_digits(), [request], multiclass=kind)[request].model.coefficients.shape
        for kind in ("multinomial", "ovr")
    }
    assert shapes == {(1, 64)}


def test_a_fit_that_may_not_iterate_is_exhausted() -> None:
    """max_iter ends a fit, and says so."""
    request = FitRequest(NOTHING, 1.0)
    outcome = fits_of(digits(), [request], max_iter=3)[request].outcome
    assert (outcome.status, outcome.iterations) == ("exhausted", 3)


def test_a_tolerance_beyond_single_precision_ends_as_stalled() -> None:
    """Where float32 can't go further the fit says stalled, and the objective is still right."""
    request = FitRequest(NOTHING, 1.0)
    stalled = fits_of(digits(), [request], tol=1e-12, max_iter=100_000)[request].outcome
    tight = fits_of(digits(), [request], tol=1e-9, double=True, max_iter=20_000)[request].outcome
    assert stalled.status == "stalled"
    assert stalled.objective == pytest.approx(tight.objective, rel=1e-5)


def test_scikit_learns_solution_is_a_stationary_point_of_ours() -> None:
    """Our gradient at scikit-learn's coefficients is as small as its tolerance."""
    case = CASES[2]
    theirs = reference(case, NOTHING, C=0.3, multiclass="multinomial", tol=1e-10)[-1]
    point = np.column_stack([theirs.intercept_, theirs.coef_])
    _, gradient = objective_and_gradient(case, point, C=0.3)
    assert np.abs(gradient).max() < 3e-8


def test_more_fits_than_fit_in_a_batch_wait_their_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    """With room for one fit at a time every request is still answered once."""
    monkeypatch.setattr("foldwise.solver.fits.MOST_COLUMNS", 1)
    requests = [FitRequest(frozenset({out}), 0.01) for out in range(4)]
    answered = [fit.left_out for fit in solve(digits().layout(), requests, SolverOptions())]
    assert sorted(answered, key=sorted) == [frozenset({out}) for out in range(4)]


def test_layout_prefixes_hold_every_lit_pixel() -> None:
    """Each row's pixels survive the re-ordering: nothing lit lies behind a block's prefix."""
    case = CASES[2]
    layout = Layout.build(case.images, case.labels, case.parts, classes=3)
    for part, lanes in zip(case.parts, layout.lanes, strict=True):
        total = sum(int(b.pixels[:, 1:].sum(dtype=np.int64)) for lane in lanes for b in lane)
        assert total == int(case.images[part].sum(dtype=np.int64))
        assert sum(len(b.labels) for lane in lanes for b in lane) == len(part)


def test_pixels_that_no_row_of_the_sample_lights_come_last() -> None:
    """Those that no row at all lights don't come."""
    case = CASES[2]
    rows = np.arange(1, 300)
    is_lit, in_sample = (case.images[seen].max(axis=0) > 0 for seen in (rows, rows[::14]))
    ranked = rank_by_peeling(case.images, rows, is_lit, sample=20).tolist()
    assert sorted(ranked) == np.flatnonzero(is_lit).tolist()
    assert [pixel for pixel in ranked if not in_sample[pixel]] == ranked[-1:] == [6]


def test_a_caller_who_stops_half_way_leaves_no_thread_behind() -> None:
    """Closing the solver ends its pool."""
    before = threading.active_count()
    fits = solve(digits().layout(), [FitRequest(NOTHING, C) for C in (1e-4, 1.0)], SolverOptions())
    assert isinstance(fits, Generator)
    next(fits)
    fits.close()
    assert threading.active_count() == before


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_pairs_are_judged_together_to_the_bit_as_one_by_one(
    dtype: type[np.floating[Any]],
) -> None:
    """Also where rounding alone decides whether the gradient rises."""
    draws = np.random.default_rng(0)
    steps = draws.normal(size=(400, 31)).astype(dtype)
    changes = draws.normal(size=(400, 31)).astype(dtype)
    # Nearly at right angles to the steps, so that half of them lie at the border.
    along = np.vecdot(steps, changes) / np.vecdot(steps, steps)
    changes -= along[:, np.newaxis].astype(dtype) * steps
    rise = np.finfo(dtype).eps * draws.uniform(0, 2, 400) * np.vecdot(changes, changes) ** 0.5
    changes += (rise / np.vecdot(steps, steps) ** 0.5).astype(dtype)[:, np.newaxis] * steps
    alone = [
        float(step @ change)
        > float(np.finfo(dtype).eps) * float(np.sqrt(step @ step) * np.sqrt(change @ change))
        for step, change in zip(steps, changes, strict=True)
    ]
    assert is_curved(steps, changes).tolist() == alone
    assert 20 < sum(alone) < 380
