"""Which of two models is right more often on the same rows: McNemar's exact test, for all pairs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray
from scipy.special import bdtr


@dataclass(frozen=True, slots=True)
class Pair:
    """Two models on the same rows.

    Attributes
    ----------
    first, second : str
    first_only, second_only : int
        Rows that one of them got right and the other wrong.
    p_value : float
        Of McNemar's exact test, two-sided.
    adjusted : float
        The same after Holm's correction for all the pairs: at most alpha in all of the pairs
        called different means that the chance of any false call is at most alpha.
    """

    first: str
    second: str
    first_only: int
    second_only: int
    p_value: float
    adjusted: float


def mcnemar(first_only: int, second_only: int) -> float:
    """P-value, two-sided, of McNemar's exact test.

    If both models are right equally often, each row that only one of them gets right is either's
    with chance 1/2: the smaller count is then binomial (n, 1/2), n being their sum, and the test
    doubles its lower tail (McNemar, 1947).
    """
    fewer, total = min(first_only, second_only), first_only + second_only
    return min(1.0, 2 * float(bdtr(fewer, total, 0.5)))


def holm(p_values: Sequence[float]) -> list[float]:
    """P-values adjusted for their number, step-down (Holm, 1979), in the order given.

    The k-th smallest of m is multiplied by m - k + 1, and is never below the one before it.
    """
    order = np.argsort(p_values, kind="stable")
    factors = np.arange(len(p_values), 0, -1)
    stepped = np.maximum.accumulate(np.asarray(p_values, np.float64)[order] * factors)
    adjusted = np.empty(len(p_values))
    adjusted[order] = np.minimum(stepped, 1)
    return adjusted.tolist()


def compare_pairs(right: Mapping[str, NDArray[np.bool_]]) -> tuple[Pair, ...]:
    """Test every pair of models; ``right`` says of each which rows it predicted right."""
    names = list(combinations(right, 2))
    counts = [
        (int((right[a] & ~right[b]).sum()), int((right[b] & ~right[a]).sum())) for a, b in names
    ]
    p_values = [mcnemar(*each) for each in counts]
    return tuple(
        Pair(first, second, *each, p, adjusted)
        for (first, second), each, p, adjusted in zip(
            names, counts, p_values, holm(p_values), strict=True
        )
    )
