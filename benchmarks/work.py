"""The work that every contender does: the same rows, folds, values of C and tolerance."""

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

Parts = frozenset[int]
_NAMES = {"rows": "BENCH_ROWS", "trials": "BENCH_TRIALS", "repeats": "BENCH_REPEATS"}


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
    def from_environment(cls) -> Self:
        """BENCH_ROWS, BENCH_TRIALS and BENCH_REPEATS where they are set."""
        return cls(**{k: int(os.environ[name]) for k, name in _NAMES.items() if name in os.environ})

    @property
    def is_whole(self) -> bool:
        """Whether the search is whole: figures for a part of it would mislead in the pages."""
        return (self.rows, self.trials) == (Size().rows, Size().trials)

    def command(self, module: str) -> str:
        """What measures this: a module of these, and what is set for it."""
        told = [f"{name}={os.environ[name]} " for name in _NAMES.values() if name in os.environ]
        return f"{''.join(told)}python -m benchmarks.{module}"


class Wanted(NamedTuple):
    """A fit that the search asks for, whether or not an equal one was made already.

    ``scored`` is the part it is scored on; the model fitted on all parts has none.
    """

    left_out: Parts
    C: float
    scored: int | None


@dataclass(frozen=True, slots=True, eq=False)
class Work:
    """Images, their class codes and the part of each row: study {o} is outer fold o's, {} final."""

    size: Size
    images: NDArray[np.uint8]
    labels: NDArray[np.int64]
    part_of: NDArray[np.int64]
    threads: int = os.cpu_count() or 1

    @property
    def classes(self) -> int:
        """How many there are."""
        return int(self.labels.max()) + 1

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

    @property
    def parts(self) -> list[NDArray[np.int64]]:
        """Rows of each part, ascending."""
        return [np.flatnonzero(self.part_of == part) for part in range(self.size.folds)]


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

    def seconds(self, sample: Iterable[tuple[Parts, float]]) -> float:
        """Of all fits, one by one, if each takes per row what a sample (left out, seconds) took.

        In favour of whoever was sampled: nothing but fits is counted.
        """
        rows = {parts: len(self.work.training_rows(parts)) for parts in self.work.training_sets}
        sets, seconds = zip(*sample, strict=True)
        every = sum(rows[fit.left_out] for fit in self.wanted)
        return float(sum(seconds)) / sum(rows[left_out] for left_out in sets) * every
