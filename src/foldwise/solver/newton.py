"""Newton's steps for small tables of two classes, a fit at a time.

There a product takes microseconds and all that is said about it takes longer: few evaluations are
worth more than shared ones, and second derivatives cost no more than a dozen of them. With the
standardised rows z_i, a one before them, their counts s_i that add up to 1 and t_i 0 or 1,

    L(w) = sum_i s_i log(1 + exp m_i) + l |w|^2 / 2,    m_i = x_i . w,    x_i = (1 - 2 t_i) z_i,

the intercept not in the norm, and with p_i the sigmoid of m_i, P the identity but for the intercept

    dL/dw = X' (s p) + l P w,    d2L/dw2 = X' diag(s p (1 - p)) X + l P.
"""

import numpy as np
from scipy.linalg import lapack

from foldwise.solver.curvature import Bend
from foldwise.solver.descent import Descent, History
from foldwise.solver.layout import Layout
from foldwise.solver.linear import Floats, Real

_MOST_WIDTH = 65
_MOST_VALUES = 65_536
"""Of a table, ones included: with more, shared products are as quick and take less memory."""


def is_small(layout: Layout) -> bool:
    """Whether Newton's steps are the quickest: a table of two classes, narrow and short."""
    rows = sum(moments.rows for moments in layout.moments)
    is_narrow = layout.outputs == 1 and layout.width <= _MOST_WIDTH
    return layout.table is not None and is_narrow and rows * layout.width <= _MOST_VALUES


class Newton(History):
    """All that can be known of the curvature where the function was last evaluated.

    Parameters
    ----------
    rows, counts : arrays (rows, width), (rows,)
        x_i and s_i.
    penalty : float
        l.
    pairs : int
        With so many a descent goes on where these steps lead no further.
    """

    def __init__(self, rows: Real, counts: Real, penalty: float, *, pairs: int) -> None:
        super().__init__(pairs, rows.shape[1], rows.dtype)
        self._rows, self._counts = rows, counts
        self._penalties = np.full(rows.shape[1], penalty)
        self._penalties[0] = 0
        self._bends: Real = counts

    def __len__(self) -> int:
        return 1

    def finish(self, descent: Descent) -> None:
        """Take the descent to its end; what it knew of the curvature is left as it was."""
        before, descent.history = descent.history, self
        while descent.status is None:
            descent.receive(*self._evaluated(descent.point))
        descent.history = before

    def _evaluated(self, point: Real) -> tuple[float, Floats]:
        margins = self._rows @ point
        tail = np.exp(-np.abs(margins))
        shares = np.where(margins >= 0, 1, tail) / (1 + tail)
        residuals = self._counts * shares
        self._bends = residuals * (1 - shares)
        penalised = self._penalties * point
        losses = np.maximum(margins, 0) + np.log1p(tail)
        value = self._counts @ losses + 0.5 * (penalised @ point)
        return float(value), residuals @ self._rows + penalised

    def learn(self, step: Real, change: Real) -> None:
        """It is all known."""

    def descend(self, gradient: Real, _: Bend = np.asarray) -> Real:
        """Newton's direction; one that doesn't descend where rounding has left no curvature."""
        hessian = (self._bends * self._rows.T) @ self._rows
        hessian.flat[:: len(gradient) + 1] += self._penalties
        _, direction, info = lapack.dposv(hessian, -gradient)
        return np.asarray(direction) if info == 0 else gradient
