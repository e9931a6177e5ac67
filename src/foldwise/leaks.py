"""Columns that tell the classes apart almost alone: likelier made of the target than a finding.

A column does so if it is ALONE by one of two rules, whichever is larger:

- by rank: of each two classes, the share of pairs of rows that its numbers put in the same order
  (ROC AUC, whichever way round), the smallest counting; nine rows in ten must have a number;
- by vote: of each class, the share of rows whose class most of the *other* rows with the same value
  have, the smallest counting; or with a value at all, or none. So a name that each row has alone
  tells nothing, and a constant nothing of the rarer class.

Tables of fewer than 20 rows, or with a class of fewer than 5, do so by chance.
"""

import warnings
from itertools import combinations
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import issparse

from foldwise.data.columns import cells_of
from foldwise.stats.scores import area_under_curve

if TYPE_CHECKING:
    import pandas as pd

ALONE = 0.999
_LEAST_ROWS, _LEAST_OF_CLASS, _LEAST_KNOWN = 20, 5, 0.9
_SCREENED = 2_000
"""Rows that are looked at first: a column that tells less than SCREEN of them apart is none."""
_SCREEN = 0.99


def warn_of_telling_columns(X: Any, labels: NDArray[np.int64]) -> None:
    """Name them in a warning of the caller's caller."""
    for name, share in telling_columns(X, labels):
        warnings.warn(
            f"column {name!r} must not tell the classes apart almost alone, it does in"
            f" {100 * share:.2f} % of cases: drop it, unless it is known before the class is",
            stacklevel=3,
        )


def telling_columns(X: Any, labels: NDArray[np.int64]) -> list[tuple[str, float]]:
    """Names of the columns, and how well each tells of the class codes (rows,), in [ALONE, 1].

    Nothing is said of what is neither an array (rows, columns) nor a data frame.
    """
    if issparse(X) or len(getattr(X, "shape", ())) != 2:
        return []
    import pandas as pd  # half a second that a search doesn't need

    rows = len(labels)
    if rows < _LEAST_ROWS or np.bincount(labels).min() < _LEAST_OF_CLASS:
        return []
    found = []
    screened = np.unique(np.linspace(0, rows - 1, _SCREENED).astype(np.int64))
    for name, cells in zip(*cells_of(X), strict=True):
        series = pd.Series(cells, copy=False)
        if rows > 2 * _SCREENED and _told(series.iloc[screened], labels[screened]) < _SCREEN:
            continue
        if (share := _told(series, labels)) >= ALONE:
            found.append((name, share))
    return found


def _told(cells: "pd.Series[Any]", labels: NDArray[np.int64]) -> float:
    import pandas as pd

    told = _by_vote(cells.isna().to_numpy(dtype=np.int64), labels)
    if pd.api.types.is_numeric_dtype(cells):
        told = max(told, _by_rank(cells.to_numpy(dtype=np.float64, na_value=np.nan), labels))
    try:
        return max(told, _by_vote(pd.factorize(cells, use_na_sentinel=False)[0], labels))
    except TypeError:  # lists and the like, which only their estimator understands
        return told


def _by_rank(values: NDArray[np.float64], labels: NDArray[np.int64]) -> float:
    known = ~np.isnan(values)
    if known.mean() < _LEAST_KNOWN:
        return 0.0
    told = 1.0
    for one, other in combinations(np.unique(labels), 2):
        pair = known & ((labels == one) | (labels == other))
        area = area_under_curve(values[pair], labels[pair] == one)
        told = 0.0 if np.isnan(area) else min(told, max(area, 1 - area))
        if told < _SCREEN:
            break
    return told


def _by_vote(values: NDArray[np.int64], labels: NDArray[np.int64]) -> float:
    classes = int(labels.max()) + 1
    cells = values * classes + labels
    counts = np.bincount(cells, minlength=(values.max() + 1) * classes).reshape(-1, classes)
    others = counts[values]
    own = others[np.arange(len(labels)), labels] - 1
    others[np.arange(len(labels)), labels] = 0
    is_right = own > others.max(axis=1)
    rows = np.bincount(labels)
    right = np.bincount(labels, weights=is_right, minlength=len(rows))
    return float((right[rows > 0] / rows[rows > 0]).min())
