"""The search's work here and on a Dask cluster on loopback: `python -m benchmarks.cluster`.

All paths of the default search, then its start-up round. Three tables go into docs/scaling.md:
where the work is done, what small sub-batches cost, and from both the plan for 8 million images.
BENCH_ROWS takes a part of MNIST; then they go into a draft under build/.
"""

import os
import pickle
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from benchmarks import plan
from benchmarks.measured_section import load_average, origin, write
from benchmarks.workload import Size, Workload, load
from docs.quoting import table
from foldwise.model.fitting import SolverOptions
from foldwise.model.linear import Fit
from foldwise.model.path import Path, anchors
from foldwise.model.solver import FitRequest
from foldwise.search.cluster import DaskEngine, connected
from foldwise.search.engine import Engine, LocalEngine
from tests.integration.dask_cluster import cluster

BATCHES = (1, 3, 5, 14, 22, 42, 105)
WORKERS = ((1, 1), (2, 1), (1, 2))
"""How many, of so many threads each."""
ITERATIONS = 12
"""Of each fit timed in a sub-batch: none ends before, so that all stay in."""


@dataclass(frozen=True, slots=True)
class Took:
    """Seconds of a piece of work: by the clock, and of all processors at it."""

    wall: float
    processor: float


@dataclass(frozen=True, slots=True, eq=False)
class Place:
    """Who does the work; how long it took to begin; a clock of all processors at it."""

    name: str
    engine: Engine
    begin: float
    clock: Callable[[], float]


@dataclass(frozen=True, slots=True, eq=False)
class Worked:
    """All paths and the start-up round, made in one place."""

    place: Place
    paths: tuple[Path, ...]
    fits: tuple[Fit, ...]
    tracing: Took
    solving: Took


def main() -> None:
    """Measure, print and write the three tables."""
    size, load_before = Size.from_environment(), load_average()
    workload = load(size)
    places = tuple(_everywhere(workload))
    batches = {count: _milliseconds(workload, count) for count in BATCHES}
    sections = {
        "workers": _workers(workload, places),
        "fits": _fits(batches),
        "plan": plan.eight_million(known(workload, places[0], batches)),
    }
    whole = size.rows == Size().rows
    command = f"{'' if whole else f'BENCH_ROWS={size.rows} '}python -m benchmarks.cluster"
    for name, content in sections.items():
        placed = f"{content}\n\n{origin(command, load_before)}"
        print(f"{placed}\n\nwritten: {write(name, placed, whole=whole)}\n", flush=True)


def _everywhere(workload: Workload) -> Iterator[Worked]:
    """One core, all cores, one worker and two; the results must be the same to the bit."""
    first: Worked | None = None
    for place in _places(workload):
        made = work(place, workload)
        first = first or made
        check_same(made, first)
        print(f"{place.name}: {made.tracing.wall + made.solving.wall:.0f} s", file=sys.stderr)
        yield made


def _places(workload: Workload) -> Iterator[Place]:
    for threads in sorted({1, os.cpu_count() or 1}):
        engine = LocalEngine(workload.layout, SolverOptions(threads=threads))
        yield Place(f"here, threads: {threads}", engine, 0.0, time.process_time)
    for workers, threads in WORKERS:
        with cluster(workers, threads=threads) as running:
            began = time.perf_counter()
            with connected(running.address, workload.layout, SolverOptions()) as remote:
                begin = time.perf_counter() - began
                clock = partial(_processor_seconds, remote)
                yield Place(f"workers: {workers}, threads of each: {threads}", remote, begin, clock)


def work(place: Place, workload: Workload) -> Worked:
    """Trace all paths of the search, then make the fits of its start-up round."""
    strengths = anchors(workload.space.low, workload.space.high)
    started = time.perf_counter(), place.clock()
    events = place.engine.trace(_sets(workload), strengths)
    traced = tuple(event for event in events if isinstance(event, Path))
    between = time.perf_counter(), place.clock()
    fits = tuple(place.engine.solve(_startup_round(workload, traced)))
    ended = time.perf_counter(), place.clock()
    tracing, solving = (
        Took(after[0] - before[0], after[1] - before[1])
        for before, after in ((started, between), (between, ended))
    )
    return Worked(place, traced, fits, tracing, solving)


def _processor_seconds(engine: DaskEngine) -> float:
    """Of this process and all workers."""
    spent: dict[str, float] = engine.client.run(time.process_time)
    return time.process_time() + sum(spent.values())


