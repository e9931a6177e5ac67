"""The work that every contender does: the same rows, folds, values of C and tolerance."""

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from time import perf_counter

import numpy as np
from numpy.typing import NDArray

ROOT = Path(__file__).resolve().parent.parent
Parts = frozenset[int]


@dataclass(frozen=True, slots=True)
class Size:
    """How much is done: the search as params.yaml has it, and how it is timed.

    Timings are medians of ``repeats``; ``sampled`` inner fits are what others are judged by.
    """

    rows: int = 60_000
    folds: int = 6
    trials: int = 12
    startup: int = 8
    tol: float = 1e-4
    repeats: int = 3
    sampled: int = 4

    @classmethod
    def from_environment(cls) -> "Size":
        """BENCH_ROWS and BENCH_REPEATS where they are set."""
        names = {"rows": "BENCH_ROWS", "repeats": "BENCH_REPEATS"}
        return cls(**{k: int(os.environ[name]) for k, name in names.items() if name in os.environ})

    @property
    def is_whole(self) -> bool:
        """Whether all rows are taken: figures for a part of them would mislead in the pages."""
        return self.rows == Size().rows


@dataclass(frozen=True, slots=True)
class Wanted:
    """A fit that the search asks for, whether or not an equal one was made already.

    ``scored`` is the part it is scored on; the model fitted on all parts has none.
    """

    left_out: Parts
    C: float
    scored: int | None


@dataclass(frozen=True, slots=True, eq=False)
class Model:
    """A fitted softmax: ``scores = ((x - mean) / scale) @ coefficients.T + intercepts``."""

    C: float
    mean: NDArray[np.float64]
    scale: NDArray[np.float64]
    coefficients: NDArray[np.float64]
    intercepts: NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Work:
    """Images, their class codes and the part of each row: study {o} is outer fold o's, {} final."""

    size: Size
    images: NDArray[np.uint8]
    labels: NDArray[np.int64]
    part_of: NDArray[np.int64]

    @property
    def threads(self) -> int:
        """All of this machine's cores."""
        return os.cpu_count() or 1

    @property
    def studies(self) -> tuple[Parts, ...]:
        """What each study never sees; the final one sees all."""
        return (*(frozenset({fold}) for fold in range(self.size.folds)), frozenset())

    def inner(self, study: Parts) -> list[tuple[Parts, int]]:
        """A study's inner folds: what each leaves out, and the part that it is scored on."""
        return [(study | {part}, part) for part in range(self.size.folds) if part not in study]

    @property
    def training_sets(self) -> list[Parts]:
        """What the search's distinct training sets leave out."""
        inner = {left_out for study in self.studies for left_out, _ in self.inner(study)}
        return sorted(inner | set(self.studies), key=sorted)

    def training_rows(self, left_out: Parts) -> NDArray[np.int64]:
        """Rows of all parts but those left out, ascending."""
        return np.flatnonzero(~np.isin(self.part_of, sorted(left_out)))

    def scored_rows(self, part: int) -> NDArray[np.int64]:
        """Rows of a part, ascending."""
        return np.flatnonzero(self.part_of == part)

    def mean_loss(self, model: Model, rows: NDArray[np.int64]) -> float:
        """Mean cross-entropy of some rows, in float64 from the formula."""
        total = 0.0
        for some in np.array_split(rows, 1 + len(rows) // 4096):
            scores = (self.images[some] - model.mean) / model.scale @ model.coefficients.T
            scores += model.intercepts
            scores -= scores.max(axis=1, keepdims=True)
            total += np.log(np.exp(scores).sum(axis=1)).sum()
            total -= scores[np.arange(len(some)), self.labels[some]].sum()
        return float(total / len(rows))

    def gap(self, model: Model, tight: Model, left_out: Parts) -> float:
        """Relative excess over a tight solution's mean cross-entropy plus ||W||^2 / (2 C n)."""
        rows = self.training_rows(left_out)
        mine, best = (
            self.mean_loss(m, rows) + float((m.coefficients**2).sum()) / (2 * m.C * len(rows))
            for m in (model, tight)
        )
        return (mine - best) / best


@dataclass(frozen=True, slots=True, eq=False)
class Task:
    """What a search settled for everyone: the values of C that each study tried, and its best."""

    work: Work
    tried: Mapping[Parts, Sequence[float]]
    best: Mapping[Parts, float]

    @property
    def wanted(self) -> tuple[Wanted, ...]:
        """All fits of the nested search, of which foldwise makes equal ones once."""
        inner = [
            Wanted(left_out, C, part)
            for study in self.work.studies
            for C in self.tried[study]
            for left_out, part in self.work.inner(study)
        ]
        return (*inner, *(Wanted(s, C, min(s, default=None)) for s, C in self.best.items()))

    @property
    def sampled(self) -> tuple[Wanted, ...]:
        """Inner fits of one fold, and last the first outer fold's model.

        At the C's in the middle of equal shares of all inner fits, sorted by C.
        """
        every = sorted(fit.C for fit in self.wanted[: -len(self.best)])
        shares = 2 * self.work.size.sampled
        strengths = (every[middle * len(every) // shares] for middle in range(1, shares, 2))
        inner = (Wanted(frozenset({0, 1}), C, 1) for C in strengths)
        return (*inner, Wanted(frozenset({0}), self.best[frozenset({0})], 0))


def seconds_of(work: Callable[[], object]) -> float:
    """Wall time of a call."""
    began = perf_counter()
    work()
    return perf_counter() - began


def alternated(works: Sequence[Callable[[], float]], repeats: int) -> list[float]:
    """Run all in turn, ``repeats`` times round; the median of what each returns."""
    rounds = [[work() for work in works] for _ in range(repeats)]
    return [median(values) for values in zip(*rounds, strict=True)]
