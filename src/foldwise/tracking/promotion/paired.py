"""Two models on the same rows: how far the mean difference could be worse than it looks.

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
How often they are wrong is measured in docs/statistics.md.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.special import ndtri

from foldwise.search.bootstrap import bootstrap_means


@dataclass(frozen=True, slots=True)
class PairedBound:
    """Mean difference over the rows, and an upper bound of it at a one-sided level."""

    mean: float
    upper: float


def paired_bound(
    differences: NDArray[np.float64],
    *,
    level: float,
    draws: int,
    seed: int,
    worst: float | None = None,
) -> PairedBound:
    """Bound the mean difference (rows,) from above, at a one-sided level below 0.5.

    ``worst`` is the largest difference that a row can have, if it is known.
    """
    upper = max(
        likelihood_bound(differences, level=level, worst=worst),
        bootstrap_bound(differences, level=level, draws=draws, seed=seed),
    )
    return PairedBound(float(differences.mean()), upper)


def bootstrap_bound(
    differences: NDArray[np.float64], *, level: float, draws: int, seed: int
) -> float:
    """Mean difference of redrawn rows that is exceeded in a share ``level`` of the draws.

    With fewer than 1/level draws it is the largest one.
    """
    means = np.sort(bootstrap_means(differences, draws=draws, seed=seed))
    return float(means[-max(1, int(level * (draws + 1)))])


def likelihood_bound(
    differences: NDArray[np.float64], *, level: float, worst: float | None = None
) -> float:
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

    lowest, highest = -600.0, 30.0
    log_e = brentq(excess, lowest, highest, xtol=1e-9) if excess(lowest) > 0 else lowest
    weights = 1 / (gaps + span * np.exp(log_e))
    return float(weights @ rows / weights.sum())