def _sets(workload: Workload) -> list[frozenset[int]]:
    studies = workload.plan.studies
    sets = {inner.left_out for study in studies for inner in study.inner}
    return sorted(sets | {study.refit for study in studies}, key=sorted)


def _startup_round(workload: Workload, paths: Sequence[Path]) -> tuple[FitRequest, ...]:
    """The distinct fits of all studies' trials that are drawn before TPE proposes."""
    by_set = {path.left_out: path for path in paths}
    return tuple(
        {
            FitRequest(inner.left_out, C, by_set[inner.left_out].at(C)): None
            for number in range(workload.size.startup)
            for study in workload.plan.studies
            for C in [workload.space.propose(study.name, number, [])]
            for inner in study.inner
        }
    )


def check_same(made: Worked, first: Worked) -> None:
    """Stop if a path or a fit isn't the same to the bit, or missing."""
    points = {path.left_out: path.points for path in first.paths}
    models = {(fit.left_out, fit.model.C): fit.model.coefficients for fit in first.fits}
    same = all(np.array_equal(path.points, points[path.left_out]) for path in made.paths) and all(
        np.array_equal(fit.model.coefficients, models[fit.left_out, fit.model.C])
        for fit in made.fits
    )
    if not same or len(made.paths) != len(points) or len(made.fits) != len(models):
        raise SystemExit(f"{made.place.name}: paths or fits aren't those of {first.place.name}")


def _workers(workload: Workload, places: Sequence[Worked]) -> str:
    fits, paths = len(places[0].fits), len(places[0].paths)
    header = (
        "where", "seconds to begin", f"{paths} paths, wall s", "processor s",
        f"{fits} fits of the start-up round, wall s", "processor s",
    )  # fmt: skip
    rows = (
        (
            made.place.name, f"{made.place.begin:.1f}", f"{made.tracing.wall:.1f}",
            f"{made.tracing.processor:.1f}", f"{made.solving.wall:.1f}",
            f"{made.solving.processor:.1f}",
        )
        for made in places
    )  # fmt: skip
    return (
        f"{workload.size.rows:,} rows; paths and fits are the same to the bit everywhere.\n\n"
        f"{table(header, rows)}\n\n{_messages(workload, places[0])}"
    )


def _messages(workload: Workload, made: Worked) -> str:
    request = _startup_round(workload, made.paths)[0]
    return (
        f"A worker is sent {_size(workload.layout)} of pixels once; a path comes back as"
        f" {_size(made.paths[0])}, a fit goes out with its start as {_size(request)} and comes"
        f" back as {_size(made.fits[0])}."
    )


def _size(sent: object) -> str:
    count = len(pickle.dumps(sent))
    return f"{count / 2**20:.1f} MiB" if count > 2**20 else f"{count / 1000:.0f} kB"


def _milliseconds(workload: Workload, fits: int) -> float:
    """Of one thread's processor, for one evaluation of one of so many fits side by side."""
    sets = [left_out for left_out in _sets(workload) if left_out]
    requests = [FitRequest(sets[fit % len(sets)], 1.0 + fit // len(sets)) for fit in range(fits)]
    options = SolverOptions(tol=1e-9, max_iter=ITERATIONS)
    began = time.process_time()
    made = list(LocalEngine(workload.layout, options).solve(requests))
    spent = time.process_time() - began
    return 1000 * spent / sum(fit.outcome.evaluations for fit in made)


def _fits(batches: Mapping[int, float]) -> str:
    rows = ((f"{fits}", f"{each:.2f}") for fits, each in batches.items())
    return table(("fits side by side", "processor ms for a fit and evaluation"), rows)


def known(workload: Workload, made: Worked, batches: Mapping[int, float]) -> plan.Known:
    """What the plan reckons from; ``batches`` has milliseconds by fits side by side."""
    return plan.Known(
        rows=workload.size.rows,
        folds=workload.size.folds,
        rounds=workload.size.trials - workload.size.startup,
        pixels=len(pickle.dumps(workload.layout)),
        image=workload.images.shape[1],
        paths=len(made.paths),
        startup_fits=len(made.fits),
        tracing=made.tracing.processor,
        solving=made.solving.processor,
        side_by_side=batches,
    )


if __name__ == "__main__":
    main()
