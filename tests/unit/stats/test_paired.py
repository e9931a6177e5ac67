"""The bounds of a paired difference: what they solve, how they move, how often they are wrong."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray
from scipy import stats
from scipy.optimize import brentq
from scipy.special import ndtri

from foldwise.stats.paired import bootstrap_bound, bootstrap_means, likelihood_bound, paired_bound

Rows = NDArray[np.float64]
DIFFERENCES = st.integers(5, 60).flatmap(
    lambda rows: arrays(np.float64, rows, elements=st.floats(-10, 10, width=32))
)
LEVELS = st.floats(1e-8, 0.3)


def upper(differences: Rows, level: float) -> float:
    return paired_bound(differences, level=level, draws=60, seed=1).upper


@settings(deadline=None, max_examples=40)
@given(DIFFERENCES, LEVELS, st.data())
def test_the_bound_never_rises_when_a_row_improves(
    differences: Rows, level: float, data: st.DataObject
) -> None:
    """Whichever rows a challenger improves on, and however much, its bound doesn't suffer."""
    gains = data.draw(arrays(np.float64, len(differences), elements=st.floats(0, 20, width=32)))
    assert upper(differences - gains, level) <= upper(differences, level) + 1e-6


@settings(deadline=None, max_examples=40)
@given(DIFFERENCES, LEVELS)
def test_a_stricter_level_never_lowers_the_bound(differences: Rows, level: float) -> None:
    """What is claimed at a smaller level is claimed at a larger one too; the mean is below both."""
    assert differences.mean() <= upper(differences, level) + 1e-6
    assert upper(differences, level) <= upper(differences, level / 3) + 1e-6


@settings(deadline=None, max_examples=40)
@given(DIFFERENCES, LEVELS, st.integers(1, 4))
def test_rows_of_a_group_count_as_one(differences: Rows, level: float, copies: int) -> None:
    """Each row given several times over, as a group, tells no more than it did once."""
    groups = np.repeat(np.arange(len(differences)), copies)
    drawn = {"level": level, "draws": 60, "seed": 1, "worst": 11.0}
    again = paired_bound(np.repeat(differences, copies), groups=groups, **drawn)  # type: ignore[arg-type]
    once = paired_bound(differences, **drawn)  # type: ignore[arg-type]
    assert (again.mean, again.upper) == pytest.approx((once.mean, once.upper), rel=1e-9, abs=1e-9)


@settings(deadline=None, max_examples=40)
@given(DIFFERENCES, LEVELS, st.floats(-5, 5), st.floats(0.01, 100))
def test_the_bound_moves_and_scales_with_the_differences(
    differences: Rows, level: float, shift: float, scale: float
) -> None:
    """It depends on neither the origin nor the unit of a loss."""
    moved = upper(shift + scale * differences, level)
    assert moved == pytest.approx(shift + scale * upper(differences, level), rel=1e-5, abs=1e-5)


@settings(deadline=None, max_examples=40)
@given(DIFFERENCES, LEVELS)
def test_roles_swapped_flip_the_sign_and_never_both_win(differences: Rows, level: float) -> None:
    """The mean changes sign, and at most one of two models is better than the other."""
    ours = paired_bound(differences, level=level, draws=60, seed=1)
    theirs = paired_bound(-differences, level=level, draws=60, seed=1)
    assert theirs.mean == pytest.approx(-ours.mean)
    assert not (ours.upper < 0 and theirs.upper < 0)


@settings(deadline=None, max_examples=40)
@given(DIFFERENCES, st.floats(1e-4, 0.3), st.integers(0, 2**32 - 1))
def test_no_likely_weighting_exceeds_the_likelihood_bound(
    differences: Rows, level: float, seed: int
) -> None:
    """Weightings of the rows, the worst one twice, whose likelihood is allowed stay below it."""
    rows = np.append(differences, differences.max())
    random = np.random.default_rng(seed)
    weights = random.dirichlet(np.full(len(rows), random.uniform(1, 50)), size=50)
    ratio = -2 * np.log(len(rows) * np.maximum(weights, 1e-300)).sum(axis=1)
    likely = weights[ratio <= ndtri(level) ** 2]
    assert (likely @ rows <= likelihood_bound(differences, level=level) + 1e-6).all()


