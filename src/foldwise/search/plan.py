"""Which rows each fold trains on and scores: K parts, and the whole nesting made from them."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from foldwise.errors import DataError
from foldwise.search.trials import FINAL, Part, Study

RESERVE = -1
"""The part of a row that lies in none: only a model that leaves nothing out trains on it."""


@dataclass(frozen=True, slots=True)
class InnerPlan:
    """One inner fold: train on all parts but ``left_out``, score on part ``scored``."""

    left_out: frozenset[Part]
    scored: Part


@dataclass(frozen=True, slots=True)
class StudyPlan:
    """A study, its inner folds, and the parts that the model at its best values leaves out."""

    study: Study
    refit: frozenset[Part]
    inner: tuple[InnerPlan, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Plan:
    """The parts of the development set, and the studies made from them.

    Attributes
    ----------
    part_of : int array (repeats, rows)
        Each row's part in each partition, 0 to K - 1, or ``RESERVE``.
    is_scored : bool array (rows,)
        False for rows that are only trained on, such as shifted copies.
    has_outer : bool
        Whether outer folds estimate the procedure, or there is a final study alone.
    """

    part_of: NDArray[np.int64]
    is_scored: NDArray[np.bool_]
    has_outer: bool = True

    def __post_init__(self) -> None:
        self.part_of.flags.writeable = False
        self.is_scored.flags.writeable = False

    @classmethod
    def stratified(
        cls,
        labels: NDArray[np.int64],
        *,
        folds: int,
        seed: int,
        origins: NDArray[np.int64] | None = None,
    ) -> "Plan":
        """Deal each class's shuffled rows to the parts in turn, from where the last class ended.

        Parts differ by at most one row, and so do each class's shares of them. Copies share
        their original's part: only rows that are their own origin are dealt.

        Raises
        ------
        DataError
            If a class has fewer originals than there are folds.
        """
        rows = np.arange(len(labels))
        origins = rows if origins is None else origins
        is_original = origins == rows
        originals = np.flatnonzero(is_original)
        counts = np.bincount(labels[originals])
        if counts.min() < folds:
            raise DataError(
                f"every class needs at least tune.folds = {folds} images, class number "
                f"{int(counts.argmin())} has {int(counts.min())}: lower tune.folds or add images"
            )
        generator = np.random.default_rng(seed)
        shuffled = generator.permutation(originals)
        dealt = shuffled[np.argsort(labels[shuffled], kind="stable")]
        part_of = np.empty(len(labels), dtype=np.int64)
        part_of[dealt] = np.arange(len(dealt)) % folds
        return cls(part_of[origins][np.newaxis], is_original)

    @property
    def folds(self) -> int:
        """K, the number of parts of a partition."""
        return int(self.part_of.max()) + 1

    @property
    def parts(self) -> tuple[Part, ...]:
        """All parts of all partitions."""
        return tuple(
            Part(repeat, fold) for repeat in range(len(self.part_of)) for fold in range(self.folds)
        )

    def rows(self, part: Part) -> NDArray[np.int64]:
        """Rows of a part, ascending, those that are never scored too."""
        return np.flatnonzero(self.part_of[part.repeat] == part.fold)

    def scored_rows(self, part: Part) -> NDArray[np.int64]:
        """Rows that a fit which left the part out is judged by, ascending.

        Copies would count one image several times, and in a form that nobody will ask about.
        """
        return np.flatnonzero((self.part_of[part.repeat] == part.fold) & self.is_scored)

    def training_rows(self, left_out: frozenset[Part]) -> NDArray[np.int64]:
        """Rows that a fit which leaves these parts out is made from, ascending."""
        if not left_out:
            return np.arange(self.part_of.shape[1])
        (repeat,) = {part.repeat for part in left_out}
        folds = [part.fold for part in left_out]
        return np.flatnonzero(~np.isin(self.part_of[repeat], [*folds, RESERVE]))

    @property
    def studies(self) -> tuple[StudyPlan, ...]:
        """One study per outer fold, in order, if there are any; then the final one."""
        final = StudyPlan(
            FINAL, frozenset(), tuple(InnerPlan(frozenset({i}), i) for i in self.parts)
        )
        if not self.has_outer:
            return (final,)
        return (*(self._outer(part) for part in self.parts), final)

    def _outer(self, outer: Part) -> StudyPlan:
        others = (i for i in self.parts if i.repeat == outer.repeat and i != outer)
        inner = tuple(InnerPlan(frozenset({outer, i}), i) for i in others)
        return StudyPlan(Study(outer), frozenset({outer}), inner)
