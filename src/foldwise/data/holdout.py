"""Which rows of a table are the holdout: whole groups, each class alike; and which rows repeat."""

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from foldwise.data.dataset import joined
from foldwise.data.table import Table
from foldwise.settings import Holdout

_SHARE = 0.2
Rows = NDArray[np.int64]


def split_table(table: Table, holdout: Holdout, *, seed: int) -> tuple[Rows, Rows]:
    """Row numbers of the development set and of the holdout, ascending.

    Of a share, groups are taken by chance, large or small, while their rows come nearer to that
    share of each class; single rows make up for the rest, class by class. Equal rows that can't be
    equal by chance, see `kept_together`, are one group. Where the table has marks, they decide;
    else ``none`` gives none of its rows, null a fifth of them.
    """
    everything = np.arange(len(table.target), dtype=np.int64)
    if table.marks is not None:
        return everything[~table.marks], everything[table.marks]
    if holdout == "none":
        return everything, everything[:0]
    share = holdout if isinstance(holdout, float) else _SHARE
    groups, _ = kept_together(table)
    groups = everything if groups is None else groups
    is_held = _dealt(table.target, groups, share, np.random.default_rng((seed, 2)))
    return everything[~is_held], everything[is_held]


def kept_together(table: Table) -> tuple[Rows | None, int]:
    """Groups of rows that must stay in one part, and how many rows equal an earlier one.

    Rows are equal if all features are. In a table of few values many are by chance, and that is no
    fault: they are a group only where columns that knew nothing of each other would give less than
    one such pair. Groups (rows,) are the first row of each row's, None where each row is its own.
    """
    equal = _first_equal(table.frame)
    own = np.arange(len(equal))
    partitions = [equal] if _are_rare(table.frame) else [own]
    if table.groups is not None:
        partitions.append(table.groups)
    groups = joined(*partitions)
    return (None if np.array_equal(groups, own) else groups), int((equal != own).sum())


def _first_equal(frame: pd.DataFrame) -> Rows:
    """For each row the first that equals it, a missing cell a missing one."""
    numbers = np.zeros(len(frame), dtype=np.int64)
    for place in range(frame.shape[1]):
        codes, levels = pd.factorize(frame.iloc[:, place], use_na_sentinel=False)
        numbers, different = pd.factorize(numbers * len(levels) + codes)
        if len(different) == len(frame):
            break
    _, first = np.unique(numbers, return_index=True)
    return np.asarray(first[numbers])


def _are_rare(frame: pd.DataFrame) -> bool:
    """Whether less than one pair of rows would be equal if columns knew nothing of each other."""
    pairs = of_two = len(frame) * (len(frame) - 1) / 2
    for place in range(frame.shape[1]):
        counts = frame.iloc[:, place].value_counts(dropna=False).to_numpy(dtype=np.float64)
        pairs *= float((counts * (counts - 1)).sum()) / 2 / of_two
        if pairs < 1:
            return True
    return False


def _dealt(
    target: NDArray[np.generic], groups: Rows, share: float, generator: np.random.Generator
) -> NDArray[np.bool_]:
    """Which rows are held out."""
    _, classes = np.unique(target, return_inverse=True)
    _, places, sizes = np.unique(groups, return_inverse=True, return_counts=True)
    totals = np.bincount(classes)
    held = np.zeros(len(totals))
    is_held = np.zeros(len(target), dtype=np.bool_)
    is_single = sizes[places] == 1
    # Of grouped and of single rows the same share: both kinds are drawn as they are.
    aim = share * np.bincount(classes[~is_single], minlength=len(totals)) / totals
    by_group = np.split(np.argsort(places, kind="stable"), np.cumsum(sizes)[:-1])
    for group in generator.permutation(np.flatnonzero(sizes > 1)):
        rows = by_group[group]
        more = held + np.bincount(classes[rows], minlength=len(totals))
        if _far(more / totals, aim) < _far(held / totals, aim):
            held, is_held[rows] = more, True
    for code, total in enumerate(totals):
        rows = generator.permutation(np.flatnonzero(is_single & (classes == code)))
        wanted = max(round(share * total) - int(held[code]), int(held[code] == 0))
        is_held[rows[:wanted]] = True
    return is_held


def _far(shares: NDArray[np.float64], aim: NDArray[np.float64]) -> float:
    return float(((shares - aim) ** 2).sum())
