"""How often intervals hold what they are meant to hold, on data whose truth is known.

A data set is drawn, the whole procedure run on it (stratified parts, values of C, C chosen by the
inner folds' log-loss, outer scores), and what intervals are made from kept: labels, predictions,
inner means, and the true score of the outer models. Meant to be held is the expected score of the
procedure trained on (K-1)/K of n rows: the true score of the outer models, averaged over all data
sets. As in the walk of foldwise's own search, values of C are dealt evenly over the range by the
logarithm, in each study the same; the best of them is chosen, and no minimum of their curve. There
are new ones for each data set.

Draws are kept in files of 25, so that measuring can be stopped and goes on; the intervals are made
from them anew each time. Who changes how data sets are made or searched deletes the files.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from functools import cache
from itertools import combinations
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from validation import own
from validation.newton import Fits, fit_all

FOLDS = 6
VALUES = 8
CONFIDENCE = 0.95
METHODS = ("corrected", "rows alone", "influence")
POINTS = 20_000
BATCH = 25
KEPT = own.KEPT
Array = NDArray[np.float64]
Left = frozenset[int]
Search = tuple[Array, Array, list[tuple[Left, int]]]


@dataclass(frozen=True, slots=True, eq=False)
class Draw:
    """One data set, searched.

    Attributes
    ----------
    labels, part_of : int arrays (rows,)
    probabilities : array (rows, classes)
        By the outer model that didn't see the row.
    inner : array (K, metrics)
        Means over the inner folds at the C chosen.
    truth : array (metrics,)
        True scores of the outer models, their mean.
    weights : array (K, p)
        The outer models of a world; of images there are none (K, 0).
    """

    labels: own.Codes
    part_of: own.Codes
    probabilities: Array
    inner: Array
    truth: Array
    weights: Array

    def folds(self) -> list[own.Fold]:
        """The outer folds."""
        return [self._fold(part) for part in range(FOLDS)]

    def _fold(self, part: int) -> own.Fold:
        rows = np.flatnonzero(self.part_of == part)
        labels, probabilities = self.labels[rows], self.probabilities[rows]
        inner = own.completed(dict(zip(own.METRICS, self.inner[part].tolist(), strict=True)))
        return own.Fold(0, rows, labels, probabilities, own.score(probabilities, labels), inner)


class Source(Protocol):
    """Where data sets come from."""

    def draw(self, rows: int, random: np.random.Generator) -> Draw:
        """Draw a data set with new rows, parts and values of C, and search it."""
        ...

    def groups(self, rows: int) -> own.Codes | None:
        """The group of each row (rows,), of each data set the same; None where there are none."""
        ...


def searched(
    labels: own.Codes,
    part_of: own.Codes,
    predicted: Callable[[Left, int, int], Array],
    values: int = VALUES,
) -> Search:
    """Choose each outer fold's C by its inner folds.

    Parameters
    ----------
    labels, part_of : int arrays (rows,)
    predicted : callable
        Probabilities for a part, by the fit that leaves these parts out with C number so and so.
    values : int
        How many values of C there are.

    Returns
    -------
    Inner means (K, metrics), probabilities (rows, classes), and the K fits chosen.
    """
    rows = [np.flatnonzero(part_of == part) for part in range(FOLDS)]
    inner, chosen, outer = [], [], []
    for fold in range(FOLDS):
        others = [part for part in range(FOLDS) if part != fold]
        pairs = [frozenset({fold, part}) for part in others]
        losses = [
            np.mean(
                [
                    own.row_losses(predicted(pair, C, part), labels[rows[part]]).mean()
                    for pair, part in zip(pairs, others, strict=True)
                ]
            )
            for C in range(values)
        ]
        C = int(np.argmin(losses))
        scores = [
            own.score(predicted(pair, C, part), labels[rows[part]])
            for pair, part in zip(pairs, others, strict=True)
        ]
        inner.append([np.mean([each[metric] for each in scores]) for metric in own.METRICS])
        chosen.append((frozenset({fold}), C))
        outer.append(predicted(*chosen[-1], fold))
    probabilities = np.empty((len(labels), outer[0].shape[1]))
    probabilities[np.concatenate(rows)] = np.concatenate(outer)
    return np.array(inner), probabilities, chosen


def _left_out() -> list[Left]:
    return [frozenset(parts) for size in (1, 2) for parts in combinations(range(FOLDS), size)]


def strengths_dealt(low: float, high: float, random: np.random.Generator) -> Array:
    """Values of C, one from each of as many slices of the range, even by the logarithm."""
    places = (np.arange(VALUES) + random.random(VALUES)) / VALUES
    return np.asarray(10 ** (low + (high - low) * places))


@dataclass(frozen=True, slots=True)
class Kind:
    """A population of two classes.

    ``share`` is that of the positive class; None where the logits are left as they come. Rows come
    in groups of four and five where ``effect`` isn't 0: they have all features in common, and what
    is added to the group's logit, ``effect`` times a normal deviate, which no feature tells.
    """

    features: int
    scale: float
    share: float | None
    effect: float = 0.0


KINDS = {
    "balanced": Kind(10, 0.6, None),
    "8 % positive": Kind(15, 0.6, 0.08),
    "4 % positive": Kind(10, 0.6, 0.04),
    "40 features": Kind(40, 0.3, None),
    "groups": Kind(10, 0.6, None, effect=1.0),
}


@dataclass(frozen=True, slots=True, eq=False)
class World:
    """A population: features (points, p), the first of them ones, and chances of class 1.

    Of groups the chances are those of a group that nobody has seen; ``logits`` are without its
    effect.
    """

    features: Array
    chances: Array
    logits: Array | None = None
    effect: float = 0.0

    @classmethod
    def made(cls, kind: Kind, seed: int) -> "World":
        """Heavy-tailed features; the logit isn't quite linear, so that no model is the true one."""
        random = np.random.default_rng(seed)
        points = random.standard_t(8, size=(POINTS, kind.features))
        slopes = random.normal(scale=kind.scale, size=kind.features)
        logits = points @ slopes + 0.3 * points[:, 0] * points[:, 1]
        logits += 0.0 if kind.share is None else shift(logits, kind.share)
        places, weights = np.polynomial.hermite_e.hermegauss(31 if kind.effect else 1)
        shifted = logits[:, None] + kind.effect * places
        chances = (1 / (1 + np.exp(-shifted))) @ (weights / weights.sum())
        features = np.column_stack([np.ones(POINTS), points])
        return cls(features, chances, logits, kind.effect)

    def groups(self, rows: int) -> own.Codes | None:
        """The group of each row (rows,): by turns four and five rows; None where there are none."""
        row = np.arange(rows)
        return 2 * (row // 9) + (row % 9 > 3) if self.effect else None

    def true_scores(self, weights: Array) -> dict[str, float]:
        """Expected scores of one model (p,), written out: rows count by the chance of their class.

        A point is two rows, one of each class.
        """
        scores, chances = self.features @ weights, self.chances
        found = scores > 0
        hits = np.array([((1 - chances) * ~found).sum(), (chances * found).sum()])
        true = np.array([(1 - chances).sum(), chances.sum()])
        named = np.array([(~found).sum(), found.sum()])
        order = np.argsort(scores)
        negative = (1 - chances)[order]
        below = np.cumsum(negative) - negative / 2
        return {
            "accuracy": hits.sum() / len(scores),
            "precision": float(np.divide(hits, named, out=np.zeros(2), where=named > 0).mean()),
            "recall": float((hits / true).mean()),
            "f1": float((2 * hits / (true + named)).mean()),
            "roc_auc": float((chances[order] * below).sum() / true.prod()),
            "log_loss": float((np.logaddexp(0, scores) - chances * scores).mean()),
        }

    def sample(self, rows: int, random: np.random.Generator) -> tuple[Array, own.Codes]:
        """Features (rows, p) and labels of points drawn with replacement, by their chances."""
        while True:
            points, chances = self._drawn(rows, random)
            labels = random.random(rows) < chances
            if min(labels.sum(), (~labels).sum()) >= FOLDS:
                return self.features[points], labels.astype(np.int64)

    def _drawn(self, rows: int, random: np.random.Generator) -> tuple[own.Codes, Array]:
        """Points (rows,) and their chances; a group's rows are one point, with its effect."""
        groups = self.groups(rows)
        if groups is None or self.logits is None:
            points = random.integers(0, POINTS, rows)
            return points, self.chances[points]
        number = groups.max() + 1
        points = random.integers(0, POINTS, number)
        logits = self.logits[points] + random.normal(scale=self.effect, size=number)
        return points[groups], np.asarray(1 / (1 + np.exp(-logits)))[groups]

    def draw(self, rows: int, random: np.random.Generator) -> Draw:
        """Draw and search, fitting by Newton's method."""
        features, labels = self.sample(rows, random)
        seed = int(random.integers(2**32))
        part_of = own.dealt(labels, folds=FOLDS, seed=seed, groups=self.groups(rows))
        strengths = strengths_dealt(-3, 1, np.random.default_rng(seed))
        weights = fitted(features, labels, part_of, strengths)

        def predicted(left_out: Left, C: int, part: int) -> Array:
            chances = 1 / (1 + np.exp(-features[part_of == part] @ weights[left_out, C]))
            return np.column_stack([1 - chances, chances])

        inner, probabilities, chosen = searched(labels, part_of, predicted)
        models = np.array([weights[each] for each in chosen])
        true = means([self.true_scores(each) for each in models])
        return Draw(labels, part_of, probabilities, inner, true, models)


def fitted(
    features: Array, labels: own.Codes, part_of: own.Codes, strengths: Array
) -> dict[tuple[Left, int], Array]:
    """Weights (p,) of every fit that leaves out one part or two, by these and the number of C."""
    wanted = [(parts, C) for parts in _left_out() for C in range(len(strengths))]
    masks = np.stack([~np.isin(part_of, list(parts)) for parts, _ in wanted], axis=1)
    at = strengths[[C for _, C in wanted]]
    fits = Fits(features, labels.astype(np.float64), masks.astype(np.float64), at)
    return dict(zip(wanted, fit_all(fits).T, strict=True))


def shift(logits: Array, share: float) -> float:
    """What makes the mean chance ``share``, by halving."""
    low, high = -20.0, 20.0
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (
            (middle, high) if (1 / (1 + np.exp(-(logits + middle)))).mean() < share
            else (low, middle)
        )  # fmt: skip
    return low


def means(scores: Sequence[Mapping[str, float]]) -> Array:
    """Means of scores (metrics,)."""
    return np.array([np.mean([each[metric] for each in scores]) for metric in own.METRICS])


@dataclass(frozen=True, slots=True, eq=False)
class Images:
    """Subsets of real images; the truth is the score on ``others`` images that are not in it."""

    data: own.Data
    others: int = 10_000

    def groups(self, rows: int) -> None:
        """There are none."""

    def draw(self, rows: int, random: np.random.Generator) -> Draw:
        """Draw and search, fitting by foldwise's own solver."""
        images, labels = self.data
        while True:
            picked = random.permutation(len(labels))
            inside, outside = np.sort(picked[:rows]), picked[rows : rows + self.others]
            if np.bincount(labels[inside], minlength=labels.max() + 1).min() >= FOLDS:
                break
        of_draw = images[inside], labels[inside]
        part_of = own.dealt(of_draw[1], folds=FOLDS, seed=int(random.integers(2**32)))
        strengths = strengths_dealt(-3.5, 0, random)
        wanted = [(parts, float(C)) for parts in _left_out() for C in strengths]
        models = own.models(of_draw, part_of, wanted, scale_floor=own.SCALE_FLOOR)

        def predicted(left_out: Left, C: int, part: int) -> Array:
            return own.probabilities(models[left_out, strengths[C]], of_draw[0][part_of == part])

        inner, probabilities, chosen = searched(of_draw[1], part_of, predicted)
        true = [
            own.score(
                own.probabilities(models[left, strengths[C]], images[outside]), labels[outside]
            )
            for left, C in chosen
        ]
        none = np.empty((FOLDS, 0))
        return Draw(of_draw[1], part_of, probabilities, inner, means(true), none)


@dataclass(frozen=True, slots=True)
class Cell:
    """So many data sets of one size from one source."""

    source: str
    rows: int
    draws: int


@cache
def source(name: str) -> Source:
    """The source called so: a kind of world, or MNIST."""
    return Images(own.mnist()) if name == "MNIST" else World.made(KINDS[name], seed=1)


def draws(cell: Cell, kept: Path = KEPT, *, make: bool = True) -> Iterator[Draw]:
    """The cell's draws, each with its own seed; without ``make`` those that are kept."""
    folder = kept / f"{cell.source}-{cell.rows}".replace(" % ", "-").replace(" ", "-")
    return kept_draws(Draw, lambda number: _draw(cell, number), cell.draws, folder, make=make)


def kept_draws(
    kind: Any, draw: Callable[[int], Any], number: int, folder: Path, *, make: bool
) -> Iterator[Any]:
    """So many draws, dataclasses of arrays, from the folder's files; the missing ones are made."""
    folder.mkdir(parents=True, exist_ok=True)
    names = [field.name for field in fields(kind)]
    for start in range(0, number, BATCH):
        file = folder / f"{start}.npz"
        if make and not file.exists():
            found = [draw(start + each) for each in range(BATCH)]
            partial = file.with_suffix(".partial.npz")
            arrays = {name: np.stack([getattr(of, name) for of in found]) for name in names}
            np.savez(partial, allow_pickle=False, **arrays)
            partial.replace(file)
        if file.exists():
            with np.load(file) as arrays:
                columns = [arrays[name] for name in names]
            yield from (kind(*row) for row in zip(*columns, strict=True))


def _draw(cell: Cell, number: int) -> Draw:
    return source(cell.source).draw(cell.rows, np.random.default_rng((1, cell.rows, number)))


@dataclass(frozen=True, slots=True)
class Cover:
    """Of one interval: the share of data sets where it held the truth, and its mean half-width.

    The half-width is in true standard deviations of the outer mean.
    """

    share: float
    half_width: float

    def __str__(self) -> str:
        return f"{self.share:.1%} ({self.half_width:.2f})"


@dataclass(frozen=True, slots=True, eq=False)
class Coverage:
    """What many data sets told: their number, expectations, covers by method and metric."""

    draws: int
    expected: dict[str, float]
    covers: dict[tuple[str, str], Cover]


def coverage(found: Iterator[Draw], groups: own.Codes | None = None) -> Coverage | None:
    """Make all intervals of each draw, and hold them against the expected score; None of none.

    Intervals are clustered by ``groups``, the group of each row.
    """
    truths, means, made = [], [], []
    for draw in found:
        folds = draw.folds()
        truths.append(draw.truth)
        means.append([np.mean([fold.scores[metric] for fold in folds]) for metric in own.METRICS])
        made.append(_intervals(folds, groups))
    if not truths:
        return None
    truth, spread = np.mean(truths, axis=0), np.std(means, axis=0, ddof=1)
    return Coverage(
        len(truths),
        dict(zip(own.METRICS, truth.tolist(), strict=True)),
        {
            (method, metric): _cover([each[method, metric] for each in made], truth[at], spread[at])
            for at, metric in enumerate(own.METRICS)
            for method in METHODS
        },
    )


def _intervals(
    folds: list[own.Fold], groups: own.Codes | None
) -> dict[tuple[str, str], own.Interval]:
    """The rows alone are the influence interval without what the training rows add."""
    given = [own.without_training(fold) for fold in folds]
    rows, whole = (own.outer_intervals(each, CONFIDENCE, groups) for each in (given, folds))
    found = {}
    for metric in own.METRICS:
        scores = [fold.scores[metric] for fold in folds]
        found["corrected", metric] = own.corrected_interval(scores, CONFIDENCE)
        found["rows alone", metric] = rows[metric]
        found["influence", metric] = whole[metric]
    return found


def _cover(intervals: list[own.Interval], truth: float, spread: float) -> Cover:
    held = np.mean([each.low <= truth <= each.high for each in intervals])
    return Cover(
        float(held), float(np.mean([(each.high - each.low) / 2 for each in intervals])) / spread
    )


@cache
def one_model() -> tuple[Array, own.Codes]:
    """What one model, trained on 1,500 images of MNIST, states of all others, and their codes."""
    images, labels = own.mnist()
    part_of = np.where(np.arange(len(labels)) < 1500, 0, 1)
    outside = frozenset({1})
    stated = own.predictions((images, labels), part_of, [(outside, 0.01)])[outside, 0.01, 1]
    return stated, labels[part_of == 1]


def holdout_coverage(rows: int, samples: int, seed: int) -> dict[str, tuple[float, float, float]]:
    """How often intervals of one model hold its score, by metric.

    It is scored on ``rows`` images, drawn with replacement from those that it wasn't trained on;
    the truth is its score on all of these. Shares of intervals that hold it, that lie below it, and
    above.
    """
    stated, codes = one_model()
    random = np.random.default_rng(seed)
    truth = own.score(stated, codes)
    found = []
    for _ in range(samples):
        drawn = random.integers(0, len(codes), rows)
        found.append(own.score_intervals(stated[drawn], codes[drawn], CONFIDENCE))
    told = {}
    for metric in own.METRICS:
        below = float(np.mean([each[metric].high < truth[metric] for each in found]))
        above = float(np.mean([each[metric].low > truth[metric] for each in found]))
        told[metric] = 1 - below - above, below, above
    return told
