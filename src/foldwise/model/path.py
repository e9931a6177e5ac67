"""The solutions of one training set along C: what a fit starts from.

The minimiser is a smooth function of log C. Known at a few anchors, a cubic through the four that
lie around a C gives it to about the solver's tolerance, from this training set's own rows alone.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Real = NDArray[np.floating]

ANCHORS_PER_DECADE = 3
"""So many that the cubic's error stays below the usual tolerance on MNIST; two are too few."""

_NEIGHBOURS = 4


@dataclass(frozen=True, slots=True, eq=False)
class Path:
    """One training set's solutions at the anchors.

    Attributes
    ----------
    left_out : frozenset of int
        The parts that are not in the training set.
    strengths : float64 array (anchors,)
        Their values of C, ascending, evenly spaced by logarithm.
    points : array (anchors, outputs, width)
        Coefficients of standardised pixels, intercept first.
    evaluations : int
        Passes over the training rows that it took.
    """

    left_out: frozenset[int]
    strengths: NDArray[np.float64]
    points: Real
    evaluations: int

    def at(self, C: float) -> Real:
        """Where a fit at ``C`` may start (outputs, width): by the four anchors around it."""
        first = int(np.searchsorted(self.strengths, C)) - _NEIGHBOURS // 2
        first = min(max(first, 0), len(self.strengths) - _NEIGHBOURS)
        around = slice(first, first + _NEIGHBOURS)
        return interpolate(self.strengths[around], self.points[around], C)


def anchors(low: float, high: float) -> NDArray[np.float64]:
    """Values of C for the anchors of a search on [low, high], both ends among them."""
    count = max(_NEIGHBOURS, math.ceil(ANCHORS_PER_DECADE * math.log10(high / low)) + 1)
    return np.geomspace(low, high, count)


def interpolate(
    strengths: Sequence[float] | NDArray[np.float64], points: Sequence[Real] | Real, C: float
) -> Real:
    """Value at ``C`` of the polynomial in log C that goes through all ``points``.

    In Lagrange's form; beyond the outermost points it extrapolates.
    """
    logs = np.log(np.asarray(strengths, dtype=np.float64))
    shares = [
        math.prod((math.log(C) - other) / (own - other) for other in np.delete(logs, place))
        for place, own in enumerate(logs)
    ]
    total = np.zeros_like(points[0])
    for share, point in zip(shares, points, strict=True):
        total += total.dtype.type(share) * point
    return total
