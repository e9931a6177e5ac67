"""The places that `curve` asks: a walk up evenly spread ones, then minima of a spline.

A place is a value's in its range, 0 to 1 on the range's own scale; losses count so that less is
better. Whatever is asked follows from the points before it alone.

The walk goes from the smallest value to the largest, because large ones are dear: a path is traced
that far, and no further. It ends where the last two points are clearly worse than the best, if the
curve has been convex so far. Where it hasn't, a second valley may follow, and all are asked.

Proposals lie on a fine grid, so that what the last digits of scores do to a spline, on another
processor say, moves none. One that lies near a point would teach nothing: the gap nearest to that
point is halved instead, of the two beside it the wider.
"""

import math
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np

CLEARLY = 3.0
"""Standard errors by which a mean over inner folds is clearly worse than the best one."""

NEAR = 0.001
"""Share of the range within which two values are one: a two-hundredth of a decade, by default."""

_GRID = 5000
_ROUNDING = 1e-9  # five cells are NEAR, and ten twice that, wherever they lie
_MOST_STARTS = 8
_FEWEST_SMOOTHED = 5  # scipy asks for them


class Point(NamedTuple):
    """A place asked, and the loss of each inner fold there; NaN for a trial that failed."""

    place: float
    losses: tuple[float, ...]

    @property
    def mean(self) -> float:
        """What the study minimises."""
        return math.fsum(self.losses) / len(self.losses)


def starts(trials: int) -> int:
    """How many places the walk has by default: 8 of 12 trials, and never more."""
    return min(_MOST_STARTS, math.ceil(2 * trials / 3))


def walk(count: int, offset: float) -> tuple[float, ...]:
    """The places of the walk, one in each ``count``-th of the range; ``offset`` is in [0, 1)."""
    return tuple((number + offset) / count for number in range(count))


def walked(points: Sequence[Point], count: int) -> int:
    """How many of the points, in the order asked, are the walk's; ``count`` it would have whole."""
    for asked in range(min(count, len(points))):
        if is_over(points[:asked]):
            return asked
    return min(count, len(points))


def is_over(points: Sequence[Point]) -> bool:
    """Whether the walk may end after these points of it: the larger values can only be worse."""
    if len(points) < 3:
        return False
    means = np.array([point.mean for point in points])
    if not np.isfinite(means).all():
        return False
    losses = np.array([point.losses for point in points])
    if losses.shape[1] < 2:
        return False
    worse = losses[-2:] - losses[means.argmin()]
    errors = worse.std(axis=1, ddof=1) / math.sqrt(losses.shape[1])
    slopes = np.diff(means) / np.diff([point.place for point in points])
    is_convex = bool((np.diff(slopes) >= 0).all())
    return is_convex and bool((worse.mean(axis=1) > CLEARLY * errors).all())


def next_place(points: Sequence[Point], places: Sequence[float], *, is_stepped: bool) -> float:
    """The place to ask after these points, in their order: the walk's next, or the curve's minimum.

    ``places`` are the walk's. Where the loss moves in steps, as accuracy does, the curve is a
    smoothing spline.
    """
    asked = len(points)
    if asked < len(places) and walked(points, len(places)) == asked and not is_over(points):
        return places[asked]
    return minimum(points, is_stepped=is_stepped)


def minimum(points: Sequence[Point], *, is_stepped: bool) -> float:
    """Where the curve through the points is lowest, or a place beside it, if that is known.

    It is the range's end, where the curve still falls at the outermost point.
    """
    places = sorted({point.place for point in points})
    known = {point.place: point.mean for point in sorted(points) if math.isfinite(point.mean)}
    if len(known) < 2:
        return _halved(places)
    lowest = _lowest(known, is_stepped=is_stepped)
    # Beyond the outermost points known trials have failed: more of them would teach nothing.
    lowest = lowest if places[0] in known else max(lowest, min(known))
    lowest = lowest if places[-1] in known else min(lowest, max(known))
    nearest = min(places, key=lambda place: abs(place - lowest))
    if abs(nearest - lowest) > NEAR + _ROUNDING:
        return lowest
    return _halved(places, beside=nearest)


def _lowest(known: Mapping[float, float], *, is_stepped: bool) -> float:
    """Where the curve through the means is lowest, on the grid."""
    # A third of a second, and most commands search nothing.
    from scipy.interpolate import CubicSpline, make_smoothing_spline

    places, means = np.array([*known]), np.array([*known.values()])
    smoothed = is_stepped and len(places) >= _FEWEST_SMOOTHED
    curve: Any = (make_smoothing_spline if smoothed else CubicSpline)(places, means)
    first, last = math.ceil(places[0] * _GRID), math.floor(places[-1] * _GRID)
    at = np.concatenate([places[:1], np.arange(first, last + 1) / _GRID, places[-1:]])
    lowest = int(curve(at).argmin())
    if lowest == 0:
        return 0.0
    return 1.0 if lowest == len(at) - 1 else float(at[lowest])


def _halved(places: Sequence[float], beside: float = 0.5) -> float:
    """The middle of the gap nearest to a place, the wider of equals, that isn't narrow."""
    gaps = [*pairwise(dict.fromkeys([0.0, *places, 1.0]))]
    wide = [(low, high) for low, high in gaps if high - low > 2 * NEAR + _ROUNDING] or gaps
    low, high = min(
        wide, key=lambda gap: (max(gap[0] - beside, beside - gap[1], 0), gap[0] - gap[1])
    )
    return (low + high) / 2
