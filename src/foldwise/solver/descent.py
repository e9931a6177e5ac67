"""L-BFGS turned inside out: one minimisation that says where it wants an evaluation next.

So many descents can share each evaluation: the solver asks all of them for their points, evaluates
these in one matrix product, and hands the answers back.

A step's length is searched by the weak Wolfe conditions: the value must fall enough (Armijo) and
the slope must have risen enough; bracketing as in Lewis and Overton (2013, algorithm 2.6), with
interpolation inside the bracket. Near the minimum the value's rounding hides its fall: there Hager
and Zhang's approximate condition (2005, equation 4.1) judges by the slope alone.

The inverse Hessian is the compact representation of Byrd, Nocedal and Schnabel (1994, theorem
2.2): with the last m steps S and gradient changes Y as rows, R the upper triangle of S Y^T, D its
diagonal, H0 an inverse Hessian to begin with and gamma = s.y / y.H0 y of the newest pair,

    H g = t + S^T q,   t = gamma H0 (g - Y^T p),   p = R^-1 S g,   q = R^-T (D p - Y t).

H0 is what is known beforehand (:mod:`foldwise.solver.curvature`), or the identity. S and Y are each
read twice per step, in thin products, whatever m is.
"""

from copy import deepcopy
from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy.linalg import lapack

from foldwise.solver.curvature import Bend
from foldwise.solver.linear import Flags, Floats, Real, Status

FALL = 1e-4
RISE = 0.9
GROWTH = 4.0
MOST_TRIES = 20

Verdict = Literal["take", "again", "fail"]


@dataclass(slots=True)
class LineSearch:
    """The search along one direction.

    Attributes
    ----------
    value, slope : float
        At the origin; ``slope`` is negative.
    step : float
        To be tried next, in multiples of the direction.
    rounding : float
        Values closer than this can't be told apart.
    """

    value: float
    slope: float
    step: float
    rounding: float
    tries: int = 0
    low: float = 0.0
    low_value: float = float("nan")
    low_slope: float = float("nan")
    high: float = float("inf")

    def __post_init__(self) -> None:
        self.low_value, self.low_slope = self.value, self.slope

    def judge(self, value: float, slope: float) -> Verdict:
        """Say what to do with the step just tried; after "again", ``step`` is the next one."""
        self.tries += 1
        fallen = value <= self.value + FALL * self.step * self.slope or (
            value <= self.value + self.rounding and slope <= (2 * FALL - 1) * self.slope
        )
        if fallen and slope >= RISE * self.slope:
            return "take"
        if self.tries == MOST_TRIES:
            return "fail"
        if not fallen:
            self.high = self.step
            self.step = self._inside(value)
        else:
            self.low, self.low_value, self.low_slope = self.step, value, slope
            grown = GROWTH * self.step
            self.step = grown if self.high == float("inf") else (self.low + self.high) / 2
        return "again"

    def _inside(self, high_value: float) -> float:
        """Minimiser of the parabola through both ends, kept off the ends (also for inf and nan)."""
        length = self.high - self.low
        bend = high_value - self.low_value - self.low_slope * length
        share = -self.low_slope * length / (2 * bend) if bend > 0 else 0.5
        return self.low + length * min(0.9, max(0.1, share))


class History:
    """The last ``pairs`` steps and gradient changes, and inner products of one with the other."""

    def __init__(self, pairs: int, size: int, dtype: np.dtype[np.floating]) -> None:
        self._pairs, self._size, self._dtype = pairs, size, dtype
        self._age: list[int] = []

    def __len__(self) -> int:
        return len(self._age)

    def emptied(self) -> "History":
        """One of the same kind that has nothing to remember."""
        return History(self._pairs, self._size, self._dtype)

    def copied(self) -> "History":
        """One that knows as much, and learns by itself."""
        return deepcopy(self) if self._age else self.emptied()

    def penalise(self, more: float, *, width: int) -> None:
        """Account for ``more`` in a quadratic penalty's factor, in the curvature of every pair.

        It adds ``more * s`` to the change that belongs to a step ``s``, except in the free
        entries, the first of every ``width``. Pairs that lose their positive curvature go.
        """
        if not self._age:
            return
        steps, changes = self._vectors[:, self._age]
        free = changes[:, ::width].copy()
        changes += changes.dtype.type(more) * steps
        changes[:, ::width] = free
        curved = is_curved(steps, changes)
        filled = int(curved.sum())
        self._age = list(range(filled))
        self._vectors[:, :filled] = steps[curved], changes[curved]
        steps, changes = self._vectors[:, :filled]
        self._steps_changes[:filled, :filled] = steps @ changes.T

    def learn(self, step: Real, change: Real) -> None:
        """Remember a pair, if it has positive curvature, in place of the oldest when full."""
        if not is_curved(step, change):
            return
        if not self._age:  # most fits on a path end before they learn anything
            self._vectors = np.empty((2, self._pairs, self._size), dtype=self._dtype)
            self._steps_changes = np.zeros((self._pairs, self._pairs))
        slot = len(self._age) if len(self._age) < self._pairs else self._age.pop(0)
        self._age.append(slot)
        steps, changes = self._vectors
        steps[slot] = step
        changes[slot] = change
        filled = len(self._age)
        self._steps_changes[:filled, slot] = steps[:filled] @ change
        self._steps_changes[slot, :filled] = changes[:filled] @ step

    def descend(self, gradient: Real, bend: Bend = np.asarray) -> Real:
        """The quasi-Newton direction ``-H gradient``; ``bend`` multiplies by H0."""
        filled = len(self._age)
        if filled == 0:
            return -bend(gradient)
        steps, changes = self._vectors[:, :filled]
        age = np.array(self._age)
        upper = self._steps_changes[age[:, np.newaxis], age]  # below its diagonal it is never read
        p = _solve_upper(upper, (steps @ gradient)[age], transposed=False)
        by_slot = np.empty((2, filled), dtype=gradient.dtype)
        by_slot[0, age] = p
        newest = changes[age[-1]]
        # Both at once, as most of what H0 takes is to read it.
        of_newest, bent = bend(np.stack([newest, gradient - by_slot[0] @ changes]))
        bent *= gradient.dtype.type(upper[-1, -1] / (newest @ of_newest))
        inside = upper.diagonal() * p - (changes @ bent)[age]
        by_slot[1, age] = _solve_upper(upper, inside, transposed=True)
        bent += by_slot[1] @ steps
        return np.asarray(np.negative(bent, out=bent))


