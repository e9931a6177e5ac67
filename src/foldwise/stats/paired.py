"""Paired tests of two models on the same rows: McNemar's, Holm's, bounds on a mean difference.

A difference is the challenger's loss minus the champion's, row by row, so that below 0 is better.
Few rows make up most of it (an image that one model calls impossible), and at the small levels that
a reused holdout asks for, Student's interval and the plain bootstrap both claim too much. So the
bound is the larger of two:

- the bootstrap's: the mean difference of rows drawn anew, at the level asked for;
- the likelihood's (Owen, 1988, "Empirical likelihood ratio confidence intervals for a single
  functional"): the largest weighted mean difference over all weightings of the rows that are not
  much less likely than equal weights,

      max sum p_i d_i   subject to   -2 sum log(n p_i) <= z(1 - level)^2,

  which follows the skewness of the differences and needs no draws, however small the level. One
  more row enters, because a bad one may lie outside the holdout: the worst that can be, or where
  that isn't known, the worst that was seen.

Both bounds can only fall when a row's difference falls: improving a challenger never costs it.
Draws of n rows out of n, with replacement, are handled a block at a time, so that memory doesn't
grow with their number, and sums run in one fixed order, so that the same seed gives the same
figures whatever the threads. How often they are wrong is measured in docs/statistics.md.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from scipy.sparse import csr_array
from scipy.special import bdtr, ndtri

from foldwise.stats.influence import Array, Codes, Flags

_BLOCK_DRAWS = 64


@dataclass(frozen=True, slots=True)
class McNemar:
    """Rows that only the first (gained) and only the second (lost) predicted right; exact p."""

    gained: int
    lost: int
    p: float


def mcnemar(first: Flags, second: Flags) -> McNemar:
    """McNemar's exact test of equal accuracy on rows predicted right (True) or wrong.

    Two-sided: twice the chance, had each differing row been a fair coin, of so few on one side.
    """
    gained = int((first & ~second).sum())
    lost = int((second & ~first).sum())
    tail = float(bdtr(min(gained, lost), gained + lost, 0.5))
    return McNemar(gained, lost, min(1.0, 2 * tail))


@dataclass(frozen=True, slots=True)
class Pair:
    """Two models on the same rows.

    ``adjusted`` is the p-value after Holm's correction: if all pairs with one of at most alpha are
    called different, the chance of calling any pair so that isn't is at most alpha.
    """

    first: str
    second: str
    test: McNemar  # of this pair alone
    adjusted: float


def holm(p_values: Sequence[float]) -> list[float]:
    """P-values adjusted for their number, step-down (Holm, 1979), in the order given.

    The k-th smallest of m is multiplied by m - k + 1, and is never below the one before it.
    """
    order = np.argsort(p_values, kind="stable")
    factors = np.arange(len(p_values), 0, -1)
    stepped = np.maximum.accumulate(np.asarray(p_values, np.float64)[order] * factors)
    adjusted = np.empty(len(p_values))
    adjusted[order] = np.minimum(stepped, 1)
    return [float(value) for value in adjusted]


def compare_pairs(right: Mapping[str, Flags]) -> tuple[Pair, ...]:
    """Test every pair of models; ``right`` says of each which rows it predicted right."""
    names = list(combinations(right, 2))
    tests = [mcnemar(right[first], right[second]) for first, second in names]
    adjusted = holm([test.p for test in tests])
    return tuple(
        Pair(*name, test, value) for name, test, value in zip(names, tests, adjusted, strict=True)
    )


@dataclass(frozen=True, slots=True)
class PairedBound:
    """Mean difference over the rows, and an upper bound of it at a one-sided level."""

    mean: float
    upper: float


def paired_bound(
    differences: Array,
    *,
    level: float,
    draws: int,
    seed: int,
    worst: float | None = None,
    groups: Codes | None = None,
) -> PairedBound:
    """Bound the mean difference (rows,) from above, at a one-sided level below 0.5.

    ``worst`` is the largest difference that a row can have, if it is known. Rows of one of the
    ``groups`` (rows,) were drawn together: their sum counts, on a scale that keeps the mean, as one
    row's difference does.
    """
    if groups is not None:
        _, group_of, sizes = np.unique(groups, return_inverse=True, return_counts=True)
        share = len(sizes) / len(differences)
        sums = np.bincount(group_of, weights=differences).astype(np.float64)
        differences = share * sums
        worst = None if worst is None else worst * share * float(sizes.max())
    upper = max(
        likelihood_bound(differences, level=level, worst=worst),
        bootstrap_bound(differences, level=level, draws=draws, seed=seed),
    )
    return PairedBound(float(differences.mean()), upper)


def row_counts(rows: int, *, draws: int, seed: int) -> Iterator[Array]:
    """Blocks of draws: arrays (rows, some draws) of how often each row came up.

    The blocks together hold ``draws`` columns; each column sums to ``rows``.
    """
    random = np.random.default_rng(seed)
    for start in range(0, draws, _BLOCK_DRAWS):
        block = min(_BLOCK_DRAWS, draws - start)
        counts = np.empty((block, rows))
        for draw in range(block):
            counts[draw] = np.bincount(random.integers(0, rows, rows), minlength=rows)
        yield np.ascontiguousarray(counts.T)


def bootstrap_means(values: Array, *, draws: int, seed: int) -> Array:
    """Mean of ``values`` (rows,) in every draw, an array (draws,)."""
    line = csr_array(values[np.newaxis])
    blocks = row_counts(len(values), draws=draws, seed=seed)
    return np.concatenate([(line @ counts)[0] for counts in blocks]) / len(values)


def bootstrap_bound(differences: Array, *, level: float, draws: int, seed: int) -> float:
    """Mean difference of redrawn rows that is exceeded in a share ``level`` of the draws.

    With fewer than 1/level draws it is the largest one.
    """
    means = np.sort(bootstrap_means(differences, draws=draws, seed=seed))
    return float(means[-max(1, int(level * (draws + 1)))])


def likelihood_bound(differences: Array, *, level: float, worst: float | None = None) -> float:
    """Solve for the largest mean difference that the likelihood ratio allows.

    The solution has weights proportional to 1 / (top + e - d_i), top being the largest difference;
    the ratio falls as e grows, and e is found on a logarithmic scale.
    """
    rows = np.append(differences, differences.max() if worst is None else worst)
    gaps = rows.max() - rows
    span = gaps.max()
    if span == 0:
        return float(rows[0])
    allowed = float(ndtri(level)) ** 2 / 2

    def excess(log_e: float) -> float:
        away = gaps + span * np.exp(log_e)
        return float(np.log(away).sum() + len(rows) * np.log((1 / away).mean()) - allowed)

    from scipy.optimize import brentq  # a third of a second, which most commands have no use for

    lowest, highest = -600.0, 30.0
    log_e = brentq(excess, lowest, highest, xtol=1e-9) if excess(lowest) > 0 else lowest
    weights = 1 / (gaps + span * np.exp(log_e))
    return float(weights @ rows / weights.sum())


def rows_to_show(margin: float, level: float) -> int:
    """Count the rows, none of them lost, that bound the share of lost ones below ``margin``.

    Solves :func:`likelihood_bound` of n zeros, with one more row that was lost, for n:

        n log((n + 1) (1 - margin) / n) + log((n + 1) margin) = -z^2 / 2
    """
    most = float(ndtri(level)) ** 2 / 2

    def excess(rows: float) -> float:
        unchanged = rows * math.log((1 - margin) * (1 + 1 / rows))
        return -unchanged - math.log((rows + 1) * margin) - most

    from scipy.optimize import brentq  # a third of a second

    return math.floor(float(brentq(excess, 1 / margin, 100 * (1 + most) / margin))) + 1
