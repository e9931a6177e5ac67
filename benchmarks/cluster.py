"""The search's work here and on a Dask cluster on loopback: `python -m benchmarks.cluster`.

All paths of the default search, then its start-up round. BENCH_ROWS takes a part of MNIST; then the
tables go into a draft of docs/scaling.md under build/.
"""

import pickle
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from benchmarks import own
from benchmarks.markdown import load_average, table, write_measured
from benchmarks.work import Size, Work

BATCHES = (1, 3, 5, 14, 22, 42, 105)
WORKERS = ((1, 1), (2, 1), (1, 2))
"""How many, of so many threads each."""
ITERATIONS = 12
"""Of each fit timed in a sub-batch: none ends before, so that all stay in."""


class Worked(NamedTuple):
    """All paths and the start-up round, made in one place that took ``begin`` seconds to be ready.

    ``tracing`` and ``solving`` are seconds by the clock, and of all processors at it.
    """

    place: str
    begin: float
    paths: list[own.RegularisationPath]
    fits: list[own.Fit]
    tracing: NDArray[np.float64]
    solving: NDArray[np.float64]


def main() -> None:
    """Measure, print and write the two tables."""
    size, load = Size.from_environment(), load_average()
    work = own.load(size)
    places: list[Worked] = []
    for made in _places(work):
        places.append(made)
        check_same(made, places[0])
        print(f"{made.place}: {made.tracing[0] + made.solving[0]:.0f} s", file=sys.stderr)
    batches = [(f"{fits}", f"{_milliseconds(work, fits):.2f}") for fits in BATCHES]
    sections = {
        "workers": _workers(work, places),
        "fits": table(("fits side by side", "processor ms for a fit and evaluation"), batches),
    }
    command = f"{'' if size.is_whole else f'BENCH_ROWS={size.rows} '}python -m benchmarks.cluster"
    write_measured("scaling", sections, whole=size.is_whole, command=command, load=load)


def _places(work: Work) -> Iterator[Worked]:
    """One core, all cores, one worker and two."""
    from distributed import LocalCluster

    for threads in sorted({1, work.threads}):
        yield worked(work, own.engine(work, threads=threads), f"here, threads: {threads}")
    for workers, threads in WORKERS:
        place = f"workers: {workers}, threads of each: {threads}"
        with LocalCluster(workers, threads_per_worker=threads, dashboard_address=None) as cluster:
            began = time.perf_counter()
            with own.remote(work, cluster.scheduler_address) as remote:
                begin = time.perf_counter() - began
                everybody = partial(remote.client.run, time.process_time)
                yield worked(work, remote, place, everybody)._replace(begin=begin)


def worked(
    work: Work, engine: own.Backend, place: str, others: Callable[[], Mapping[str, float]] = dict
) -> Worked:
    """Trace all paths of the search, then make the fits of its start-up round.

    ``others`` tells the processor seconds of other processes at it.
    """

    def now() -> NDArray[np.float64]:
        return np.array([time.perf_counter(), time.process_time() + sum(others().values())])

    started = now()
    paths = own.trace(engine, work)
    between = now()
    fits = list(engine.solve(own.startup_round(work, paths)))
    return Worked(place, 0.0, paths, fits, between - started, now() - between)


def check_same(made: Worked, first: Worked) -> None:
    """Stop if a path or a fit isn't the same to the bit, or missing."""
    if own.bits(made.paths, made.fits) != own.bits(first.paths, first.fits):
        raise SystemExit(f"{made.place}: paths or fits aren't those of {first.place}")


def _workers(work: Work, places: Sequence[Worked]) -> str:
    first = places[0]
    request = own.startup_round(work, first.paths)[0]
    header = (
        "where", "seconds to begin", f"{len(first.paths)} paths, wall s", "processor s",
        f"{len(first.fits)} fits of the start-up round, wall s", "processor s",
    )  # fmt: skip
    rows = [
        (made.place, *(f"{s:.1f}" for s in (made.begin, *made.tracing, *made.solving)))
        for made in places
    ]
    return (
        f"{work.size.rows:,} rows; paths and fits are the same to the bit everywhere.\n\n"
        f"{table(header, rows)}\n\n"
        f"A worker is sent {_size(own.layout(work))} of pixels once; a path comes back as"
        f" {_size(first.paths[0])}, a fit goes out with its start as {_size(request)} and comes"
        f" back as {_size(first.fits[0])}."
    )


def _size(sent: object) -> str:
    count = len(pickle.dumps(sent))
    return f"{count / 2**20:.1f} MiB" if count > 2**20 else f"{count / 1000:.0f} kB"


def _milliseconds(work: Work, fits: int) -> float:
    """Of one thread's processor, for one evaluation of one of so many fits side by side."""
    began = time.process_time()
    made = own.side_by_side(work, fits, tol=1e-9, max_iter=ITERATIONS, threads=1)
    return 1000 * (time.process_time() - began) / sum(fit.outcome.evaluations for fit in made)


if __name__ == "__main__":
    main()