def is_curved(steps: Real, changes: Real) -> Flags:
    """Whether the gradient rises along each step (..., size) by more than rounding explains."""
    size = np.sqrt(np.vecdot(steps, steps)) * np.sqrt(np.vecdot(changes, changes))
    rise = np.vecdot(steps, changes).astype(np.float64)
    return np.asarray(rise > np.finfo(steps.dtype).eps * size.astype(np.float64))


def _solve_upper(upper: Floats, right: Floats, *, transposed: bool) -> Floats:
    solution, info = lapack.dtrtrs(upper, right, trans=int(transposed))
    if info != 0:
        raise ZeroDivisionError("a stored pair has no curvature")
    return np.asarray(solution)


PATIENCE = 30
"""Iterations in which neither value nor gradient improves, before a fit counts as stalled."""


class Descent:
    """L-BFGS on one convex function, until its largest gradient entry is below ``tol``.

    Attributes
    ----------
    point : array (size,)
        Where the next evaluation is wanted, at first the start; after the end, the solution.
    history : History
        What is known of the curvature from steps.
    status : None while under way
    """

    def __init__(
        self,
        start: Real,
        history: History,
        *,
        tol: float,
        max_iter: int,
        bend: Bend | None = None,
    ) -> None:
        self.point: Real = start
        self.status: Status | None = None
        self.iterations = 0
        self.evaluations = 0
        self.value = float("nan")
        self.largest = float("nan")
        self._tol, self._max_iter = tol, max_iter
        self._best = (float("inf"), float("inf"))
        self._idle = 0
        self._bend = bend
        self.history = history
        self._origin: Real = self.point
        self._gradient: Real = self.point
        self._direction: Real = self.point
        self._search: LineSearch | None = None

    def receive(self, value: float, gradient: Real) -> None:
        """Take value and gradient (size,) at ``point``; then ``point`` or ``status`` is new."""
        self.evaluations += 1
        if self._search is None:
            self._arrive(value, gradient)
            return
        slope = float(gradient @ self._direction)
        verdict = self._search.judge(value, slope)
        if verdict == "take":
            self.history.learn(self.point - self._origin, gradient - self._gradient)
            self.iterations += 1
            self._arrive(value, gradient)
        elif verdict == "again":
            self._try_step(self._search.step)
        else:
            self._fail()

    def _arrive(self, value: float, gradient: Real) -> None:
        self._origin, self._gradient, self.value = self.point, gradient, value
        self.largest = float(np.abs(gradient).max())
        if self.largest < self._tol:
            self._end("converged")
        elif self.iterations == self._max_iter:
            self._end("exhausted")
        elif self._is_stuck():
            self._end("stalled")
        else:
            self._set_out()

    def _is_stuck(self) -> bool:
        """Whether for long neither the value nor the gradient has got any better."""
        value, largest = self._best
        improved = self.value < value - self._rounding() or self.largest < 0.99 * largest
        self._idle = 0 if improved else self._idle + 1
        self._best = (min(value, self.value), min(largest, self.largest))
        return self._idle > PATIENCE

    def _rounding(self) -> float:
        return 4 * float(np.finfo(self.point.dtype).eps) * abs(self.value)

    @property
    def _knows(self) -> bool:
        """Whether anything is known of the curvature."""
        return self._bend is not None or len(self.history) > 0

    def _fail(self) -> None:
        """Forget the curvature, which may be spoilt by rounding, and go down the gradient."""
        if self._knows:
            self.history, self._bend = self.history.emptied(), None
            self._set_out()
        else:
            self.point = self._origin
            self._end("stalled")

    def _set_out(self) -> None:
        self._direction = self.history.descend(self._gradient, self._bend or np.asarray)
        slope = float(self._gradient @ self._direction)
        if slope >= 0:
            self._fail()
            return
        first = 1.0 if self._knows else 1 / float(np.linalg.norm(self._gradient))
        self._search = LineSearch(self.value, slope, first, self._rounding())
        self._try_step(first)

    def _try_step(self, step: float) -> None:
        self.point = self._origin + self.point.dtype.type(step) * self._direction

    def _end(self, status: Status) -> None:
        self.status = status
        del self._direction
