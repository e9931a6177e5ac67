"""Every pair of models on the same rows: McNemar's tests, corrected for their number."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from foldwise.search.mcnemar import McNemar, mcnemar


@dataclass(frozen=True, slots=True)
class Pair:
    """Two models on the same rows.

    Attributes
    ----------
    first, second : str
    test : McNemar
        Of this pair alone.
    adjusted : float
        Its p-value after Holm's correction: if all pairs with one of at most alpha are called
        different, the chance of calling any pair so that isn't is at most alpha.
    """

    first: str
    second: str
    test: McNemar
    adjusted: float


def holm(p_values: Sequence[float]) -> list[float]:
    """P-values adjusted for their number, step-down (Holm, 1979), in the order given.

    The k-th smallest of m is multiplied by m - k + 1, and is never below the one before it.
    """
    order = np.argsort(p_values, kind="stable")
    factors = np.arange(len(p_values), 0, -1)
    stepped = np.maximum.accumulate(np.asarray(p_values, np.float64)[order] * factors)
    adjusted = np.empty(len(p_values))
    adjusted[order] = np.minimum(stepped, 1)
    return [float(value) for value in adjusted]


def compare_pairs(right: Mapping[str, NDArray[np.bool_]]) -> tuple[Pair, ...]:
    """Test every pair of models; ``right`` says of each which rows it predicted right."""
    names = list(combinations(right, 2))
    tests = [mcnemar(right[first], right[second]) for first, second in names]
    adjusted = holm([test.p for test in tests])
    return tuple(
        Pair(*name, test, value) for name, test, value in zip(names, tests, adjusted, strict=True)
    )
