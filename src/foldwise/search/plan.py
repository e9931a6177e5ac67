"""Which rows each fold trains on and scores: K parts, and the whole nesting made from them."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from foldwise.errors import DataError
from foldwise.search.trials import FINAL_STUDY, outer_study


@dataclass(frozen=True, slots=True)
class InnerPlan:
    """One inner fold: train on all parts but ``left_out``, score on part ``scored``."""

    left_out: frozenset[int]
    scored: int


@dataclass(frozen=True, slots=True)
class StudyPlan:
    """A study, its inner folds, and the parts that the model at its best C leaves out."""

    name: str
    refit: frozenset[int]
    inner: tuple[InnerPlan, ...]


@dataclass(frozen=True, slots=True, eq=False)
class FoldPlan:
    """Stratified, shuffled parts of the development set.

    Attributes
    ----------
    folds : int
        K, the number of parts.
    part_of : int array (rows,)
        The part of each row, 0 to K - 1.
    is_original : bool array (rows,)
        False for augmented copies: they are trained on, and never scored.
    """

    folds: int
    part_of: NDArray[np.int64]
    is_original: NDArray[np.bool_]

    @classmethod
    def stratified(
        cls,
        labels: NDArray[np.int64],
        *,
        folds: int,
        seed: int,
        origins: NDArray[np.int64] | None = None,
    ) -> "FoldPlan":
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
        part_of = part_of[origins]
        part_of.flags.writeable = False
        is_original.flags.writeable = False
        return cls(folds, part_of, is_original)

    def scored_rows(self, part: int) -> NDArray[np.int64]:
        """Originals of one part, ascending: what a fit that left it out is judged by.

        Copies would count one image several times, and in a form that nobody will ask about.
        """
        return np.flatnonzero((self.part_of == part) & self.is_original)

    @property
    def parts(self) -> tuple[NDArray[np.int64], ...]:
        """Rows of every part, copies too: what is trained on."""
        return tuple(np.flatnonzero(self.part_of == part) for part in range(self.folds))

    @property
    def studies(self) -> tuple[StudyPlan, ...]:
        """One study per outer fold, by number, then the final one."""
        every = range(self.folds)
        outer = tuple(
            StudyPlan(
                outer_study(o),
                frozenset({o}),
                tuple(InnerPlan(frozenset({o, i}), i) for i in every if i != o),
            )
            for o in every
        )
        inner = tuple(InnerPlan(frozenset({i}), i) for i in every)
        return (*outer, StudyPlan(FINAL_STUDY, frozenset(), inner))
