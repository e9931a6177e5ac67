"""Regularisation paths: one training set's solutions along C, which its fits start from.

The minimiser is a smooth function of log C. Known at a few anchors, a cubic through the four that
lie around a C gives it to about the solver's tolerance, from this training set's own rows alone.

A path is traced upwards, from small C to large, and only as far as it is asked for. An anchor
starts where the ones before it lead, and keeps their curvature pairs: from one C to another only
the penalty's share of the curvature changes, and that share is known. So an anchor takes a fraction
of the evaluations of a fit from zero, which is where a path begins. A path keeps the pairs of its
last anchor while it isn't whole: traced further it is, to the bit, the one traced at once.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from foldwise.solver.descent import History
from foldwise.solver.fits import (
    Course,
    Running,
    SolverOptions,
    TrainingSet,
    no_histories,
    origin,
    side_by_side,
)
from foldwise.solver.layout import Layout
from foldwise.solver.linear import Floats, Real

ANCHORS_PER_DECADE = 3
"""So many that the cubic's error stays below the usual tolerance on MNIST; two are too few."""

MOST_COLUMNS = 640
"""Outputs of all paths traced at once: each holds its curvature pairs, megabytes."""

PAIRS = 80
"""Correction pairs of an anchor, more than a fit's: those of earlier anchors still serve."""

TOLERANCE_SHARE = 0.7
"""Anchors are solved to this share of the tolerance, so that what lies between them meets it."""

LOOK_BACK = 3
"""Anchors that lead to the next one."""

_NEIGHBOURS = 4


@dataclass(frozen=True, slots=True, eq=False)
class RegularisationPath:
    """One training set's solutions at the anchors, as far as they are known.

    Attributes
    ----------
    left_out : frozenset of int
        The parts that are not in the training set.
    anchors : float64 array (anchors,)
        All values of C that it may be traced over, ascending, evenly spaced by logarithm.
    solutions : tuple of arrays (outputs, width)
        Of the first anchors: coefficients of standardised pixels, intercept first.
    evaluations : int
        Passes over the training rows that it took.
    histories : tuple of History
        What is known of the curvature at the last solution, one a descent; without them it can only
        be traced anew.
    """

    left_out: frozenset[int]
    anchors: Floats
    solutions: tuple[Real, ...] = ()
    evaluations: int = 0
    histories: tuple[History, ...] = ()

    def reach(self, C: float) -> int:
        """How many solutions a fit at ``C`` needs."""
        return self._first(C) + _NEIGHBOURS

    def at(self, C: float) -> Real:
        """Where a fit at ``C`` may start (outputs, width): by the four anchors around it."""
        first = self._first(C)
        around = slice(first, first + _NEIGHBOURS)
        return interpolate(self.anchors[around], self.solutions[around], C)

    def _first(self, C: float) -> int:
        first = int(np.searchsorted(self.anchors, C)) - _NEIGHBOURS // 2
        return min(max(first, 0), len(self.anchors) - _NEIGHBOURS)


def anchors(low: float, high: float) -> Floats:
    """Values of C for the anchors of a search on [low, high], both ends among them."""
    count = max(_NEIGHBOURS, math.ceil(ANCHORS_PER_DECADE * math.log10(high / low)) + 1)
    return np.geomspace(low, high, count)


def interpolate(knots: Floats, solutions: Sequence[Real], C: float) -> Real:
    """Value at ``C`` of the polynomial in log C that has these ``solutions`` at the ``knots``.

    In Lagrange's form; beyond the outermost it extrapolates.
    """
    total = np.zeros_like(solutions[0])
    for share, solution in zip(shares(knots, C), solutions, strict=True):
        total += total.dtype.type(share) * solution
    return total


def shares(knots: Floats, C: float) -> list[float]:
    """How much the value at each knot counts in :func:`interpolate`."""
    logs, at = np.log(knots).tolist(), math.log(C)
    return [
        math.prod([(at - other) / (own - other) for other in logs if other != own]) for own in logs
    ]


@dataclass(frozen=True, slots=True)
class Traced:
    """So many of all anchors are known."""

    done: int
    total: int


@dataclass(frozen=True, slots=True, eq=False)
class Stretch:
    """A path, and how many solutions of it are asked for, more than it has."""

    path: RegularisationPath
    reach: int

    @property
    def missing(self) -> int:
        """Anchors that are to be solved."""
        known = len(self.path.solutions) if self.path.histories else 0
        return self.reach - known


def trace(
    layout: Layout, stretches: Sequence[Stretch], options: SolverOptions
) -> Iterator[Traced | RegularisationPath]:
    """Trace paths further, side by side.

    Each comes as it has got there, and word of each anchor before. Neither the number of threads,
    the other paths nor the stretches that it was traced in change a path, to the bit.
    """
    courses = (_trace(layout, stretch, options) for stretch in stretches)
    total = sum(stretch.missing for stretch in stretches)
    traced = side_by_side(layout, courses, options, most_columns=MOST_COLUMNS)
    for done, path in enumerate(traced, start=1):
        yield Traced(done, total)
        if path is not None:
            yield path


def _trace(layout: Layout, stretch: Stretch, options: SolverOptions) -> Course[RegularisationPath]:
    options = replace(options, tol=TOLERANCE_SHARE * options.tol)
    path = stretch.path
    training = TrainingSet.of(layout, path.left_out, options.scale_floor)
    solutions, evaluations = list(path.solutions), path.evaluations
    histories = [history.copied() for history in path.histories]
    if not histories:
        solutions, evaluations, histories = [], 0, no_histories(layout, options, PAIRS)
    for place in range(len(solutions), stretch.reach):
        C, start = float(path.anchors[place]), origin(layout, options)
        if place:
            before = slice(max(0, place - LOOK_BACK), place)
            start = interpolate(path.anchors[before], solutions[before], C)
            more = training.penalty(C) - training.penalty(float(path.anchors[place - 1]))
            for history in histories:
                history.penalise(more, width=layout.width)
        running = Running.begun(training, C, options, start=start, histories=histories)
        yield running
        solutions.append(running.coefficients)
        evaluations += max(descent.evaluations for descent in running.descents)
        histories = [descent.history for descent in running.descents]
    is_whole = stretch.reach == len(path.anchors)
    return replace(
        path,
        solutions=tuple(solutions),
        evaluations=evaluations,
        histories=() if is_whole else tuple(histories),
    )
