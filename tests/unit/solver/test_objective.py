"""The hot loop's identities: the gradient is the slope, the intercept is free, and so on."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from foldwise.solver.objective import Link, sigmoid_link, softmax_link
from tests.unit.solver.gradients import objective_and_gradient
from tests.unit.solver.solver_cases import CASES


@pytest.mark.parametrize("sigmoids", [False, True])
def test_the_gradient_is_the_finite_difference(*, sigmoids: bool) -> None:
    """Along random directions the value changes by gradient times step."""
    case = CASES[2]
    generator = np.random.default_rng(1)
    point = generator.normal(size=(3, 21))
    point[:, [5, 6]] = 0
    _, gradient = objective_and_gradient(case, point, C=0.2, sigmoids=sigmoids)
    for _ in range(5):
        direction = generator.normal(size=point.shape)
        direction[:, [5, 6]] = 0
        step = 1e-6
        up, _ = objective_and_gradient(case, point + step * direction, C=0.2, sigmoids=sigmoids)
        down, _ = objective_and_gradient(case, point - step * direction, C=0.2, sigmoids=sigmoids)
        assert (up - down) / (2 * step) == pytest.approx((gradient * direction).sum(), rel=1e-6)


def test_the_intercept_is_not_penalised() -> None:
    """Moving all intercepts together changes neither a softmax's value nor its gradient."""
    case = CASES[2]
    point = np.random.default_rng(2).normal(size=(3, 21))
    moved = point.copy()
    moved[:, 0] += 5.0
    value, gradient = objective_and_gradient(case, point, C=0.2)
    moved_value, moved_gradient = objective_and_gradient(case, moved, C=0.2)
    assert moved_value == pytest.approx(value, rel=1e-12)
    np.testing.assert_allclose(moved_gradient, gradient, atol=1e-12)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("is_weighted", [False, True])
@pytest.mark.parametrize("link", [softmax_link, sigmoid_link])
def test_a_fits_loss_has_the_same_bits_alone_and_in_company(
    link: Link, dtype: type[np.floating[Any]], *, is_weighted: bool
) -> None:
    """Line searches hang on it, and so would the last digits of a path that is traced alone."""
    generator = np.random.default_rng(1)
    scores = generator.normal(size=(7, 10, 60)).astype(dtype)
    labels = generator.integers(0, 10, 60)
    weights = generator.uniform(size=(1, 60)).astype(dtype) if is_weighted else None
    together = link(scores.copy(), labels, weights)
    alone = [link(each[np.newaxis].copy(), labels, weights)[0] for each in scores]
    np.testing.assert_array_equal(together, alone)


@given(scale=st.floats(0.01, 300.0), seed=st.integers(0, 1000))
def test_links_stay_finite_and_residuals_bounded(scale: float, seed: int) -> None:
    """However large the scores, losses are finite and non-negative, residuals within [-1, 1]."""
    generator = np.random.default_rng(seed)
    labels = generator.integers(0, 4, 150)
    for link, outputs in ((softmax_link, 4), (sigmoid_link, 4), (sigmoid_link, 1)):
        scores = (scale * generator.normal(size=(3, outputs, 150))).astype(np.float32)
        losses = link(scores, labels)
        assert np.isfinite(losses).all()
        assert (losses >= -1e-3).all()
        assert np.abs(scores).max() <= 1 + 1e-6


@pytest.mark.parametrize("rows", [1, 63, 64, 65, 512])
def test_sigmoid_loss_is_the_sum_of_softplus(rows: int) -> None:
    """Summing logarithms as products of 64 factors is only a way to count."""
    generator = np.random.default_rng(rows)
    z = generator.normal(scale=8, size=(2, 3, rows))
    labels = generator.integers(0, 3, rows)
    indicator = labels == np.arange(3)[:, np.newaxis]
    expected = (np.logaddexp(0, z) - np.where(indicator, z, 0)).sum(axis=2)
    np.testing.assert_allclose(sigmoid_link(z.copy(), labels), expected, rtol=1e-10)
