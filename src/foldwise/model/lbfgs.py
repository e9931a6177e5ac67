"""Limited-memory BFGS as an object that says where it wants the function evaluated next.

Turned inside out like this, many descents can share each evaluation: the solver asks all of them
for their points, evaluates these in one matrix product, and hands the answers back.

The inverse Hessian is the compact representation of Byrd, Nocedal and Schnabel (1994, theorem
2.2): with the last m steps S and gradient changes Y as rows, R the upper triangle of S Y^T, D its
diagonal and gamma = s.y / y.y of the newest pair,

    H g = gamma g + S^T q - gamma Y^T p,
    p = R^-1 S g,   q = R^-T ((D + gamma Y Y^T) p - gamma Y g).

The history is read twice per step, as two thin products, whatever m is.
"""

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import lapack

Real = NDArray[np.floating]


class History:
    """The last ``pairs`` steps and gradient changes, and their inner products."""

    def __init__(self, pairs: int, size: int, dtype: np.dtype[np.floating]) -> None:
        self._vectors = np.empty((2, pairs, size), dtype=dtype)
        self._steps_changes = np.zeros((pairs, pairs))
        self._changes_changes = np.zeros((pairs, pairs))
        self._age: list[int] = []
        self._pairs = pairs

    def __len__(self) -> int:
        return len(self._age)

    def emptied(self) -> "History":
        """One of the same kind that has nothing to remember."""
        _, pairs, size = self._vectors.shape
        return History(pairs, size, self._vectors.dtype)

    def penalise(self, more: float, *, width: int) -> None:
        """Account for ``more`` in a quadratic penalty's factor, in the curvature of every pair.

        It adds ``more * s`` to the change that belongs to a step ``s``, except in the free
        entries, the first of every ``width``. Pairs that lose their positive curvature go.
        """
        steps, changes = self._vectors[:, self._age]
        free = changes[:, ::width].copy()
        changes += changes.dtype.type(more) * steps
        changes[:, ::width] = free
        curved = [is_curved(*pair) for pair in zip(steps, changes, strict=True)]
        filled = sum(curved)
        self._age = list(range(filled))
        self._vectors[:, :filled] = steps[curved], changes[curved]
        steps, changes = self._vectors[:, :filled]
        self._steps_changes[:filled, :filled] = steps @ changes.T
        self._changes_changes[:filled, :filled] = changes @ changes.T

    def push(self, step: Real, change: Real) -> None:
        """Remember a pair with positive curvature, in place of the oldest when full."""
        slot = len(self._age) if len(self._age) < self._pairs else self._age.pop(0)
        self._age.append(slot)
        steps, changes = self._vectors
        steps[slot] = step
        changes[slot] = change
        filled = len(self._age)
        self._steps_changes[:filled, slot] = steps[:filled] @ change
        self._steps_changes[slot, :filled] = changes[:filled] @ step
        self._changes_changes[:filled, slot] = changes[:filled] @ change
        self._changes_changes[slot, :filled] = self._changes_changes[:filled, slot]

    def descend(self, gradient: Real) -> Real:
        """The quasi-Newton direction ``-H gradient``; without history, ``-gradient``."""
        filled = len(self._age)
        if filled == 0:
            return -gradient
        steps, changes = self._vectors[:, :filled]
        order = np.ix_(self._age, self._age)
        upper = np.triu(self._steps_changes[order])
        inner = self._changes_changes[order]
        gamma = upper[-1, -1] / inner[-1, -1]
        along_steps = (steps @ gradient)[self._age]
        along_changes = (changes @ gradient)[self._age]
        p = _solve_upper(upper, along_steps, transposed=False)
        inside = np.diag(upper) * p + gamma * (inner @ p - along_changes)
        q = _solve_upper(upper, inside, transposed=True)
        by_slot = np.empty((2, filled), dtype=gradient.dtype)
        by_slot[0, self._age] = q
        by_slot[1, self._age] = -gamma * p
        direction = by_slot[0] @ steps
        direction += by_slot[1] @ changes
        direction += gradient.dtype.type(gamma) * gradient
        return np.asarray(np.negative(direction, out=direction))


def is_curved(step: Real, change: Real) -> bool:
    """Whether the gradient rises along the step by more than rounding explains."""
    size = float(np.linalg.norm(step) * np.linalg.norm(change))
    return float(step @ change) > float(np.finfo(step.dtype).eps) * size


def _solve_upper(
    upper: NDArray[np.float64], right: NDArray[np.float64], *, transposed: bool
) -> NDArray[np.float64]:
    solution, info = lapack.dtrtrs(upper, right, trans=int(transposed))
    if info != 0:
        raise ZeroDivisionError("a stored pair has no curvature")
    return np.asarray(solution)
