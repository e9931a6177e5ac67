"""(e) foldwise: with Optuna's rounds as a user has it, and with every C known beforehand."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from time import perf_counter

import numpy as np

from benchmarks.workload import LogicalFit, Workload
from foldwise.model.linear import Fit, probabilities
from foldwise.model.scores import score
from foldwise.model.solver import FitRequest, SolverOptions
from foldwise.search.engine import LocalEngine
from foldwise.search.nested import NestedSearch
from foldwise.search.results import SearchResult, Trial


@dataclass(slots=True, eq=False)
class TimedEngine:
    """An engine that adds up the seconds spent in it, and the evaluations of its fits."""

    engine: LocalEngine
    seconds: float = 0.0
    fits: list[Fit] = field(default_factory=list)

    def solve(self, requests: Sequence[FitRequest]) -> Iterator[Fit]:
        """Make each requested fit once."""
        solving = self.engine.solve(requests)
        while True:
            started = perf_counter()
            fit = next(solving, None)
            self.seconds += perf_counter() - started
            if fit is None:
                return
            self.fits.append(fit)
            yield fit


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
    """A whole search: its result, its fits, when trials were complete, and where time went.

    ``trial_seconds[n]`` is when every study had ``n + 1`` completed trials.
    """

    result: SearchResult
    fits: tuple[Fit, ...]
    seconds: float
    solve_seconds: float
    trial_seconds: tuple[float, ...]


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
        tuple(timed.fits),
        perf_counter() - started,
        timed.seconds,
        tuple(np.maximum.accumulate(ended).tolist()),
    )


def in_one_go(workload: Workload, wanted: Sequence[LogicalFit]) -> TimedEngine:
    """Make every distinct fit in one call of the solver, and score it wherever it is wanted."""
    timed = engine(workload)
    scored: dict[FitRequest, set[int]] = {}
    for fit in wanted:
        parts = scored.setdefault(FitRequest(fit.left_out, fit.C), set())
        if fit.scored is not None:
            parts.add(fit.scored)
    for made in timed.solve(tuple(scored)):
        for part in scored[FitRequest(made.left_out, made.model.C)]:
            rows = workload.plan.scored_rows(part)
            score(probabilities(made.model, workload.images[rows]), workload.labels[rows])
    return timed
