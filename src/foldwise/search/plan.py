"""Which rows each fold trains on and scores: K parts, and the whole nesting made from them."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from foldwise.errors import DataError
from foldwise.search.trials import FINAL, Part, Study

RESERVE = -1
"""The part of a row that lies in none: only a model that leaves nothing out trains on it."""


@dataclass(frozen=True, slots=True)
class StudyPlan:
    """A study, the parts that its model at its best values leaves out, and those scored inside."""

    study: Study
    refit: frozenset[Part]
    inner: tuple[Part, ...]

    def left_out(self, scored: Part) -> frozenset[Part]:
        """The parts that the inner fold which scores one of them doesn't train on."""
        return self.refit | {scored}


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

    Examples
    --------
    >>> import numpy as np
    >>> from foldwise import Plan
    >>> plan = Plan.stratified(np.arange(12) % 2, folds=3, seed=1, groups=np.arange(12) // 4)
    >>> plan.folds, len(plan.parts)
    (3, 3)
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
        groups: NDArray[np.int64] | None = None,
        is_scored: NDArray[np.bool_] | None = None,
        classes: Sequence[object] = (),
    ) -> "Plan":
        """Deal shuffled groups of rows to the parts, each to the one that has least of its classes.

        The largest groups come first, then class by class, each into the smallest of such parts. So
        where each row is a group, parts differ by at most one row, and so do each class's shares
        of them; and groups of a few rows are made up for by the single ones.

        Parameters
        ----------
        labels : int array (rows,)
            Class codes.
        groups : int array (rows,), optional
            Rows of one number never part; by default each row is a group.
        is_scored : bool array (rows,), optional
            Rows that count; the others go where their group goes. By default all.
        classes : sequence, optional
            The classes' names, for the error; by default their codes.

        Raises
        ------
        DataError
            If a part is left without a class.
        """
        groups = np.arange(len(labels)) if groups is None else groups
        is_scored = np.ones(len(labels), dtype=bool) if is_scored is None else is_scored
        names, group_of = np.unique(groups, return_inverse=True)
        codes = _classes_of(group_of, labels, is_scored, len(names))
        shuffled = np.random.default_rng(seed).permutation(len(names)).tolist()
        order = sorted(shuffled, key=lambda group: (-len(codes[group]), codes[group]))
        part_of = np.empty(len(names), dtype=np.int64)
        part_of[order] = _dealt([codes[group] for group in order], folds, classes)
        return cls(part_of[group_of][np.newaxis], is_scored.copy())

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
        final = StudyPlan(FINAL, frozenset(), self.parts)
        if not self.has_outer:
            return (final,)
        return (*(self._outer(part) for part in self.parts), final)

    def _outer(self, outer: Part) -> StudyPlan:
        inner = tuple(i for i in self.parts if i.repeat == outer.repeat and i != outer)
        return StudyPlan(Study(outer), frozenset({outer}), inner)


def _classes_of(
    group_of: NDArray[np.int64], labels: NDArray[np.int64], counts: NDArray[np.bool_], groups: int
) -> list[list[int]]:
    """The class codes of each group's rows that count, ascending."""
    rows = np.flatnonzero(counts)
    rows = rows[np.lexsort((labels[rows], group_of[rows]))]
    ends = np.searchsorted(group_of[rows], np.arange(groups + 1)).tolist()
    codes = labels[rows].tolist()
    return [codes[low:high] for low, high in pairwise(ends)]


def _dealt(groups: Sequence[list[int]], folds: int, classes: Sequence[object]) -> list[int]:
    """The part of each group of class codes, in their order."""
    totals = np.bincount([code for codes in groups for code in codes]).tolist()
    shares = [[0.0] * folds for _ in totals]
    sizes, parts = [0] * folds, []
    for codes in groups:
        crowds = [sum(shares[code][part] for code in codes) for part in range(folds)]
        part = min(range(folds), key=lambda each: (crowds[each], sizes[each]))
        for code in codes:
            shares[code][part] += 1 / totals[code]
        sizes[part] += len(codes)
        parts.append(part)
    for code, share in enumerate(shares):
        if min(share) == 0:
            having = sum(code in codes for codes in groups)
            name = classes[code] if classes else code
            once = ", those that belong together counted once" if having < totals[code] else ""
            raise DataError(
                f"every class needs at least tune.folds = {folds} rows, class {name!r} has"
                f" {having}{once}: lower tune.folds or add rows"
            )
    return parts
