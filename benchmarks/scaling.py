"""How the time grows: with the rows, the fits in the batch, the trials and the threads."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from benchmarks import batched, limit
from benchmarks.measured import alternated, seconds_of
from benchmarks.workload import Workload, load
from foldwise.model.solver import FitRequest

BATCHES = (1, 5, 21, 42, 105)
SOLVED_C = 0.01


@dataclass(frozen=True, slots=True)
class Scaling:
    """Measured points of each dependence.

    Attributes
    ----------
    rows : (rows, seconds) of a trial of every study, 21 fits by default, at C = 0.01
    batches, threads : single evaluations
    trials : (trials of each study, seconds) of the whole search
    """

    rows: tuple[tuple[int, float], ...]
    batches: tuple[limit.Evaluated, ...]
    threads: tuple[limit.Evaluated, ...]
    trials: tuple[tuple[int, float], ...]


def measure(workload: Workload, searched: batched.Searched) -> Scaling:
    """All dependences; trials are read off the search that was timed already."""
    counts = tuple(sorted({1, workload.threads}))
    evaluated = limit.evaluations(workload, BATCHES, counts)
    most = max(counts)
    return Scaling(
        rows=_by_rows(workload),
        batches=tuple(e for e in evaluated if e.threads == most),
        threads=tuple(e for e in evaluated if e.fits == 42),
        trials=tuple(enumerate(searched.trial_seconds, start=1)),
    )


def _by_rows(workload: Workload) -> tuple[tuple[int, float], ...]:
    rows = [workload.size.rows * sixths // 6 for sixths in (1, 2, 4, 6)]
    works = [_solving(load(replace(workload.size, rows=count))) for count in rows]
    return tuple(zip(rows, alternated(works, max(1, workload.size.repeats - 1)), strict=True))


def _solving(workload: Workload) -> Callable[[], float]:
    parts: Sequence[int] = range(workload.plan.folds)
    pairs = {frozenset({one, other}) for one in parts for other in parts}
    requests = [FitRequest(pair, SOLVED_C) for pair in sorted(pairs, key=sorted)]
    return lambda: seconds_of(lambda: list(batched.engine(workload).solve(requests)))
