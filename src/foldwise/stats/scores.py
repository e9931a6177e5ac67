"""Scores of predicted probabilities: the table of metrics, and what lies behind each of them.

Counts say who was taken for whom, ranks how well a class is told from the rest, the reliability
table whether probabilities can be taken at their word. A metric is one entry of the table: a
function of rows, as scikit-learn defines it, and a mean of terms, of which each row's influence is
known.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, SupportsFloat

import numpy as np
from numpy.typing import NDArray

from foldwise.stats.influence import (
    Array,
    Codes,
    Flags,
    Terms,
    area_terms,
    f1_terms,
    loss_terms,
    share_terms,
)


def predicted_codes(probabilities: Array) -> Codes:
    """Most probable class of each row of probabilities (rows, classes); the first one if tied."""
    return np.asarray(probabilities.argmax(axis=1), dtype=np.int64)


def confusion(probabilities: Array, labels: Codes) -> Codes:
    """Rows counted by true (first axis) and predicted class: an array (classes, classes)."""
    classes = probabilities.shape[1]
    cells = np.asarray(labels, dtype=np.int64) * classes + predicted_codes(probabilities)
    return np.bincount(cells, minlength=classes * classes).reshape(classes, classes)


@dataclass(frozen=True, slots=True, eq=False)
class ClassCounts:
    """What precision, recall and F1 are made of, counted per class.

    The arrays end in an axis of classes; axes before it are separate cases (bootstrap draws).
    Counts may be weighted.
    """

    hits: Array  # rows of the class that were predicted as it
    true: Array  # rows of the class
    predicted: Array  # rows predicted as it

    @classmethod
    def of(cls, counts: Codes) -> "ClassCounts":
        """Counts of a confusion matrix."""
        whole = counts.astype(np.float64)
        return cls(np.diagonal(whole).copy(), whole.sum(axis=1), whole.sum(axis=0))

    @property
    def precision(self) -> Array:
        """Share of the rows predicted as the class that are of it; 0 if there are none."""
        return _ratio(self.hits, self.predicted)

    @property
    def recall(self) -> Array:
        """Share of the class's rows that were predicted as it; 0 if there are none."""
        return _ratio(self.hits, self.true)

    @property
    def f1(self) -> Array:
        """Harmonic mean of precision and recall; 0 if the class neither occurs nor is predicted."""
        return _ratio(2 * self.hits, self.true + self.predicted)

    @property
    def accuracy(self) -> Array:
        """Share of all rows that were predicted right."""
        return np.asarray(self.hits.sum(axis=-1) / self.true.sum(axis=-1))

    def macro(self, values: Array) -> Array:
        """Unweighted mean of per-class values over the classes that occur or are predicted.

        As scikit-learn's ``average="macro"``.
        """
        counted = self.true + self.predicted > 0
        return np.asarray((values * counted).sum(axis=-1) / counted.sum(axis=-1))


def _ratio(part: Array, whole: Array) -> Array:
    return np.divide(part, whole, out=np.zeros_like(part), where=whole > 0)


Rates = tuple[Array, Array]
"""False and true positive rates, ascending from 0 to 1."""


@dataclass(frozen=True, slots=True, eq=False)
class ThresholdCurve:
    """What calling positive whatever reaches a threshold finds, for each that matters."""

    thresholds: Array  # (points,): the distinct values, falling
    hits: Codes  # (points,): positive rows that reach it
    alarms: Codes  # (points,): negative ones

    @classmethod
    def of(cls, values: Array, positive: Flags) -> "ThresholdCurve":
        """The curve of ``values`` (rows,)."""
        order = np.argsort(-values, kind="stable")
        ranked = values[order]
        # Rows level with the next one are passed together with it.
        ends = np.append(np.flatnonzero(np.diff(ranked)), len(ranked) - 1)
        hits = np.cumsum(positive[order])[ends]
        return cls(ranked[ends], hits, ends + 1 - hits)

    @property
    def recall(self) -> Array:
        """True positive rate (points,), up to 1."""
        return np.asarray(self.hits / self.hits[-1])

    @property
    def false_positive_rate(self) -> Array:
        """Share of the negative rows that reach it (points,), up to 1."""
        return np.asarray(self.alarms / self.alarms[-1])

    @property
    def precision(self) -> Array:
        """Share of the rows that reach it that are positive (points,)."""
        return np.asarray(self.hits / (self.hits + self.alarms))


