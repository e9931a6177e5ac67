"""The inverse Hessian that descents begin with: known at zero coefficients, before any step.

There every class is as likely as any other. With A (features, features) the second moments of the
standardised columns the mean loss's Hessian is ``c A`` for each output: c is 1/4 for a sigmoid, and
1/K for a softmax of K classes along all steps whose outputs add up to zero, which are those of
descents from zero. With the penalty's factor l the inverse is

    H0 = V (c E + l)^-1 V^T,    A = V E V^T,

and 1/c for the intercept. Elsewhere curvature is mostly less, and never more than K/2 times as much
(Böhning, 1992), by much the same factor in all directions. L-BFGS finds that factor, and by its
pairs what differs from it.

A product with H0 is a fraction of an evaluation. Finding A and V takes, on 60,000 images of MNIST,
as long as six evaluations of a fit among others, and pays where rows are many and columns few.
"""

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from foldwise.solver.layout import Layout
from foldwise.solver.linear import Floats, Ints, Real

Bend = Callable[[Real], Real]
"""Multiplies vectors (..., size) by an inverse Hessian."""

MOST_FEATURES = 2048
"""Each training set's V is kept, and each part's second moments: 16 and 32 MB of so many."""

_WORTH = 8

_EXACT_ROWS = 256
"""Of bytes: so many products of two add up to less than 2^24, whole numbers in single precision."""


def pays(layout: Layout, rows: int) -> bool:
    """Whether what it takes is less than what it saves, for fits on so many rows of images."""
    is_less = layout.features**2 <= _WORTH * rows * layout.outputs
    return layout.table is None and layout.features <= MOST_FEATURES and is_less


def find_squares(layout: Layout, part: int) -> None:
    """Find the exact sums of products of a part's pixels, if they aren't known."""
    if part in layout.squares:
        return
    columns = layout.columns[part]
    ranked = np.zeros((len(columns), len(columns)))
    for block in (block for lane in layout.lanes[part] for block in lane):
        width = block.pixels.shape[1]
        for start in range(0, len(block.labels), _EXACT_ROWS):
            pixels = block.pixels[start : start + _EXACT_ROWS].astype(np.float32)
            ranked[:width, :width] += pixels.T @ pixels
    lit = columns[1:] - 1
    summed = np.zeros((layout.features, layout.features))
    summed[np.ix_(lit, lit)] = ranked[1:, 1:]
    layout.squares[part] = summed


class Curvature:
    """That of one training set, found when it is first asked for.

    Parameters
    ----------
    squares : by part
        A layout's, which are found by then.
    parts, rows
        Those of the training set, and the number of rows that they have.
    mean, inverse : (features,)
        What standardises them.
    """

    def __init__(
        self,
        squares: Mapping[int, Floats],
        parts: Sequence[int],
        rows: int,
        *,
        mean: Floats,
        inverse: Floats,
    ) -> None:
        self._squares, self._parts, self._rows = squares, parts, rows
        self._mean, self._inverse = mean, inverse
        self._varies = np.flatnonzero(inverse)
        self._spectrum: tuple[Floats, Real] | None = None

    def at(self, penalty: float, *, share: float, dtype: np.dtype[np.floating]) -> Bend:
        """Where the penalty has this factor, and c is ``share``; for vectors of this type.

        A constant column, whose gradient is zero, stays where it is.
        """
        known: list[Real] = []

        def bend(vectors: Real) -> Real:
            if not known:
                values, eigenvectors, _ = self.spectrum()
                scales = (1 / (share * values + penalty)).astype(dtype)
                known[:] = scales, eigenvectors.astype(dtype, copy=False)
            scales, axes = known
            by_output = vectors.reshape(-1, len(self._mean) + 1)
            bent = np.zeros_like(by_output)
            bent[:, 0] = by_output[:, 0] / share
            of_varying = by_output[:, 1 + self._varies]
            bent[:, 1 + self._varies] = ((of_varying @ axes) * scales) @ axes.T
            return bent.reshape(vectors.shape)

        return bend

    def spectrum(self) -> tuple[Floats, Real, Ints]:
        """Eigenvalues of the varying columns' moments, eigenvectors as columns, which vary."""
        of = self._varies
        if self._spectrum is None:
            summed = np.zeros((len(of), len(of)))
            for part in self._parts:
                summed += self._squares[part][np.ix_(of, of)]
            moments = summed / self._rows - np.outer(self._mean[of], self._mean[of])
            moments *= self._inverse[of, np.newaxis] * self._inverse[of]
            values, vectors = np.linalg.eigh(moments)
            self._spectrum = values.clip(0), vectors.astype(np.float32)
        return *self._spectrum, of
