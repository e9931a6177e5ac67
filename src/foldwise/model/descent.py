"""One minimisation as a state machine: where it wants an evaluation, and what it makes of it."""

import numpy as np
from numpy.typing import NDArray

from foldwise.model.lbfgs import History, is_curved
from foldwise.model.linear import Status
from foldwise.model.linesearch import LineSearch

Real = NDArray[np.floating]

PAIRS = 40
"""More correction pairs mean fewer evaluations; past 40 the history costs what it saves."""

PATIENCE = 30
"""Iterations in which neither value nor gradient improves, before a fit counts as stalled."""


class Descent:
    """L-BFGS on one convex function, until its largest gradient entry is below ``tol``.

    Attributes
    ----------
    point : array (size,)
        Where the next evaluation is wanted, at first the start; after the end, the solution.
    history : History
        What is known of the curvature.
    status : None while under way
    """

    def __init__(
        self, start: Real, *, tol: float, max_iter: int, history: History | None = None
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
        if history is None:
            history = History(PAIRS, len(start), start.dtype)
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
            self._remember(gradient)
            self.iterations += 1
            self._arrive(value, gradient)
        elif verdict == "again":
            self._try_step(self._search.step)
        elif len(self.history):
            self._restart()
        else:
            self.point = self._origin
            self._end("stalled")

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

    def _remember(self, gradient: Real) -> None:
        step, change = self.point - self._origin, gradient - self._gradient
        if is_curved(step, change):
            self.history.push(step, change)

    def _restart(self) -> None:
        """Forget the curvature, which may be spoilt by rounding, and go down the gradient."""
        self.history = self.history.emptied()
        self._set_out()

    def _set_out(self) -> None:
        self._direction = self.history.descend(self._gradient)
        slope = float(self._gradient @ self._direction)
        if slope >= 0:
            self._restart()
            return
        first = 1.0 if len(self.history) else 1 / float(np.linalg.norm(self._gradient))
        self._search = LineSearch(self.value, slope, first, self._rounding())
        self._try_step(first)

    def _try_step(self, step: float) -> None:
        self.point = self._origin + self.point.dtype.type(step) * self._direction

    def _end(self, status: Status) -> None:
        self.status = status
        del self._direction