def area_under_curve(values: Array, positive: Flags) -> float:
    """Area under the ROC curve of ``values`` (rows,), by ranks; ties count half.

    It is the chance that a positive row has a larger value than a negative one (Mann-Whitney):

        sum over positives of (negatives below + half the negatives level) / (positives * negatives)

    NaN if there are no positive or no negative rows.
    """
    inside, outside = np.sort(values[positive]), np.sort(values[~positive])
    if not len(inside) or not len(outside):
        return float("nan")
    below = np.searchsorted(outside, inside, side="left")
    not_above = np.searchsorted(outside, inside, side="right")
    wins = int(below.sum()) + int(not_above.sum())
    return wins / (2 * len(inside) * len(outside))


def areas_by_class(probabilities: Array, labels: Codes) -> Array:
    """Area under each class's ROC curve (classes,); NaN for a class without rows, or with all."""
    columns = np.ascontiguousarray(probabilities.T)
    return np.array(
        [area_under_curve(column, labels == code) for code, column in enumerate(columns)]
    )


def roc_curve_points(probabilities: Array, labels: Codes, points: int) -> tuple[Rates, ...]:
    """Each class's ROC curve, thinned to at most ``points`` of its own corners (at least 2).

    They are spread evenly over the curve as drawn with both error rates on square-root axes, so
    that most of them lie in the upper left, where curves of good models differ.
    A class without rows, or with all of them, has the diagonal.
    """
    columns = np.ascontiguousarray(probabilities.T)
    return tuple(
        _thinned(_curve(column, labels == code), points) for code, column in enumerate(columns)
    )


def _curve(values: Array, positive: Flags) -> Rates:
    if positive.all() or not positive.any():
        return np.array([0.0, 1.0]), np.array([0.0, 1.0])
    curve = ThresholdCurve.of(values, positive)
    return np.append(0, curve.false_positive_rate), np.append(0, curve.recall)


def _thinned(rates: Rates, points: int) -> Rates:
    false, true = rates
    if len(false) <= points:
        return rates
    length = np.sqrt(false) - np.sqrt(1 - true)
    wanted = np.linspace(length[0], length[-1], points)
    kept = np.unique(np.searchsorted(length, wanted))
    return false[kept], true[kept]


@dataclass(frozen=True, eq=False)  # no slots: what several metrics are made of is kept
class Rows:
    """Predicted rows, of which the metrics are made."""

    probabilities: Array  # (rows, classes)
    labels: Codes  # (rows,)
    part_of: Codes | None = None  # (rows,): which model predicted each, where not all are of one

    @cached_property
    def counts(self) -> ClassCounts:
        """Who was taken for whom, by class."""
        return ClassCounts.of(confusion(self.probabilities, self.labels))

    @cached_property
    def is_true(self) -> Flags:
        """Which rows are of each class that occurs or is predicted (rows, codes)."""
        return np.asarray(self.labels[:, np.newaxis] == self._codes)

    @cached_property
    def is_found(self) -> Flags:
        """Which rows are predicted as each of these classes (rows, codes)."""
        return np.asarray(predicted_codes(self.probabilities)[:, np.newaxis] == self._codes)

    @property
    def is_hit(self) -> Flags:
        """Which are both (rows, codes)."""
        return self.is_true & self.is_found

    @property
    def is_right(self) -> Flags:
        """Which rows are predicted as what they are (rows, 1)."""
        return np.asarray(self.is_hit.any(axis=1, keepdims=True))

    @property
    def _codes(self) -> Codes:
        return np.union1d(self.labels, predicted_codes(self.probabilities))


@dataclass(frozen=True, slots=True)
class Figure:
    """What a model is judged by: how it is called, which way it improves, and how far it can go.

    Between its ends, lowest and highest, an interval is Wilson's unless it is a loss's.
    """

    name: str  # in files and settings
    scorer: str  # scikit-learn's, which has the negative of a loss
    judges: Literal["answers", "order", "probabilities"] = "answers"  # answers are merely counted
    is_loss: bool = False
    lowest: float = 0.0
    highest: float = 1.0
    like: str = ""  # where inner folds don't tell it, the metric most alike that they tell


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric(Figure):
    """A figure that is scored wherever there are classes, and may be selected by.

    ``trained`` is what of the jackknife an outer interval counts for the rows trained on, found by
    trials.
    """

    label: str  # for people
    unit: str = ""
    of: Callable[[Rows], SupportsFloat]
    terms: Callable[[Rows], Terms]  # whose mean it is, with each row's influence on them
    trained: float = 0.5

    @property
    def counts(self) -> bool:
        """Whether it is made of counted rows alone; others are told of a holdout in few digits."""
        return self.judges == "answers"


