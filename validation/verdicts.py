"""How often two procedures are called different by more than they are, on data of known truth.

A data set is drawn, two whole procedures are run on the same parts of it, and the differences of
their outer scores held against the expected one: the difference of the outer models' true scores,
averaged over all data sets. Procedures that are equal by symmetry have 0 there.

Draws are kept as those of :mod:`validation.coverage` are.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from validation import own
from validation.coverage import (
    CONFIDENCE,
    FOLDS,
    KEPT,
    POINTS,
    Array,
    Left,
    World,
    fitted,
    kept_draws,
    means,
    searched,
    shift,
    strengths_dealt,
)

TWINS = (3, 4)
"""Columns of equal slope: leaving out the one or the other is equally bad."""
IDLE = (5, 6)
"""Columns without any effect: adding the one or the other is equally idle."""
SHARES = {"balanced": None, "8 % positive": 0.08}
COLUMNS = 10
STRENGTH = 0.1
METHODS = ("corrected", "influence")
Procedure = tuple[NDArray[np.int64], Array]
"""The columns, of which the first is the intercept's, and the values of C."""


@dataclass(frozen=True, slots=True)
class Contest:
    """Two procedures on one kind of data.

    Attributes
    ----------
    share : str
        Which classes, of `SHARES`.
    pair : str
        ``other columns`` and ``idle columns``, by `TWINS` and `IDLE`, with a search for C; or
        ``C, 1.1 C``, without one.
    rows, draws : int
    together : int
        Rows of a group: equal, and never parted.
    """

    share: str
    pair: str
    rows: int
    draws: int
    together: int = 1

    @property
    def name(self) -> str:
        """What the table calls its data."""
        return self.share if self.together == 1 else f"{self.share}, {self.together} alike"


@dataclass(frozen=True, slots=True, eq=False)
class Duel:
    """One data set, searched by both; arrays begin with an axis of the two.

    Attributes
    ----------
    labels, part_of : int arrays (rows,)
    probabilities : array (2, rows)
        Of class 1, by the outer model that didn't see the row.
    inner : array (2, K, metrics)
    truth : array (2, metrics)
        True scores of the outer models, their mean.
    """

    labels: own.Codes
    part_of: own.Codes
    probabilities: Array
    inner: Array
    truth: Array

    def folds(self, which: int) -> list[own.Fold]:
        """The outer folds of one of the two."""
        found = []
        for part in range(FOLDS):
            rows = np.flatnonzero(self.part_of == part)
            labels, chances = self.labels[rows], self.probabilities[which, rows]
            stated = np.column_stack([1 - chances, chances])
            inner = dict(zip(own.METRICS, self.inner[which, part].tolist(), strict=True))
            found.append(own.Fold(0, rows, labels, stated, own.score(stated, labels), inner))
        return found


@cache
def world(share: str) -> World:
    """A population with twins and idle columns: heavy tails, a logit that isn't quite linear."""
    random = np.random.default_rng(2)
    points = random.standard_t(8, size=(POINTS, COLUMNS))
    slopes = random.normal(scale=0.6, size=COLUMNS)
    slopes[list(TWINS)] = slopes[TWINS[0]]
    slopes[list(IDLE)] = 0
    logits = points @ slopes + 0.3 * points[:, 0] * points[:, 1]
    positive = SHARES[share]
    logits += 0.0 if positive is None else shift(logits, positive)
    return World(np.column_stack([np.ones(POINTS), points]), 1 / (1 + np.exp(-logits)))


def duels(cell: Contest, kept: Path = KEPT, *, make: bool = True) -> Iterator[Duel]:
    """The cell's draws, each with its own seed; without ``make`` those that are kept."""
    words = f"duel {cell.pair} {cell.share} {cell.rows} {cell.together}"
    folder = kept / words.replace(" % ", "-").replace(", ", "-").replace(" ", "-")
    return kept_draws(Duel, lambda number: drawn(cell, number), cell.draws, folder, make=make)


