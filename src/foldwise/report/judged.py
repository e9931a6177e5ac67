"""A model's answers held against the labels: its mistakes, and scores that may be shown."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from foldwise.report.wording import brief, percent
from foldwise.search.jobs import Predictions
from foldwise.stats.intervals import Interval, f1_intervals, score_intervals
from foldwise.stats.scores import (
    METRIC,
    PUBLISHED,
    ClassScores,
    Rates,
    ReliabilityBin,
    Scores,
    calibration_error,
    confusion,
    per_class,
    predicted_codes,
    published,
    reliability,
    roc_curve_points,
)


@dataclass(frozen=True, slots=True, eq=False)
class Judged:
    """Rows, their labels and predicted probabilities, or decision scores in their place.

    ``images`` are bytes (rows, features), each of one ``shape``, or a table's data frame; rows with
    one number in ``groups`` (rows,) were drawn together.
    """

    images: Any
    labels: NDArray[np.int64]
    probabilities: NDArray[np.float64]
    classes: Sequence[str]
    shape: tuple[int, ...]
    are_probabilities: bool = True
    groups: NDArray[np.int64] | None = None

    def mistakes(self) -> NDArray[np.int64]:
        """Row numbers of the wrong predictions, the most confident first."""
        confidence = self.probabilities.max(axis=1)
        wrong = np.flatnonzero(predicted_codes(self.probabilities) != self.labels)
        return wrong[np.argsort(-confidence[wrong], kind="stable")]

    def confusions(self) -> tuple[NDArray[np.int64], ...]:
        """Row numbers of each confused pair's wrong predictions, the most confident first.

        A pair is an actual and a predicted class; the commonest comes first.
        """
        rows = self.mistakes()
        pairs = np.stack([self.labels[rows], predicted_codes(self.probabilities[rows])], axis=1)
        each = [rows[(pairs == pair).all(axis=1)] for pair in np.unique(pairs, axis=0)]
        return tuple(sorted(each, key=len, reverse=True))

    def verdict(self, row: int) -> str:
        """Actual class, predicted class and its probability: ``4 → 9 (98.1 %)``.

        Names too long for one line are put on lines of their own.
        """
        code = int(self.probabilities[row].argmax())
        actual, predicted = brief(self.classes[self.labels[row]]), brief(self.classes[code])
        sure = percent(float(self.probabilities[row, code]))
        if max(map(len, self.classes)) > 3:
            return f"{actual}\n→ {predicted}\n{sure}"
        return f"{actual} → {predicted} ({sure})"


ROC_POINTS = 150
"""Points of a ROC curve: more can't be seen, and would make roc.csv and the plots heavy."""


@dataclass(frozen=True, slots=True, eq=False)
class HoldoutSummary:
    """What a model's predictions on the holdout come to, in the digits that may be shown.

    ``intervals``, by metric, take the model as given; decision scores have no log-loss. There are
    counts by actual and predicted class, and one of ``by_class``, ``f1_intervals`` and ``curves``
    for each class.
    """

    rows: int
    classes: tuple[str, ...]
    scores: Scores
    intervals: Mapping[str, Interval]
    calibration_error: float
    bins: tuple[ReliabilityBin, ...]
    confusion: NDArray[np.int64]
    by_class: tuple[ClassScores, ...]
    f1_intervals: tuple[Interval, ...]
    curves: tuple[Rates, ...]
    are_probabilities: bool = True


def summarise_holdout(judged: Judged, *, confidence: float) -> HoldoutSummary:
    """Score the holdout's predictions."""
    probabilities, labels, real = judged.probabilities, judged.labels, judged.are_probabilities
    intervals = score_intervals(probabilities, labels, confidence, judged.groups)
    error = calibration_error(probabilities, labels) if real else float("nan")
    bins = reliability(probabilities, labels) if real else ()
    by_class = per_class(probabilities, labels)
    return HoldoutSummary(
        rows=len(labels),
        classes=tuple(judged.classes),
        scores=published(Predictions(probabilities, real).scores(labels)),
        intervals={m: _told(m, of) for m, of in intervals.items() if real or m != "log_loss"},
        calibration_error=round(error, PUBLISHED),
        bins=tuple(replace(each, confidence=round(each.confidence, PUBLISHED)) for each in bins),
        confusion=confusion(probabilities, labels),
        by_class=tuple(replace(each, roc_auc=round(each.roc_auc, PUBLISHED)) for each in by_class),
        f1_intervals=f1_intervals(probabilities, labels, confidence, judged.groups),
        curves=roc_curve_points(probabilities, labels, ROC_POINTS),
        are_probabilities=real,
    )


def _told(metric: str, interval: Interval) -> Interval:
    """In the digits that may be shown, outwards: rounded to one another its ends would meet."""
    if METRIC[metric].counts or math.isnan(interval.low):
        return interval
    scale = 10**PUBLISHED
    low, high = math.floor(interval.low * scale), math.ceil(interval.high * scale)
    return replace(interval, low=low / scale, high=high / scale)
