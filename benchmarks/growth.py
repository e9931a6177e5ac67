"""What evaluations cost: against the machine's limit, in memory, with rows, fits and threads."""

import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from benchmarks import solver
from benchmarks.clock import alternated, apart, high_water, seconds_of
from benchmarks.markdown import duration, table
from benchmarks.work import Size, Work

EDGE = 4096
FITS = (1, 5, 21, 42, 105)
ANCHORS = 7
"""Of every path, the smallest: to C = 0.01."""


class Evaluated(NamedTuple):
    """One evaluation of ``fits`` fits together, on ``threads`` threads."""

    fits: int
    threads: int
    seconds: float
    operations: NDArray[np.float64]


def sections(work: Work, searched: solver.Searched, edge: int = EDGE) -> dict[str, str]:
    """All of the page's, by their names; trials are read off the search timed already."""
    # Before and after the evaluations: the machine's speed drifts.
    before = gemm_rate(work, edge)
    evaluated = evaluations(work, FITS, sorted({1, work.threads}))
    rate = (before + gemm_rate(work, edge)) / 2
    every = [each for each in evaluated if each.threads == work.threads]
    cost = "ms per fit and evaluation"
    by_threads = [each for each in evaluated if each.fits == FITS[-2]]
    trials = enumerate(searched.trial_seconds, start=1)
    return {
        "limit": limit(work, searched, every[2:], rate),
        "memory": memory(work),
        "by-rows": table(("rows", "seconds", "microseconds per row"), by_rows(work), numbers=True),
        "by-fits": _costs(("fits at once", cost), [(each.fits, each) for each in every]),
        "by-trials": table(
            ("trials of each study", "seconds"),
            [(f"{at}", f"{seconds:.1f}") for at, seconds in trials], numbers=True,
        ),
        "by-threads": _costs(("threads", cost), [(each.threads, each) for each in by_threads]),
    }  # fmt: skip


def _costs(header: Sequence[str], lines: Sequence[tuple[int, Evaluated]]) -> str:
    rows = [(f"{at}", f"{1e3 * each.seconds / each.fits:.2f}") for at, each in lines]
    return table(header, rows, numbers=True)


def gemm_rate(work: Work, edge: int) -> float:
    """Operations per second of large float32 products, one by all threads or one each: median."""
    threads = work.threads
    left, right = np.random.default_rng(0).random((2, edge, edge), dtype=np.float32)
    out = np.empty((threads, edge, edge), dtype=np.float32)

    def seconds() -> float:
        with threadpool_limits(threads, user_api="blas"):
            one = seconds_of(lambda: np.matmul(left, right, out=out[0]))
        with threadpool_limits(1, user_api="blas"), ThreadPoolExecutor(threads) as pool:
            each = seconds_of(lambda: list(pool.map(lambda o: np.matmul(left, right, out=o), out)))
        return min(one, each / threads)

    seconds()
    return 2 * edge**3 / alternated([seconds], work.size.repeats)[0]


def evaluations(work: Work, fits: Sequence[int], threads: Sequence[int]) -> list[Evaluated]:
    """Time single evaluations of batches of fits, in alternation; medians."""
    cases = [(n, count, *solver.evaluation(work, n)) for n in fits for count in threads]
    calls = [partial(seconds, count) for _, count, seconds, _ in cases]
    times = alternated(calls, 2 * work.size.repeats + 1)
    return [
        Evaluated(n, count, seconds, operations)
        for (n, count, _, operations), seconds in zip(cases, times, strict=True)
    ]


def limit(
    work: Work, searched: solver.Searched, evaluated: Sequence[Evaluated], rate: float
) -> str:
    """What share is reached of the rate of a large product."""
    seconds = searched.seconds
    solving = seconds["paths"] + seconds["fits"]
    solved = sum(solver.operations(work, of) * times for of, times in searched.evaluations)

    def row(what: str, operations: NDArray[np.float64], seconds: float) -> tuple[str, ...]:
        rates = operations / seconds
        return (what, *(cell for r in rates for cell in (f"{r / 1e9:.0f}", f"{r / rate:.0%}")))

    rows = [
        *(row(f"evaluations, {e.fits} fits at once", e.operations, e.seconds) for e in evaluated),
        row("the search's solver, whole", np.asarray(solved), solving),
    ]
    header = ("GFLOP/s", "needed", "share", "multiplied", "share")
    return (
        f"A large float32 matrix product runs at {rate / 1e9:.0f} GFLOP/s here, on {work.threads}"
        f" threads; {solver.lit_pixels(work)} pixels are lit somewhere.\n\n"
        f"{table(header, rows, numbers=True)}\n\n"
        f"The solver had {duration(solving)} of the search's"
        f" {duration(seconds['whole'])}; the rest is scoring and Optuna."
    )


def by_rows(work: Work) -> list[tuple[str, ...]]:
    """Seconds for all paths to C = 0.01 of a sixth of the rows, and of more."""
    works = [solver.load(replace(work.size, rows=work.size.rows * of // 6)) for of in (1, 2, 4, 6)]

    def trace(of: Work) -> float:
        cores = solver.cores(of)
        return seconds_of(lambda: solver.paths(cores, of.training_sets, smallest=ANCHORS))

    times = alternated([partial(trace, of) for of in works], max(1, work.size.repeats - 1))
    sizes = [of.size.rows for of in works]
    return [(f"{n:,}", f"{s:.2f}", f"{1e6 * s / n:.0f}") for n, s in zip(sizes, times, strict=True)]


def memory(work: Work) -> str:
    """What the solver takes at most."""
    most = solver.most_fits(work)
    return (
        f"The images take {work.images.nbytes / 1e6:.0f} MB; all paths, then {most} fits"
        f" at once, the most there ever are, take {peak(work, most) / 1e6:.0f} MB."
    )


def peak(work: Work, fits: int) -> int:
    """Bytes beyond interpreter and libraries for all paths, then ``fits`` fits at once.

    In a fresh process that maps the images.
    """
    with TemporaryDirectory() as folder:
        np.save(Path(folder) / "images.npy", work.images)
        np.save(Path(folder) / "labels.npy", work.labels)
        told = apart("-m", "benchmarks.growth", folder, str(work.size.folds), str(fits))[1]
    return int(told)


def _solve(folder: Path, folds: int, fits: int) -> int:
    before = high_water()
    images = np.load(folder / "images.npy", mmap_mode="r")
    labels = np.load(folder / "labels.npy")
    work = solver.dealt(Size(rows=len(labels), folds=folds), images, labels)
    # More iterations of all anchors than the correction pairs that a path keeps.
    cores = solver.cores(work, max_iter=12, tol=1e-9)
    solver.paths(cores, work.training_sets)
    solver.together(work, fits, max_iter=12, tol=1e-9)
    return high_water() - before


if __name__ == "__main__":
    print(_solve(Path(sys.argv[1]), *(int(argument) for argument in sys.argv[2:])))
