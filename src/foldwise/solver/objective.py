"""The hot loop: loss and gradient of many fits in one pass over blocks of rows.

For raw pixels ``x`` a fit has weights ``u`` and ``c``, its score is ``z = u . x + c``
(:class:`foldwise.solver.fits.TrainingSet` says how these belong to standardised pixels). With ``r``
the residual (probability minus indicator), the gradient of the summed loss is ``dL/dc = sum r`` and
``dL/du = sum r x``. Column 0 of the pixels is one, so ``c`` is column 0 of the matrix of all fits,
and one product gives both. The scores of a block are (fits, outputs, rows): a fit's rows are
contiguous, and the softmax runs over the axis before them.

L-BFGS turns a difference in the last bit into one in the fourth digit of the predictions at the
usual tolerance, so a fit's sums must not depend, to the bit, on which fits share the product. But a
BLAS library's kernels may sum columns differently by their place (OpenBLAS's for AVX2 treat columns
0-5 and 6-11 of every twelve in two ways, those for AVX-512 treat all alike, but in double precision
those that are over after the last twelve in another way), and differently in small products. Hence
each fit gets whole tiles of outputs, a product whole dozens of columns where it must, and it is
never small. Ten columns filled up to twelve cost a sixth of all work, one filled up eleven times
what it is worth, so what must be is found by trying, once per process.
"""

from collections.abc import Callable, Iterator
from concurrent.futures import Executor
from dataclasses import dataclass
from functools import cache
from math import lcm
from typing import NamedTuple

import numpy as np

from foldwise.solver.layout import Block, Layout
from foldwise.solver.linear import Flags, Floats, Ints, Real

SMALL_PRODUCT = 1_100_000
"""Multiplications. Below a million OpenBLAS has other kernels, which sum differently."""

_SHAPES = ((500, 397), (477, 718), (512, 97), (37, 65))


class Tiling(NamedTuple):
    """Columns of one fit that must stand together, and what all columns must be a multiple of."""

    width: int
    whole: int


_TILINGS = tuple(
    Tiling(width, whole)
    for width in (1, 2, 4, 6, 8, 12, 24)
    for whole in dict.fromkeys((width, lcm(width, 12)))
)


@cache
def tiling(dtype: np.dtype[np.floating]) -> Tiling:
    """The narrowest tiles that products of this type sum alike; the widest tried if none is safe.

    Call it with the BLAS library set to one thread.
    """
    return next((each for each in _TILINGS if _is_safe(each, dtype)), _TILINGS[-1])


def _is_safe(tried: Tiling, dtype: np.dtype[np.floating]) -> bool:
    """Whether equal tiles come out equal, wherever they stand and however many there are."""
    width = tried.width
    generator = np.random.default_rng(0)
    for rows, inner in _SHAPES:
        pixels = generator.integers(0, 256, (rows, inner)).astype(dtype)
        weights = generator.normal(size=(width, inner)).astype(dtype)
        residuals = generator.normal(size=(width, rows)).astype(dtype)
        seen = set()
        for tiles in _counts(tried, rows * inner):
            scores = np.tile(weights, (tiles, 1)) @ pixels.T
            gradient = np.tile(residuals, (tiles, 1)) @ pixels
            seen |= _distinct(scores.reshape(tiles, -1)) | _distinct(gradient.reshape(tiles, -1))
            if len(seen) > 2:  # one for the scores, one for the gradient
                return False
    return True