def row_losses(probabilities: NDArray[np.floating], labels: Codes) -> Array:
    """Each row's log-loss: minus the natural logarithm of its true class's probability (rows,).

    Clipped by the machine precision of the probabilities' type, so that it is finite.
    """
    stated = probabilities[np.arange(len(labels)), labels]
    precision = np.finfo(stated.dtype).eps
    return np.asarray(-np.log(np.clip(stated, precision, 1 - precision)))


_TABLE = (
    Metric(
        "accuracy",
        "accuracy",
        label="accuracy",
        of=lambda rows: rows.counts.accuracy,
        terms=lambda rows: share_terms(rows.is_right, np.ones_like(rows.is_right)),
        trained=0.25,  # flips of rows at the border mostly cancel
    ),
    Metric(
        "precision",
        "precision_macro",
        label="precision",
        of=lambda rows: rows.counts.macro(rows.counts.precision),
        terms=lambda rows: share_terms(rows.is_hit, rows.is_found),
    ),
    Metric(
        "recall",
        "recall_macro",
        label="recall",
        of=lambda rows: rows.counts.macro(rows.counts.recall),
        terms=lambda rows: share_terms(rows.is_hit, rows.is_true),
    ),
    Metric(
        "f1",
        "f1_macro",
        label="F1",
        of=lambda rows: rows.counts.macro(rows.counts.f1),
        terms=lambda rows: f1_terms(rows.is_true, rows.is_found),
    ),
    Metric(
        "roc_auc",
        "roc_auc_ovr",
        "order",
        label="ROC AUC",
        of=lambda rows: _roc_auc(rows.probabilities, rows.labels),
        terms=lambda rows: area_terms(rows.probabilities, rows.labels, rows.part_of),
    ),
    Metric(
        "log_loss",
        "neg_log_loss",
        "probabilities",
        is_loss=True,
        highest=math.inf,
        label="log-loss",
        unit="nats per row",
        of=lambda rows: row_losses(rows.probabilities, rows.labels).mean(),
        terms=lambda rows: loss_terms(row_losses(rows.probabilities, rows.labels)),
    ),
)
METRIC: Mapping[str, Metric] = {metric.name: metric for metric in _TABLE}
METRICS = tuple(METRIC)
SCORE = "score"
"""What somebody's own scorer gave, beside the metrics: larger is better."""


def is_loss(metric: str) -> bool:
    """Whether smaller is better; of a score that the table doesn't know, larger is."""
    return metric in METRIC and METRIC[metric].is_loss


def metric_label(metric: str) -> str:
    """Name the metric as people write it: ``log-loss``, ``ROC AUC``; any other by itself."""
    return METRIC[metric].label if metric in METRIC else metric


def metric_terms(
    probabilities: Array, labels: Codes, part_of: Codes | None = None
) -> Mapping[str, Terms]:
    """The terms whose means :func:`score` tells, by metric; without ``part_of`` all are of one."""
    rows = Rows(probabilities, labels, part_of)
    return {name: metric.terms(rows) for name, metric in METRIC.items()}


def class_f1_terms(probabilities: Array, labels: Codes) -> tuple[Terms, ...]:
    """Each class's F1 as a metric of its own, by class code."""
    codes = range(probabilities.shape[1])
    found = predicted_codes(probabilities)
    return tuple(
        f1_terms(*((each == code)[:, np.newaxis] for each in (labels, found))) for code in codes
    )


Scores = Mapping[str, float]
"""The metrics by name; precision, recall, F1 and ROC AUC are macro averages over classes."""


@dataclass(frozen=True, slots=True)
class ClassScores:
    """One class against the rest; ``support`` counts the rows of the class."""

    precision: float
    recall: float
    f1: float
    support: int
    roc_auc: float


PUBLISHED = 3
"""Decimals of a holdout's figure that isn't counted, wherever a challenger's author may see it."""


def published(figures: Mapping[str, float]) -> dict[str, float]:
    """Figures of a holdout by metric, as they are told before a decision."""
    return {
        name: told if METRIC[name].counts else round(told, PUBLISHED)
        for name, told in figures.items()
    }


