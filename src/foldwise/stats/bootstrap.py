"""The bootstrap over rows: means as if other rows had been drawn.

A draw of n rows out of n, with replacement, is told by how often each row came up. Draws are
handled a block at a time, so that memory doesn't grow with their number, and sums run in one fixed
order, so that the same seed gives the same figures whatever the threads.
"""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

_BLOCK_DRAWS = 64


def row_counts(rows: int, *, draws: int, seed: int) -> Iterator[NDArray[np.float64]]:
    """Blocks of draws: arrays (rows, some draws) of how often each row came up.

    The blocks together hold ``draws`` columns; each column sums to ``rows``.
    """
    random = np.random.default_rng(seed)
    for start in range(0, draws, _BLOCK_DRAWS):
        block = min(_BLOCK_DRAWS, draws - start)
        counts = np.empty((block, rows))
        for draw in range(block):
            counts[draw] = np.bincount(random.integers(0, rows, rows), minlength=rows)
        yield np.ascontiguousarray(counts.T)


def bootstrap_means(values: NDArray[np.float64], *, draws: int, seed: int) -> NDArray[np.float64]:
    """Mean of ``values`` (rows,) in every draw, an array (draws,)."""
    line = csr_array(values[np.newaxis])
    blocks = row_counts(len(values), draws=draws, seed=seed)
    return np.concatenate([(line @ counts)[0] for counts in blocks]) / len(values)