@given(st.integers(20, 300), st.floats(1e-6, 0.2), st.integers(0, 2**32 - 1))
def test_the_likelihood_bound_uses_up_what_is_allowed(rows: int, level: float, seed: int) -> None:
    """The weights that reach the bound have exactly the likelihood ratio of the level."""
    differences = np.random.default_rng(seed).normal(size=rows)
    bound = likelihood_bound(differences, level=level)
    doubled = np.append(differences, differences.max()) - bound
    # Owen's dual: the ratio of the hypothesis that the mean is the bound.
    low, high = -1 / doubled.max(), -1 / doubled.min()
    slack = (high - low) * 1e-12

    def tilt(multiplier: float) -> float:
        return float((doubled / (1 + multiplier * doubled)).sum())

    multiplier = brentq(tilt, low + slack, high - slack)
    ratio = 2 * np.log1p(multiplier * doubled).sum()
    assert ratio == pytest.approx(ndtri(level) ** 2, rel=1e-3)


@pytest.mark.parametrize("rows", [297, 2000])
@pytest.mark.parametrize("level", [0.03, 0.0076, 0.0012])
def test_a_bound_on_lost_rows_is_wrong_no_more_often_than_it_says(rows: int, level: float) -> None:
    """Exactly, by the binomial: also where none was lost, which doesn't show that none can be."""
    for lost in range(12):
        errors = np.repeat([1.0, 0.0], [lost, rows - lost])
        bound = paired_bound(errors, level=level, draws=500, seed=1, worst=1.0).upper
        # Had the true share been just above the bound, so few would be lost this seldom.
        assert stats.binom.cdf(lost, rows, bound) <= level


def test_the_worst_that_can_be_counts_for_more_than_the_worst_that_was_seen() -> None:
    """And for the same once it was seen."""
    gained_only, both = np.repeat([-1.0, 0.0], [5, 95]), np.repeat([-1.0, 1.0, 0.0], [5, 1, 94])
    unseen = [likelihood_bound(gained_only, level=0.01, worst=worst) for worst in (None, 1.0)]
    assert unseen[0] < 0 < unseen[1]
    seen = [likelihood_bound(both, level=0.01, worst=worst) for worst in (None, 1.0)]
    assert seen[0] == seen[1]


def test_for_many_calm_rows_both_bounds_are_students() -> None:
    """With normal differences there is nothing to correct."""
    differences = np.random.default_rng(1).normal(-0.01, 0.1, size=20_000)
    expected = stats.ttest_1samp(differences, 0, alternative="less").confidence_interval(0.97).high
    assert likelihood_bound(differences, level=0.03) == pytest.approx(expected, abs=2e-4)
    drawn = bootstrap_bound(differences, level=0.03, draws=2000, seed=1)
    assert drawn == pytest.approx(expected, abs=2e-4)


@pytest.mark.parametrize(("level", "beyond"), [(0.03, 29), (0.005, 4), (0.0019, 0), (1e-6, 0)])
def test_the_bootstrap_bound_leaves_its_share_of_draws_beyond(level: float, beyond: int) -> None:
    """Of 999 draws, level times 1000 reach it, itself among them; of a rarer kind there is none."""
    differences = np.random.default_rng(5).normal(size=200)
    means = bootstrap_means(differences, draws=999, seed=1)
    bound = bootstrap_bound(differences, level=level, draws=999, seed=1)
    assert (means > bound).sum() == beyond


def test_with_fewer_draws_than_the_level_asks_for_the_largest_counts() -> None:
    """A level of one in a million is not read off a hundred draws as if it were there."""
    differences = np.random.default_rng(2).normal(size=100)
    strict = bootstrap_bound(differences, level=1e-6, draws=100, seed=1)
    assert strict == bootstrap_bound(differences, level=1e-9, draws=100, seed=1)
    assert strict > bootstrap_bound(differences, level=0.05, draws=100, seed=1)


def test_on_skewed_differences_the_bound_is_wrong_as_rarely_as_it_says() -> None:
    """Many small gains, few large losses, mean 0: Student's bound is wrong twice too often."""
    random = np.random.default_rng(3)
    wrong, students = 0, 0
    for _ in range(2000):
        differences = random.pareto(3, size=300) - 0.5
        wrong += likelihood_bound(differences, level=0.03) < 0
        error = differences.std(ddof=1) / np.sqrt(300)
        students += differences.mean() - ndtri(0.03) * error < 0
    assert wrong / 2000 < 0.04
    assert students / 2000 > 0.06
