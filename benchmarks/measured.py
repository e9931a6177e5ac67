"""What was measured of a contender, and how a sample of fits speaks for all of them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median
from time import perf_counter

from benchmarks.workload import LogicalFit, Workload
from foldwise.model.linear import LinearModel


@dataclass(frozen=True, slots=True, eq=False)
class SampledFit:
    """A fit made to be looked at: its model, its evaluations, and its own seconds on its worker."""

    wanted: LogicalFit
    model: LinearModel
    evaluations: float
    seconds: float


@dataclass(frozen=True, slots=True, eq=False)
class Sample:
    """Inner fits at the sampled values of C, and the first outer fold's model.

    ``workers`` fits run at a time.
    """

    inner: tuple[SampledFit, ...]
    outer: SampledFit
    workers: int = 1


@dataclass(frozen=True, slots=True, eq=False)
class Line:
    """One contender in the table.

    Attributes
    ----------
    seconds : float
        Of the whole nested search.
    fits, logical : int
        Fits made, and fits they stand for.
    evaluations : float
        Mean per fit.
    gap : float
        Largest relative excess of the sampled fits' objectives over the reference's.
    log_loss : float
        Of the first outer fold's model on its part.
    note : str
        How the seconds came about.
    """

    name: str
    seconds: float
    fits: int
    logical: int
    evaluations: float
    gap: float
    log_loss: float
    note: str


def seconds_of(work: Callable[[], object]) -> float:
    """Wall time of a call."""
    started = perf_counter()
    work()
    return perf_counter() - started


def alternated(works: Sequence[Callable[[], float]], repeats: int) -> tuple[float, ...]:
    """Run all in turn, ``repeats`` times round; the median of what each returns."""
    rounds = [[work() for work in works] for _ in range(repeats)]
    return tuple(median(values) for values in zip(*rounds, strict=True))


def extrapolated(sample: Sample, wanted: Sequence[LogicalFit], workload: Workload) -> float:
    """Seconds for all fits, if each takes per row what the sampled ones took on average.

    In the contender's favour: the workers are never idle, and nothing but the fits is counted.
    """
    parts = [len(rows) for rows in workload.plan.parts]
    per_row = sum(fit.seconds for fit in sample.inner) / sum(
        _rows(fit.wanted, parts) for fit in sample.inner
    )
    return per_row * sum(_rows(fit, parts) for fit in wanted) / sample.workers


def _rows(fit: LogicalFit, parts: Sequence[int]) -> int:
    return sum(rows for part, rows in enumerate(parts) if part not in fit.left_out)
