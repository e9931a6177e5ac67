"""McNemar's exact test: which of two models is right more often on the same rows."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import bdtr


@dataclass(frozen=True, slots=True)
class McNemar:
    """Rows that only the first (gained) and only the second (lost) predicted right; exact p."""

    gained: int
    lost: int
    p: float


def mcnemar(first: NDArray[np.bool_], second: NDArray[np.bool_]) -> McNemar:
    """McNemar's exact test of equal accuracy on rows predicted right (True) or wrong.

    Two-sided: twice the chance, had each differing row been a fair coin, of so few on one side.
    """
    gained = int((first & ~second).sum())
    lost = int((second & ~first).sum())
    tail = float(bdtr(min(gained, lost), gained + lost, 0.5))
    return McNemar(gained, lost, min(1.0, 2 * tail))