def drawn(cell: Contest, number: int) -> Duel:
    """Draw a data set, deal its rows to parts, and run both procedures on them."""
    random, population = np.random.default_rng((2, cell.rows, number)), world(cell.share)
    points, classes = population.sample(cell.rows // cell.together, random)
    seed = int(random.integers(2**32))
    whose = np.repeat(np.arange(len(classes)), cell.together)
    features, labels = points[whose], classes[whose]
    part_of = own.dealt(classes, folds=FOLDS, seed=seed)[whose]
    run = [
        _run(features, labels, part_of, each)
        for each in _procedures(cell, np.random.default_rng(seed))
    ]
    truth = [means([population.true_scores(model) for model in models]) for *_, models in run]
    inner, stated = ([each[of] for each in run] for of in (0, 1))
    return Duel(labels, part_of, np.array(stated), np.array(inner), np.array(truth))


def _run(
    features: Array, labels: own.Codes, part_of: own.Codes, procedure: Procedure
) -> tuple[Array, Array, Array]:
    """Inner means (K, metrics), chances of class 1 (rows,), and the outer models (K, p)."""
    columns, strengths = procedure
    weights = fitted(features[:, columns], labels, part_of, strengths)

    def predicted(left_out: Left, C: int, part: int) -> Array:
        scores = features[part_of == part][:, columns] @ weights[left_out, C]
        chances = 1 / (1 + np.exp(-scores))
        return np.column_stack([1 - chances, chances])

    inner, stated, chosen = searched(labels, part_of, predicted, len(strengths))
    models = np.zeros((len(chosen), features.shape[1]))
    models[:, columns] = [weights[each] for each in chosen]
    return inner, stated[:, 1], models


def _procedures(cell: Contest, random: np.random.Generator) -> tuple[Procedure, ...]:
    if cell.pair == "C, 1.1 C":
        every = np.arange(1 + COLUMNS)
        return tuple((every, np.array([STRENGTH * factor])) for factor in (1.0, 1.1))
    left_out = TWINS if cell.pair == "other columns" else IDLE
    strengths = strengths_dealt(-3, 1, random)
    return tuple((np.delete(np.arange(1 + COLUMNS), 1 + of), strengths) for of in left_out)


@dataclass(frozen=True, slots=True)
class Falsehood:
    """Of one metric and method: the share of data sets with a claim that isn't true.

    The half-width is in true standard deviations of the difference.
    """

    share: float
    half_width: float

    def __str__(self) -> str:
        return f"{self.share:.1%} ({self.half_width:.2f})"


def falsehoods(found: Iterator[Duel], together: int) -> tuple[int, dict[str, dict[str, Falsehood]]]:
    """How many data sets there are, and how often each interval is wrong, by metric and method.

    Wrong is that it leaves out 0, so that one procedure is called better, and the true difference.
    """
    truths, made = [], []
    for duel in found:
        groups = np.arange(len(duel.labels)) // together if together > 1 else None
        truths.append(duel.truth[1] - duel.truth[0])
        made.append(own.paired_differences(duel.folds(0), duel.folds(1), CONFIDENCE, groups))
    if not made:
        return 0, {}
    truth = dict(zip(own.METRICS, np.mean(truths, axis=0).tolist(), strict=True))
    return len(made), {
        metric: _falsehoods([each[metric] for each in made], truth[metric])
        for metric in own.METRICS
    }


def _falsehoods(found: Sequence[own.Difference], truth: float) -> dict[str, Falsehood]:
    spread = float(np.std([each.value for each in found], ddof=1))
    by_method = dict(
        zip(
            METHODS,
            zip(*((each.corrected, each.interval) for each in found), strict=True),
            strict=True,
        )
    )
    return {
        method: Falsehood(
            float(np.mean([not (_has(0.0, each) or _has(truth, each)) for each in intervals])),
            float(np.mean([(each.high - each.low) / 2 for each in intervals])) / spread,
        )
        for method, intervals in by_method.items()
    }


def _has(difference: float, interval: own.Interval) -> bool:
    return interval.low <= difference <= interval.high
