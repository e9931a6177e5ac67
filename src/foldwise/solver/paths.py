"""Regularisation paths: the solutions of one training set along C, and how they are traced.

The solutions of one training set along C: what a fit starts from.

The minimiser is a smooth function of log C. Known at a few anchors, a cubic through the four that
lie around a C gives it to about the solver's tolerance, from this training set's own rows alone.

Tracing paths: each training set's solutions from small C to large, all sets side by side.

An anchor starts where the ones before it lead, and keeps their curvature pairs: from one C to
another only the penalty's share of the curvature changes, and that share is known. So an anchor
takes a fraction of the evaluations of a fit from zero. Where a path begins, at the smallest C, it
starts from zero.
"""

import math
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from foldwise.solver.descent import History
from foldwise.solver.fits import (
    Running,
    SolverOptions,
    TrainingSet,
    advance,
    count_outputs,
    origin,
    start,
)
from foldwise.solver.layout import Layout

Real = NDArray[np.floating]

ANCHORS_PER_DECADE = 3
"""So many that the cubic's error stays below the usual tolerance on MNIST; two are too few."""

_NEIGHBOURS = 4


@dataclass(frozen=True, slots=True, eq=False)
class RegularisationPath:
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


MOST_COLUMNS = 640
"""Outputs of all paths traced at once: each holds its curvature pairs, megabytes."""

PAIRS = 80
"""Correction pairs of an anchor, more than a fit's: those of earlier anchors still serve."""

TOLERANCE_SHARE = 0.7
"""Anchors are solved to this share of the tolerance, so that what lies between them meets it."""

_LOOK_BACK = 3


@dataclass(frozen=True, slots=True)
class Traced:
    """So many of all anchors are known."""

    done: int
    total: int


def trace(
    layout: Layout,
    sets: Sequence[frozenset[int]],
    strengths: NDArray[np.float64],
    options: SolverOptions,
) -> Iterator[Traced | RegularisationPath]:
    """Trace the path of each training set, given by the parts left out, over these C's.

    Paths come as they end, and word of each anchor before. Neither the number of threads nor the
    other sets change a path, to the bit.
    """
    solved_to = replace(options, tol=TOLERANCE_SHARE * options.tol)
    waiting = [_Tracer(layout, left_out, strengths, solved_to) for left_out in reversed(sets)]
    active: list[_Tracer] = []
    done = 0
    with ThreadPoolExecutor(max(1, options.threads)) as pool:
        while waiting or active:
            room = max(1, MOST_COLUMNS // count_outputs(layout)) - len(active)
            active += [waiting.pop() for _ in range(min(room, len(waiting)))]
            advance(layout, [tracer.running for tracer in active], options, pool)
            arrived = [tracer for tracer in active if tracer.running.ended]
            list(pool.map(_Tracer.go_on, arrived))
            for tracer in arrived:
                done += 1
                yield Traced(done, len(sets) * len(strengths))
                if tracer.ended:
                    yield tracer.path()
            active = [tracer for tracer in active if not tracer.ended]


class _Tracer:
    """One path under way: the fit of an anchor, then of the next one."""

    def __init__(
        self,
        layout: Layout,
        left_out: frozenset[int],
        strengths: NDArray[np.float64],
        options: SolverOptions,
    ) -> None:
        self._strengths, self._options = strengths, options
        self._points: list[Real] = []
        self._evaluations = 0
        training = TrainingSet.of(layout, left_out)
        zero = origin(layout, options)
        count = options.count_descents(len(zero))
        empty = [History(PAIRS, zero.size // count, options.dtype) for _ in range(count)]
        self.running = start(training, strengths[0], zero, options, histories=empty)

    @property
    def ended(self) -> bool:
        """Whether all anchors are known."""
        return len(self._points) == len(self._strengths)

    def go_on(self) -> None:
        """Keep the anchor that has been reached, and set out for the next."""
        running = self.running
        self._points.append(running.points)
        self._evaluations += max(descent.evaluations for descent in running.descents)
        if not self.ended:
            self.running = self._towards(self._strengths[len(self._points)])

    def _towards(self, C: float) -> Running:
        running, width = self.running, self._points[0].shape[1]
        known = self._points[-_LOOK_BACK:]
        before = self._strengths[len(self._points) - len(known) : len(self._points)]
        more = running.training.penalty(C) - running.training.penalty(running.C)
        histories = [descent.history for descent in running.descents]
        for history in histories:
            history.penalise(more, width=width)
        points = interpolate(before, known, C)
        return start(running.training, C, points, self._options, histories=histories)

    def path(self) -> RegularisationPath:
        """All of it."""
        training = self.running.training
        return RegularisationPath(
            training.left_out, self._strengths, np.stack(self._points), self._evaluations
        )
