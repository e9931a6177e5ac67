"""How well probabilities rank rows, one class against the rest: ROC curves and the area below."""

import numpy as np
from numpy.typing import NDArray

Rates = tuple[NDArray[np.float64], NDArray[np.float64]]
"""False and true positive rates, ascending from 0 to 1."""


def area_under_curve(values: NDArray[np.float64], positive: NDArray[np.bool_]) -> float:
    """Area under the ROC curve of ``values`` (rows,), by ranks; ties count half.

    It is the chance that a positive row has a larger value than a negative one (Mann-Whitney):

        sum over positives of (negatives below + half the negatives level) / (positives * negatives)

    NaN if there are no positive or no negative rows.
    """
    inside, outside = np.sort(values[positive]), np.sort(values[~positive])
    if not len(inside) or not len(outside):
        return float("nan")
    below = np.searchsorted(outside, inside, side="left")
    not_above = np.searchsorted(outside, inside, side="right")
    wins = int(below.sum()) + int(not_above.sum())
    return wins / (2 * len(inside) * len(outside))


def areas_by_class(
    probabilities: NDArray[np.float64], labels: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Area under each class's ROC curve (classes,); NaN for a class without rows, or with all."""
    columns = np.ascontiguousarray(probabilities.T)
    return np.array(
        [area_under_curve(column, labels == code) for code, column in enumerate(columns)]
    )


def roc_curve_points(
    probabilities: NDArray[np.float64], labels: NDArray[np.int64], points: int
) -> tuple[Rates, ...]:
    """Each class's ROC curve, thinned to at most ``points`` of its own corners (at least 2).

    They are spread evenly over the curve as drawn with both error rates on square-root axes, so
    that most of them lie in the upper left, where curves of good models differ.
    A class without rows, or with all of them, has the diagonal.
    """
    columns = np.ascontiguousarray(probabilities.T)
    return tuple(
        _thinned(_curve(column, labels == code), points) for code, column in enumerate(columns)
    )


def _curve(values: NDArray[np.float64], positive: NDArray[np.bool_]) -> Rates:
    if positive.all() or not positive.any():
        return np.array([0.0, 1.0]), np.array([0.0, 1.0])
    order = np.argsort(-values, kind="stable")
    ranked = values[order]
    # Rows level with the next one are passed together with it.
    ends = np.append(np.flatnonzero(np.diff(ranked)), len(ranked) - 1)
    true = np.append(0, np.cumsum(positive[order])[ends])
    false = np.append(0, ends + 1) - true
    return false / false[-1], true / true[-1]


def _thinned(rates: Rates, points: int) -> Rates:
    false, true = rates
    if len(false) <= points:
        return rates
    length = np.sqrt(false) - np.sqrt(1 - true)
    wanted = np.linspace(length[0], length[-1], points)
    kept = np.unique(np.searchsorted(length, wanted))
    return false[kept], true[kept]
