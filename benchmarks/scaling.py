"""How the time grows: with the rows, the fits in the batch, the trials and the threads."""

from collections.abc import Callable
from dataclasses import dataclass, replace

from benchmarks import batched, limit
from benchmarks.measured import alternated, seconds_of
from benchmarks.workload import Workload, load
from foldwise.model.path import anchors

BATCHES = (1, 5, 21, 42, 105)
ANCHORS = 7
"""Of every path, the smallest: to C = 0.01."""


@dataclass(frozen=True, slots=True)
class Scaling:
    """Measured points of each dependence.

    Attributes
    ----------
    rows : (rows, seconds) of all paths, 22 by default, to C = 0.01
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
    works = [_tracing(load(replace(workload.size, rows=count))) for count in rows]
    return tuple(zip(rows, alternated(works, max(1, workload.size.repeats - 1)), strict=True))


def _tracing(workload: Workload) -> Callable[[], float]:
    studies = workload.plan.studies
    sets = {inner.left_out for study in studies for inner in study.inner} | {studies[-1].refit}
    strengths = anchors(workload.space.low, workload.space.high)[:ANCHORS]
    ordered = sorted(sets, key=sorted)
    return lambda: seconds_of(lambda: list(batched.engine(workload).trace(ordered, strengths)))
