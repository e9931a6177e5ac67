"""The bootstrap over rows: scores of predictions as if other rows had been drawn.

A draw of n rows out of n, with replacement, is told by how often each row came up. Everything
then is sums with these counts as weights, as sparse matrix products: rows are ranked once, not per
draw. Draws are handled a block at a time, so that memory doesn't grow with their number, and sums
run in one fixed order, so that the same seed gives the same figures whatever the threads.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from foldwise.stats.scores import ClassCounts, Sums, metrics_of, predicted_codes, row_losses

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


def bootstrap_scores(
    probabilities: NDArray[np.float64], labels: NDArray[np.int64], *, draws: int, seed: int
) -> dict[str, NDArray[np.float64]]:
    """The six metrics of every draw, arrays (draws,) by name, defined as in ``score``."""
    tally = _tally(probabilities, labels)
    losses = csr_array(row_losses(probabilities, labels)[np.newaxis])
    rankings = _rankings(probabilities, labels)
    blocks = []
    for weights in row_counts(len(labels), draws=draws, seed=seed):
        counts = _class_counts(tally @ weights)
        areas = np.stack([ranking.areas(weights) for ranking in rankings])
        loss = np.asarray((losses @ weights)[0] / len(labels))
        blocks.append(metrics_of(Sums(counts, _mean_defined(areas), loss)))
    return {name: np.concatenate([block[name] for block in blocks]) for name in blocks[0]}


def bootstrap_class_f1(
    probabilities: NDArray[np.float64], labels: NDArray[np.int64], *, draws: int, seed: int
) -> NDArray[np.float64]:
    """F1 of every class in every draw, (draws, classes); the draws of ``bootstrap_scores``."""
    tally = _tally(probabilities, labels)
    blocks = row_counts(len(labels), draws=draws, seed=seed)
    return np.concatenate([_class_counts(tally @ weights).f1 for weights in blocks], axis=0)


def bootstrap_means(values: NDArray[np.float64], *, draws: int, seed: int) -> NDArray[np.float64]:
    """Mean of ``values`` (rows,) in every draw, an array (draws,)."""
    line = csr_array(values[np.newaxis])
    blocks = row_counts(len(values), draws=draws, seed=seed)
    return np.concatenate([(line @ counts)[0] for counts in blocks]) / len(values)


def _tally(probabilities: NDArray[np.float64], labels: NDArray[np.int64]) -> csr_array:
    """Matrix (3 classes, rows) that sums weights into each class's hits, labels, predictions."""
    rows, classes = probabilities.shape
    found, each = predicted_codes(probabilities), np.arange(rows)
    right = found == labels
    lines = np.concatenate([labels[right], labels + classes, found + 2 * classes])
    columns = np.concatenate([each[right], each, each])
    return csr_array((np.ones(len(lines)), (lines, columns)), shape=(3 * classes, rows))


def _class_counts(sums: NDArray[np.float64]) -> ClassCounts:
    hits, true, predicted = np.split(sums.T, 3, axis=1)
    return ClassCounts(hits, true, predicted)


def _mean_defined(areas: NDArray[np.float64]) -> NDArray[np.float64]:
    """Mean over the first axis of what is defined; NaN where nothing is."""
    defined = ~np.isnan(areas)
    total = np.where(defined, areas, 0).sum(axis=0)
    return _ratio(total, defined.sum(axis=0).astype(np.float64))


def _ratio(part: NDArray[np.float64], whole: NDArray[np.float64]) -> NDArray[np.float64]:
    undefined: NDArray[np.float64] = np.full_like(part, np.nan)
    return np.divide(part, whole, out=undefined, where=whole > 0)


@dataclass(frozen=True, slots=True, eq=False)
class _Ranking:
    """One class's rows ranked against the others', ready for weights.

    The values of the class's rows, sorted and distinct, are levels. ``inside`` (levels, rows) sums
    the weights of the class's rows at each level. ``outside`` (levels, rows) sums those of the
    other rows into the first level above them; a row that equals a level gives half to it and half
    to the next. Cumulated over levels, that is the weight each level has below it.
    """

    inside: csr_array
    outside: csr_array

    @classmethod
    def of(cls, values: NDArray[np.float64], positive: NDArray[np.bool_]) -> "_Ranking":
        levels, level = np.unique(values[positive], return_inverse=True)
        ours, others = np.flatnonzero(positive), np.flatnonzero(~positive)
        above = np.concatenate(
            [np.searchsorted(levels, values[others], side) for side in ("left", "right")]
        )
        columns, halves = np.tile(others, 2), np.full(2 * len(others), 0.5)
        shape = (len(levels) + 1, len(values))
        inside = csr_array((np.ones(len(ours)), (level, ours)), shape=shape)
        return cls(inside, csr_array((halves, (above, columns)), shape=shape))

    def areas(self, weights: NDArray[np.float64]) -> NDArray[np.float64]:
        """Area under the curve for each column of weights (rows, draws); NaN if undefined."""
        inside, outside = self.inside @ weights, self.outside @ weights
        pairs = inside.sum(axis=0) * outside.sum(axis=0)
        wins = (inside * np.cumsum(outside, axis=0)).sum(axis=0)
        return _ratio(wins, pairs)


def _rankings(
    probabilities: NDArray[np.float64], labels: NDArray[np.int64]
) -> tuple[_Ranking, ...]:
    classes = probabilities.shape[1]
    ranked = [1] if classes == 2 else range(classes)
    return tuple(_Ranking.of(probabilities[:, code], labels == code) for code in ranked)
