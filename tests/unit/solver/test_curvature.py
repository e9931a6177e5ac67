"""What descents know before any step: the Hessian at zero, and what that saves."""

import gc
import pickle
import weakref
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from foldwise.solver import curvature, fits
from foldwise.solver.descent import Descent, History
from foldwise.solver.fits import FitRequest, SolverOptions, TrainingSet, solve
from foldwise.solver.layout import Layout
from foldwise.solver.linear import Real
from tests.unit.solver.gradients import objective_and_gradient
from tests.unit.solver.solver_cases import Case, digits, sparse_noise, two_digits

C = 0.3
NOISE = sparse_noise()
TWO = Case("two classes", NOISE.images, NOISE.labels // 2)


@pytest.fixture(autouse=True)
def single_threaded_blas() -> Iterator[None]:
    with threadpool_limits(limits=1, user_api="blas"):
        yield


def bent(case: Case, vector: NDArray[np.float64], **options: str) -> NDArray[np.float64]:
    """The vector (outputs, width) times what a fit on all rows begins with."""
    layout = case.layout()
    for part in range(layout.parts):
        curvature.find_squares(layout, part)
    training = TrainingSet.of(layout, frozenset(), 0.0)
    bend = training.bend(C, SolverOptions(double=True, **options), len(vector))  # type: ignore[arg-type]
    assert bend is not None
    return np.asarray(bend(vector.ravel()), dtype=np.float64).reshape(vector.shape)


@pytest.mark.parametrize("multiclass", ["multinomial", "ovr"])
@pytest.mark.parametrize("case", [digits(), NOISE, TWO], ids=lambda case: case.name)
def test_it_is_the_inverse_of_the_hessian_at_zero(case: Case, multiclass: str) -> None:
    """By differences of the gradient, along a step whose outputs add up to zero."""
    outputs = 1 if case.classes == 2 else case.classes
    sigmoids = outputs == 1 or multiclass == "ovr"
    varies = np.append(True, case.images.std(axis=0) > 0)
    step = np.random.default_rng(1).normal(size=(outputs, 1 + case.images.shape[1])) * varies
    step -= 0 if sigmoids else step.mean(axis=0)
    ends = (
        objective_and_gradient(case, sign * 1e-5 * step, C=C, sigmoids=sigmoids)[1]
        for sign in (1, -1)
    )
    times_hessian = np.subtract(*ends) / 2e-5
    np.testing.assert_allclose(
        bent(case, times_hessian, multiclass=multiclass), step, rtol=1e-3, atol=1e-3
    )


def test_sums_of_products_are_exact() -> None:
    """Of bright pixels in several blocks of a part; a dark pixel's are zero."""
    images = np.random.default_rng(2).integers(250, 256, (3000, 9)).astype(np.uint8)
    images[:, 4] = 0
    images[::7, 2] = 0
    case = Case("bright", images, np.arange(3000) % 3, folds=2)
    layout = case.layout()
    for part, rows in enumerate(case.parts):
        curvature.find_squares(layout, part)
        pixels = images[rows].astype(np.int64)
        np.testing.assert_array_equal(layout.squares[part], pixels.T @ pixels)


def test_what_fits_found_neither_travels_nor_keeps_the_rows() -> None:
    """A used layout is as small on its way as a new one, and goes with its last name."""
    case = sparse_noise()
    layout = case.layout()
    new = len(pickle.dumps(layout))
    assert len(list(solve(layout, [FitRequest(frozenset({1}), C)], SolverOptions()))) == 1
    assert layout.squares
    assert layout.known
    assert len(pickle.dumps(layout)) == new
    gone = weakref.ref(layout.lanes[0][0][0].pixels)
    gc.disable()
    try:
        del layout
        assert gone() is None
    finally:
        gc.enable()


@pytest.mark.parametrize("multiclass", ["multinomial", "ovr"])
def test_it_saves_a_quarter_of_the_evaluations(
    multiclass: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of fits from zero, one penalty with another."""
    asked = [FitRequest(frozenset({0}), strength) for strength in (1e-4, 1e-3, 1e-2, 1e-1)]
    options = SolverOptions(multiclass=multiclass)  # type: ignore[arg-type]

    def evaluations() -> float:
        made = list(solve(digits().layout(), asked, options))
        assert all(fit.outcome.status == "converged" for fit in made)
        return sum(fit.outcome.evaluations for fit in made)

    knowing = evaluations()
    monkeypatch.setattr(fits, "pays", lambda *_: False)
    assert knowing <= 3 / 4 * evaluations()


def test_the_minimum_is_the_same_without_it(monkeypatch: pytest.MonkeyPatch) -> None:
    case, options = NOISE, SolverOptions(tol=1e-9, double=True, max_iter=20_000)
    request = FitRequest(frozenset({1}), C)
    [knowing] = solve(case.layout(), [request], options)
    monkeypatch.setattr(fits, "pays", lambda *_: False)
    [plain] = solve(case.layout(), [request], options)
    np.testing.assert_allclose(
        knowing.model.coefficients, plain.model.coefficients, rtol=1e-5, atol=1e-6
    )


def test_it_is_known_where_rows_are_many_columns_few_and_values_bytes() -> None:
    """Beyond that what finding it takes is more than what it saves."""
    layout = two_digits().layout()
    assert curvature.pays(layout, 512)
    assert not curvature.pays(layout, 511)  # 64 columns: 8 rows for each of their products
    wide = replace(layout, features=curvature.MOST_FEATURES + 1)
    assert not curvature.pays(wide, 10**9)
    X, labels = np.random.default_rng(0).normal(size=(600, 3)), np.arange(600) % 2
    parts = [np.arange(part, 600, 3) for part in range(3)]
    assert not curvature.pays(Layout.of_table(X, labels, parts, classes=2), 600)


def test_what_leads_nowhere_is_forgotten() -> None:
    """A quadratic bowl, and a first guess that points uphill: the descent goes by the gradient."""
    diagonal = np.array([1.0, 10.0, 100.0])
    told = []

    def uphill(vectors: Real) -> Real:
        told.append(vectors)
        return np.negative(vectors)

    descent = Descent(
        np.ones(3), History(5, 3, np.dtype(np.float64)), tol=1e-6, max_iter=100, bend=uphill
    )
    while descent.status is None:
        descent.receive(float(diagonal @ descent.point**2) / 2, diagonal * descent.point)
    assert descent.status == "converged"
    assert len(told) == 1
    np.testing.assert_allclose(descent.point, 0, atol=1e-6)


def test_an_exact_one_leads_there_at_once() -> None:
    """Its first step is taken whole: two evaluations are all."""
    diagonal = np.array([1.0, 10.0, 100.0])
    descent = Descent(
        np.ones(3), History(5, 3, np.dtype(np.float64)), tol=1e-6, max_iter=100,
        bend=lambda vectors: vectors / diagonal,
    )  # fmt: skip
    while descent.status is None:
        descent.receive(float(diagonal @ descent.point**2) / 2, diagonal * descent.point)
    assert (descent.status, descent.evaluations) == ("converged", 2)


def test_a_gradient_too_small_to_be_squared_ends_as_stalled() -> None:
    """And not in a restart of a restart."""
    descent = Descent(np.ones(2), History(5, 2, np.dtype(np.float64)), tol=0.0, max_iter=100)
    descent.receive(1.0, np.array([1e-200, 0.0]))
    assert descent.status == "stalled"


def test_a_first_step_that_fails_is_tried_along_the_gradient_too() -> None:
    """A direction of descent as long as the sky, along which no step is short enough."""
    descent = Descent(
        np.ones(2), History(5, 2, np.dtype(np.float64)), tol=1e-6, max_iter=100,
        bend=lambda vectors: 1e30 * vectors,
    )  # fmt: skip
    while descent.status is None:
        descent.receive(float(descent.point @ descent.point) / 2, descent.point)
    assert descent.status == "converged"