def _counts(tried: Tiling, block: int) -> Iterator[int]:
    """Numbers of tiles to try: from the fewest whose product isn't small, all remainders."""
    step = tried.whole // tried.width
    fewest = _up(-(-SMALL_PRODUCT // block), tried.whole) // tried.width
    yield from range(fewest, fewest + 24 * step, step)
    yield fewest + 101 * step


def _up(count: int, multiple: int) -> int:
    return -(-count // multiple) * multiple


def _distinct(tiles: Real) -> set[bytes]:
    return {tiles[0].tobytes()} | {
        tile.tobytes() for tile in tiles[(tiles != tiles[0]).any(axis=1)]
    }


Weights = Real | None
"""How much each row's loss counts: (fits or 1, rows); None if all count alike."""

Link = Callable[[Real, Ints, Weights], Floats]
"""Turns scores (fits, outputs, rows) into residuals in place; returns summed losses (fits, n)."""

_LOG_CHUNK = 64


@dataclass(frozen=True, slots=True, eq=False)
class Batch:
    """The fits of one evaluation.

    Attributes
    ----------
    weights : (fits, outputs, width)
        ``u`` of all fits, with ``c`` in column 0.
    trains_on : bool array (parts, fits)
    class_weight : (fits, classes), optional
        How much losses of each class count, if not all alike.
    """

    weights: Real
    trains_on: Flags
    class_weight: Real | None = None


def evaluate(layout: Layout, batch: Batch, link: Link, pool: Executor) -> tuple[Floats, Real]:
    """Summed losses (fits, n) and their gradient in the weights (fits, outputs, width).

    ``n`` is 1 for the softmax, and the number of outputs where each is a problem of its own.
    Every (part, lane) is summed by itself and the sums are added in a fixed order, so that the
    answer is the same to the bit for any number of threads.
    """
    chosen = [np.flatnonzero(fits) for fits in batch.trains_on]
    weights = [
        _in_tiles(layout.weights_of(part, batch.weights[fits]), layout.smallest_block)
        for part, fits in enumerate(chosen)
    ]
    tasks = [
        (part, lane)
        for part, lanes in enumerate(layout.lanes)
        for lane in lanes
        if lane and len(chosen[part])
    ]
    outputs = batch.weights.shape[1]

    def task(item: tuple[int, tuple[Block, ...]]) -> tuple[Floats, Real]:
        part, blocks = item
        fits = chosen[part]
        of_class = None if batch.class_weight is None else batch.class_weight[fits]
        return _sum_blocks(
            blocks,
            weights[part],
            (len(fits), outputs),
            lambda scores, block: link(scores, block.labels, _row_weights(block, of_class)),
        )

    losses: Floats | float = 0.0
    by_part: dict[int, Real] = {}
    for (part, _), (lane_losses, slopes) in zip(tasks, pool.map(task, tasks), strict=True):
        spread = np.zeros((len(batch.weights), lane_losses.shape[1]))
        spread[chosen[part]] = lane_losses
        losses = losses + spread
        by_part[part] = by_part[part] + slopes if part in by_part else slopes
    gradient = np.zeros_like(batch.weights)
    for part, summed in by_part.items():
        of_fits = gradient[chosen[part]]
        of_fits[:, :, layout.columns[part]] += layout.slopes_of(part, summed)
        gradient[chosen[part]] = of_fits
    return np.asarray(losses), gradient


def _in_tiles(weights: Real, smallest_block: int) -> Real:
    """All fits' outputs as rows, each fit's filled up with zeros to whole tiles."""
    fits, outputs, width = weights.shape
    padded_outputs = _padded(outputs, weights.dtype)
    enough = max(fits * padded_outputs, -(-SMALL_PRODUCT // smallest_block))
    padded = np.zeros((_up(enough, tiling(weights.dtype).whole), width), dtype=weights.dtype)
    filled = padded[: fits * padded_outputs].reshape(fits, padded_outputs, width)
    filled[:, :outputs] = weights
    return padded


def _padded(outputs: int, dtype: np.dtype[np.floating]) -> int:
    return _up(outputs, tiling(dtype).width)


def _row_weights(block: Block, class_weight: Real | None) -> Weights:
    if class_weight is None:
        return None if block.weights is None else block.weights[np.newaxis]
    of_rows = class_weight[:, block.labels]
    return of_rows if block.weights is None else of_rows * block.weights


def _sum_blocks(
    blocks: tuple[Block, ...],
    weights: Real,
    shape: tuple[int, int],
    link: Callable[[Real, Block], Floats],
) -> tuple[Floats, Real]:
    """Losses (fits, n) and gradient (fits, outputs, width) of one lane, shape = (fits, outputs)."""
    fits, outputs = shape
    padded = _padded(outputs, weights.dtype)
    losses: Floats | float = 0.0
    gradient = np.zeros_like(weights)
    for block in blocks:
        pixels = block.pixels.astype(weights.dtype, copy=False)
        prefix = pixels.shape[1]
        scores = weights[:, :prefix] @ pixels.T
        by_fit = scores[: fits * padded].reshape(fits, padded, len(pixels))
        losses = losses + link(by_fit[:, :outputs], block)
        gradient[:, :prefix] += scores @ pixels
    slopes = gradient[: fits * padded].reshape(fits, padded, -1)
    return np.asarray(losses), slopes[:, :outputs]


def softmax_link(scores: Real, labels: Ints, weights: Weights = None) -> Floats:
    """Cross-entropy: loss ``logsumexp(z) - z_label``, residual ``softmax(z) - [label]``."""
    rows = np.arange(len(labels))
    scores -= scores.max(axis=1, keepdims=True)
    of_label = scores[:, labels, rows]
    np.exp(scores, out=scores)
    total = scores.sum(axis=1)
    if weights is None:
        losses = np.log(total).sum(axis=1, dtype=np.float64)
        # Row by row, as several fits' lie in memory: numpy would sum one fit's alone in pairs.
        losses -= of_label.cumsum(axis=1, dtype=np.float64)[:, -1]
    else:
        losses = ((np.log(total) - of_label) * weights).sum(axis=1, dtype=np.float64)
    scores /= total[:, np.newaxis]
    scores[:, labels, rows] -= 1
    if weights is not None:
        scores *= weights[:, np.newaxis]
    return np.asarray(losses[:, np.newaxis])


def sigmoid_link(scores: Real, labels: Ints, weights: Weights = None) -> Floats:
    """Each output against the rest: loss ``log(1 + e^z) - t z``, residual ``sigmoid(z) - t``.

    Output ``k`` has ``t = 1`` for label ``k``; a single output (two classes) for label 1.
    ``log(1 + e^-|z|)`` is summed as the logarithm of products of 64 factors in (1, 2]: one
    logarithm where there would be 64, and no overflow. Rows with weights have one each.
    """
    targets = np.array([1]) if scores.shape[1] == 1 else np.arange(scores.shape[1])
    indicator = (labels == targets[:, np.newaxis]).astype(scores.dtype)
    linear = np.maximum(scores, 0) - scores * indicator
    tail = np.exp(-np.abs(scores))
    factors = 1 + tail
    if weights is None:
        products = np.multiply.reduceat(factors, np.arange(0, len(labels), _LOG_CHUNK), axis=2)
        losses = linear.sum(axis=2, dtype=np.float64)
        losses = losses + np.log(products).sum(axis=2, dtype=np.float64)
    else:
        each = (linear + np.log1p(tail)) * weights[:, np.newaxis]
        losses = each.sum(axis=2, dtype=np.float64)
    np.divide(np.where(scores >= 0, 1, tail), factors, out=scores)
    scores -= indicator
    if weights is not None:
        scores *= weights[:, np.newaxis]
    return np.asarray(losses)
