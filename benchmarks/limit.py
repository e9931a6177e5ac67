"""The machine's limit: how fast it multiplies matrices, and what share the solver reaches."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from statistics import median
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from benchmarks import own
from benchmarks.comparison import duration
from benchmarks.markdown import table
from benchmarks.work import Work, alternated, seconds_of

EDGE = 4096
FITS = (22, 42, 105)


class Evaluated(NamedTuple):
    """One evaluation of ``fits`` fits together, on ``threads`` threads."""

    fits: int
    threads: int
    seconds: float
    operations: NDArray[np.float64]


def gemm_rate(threads: int, repeats: int, edge: int = EDGE) -> float:
    """Operations per second of large float32 products, one by all threads or one each: median."""
    left, right = np.random.default_rng(0).random((2, edge, edge), dtype=np.float32)
    out = np.empty((threads, edge, edge), dtype=np.float32)

    def rate() -> float:
        with threadpool_limits(threads, user_api="blas"):
            together = seconds_of(lambda: np.matmul(left, right, out=out[0])) * threads
        with threadpool_limits(1, user_api="blas"), ThreadPoolExecutor(threads) as pool:
            each = seconds_of(lambda: list(pool.map(lambda o: np.matmul(left, right, out=o), out)))
        return 2 * edge**3 * threads / min(together, each)

    rate()
    return median(rate() for _ in range(repeats))


def evaluations(work: Work, fits: Sequence[int], threads: Sequence[int]) -> list[Evaluated]:
    """Time single evaluations of batches of fits, in alternation; medians."""
    cases = [(n, count, *own.evaluation(work, n)) for n in fits for count in threads]
    calls = [partial(seconds, count) for _, count, seconds, _ in cases]
    times = alternated(calls, 2 * work.size.repeats + 1)
    return [
        Evaluated(n, count, seconds, operations)
        for (n, count, _, operations), seconds in zip(cases, times, strict=True)
    ]


def section(work: Work, searched: own.Searched, edge: int = EDGE) -> str:
    """Measure, and say what share is reached."""
    # Before and after the evaluations: the machine's speed drifts.
    before = gemm_rate(work.threads, work.size.repeats, edge)
    evaluated = evaluations(work, FITS, [work.threads])
    gemm = (before + gemm_rate(work.threads, work.size.repeats, edge)) / 2
    made = [*searched.paths.items(), *((out, times) for (out, _), times in searched.fits.items())]
    solved = np.sum([own.operations(work, left_out) * times for left_out, times in made], axis=0)
    features = own.lit_pixels(own.layout(work))

    def row(what: str, operations: NDArray[np.float64], seconds: float) -> tuple[str, ...]:
        rates = operations / seconds
        return (what, *(cell for r in rates for cell in (f"{r / 1e9:.0f}", f"{r / gemm:.0%}")))

    rows = [
        *(row(f"evaluations, {e.fits} fits at once", e.operations, e.seconds) for e in evaluated),
        row("the search's solver, whole", solved, searched.solve_seconds),
    ]
    header = ("GFLOP/s", "needed", "share", "multiplied", "share")
    return (
        f"A large float32 matrix product runs at {gemm / 1e9:.0f} GFLOP/s here, on {work.threads}"
        f" threads; {features} pixels are lit somewhere.\n\n{table(header, rows, numbers=True)}\n\n"
        f"The solver had {duration(searched.solve_seconds)} of the search's"
        f" {duration(searched.seconds)}; the rest is scoring and Optuna."
    )
