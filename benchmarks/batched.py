"""(e) foldwise: with Optuna's rounds as a user has it, and with every C known beforehand."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from time import perf_counter
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from benchmarks.workload import LogicalFit, Workload
from foldwise.model.fitting import SolverOptions
from foldwise.model.linear import Fit, probabilities
from foldwise.model.path import Path, anchors
from foldwise.model.scores import score
from foldwise.model.solver import FitRequest
from foldwise.model.tracing import Traced
from foldwise.search.engine import Engine, LocalEngine
from foldwise.search.nested import NestedSearch
from foldwise.search.results import SearchResult, Trial

T = TypeVar("T")


@dataclass(slots=True, eq=False)
class TimedEngine:
    """An engine that adds up the seconds spent in it, and keeps what it made."""

    engine: LocalEngine
    seconds: float = 0.0
    paths: dict[frozenset[int], Path] = field(default_factory=dict)
    fits: list[Fit] = field(default_factory=list)

    def trace(
        self, sets: Sequence[frozenset[int]], strengths: NDArray[np.float64]
    ) -> Iterator[Traced | Path]:
        """Trace each training set's path."""
        for event in self._timed(self.engine.trace(sets, strengths)):
            if isinstance(event, Path):
                self.paths[event.left_out] = event
            yield event

    def solve(self, requests: Sequence[FitRequest]) -> Iterator[Fit]:
        """Make each requested fit once."""
        for fit in self._timed(self.engine.solve(requests)):
            self.fits.append(fit)
            yield fit

    def _timed(self, working: Iterator[T]) -> Iterator[T]:
        while True:
            started = perf_counter()
            made = next(working, None)
            self.seconds += perf_counter() - started
            if made is None:
                return
            yield made


class NothingKept:
    """A shelf that is always empty: every search traces its own paths."""

    def find(self, left_out: frozenset[int]) -> Path | None:  # noqa: ARG002 - the protocol's
        """Nothing."""
        return None

    def keep(self, path: Path) -> None:
        """Forget it."""


class Notebook:
    """Completed trials in memory; nothing of an earlier search is in it."""

    def __init__(self) -> None:
        self._trials: list[Trial] = []

    def completed(self, study: str) -> tuple[Trial, ...]:
        """The study's completed trials, by number."""
        found = [trial for trial in self._trials if trial.study == study]
        return tuple(sorted(found, key=lambda trial: trial.number))

    def add(self, trial: Trial) -> None:
        """Keep a completed trial."""
        self._trials.append(trial)


@dataclass(frozen=True, slots=True, eq=False)
class Searched:
    """A whole search: its result, its paths and fits, when trials were complete, where time went.

    ``trial_seconds[n]`` is when every study had ``n + 1`` completed trials.
    """

    result: SearchResult
    paths: dict[frozenset[int], Path]
    fits: tuple[Fit, ...]
    seconds: float
    solve_seconds: float
    trial_seconds: tuple[float, ...]

    @property
    def made(self) -> tuple[tuple[frozenset[int], float], ...]:
        """Every path and fit: the parts it left out, and its evaluations."""
        return (
            *((left_out, path.evaluations) for left_out, path in self.paths.items()),
            *((fit.left_out, fit.outcome.evaluations) for fit in self.fits),
        )


def engine(workload: Workload, *, threads: int | None = None) -> TimedEngine:
    """The solver on this machine's cores, at the workload's tolerance."""
    options = SolverOptions(tol=workload.size.tol, threads=threads or workload.threads)
    return TimedEngine(LocalEngine(workload.layout, options))


def search(workload: Workload) -> Searched:
    """Run the nested search as the tune stage does, without a store."""
    timed = engine(workload)
    started = perf_counter()
    nested = NestedSearch(
        workload.images,
        workload.labels,
        workload.plan,
        workload.space,
        workload.size.trials,
        timed,
        Notebook(),
        NothingKept(),
        workload.threads,
    )
    ended = np.zeros(workload.size.trials)
    result = None
    for event in nested.run():
        if isinstance(event, Trial):
            ended[event.number] = perf_counter() - started
        if isinstance(event, SearchResult):
            result = event
    assert result is not None
    return Searched(
        result,
        timed.paths,
        tuple(timed.fits),
        perf_counter() - started,
        timed.seconds,
        tuple(np.maximum.accumulate(ended).tolist()),
    )


def in_one_go(workload: Workload, wanted: Sequence[LogicalFit]) -> TimedEngine:
    """Make every distinct fit in one call of the solver, and score it wherever it is wanted."""
    timed = engine(workload)
    scored: dict[tuple[frozenset[int], float], set[int]] = {}
    for fit in wanted:
        parts = scored.setdefault((fit.left_out, fit.C), set())
        if fit.scored is not None:
            parts.add(fit.scored)
    for made in timed.solve(on_paths(timed, workload, scored)):
        for part in scored[made.left_out, made.model.C]:
            rows = workload.plan.scored_rows(part)
            score(probabilities(made.model, workload.images[rows]), workload.labels[rows])
    return timed


def on_paths(
    solver: Engine,
    workload: Workload,
    wanted: Iterable[tuple[frozenset[int], float]],
    *,
    high: float | None = None,
) -> tuple[FitRequest, ...]:
    """Requests for fits (left out, C), each with its start; the paths are traced first.

    They reach to ``high``, or as far as the search's.
    """
    asked = tuple(wanted)
    sets = sorted({left_out for left_out, _ in asked}, key=sorted)
    strengths = anchors(workload.space.low, high or workload.space.high)
    traced = [event for event in solver.trace(sets, strengths) if isinstance(event, Path)]
    paths = {path.left_out: path for path in traced}
    return tuple(FitRequest(left_out, C, paths[left_out].at(C)) for left_out, C in asked)