def completed(scores: Scores) -> Scores:
    """Scores told before a metric was known, with NaN for it: there is no figure, and no fault."""
    return {**dict.fromkeys(METRICS, math.nan), **scores}


def score(probabilities: Array, labels: Codes) -> Scores:
    """Score probabilities (rows, classes) against class codes (rows,), by scikit-learn's formulas.

    Precision, recall and F1 are means over the classes that occur among the labels or the
    predictions (``average="macro"``, ``zero_division=0``). ROC AUC is the mean over classes, one
    against the rest; with two classes the plain AUC. Where scikit-learn refuses, because the rows
    lack a class, it is the mean over the classes that occur, and NaN if only one does.

    Examples
    --------
    >>> import numpy as np
    >>> from foldwise import score
    >>> told = score(np.array([[0.9, 0.1], [0.2, 0.8], [0.6, 0.4]]), np.array([0, 1, 1]))
    >>> round(told["accuracy"], 3), round(told["roc_auc"], 3)
    (0.667, 1.0)
    """
    rows = Rows(probabilities, labels)
    return {name: float(metric.of(rows)) for name, metric in METRIC.items()}


def per_class(probabilities: Array, labels: Codes) -> tuple[ClassScores, ...]:
    """Every class's own scores, by code. A class without rows has NaN for ``roc_auc``."""
    counts = ClassCounts.of(confusion(probabilities, labels))
    columns = (
        counts.precision.tolist(),
        counts.recall.tolist(),
        counts.f1.tolist(),
        counts.true.astype(int).tolist(),
        areas_by_class(probabilities, labels).tolist(),
    )
    return tuple(ClassScores(*row) for row in zip(*columns, strict=True))


def _roc_auc(probabilities: Array, labels: Codes) -> float:
    if probabilities.shape[1] == 2:
        return area_under_curve(probabilities[:, 1], np.asarray(labels == 1))
    areas = areas_by_class(probabilities, labels)
    return float("nan") if np.isnan(areas).all() else float(np.nanmean(areas))


@dataclass(frozen=True, slots=True)
class ReliabilityBin:
    """The rows whose confidence, the probability of the predicted class, lies in (low, high].

    ``confidence`` is their mean confidence, ``accuracy`` the share predicted right.
    """

    low: float
    high: float
    rows: int
    confidence: float
    accuracy: float


def reliability(probabilities: Array, labels: Codes, bins: int = 15) -> tuple[ReliabilityBin, ...]:
    """Confidence against accuracy in ``bins`` equal slices of [0, 1]; empty ones are left out."""
    confidence = probabilities.max(axis=1)
    right = predicted_codes(probabilities) == labels
    slices = np.clip(np.ceil(confidence * bins).astype(np.int64) - 1, 0, bins - 1)
    rows = np.bincount(slices, minlength=bins)
    stated = np.bincount(slices, weights=confidence, minlength=bins)
    found = np.bincount(slices, weights=right, minlength=bins)
    return tuple(
        ReliabilityBin(
            low=index / bins,
            high=(index + 1) / bins,
            rows=int(rows[index]),
            confidence=float(stated[index] / rows[index]),
            accuracy=float(found[index] / rows[index]),
        )
        for index in np.flatnonzero(rows)
    )


_CHANCE = 0.7257
"""Share of a slice's variance by chance that, taken off, leaves nothing of chance on average: the
c with E[sgn(z^2 - c) sqrt|z^2 - c|] = 0 for normal z."""


def calibration_error(probabilities: Array, labels: Codes, bins: int = 15) -> float:
    """Expected calibration error of the predicted class, without what chance adds to it.

    The mean of |accuracy - confidence| over rows by their slice in :func:`reliability` (Guo et al.,
    2017, "On calibration of modern neural networks") is above 0 of a perfectly calibrated model
    too, the more so the fewer the rows. So from each slice's squared difference d^2 is taken what
    n rows that do come true at the confidence q would show,

        sum_slices n/rows sgn(e) sqrt|e|,    e = d^2 - 0.7257 q (1 - q) / n,

    which is 0 on average then, and near |d| where that is large. Never below 0.
    """
    error = 0.0
    for each in reliability(probabilities, labels, bins):
        stated = min(each.confidence, 1.0)
        chance = _CHANCE * stated * (1 - stated) / each.rows
        excess = (each.accuracy - each.confidence) ** 2 - chance
        error += each.rows * math.copysign(math.sqrt(abs(excess)), excess)
    return max(0.0, error / len(labels))
