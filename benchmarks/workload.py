"""The work that every contender does: the same rows, folds, values of C and tolerance."""

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from foldwise.data.idx import read_idx_folder
from foldwise.model.layout import Layout
from foldwise.search.folds import FoldPlan
from foldwise.search.results import FINAL_STUDY, SearchResult
from foldwise.search.study.sampling import SearchSpace

ROOT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True, slots=True)
class Size:
    """How much is done.

    Attributes
    ----------
    rows, folds, trials, startup, tol
        The search; the defaults are those of params.yaml.
    repeats : int
        Timings of each kind, of which the median is taken.
    sampled : int
        Inner fits by which a contender too slow to be run whole is judged.
    longest : float
        Seconds; a contender whose whole would take longer is extrapolated from its sample.
    """

    rows: int = 60_000
    folds: int = 6
    trials: int = 12
    startup: int = 5
    tol: float = 1e-4
    repeats: int = 3
    sampled: int = 4
    longest: float = 60.0

    @classmethod
    def from_environment(cls) -> "Size":
        """BENCH_ROWS, BENCH_REPEATS and BENCH_LONGEST (seconds) where they are set."""
        default = cls()
        return cls(
            rows=int(os.environ.get("BENCH_ROWS", default.rows)),
            repeats=int(os.environ.get("BENCH_REPEATS", default.repeats)),
            longest=float(os.environ.get("BENCH_LONGEST", default.longest)),
        )


@dataclass(frozen=True, slots=True, eq=False)
class Workload:
    """The data of one benchmark, and how it is searched."""

    size: Size
    images: NDArray[np.uint8]
    labels: NDArray[np.int64]
    plan: FoldPlan
    layout: Layout
    threads: int

    @property
    def space(self) -> SearchSpace:
        """How foldwise draws C."""
        return SearchSpace(1e-4, 10.0, "tpe", self.size.startup, 1, "log_loss")

    def training_rows(self, left_out: frozenset[int]) -> NDArray[np.int64]:
        """Rows of all parts but those left out, ascending."""
        return np.flatnonzero(~np.isin(self.plan.part_of, sorted(left_out)))


def load(size: Size) -> Workload:
    """MNIST's first ``size.rows`` development rows, dealt to parts and laid out."""
    development = read_idx_folder(ROOT / "data" / "raw", name="mnist").development
    images = np.ascontiguousarray(development.images[: size.rows])
    labels = np.asarray(development.labels[: size.rows], dtype=np.int64)
    plan = FoldPlan.stratified(labels, folds=size.folds, seed=1)
    layout = Layout.build(images, labels, plan.parts, classes=10)
    return Workload(size, images, labels, plan, layout, os.cpu_count() or 1)


@dataclass(frozen=True, slots=True)
class LogicalFit:
    """A fit that the search asks for, whether or not an equal one was made already.

    ``scored`` is the part it is scored on; the model fitted on all parts has none.
    """

    left_out: frozenset[int]
    C: float
    scored: int | None


def logical_fits(result: SearchResult) -> tuple[LogicalFit, ...]:
    """All fits of a search, of which foldwise makes equal ones once."""
    inner = tuple(
        LogicalFit(trial.left_out(fold.part), trial.C, fold.part)
        for trial in result.trials
        for fold in trial.inner
    )
    outer = tuple(LogicalFit(o.fit.left_out, o.best.C, o.fold) for o in result.outer)
    return (*inner, *outer, LogicalFit(frozenset(), result.final.best.C, None))


def strengths(result: SearchResult, study: str) -> tuple[float, ...]:
    """The values of C that a study tried, ascending."""
    return tuple(sorted(trial.C for trial in result.study_trials(study)))


def sampled_strengths(result: SearchResult, count: int) -> tuple[float, ...]:
    """Values of C in the middle of ``count`` equal shares of all inner fits, sorted by C."""
    every = sorted(trial.C for trial in result.trials for _ in trial.inner)
    return tuple(every[(2 * share + 1) * len(every) // (2 * count)] for share in range(count))


__all__ = [
    "FINAL_STUDY",
    "LogicalFit",
    "Size",
    "Workload",
    "load",
    "logical_fits",
    "sampled_strengths",
    "strengths",
]
