"""Newton's steps on small tables end where the pairs of any other table lead."""

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from foldwise.solver import newton
from foldwise.solver.descent import Descent, History
from foldwise.solver.fits import FitRequest, SolverOptions, TrainingSet, solve
from foldwise.solver.layout import Layout
from foldwise.solver.linear import Fit
from foldwise.solver.newton import Newton, is_small

ROWS, FOLDS = 120, 3
LABELS = np.random.default_rng(3).integers(0, 2, ROWS)
WEIGHTS = np.random.default_rng(4).uniform(0, 2, ROWS)
OUT = frozenset({1})


def table() -> NDArray[np.float64]:
    """Columns of any mean and scale, one as it is, some values missing."""
    draws = np.random.default_rng(5)
    X = (draws.normal(size=(ROWS, 5)) + 0.7 * LABELS[:, np.newaxis]) * [1, 1e-3, 100, 1, 1]
    X += [0, 5, -1e4, 1, 0]
    X[draws.random(X.shape) < 0.1] = np.nan
    return X


def layout(X: NDArray[np.float64], **more: Any) -> Layout:
    parts = [np.arange(part, ROWS, FOLDS) for part in range(FOLDS)]
    return Layout.of_table(X, LABELS, parts, classes=2, **more)


def fitted(arranged: Layout, *, C: float = 0.05, tol: float = 1e-9) -> Fit:
    [fit] = solve(arranged, [FitRequest(OUT, C)], SolverOptions(double=True, tol=tol))
    return fit


def bits(fit: Fit) -> tuple[object, ...]:
    return fit.left_out, fit.outcome, fit.model.coefficients.tobytes()


@pytest.mark.parametrize("class_weight", [None, "balanced", np.array([0.3, 2.0])])
@pytest.mark.parametrize("weights", [None, WEIGHTS], ids=["alike", "weighted"])
def test_it_ends_where_pairs_lead(
    monkeypatch: pytest.MonkeyPatch, class_weight: Any, weights: Any
) -> None:
    """In fewer evaluations, through gaps, columns as they are and weights of rows and classes."""
    asked = {"is_scaled": np.arange(5) != 3, "class_weight": class_weight, "weights": weights}
    mine = fitted(layout(table(), **asked))
    monkeypatch.setattr(newton, "_MOST_VALUES", 0)
    theirs = fitted(layout(table(), **asked))
    np.testing.assert_allclose(mine.model.coefficients, theirs.model.coefficients, atol=1e-7)
    np.testing.assert_allclose(mine.model.intercepts, theirs.model.intercepts, atol=1e-7)
    assert mine.outcome.objective == pytest.approx(theirs.outcome.objective, rel=1e-12)
    assert mine.outcome.status == "converged"
    assert mine.outcome.evaluations < theirs.outcome.evaluations


def test_its_direction_solves_the_hessian_that_differences_of_the_gradient_give() -> None:
    """The gradient is itself the slope of the value."""
    training = TrainingSet.of(layout(table(), weights=WEIGHTS), OUT, 0.0)
    assert training.signed is not None
    own, point = Newton(*training.signed, 0.3, pairs=5), np.random.default_rng(6).normal(size=6)
    steps = 1e-5 * np.eye(6)
    ahead, behind = ([own._evaluated(point + sign * s) for s in steps] for sign in (1, -1))
    hessian = np.array([(a[1] - b[1]) / 2e-5 for a, b in zip(ahead, behind, strict=True)])
    _, gradient = own._evaluated(point)
    slopes = [(a[0] - b[0]) / 2e-5 for a, b in zip(ahead, behind, strict=True)]
    np.testing.assert_allclose(gradient, slopes, atol=1e-8)
    np.testing.assert_allclose(hessian @ own.descend(gradient), -gradient, atol=1e-6)


def test_rows_left_out_move_no_bit() -> None:
    X, changed = table(), table()
    changed[1::FOLDS] = 7 + 3 * changed[1::FOLDS]
    assert bits(fitted(layout(X))) == bits(fitted(layout(changed)))


def test_neither_company_nor_threads_move_a_bit() -> None:
    asked = [FitRequest(left_out, C) for left_out in (OUT, frozenset[int]()) for C in (0.01, 1.0)]
    alone = [bits(fit) for each in asked for fit in solve(layout(table()), [each], SolverOptions())]
    together = solve(layout(table()), asked, SolverOptions(threads=2))
    assert [bits(fit) for fit in together] == alone


def test_without_curvature_it_goes_on_by_pairs() -> None:
    """Two equal columns, and next to no penalty."""
    X = np.nan_to_num(table())
    fit = fitted(layout(np.column_stack([X, X[:, 0]])), C=1e16, tol=1e-6)
    assert fit.outcome.status == "converged"
    assert fit.model.coefficients[0, 0] == pytest.approx(fit.model.coefficients[0, 5], abs=1e-6)


def test_it_stops_after_as_many_steps_as_it_may() -> None:
    options = SolverOptions(double=True, tol=1e-12, max_iter=2)
    [fit] = solve(layout(table()), [FitRequest(OUT, 10.0)], options)
    assert (fit.outcome.status, fit.outcome.iterations) == ("exhausted", 2)


def test_what_a_descent_knew_before_is_left_as_it_was() -> None:
    """A path goes on with it."""
    training = TrainingSet.of(layout(table()), OUT, 0.0)
    assert training.signed is not None
    before = History(5, 6, np.dtype(np.float64))
    descent = Descent(np.zeros(6), before, tol=1e-4, max_iter=100)
    Newton(*training.signed, 0.1, pairs=5).finish(descent)
    assert descent.status == "converged"
    assert descent.history is before
    assert not len(before)


def test_only_short_and_narrow_tables_of_two_classes_are_small() -> None:
    assert is_small(layout(table()))
    assert not is_small(layout(np.zeros((ROWS, 65))))
    parts = [np.arange(part, 9000, FOLDS) for part in range(FOLDS)]
    labels = np.arange(9000) % 2
    assert not is_small(Layout.of_table(np.zeros((9000, 7)), labels, parts, classes=2))
    parts = [np.arange(part, ROWS, FOLDS) for part in range(FOLDS)]
    assert not is_small(Layout.of_table(table(), np.arange(ROWS) % 3, parts, classes=3))
    images = np.zeros((ROWS, 5), dtype=np.uint8)
    assert not is_small(Layout.build(images, LABELS, parts, classes=2))
