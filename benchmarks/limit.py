"""The machine's limit: how fast it multiplies matrices, and what share the solver reaches."""

from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from statistics import median

import numpy as np
from threadpoolctl import threadpool_limits

from benchmarks.measured import alternated, seconds_of
from benchmarks.workload import Workload
from foldwise.model.layout import Layout
from foldwise.model.objective import Batch, evaluate, softmax_link
from foldwise.model.tiles import tile_width

EDGE = 4096


@dataclass(frozen=True, slots=True)
class Operations:
    """Of one or many fits: what the formula needs, and what the layout really multiplies.

    ``needed`` counts every pixel that is lit anywhere, in every row; the layout skips most of the
    dark ones, so that the needed rate may exceed the machine's.
    """

    needed: float
    performed: float


@dataclass(frozen=True, slots=True)
class Evaluated:
    """One evaluation of ``fits`` fits together, on ``threads`` threads."""

    fits: int
    threads: int
    seconds: float
    operations: Operations


def gemm_rate(threads: int, edge: int = EDGE) -> float:
    """Operations per second of large float32 products: one by all threads or one each."""
    generator = np.random.default_rng(0)
    left, right = generator.random((2, edge, edge), dtype=np.float32)
    out = np.empty((threads, edge, edge), dtype=np.float32)
    with threadpool_limits(threads, user_api="blas"):
        together = seconds_of(lambda: np.matmul(left, right, out=out[0])) * threads
    with threadpool_limits(1, user_api="blas"), ThreadPoolExecutor(threads) as pool:
        each = seconds_of(lambda: list(pool.map(lambda o: np.matmul(left, right, out=o), out)))
    return 2 * edge**3 * threads / min(together, each)


def best_gemm_rate(threads: int, repeats: int, edge: int = EDGE) -> float:
    """Median rate of several products."""
    gemm_rate(threads, edge)
    return median(gemm_rate(threads, edge) for _ in range(repeats))


def operations_of(layout: Layout, left_out: frozenset[int]) -> Operations:
    """Of one evaluation of one fit: two products, each a multiplication and an addition."""
    used = [part for part in range(layout.parts) if part not in left_out]
    rows = sum(layout.moments[part].rows for part in used)
    pixels = sum(b.pixels.size for part in used for lane in layout.lanes[part] for b in lane)
    tile = tile_width(np.dtype(np.float32))
    columns = -(-layout.classes // tile) * tile
    needed = 4.0 * rows * len(layout.columns) * layout.classes
    return Operations(needed, 4.0 * pixels * columns)


def operations_of_all(layout: Layout, made: Iterable[tuple[frozenset[int], float]]) -> Operations:
    """Of what was made, each a training set (the parts left out) and its evaluations."""
    each = [(operations_of(layout, left_out), times) for left_out, times in made]
    return Operations(
        sum(one.needed * times for one, times in each),
        sum(one.performed * times for one, times in each),
    )


def evaluations(
    workload: Workload, batches: Sequence[int], threads: Sequence[int]
) -> tuple[Evaluated, ...]:
    """Time single evaluations of batches of fits, in alternation."""
    cases = [(_Case(workload, fits), count) for fits in batches for count in threads]
    repeats = 2 * workload.size.repeats + 1
    timings = alternated([partial(case.seconds, count) for case, count in cases], repeats)
    return tuple(
        Evaluated(case.fits, count, seconds, case.operations)
        for (case, count), seconds in zip(cases, timings, strict=True)
    )


class _Case:
    """Fits with the search's own left-out parts in turn, at arbitrary weights."""

    def __init__(self, workload: Workload, fits: int) -> None:
        kinds = _left_out(workload.layout.parts)
        left_out = [kinds[fit % len(kinds)] for fit in range(fits)]
        layout = workload.layout
        shape = (fits, layout.classes, layout.width)
        weights = np.random.default_rng(0).normal(0, 1e-4, shape)
        self.fits = fits
        self.layout = layout
        self.batch = Batch(
            weights.astype(np.float32),
            np.array([[part not in out for out in left_out] for part in range(layout.parts)]),
        )
        each = [operations_of(layout, out) for out in left_out]
        self.operations = Operations(
            sum(one.needed for one in each), sum(one.performed for one in each)
        )

    def seconds(self, threads: int) -> float:
        with threadpool_limits(1, user_api="blas"), ThreadPoolExecutor(threads) as pool:
            return seconds_of(lambda: evaluate(self.layout, self.batch, softmax_link, pool))


def _left_out(parts: int) -> list[frozenset[int]]:
    """Every pair of parts and every single one."""
    return [frozenset({one, other}) for one in range(parts) for other in range(one, parts)]
