"""A round of fits here and on a Dask cluster on loopback: `python -m benchmarks.cluster`.

And what small sub-batches cost: BENCH_ROWS rows of MNIST, at most 12,000.
"""

import os
import pickle
import time
from dataclasses import replace

from benchmarks.workload import Size, Workload, load
from foldwise.model.fitting import SolverOptions
from foldwise.model.solver import FitRequest
from foldwise.search.cluster import connected
from foldwise.search.engine import Engine, LocalEngine
from tests.integration.dask_cluster import cluster

STRENGTHS = (0.001, 0.01, 0.1)
BATCHES = (1, 5, 21, 63)


def main() -> None:
    """Print what was sent, and a table."""
    size = Size.from_environment()
    workload = load(replace(size, rows=min(size.rows, 12_000)))
    requests = _requests(workload)
    print(
        f"{workload.size.rows:,} rows, {len(requests)} fits; a worker is sent "
        f"{len(pickle.dumps(workload.layout)) / 2**20:.1f} MiB of pixels\n\n"
        "| where | seconds to begin | seconds of fits |\n|---|---|---|"
    )
    _compare_places(workload, requests)
    print("\n| fits in a sub-batch | processor ms for a fit and evaluation |\n|---|---|")
    for count in BATCHES:
        print(f"| {count} | {_milliseconds(workload, requests[:count]):.2f} |")


def _compare_places(workload: Workload, requests: tuple[FitRequest, ...]) -> None:
    options = SolverOptions()
    for threads in sorted({1, os.cpu_count() or 1}):
        here = LocalEngine(workload.layout, replace(options, threads=threads))
        print(f"| here, threads: {threads} | 0.0 | {_seconds(here, requests):.1f} |")
    for workers in (1, 2):
        with cluster(workers) as running:
            began = time.perf_counter()
            with connected(running.address, workload.layout, options) as engine:
                ready = time.perf_counter() - began
                print(
                    f"| workers of one thread: {workers} | {ready:.1f} "
                    f"| {_seconds(engine, requests):.1f} |"
                )


def _requests(workload: Workload) -> tuple[FitRequest, ...]:
    parts = range(workload.plan.folds)
    left_out = {frozenset({one, other}) for one in parts for other in parts}
    return tuple(FitRequest(pair, C) for C in STRENGTHS for pair in sorted(left_out, key=sorted))


def _milliseconds(workload: Workload, requests: tuple[FitRequest, ...]) -> float:
    """Of one thread, which other processes on the machine don't count for."""
    began = time.process_time()
    fits = list(LocalEngine(workload.layout, SolverOptions()).solve(requests))
    spent = time.process_time() - began
    return 1000 * spent / sum(fit.outcome.evaluations for fit in fits)


def _seconds(engine: Engine, requests: tuple[FitRequest, ...]) -> float:
    began = time.perf_counter()
    made = sum(1 for _ in engine.solve(requests))
    assert made == len(requests)
    return time.perf_counter() - began


if __name__ == "__main__":
    main()
