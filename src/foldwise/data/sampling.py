"""A stratified part of the rows: each class keeps its share."""

import numpy as np
from numpy.typing import NDArray

from foldwise.errors import DataError


def stratified_rows(labels: NDArray[np.int64], *, limit: int, seed: int) -> NDArray[np.int64]:
    """Choose ``limit`` rows, in their original order, so that classes keep their proportions.

    Each class gets the whole part of its share; the rows left go to the largest fractions, ties
    to the first class (Hamilton's method). Within a class, rows are drawn without replacement.

    Parameters
    ----------
    labels : int64 array (rows,)
        Class codes from 0, none unused.
    limit : int
    seed : int

    Returns
    -------
    int64 array (limit,)
        Row numbers, ascending.

    Raises
    ------
    DataError
        There are fewer rows, or so few are asked for that a class would vanish.
    """
    if limit > len(labels):
        raise DataError(
            f"prepare.limit must be at most the development set's {len(labels):,} rows,"
            f" got {limit:,}: lower it, or null takes all"
        )
    counts = np.bincount(labels)
    quotas = _quotas(counts, limit)
    if quotas.min() == 0:
        enough = -(-len(labels) // int(counts.min()))
        raise DataError(
            f"prepare.limit must leave rows of every class, got {limit:,}, which leaves none of"
            f" the smallest: {enough:,} would be enough"
        )
    generator = np.random.default_rng((seed, 1))
    chosen = [
        generator.choice(np.flatnonzero(labels == code), size=quota, replace=False)
        for code, quota in enumerate(quotas)
    ]
    return np.sort(np.concatenate(chosen))


def _quotas(counts: NDArray[np.int64], limit: int) -> NDArray[np.int64]:
    whole, fraction = np.divmod(limit * counts, counts.sum())
    largest = np.argsort(-fraction, kind="stable")[: limit - whole.sum()]
    whole[largest] += 1
    return np.asarray(whole)
