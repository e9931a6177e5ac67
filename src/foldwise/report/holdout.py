"""The holdout in numbers: scores, intervals, classes and curves, computed once."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from foldwise.model.scores import (
    ClassScores,
    ReliabilityBin,
    Scores,
    calibration_error,
    confusion,
    per_class,
    reliability,
    roc_curve_points,
    score,
)
from foldwise.model.scores.ranking import Rates
from foldwise.report.judged import Judged
from foldwise.search.intervals import Interval, bootstrap_intervals, class_f1_intervals

ROC_POINTS = 150
"""Points of a ROC curve: more can't be seen, and would make roc.csv and the plots heavy."""


@dataclass(frozen=True, slots=True, eq=False)
class HoldoutSummary:
    """What a model's predictions on the holdout come to.

    Attributes
    ----------
    rows : int
    classes : str, one a class
    scores : Scores
    intervals : mapping of metric to Interval
        Bootstrap over the rows: the model is taken as given.
    calibration_error : float
    bins : reliability table
    confusion : int64 array (classes, classes), actual by predicted
    by_class, f1_intervals, curves : one a class
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


def summarise_holdout(
    judged: Judged, *, draws: int, confidence: float, seed: int
) -> HoldoutSummary:
    """Score the holdout's predictions; the bootstrap of ``draws`` takes nearly all of the time."""
    probabilities, labels = judged.probabilities, judged.labels
    return HoldoutSummary(
        rows=len(labels),
        classes=tuple(judged.classes),
        scores=score(probabilities, labels),
        intervals=bootstrap_intervals(
            probabilities, labels, draws=draws, confidence=confidence, seed=seed
        ),
        calibration_error=calibration_error(probabilities, labels),
        bins=reliability(probabilities, labels),
        confusion=confusion(probabilities, labels),
        by_class=per_class(probabilities, labels),
        f1_intervals=class_f1_intervals(
            probabilities, labels, draws=draws, confidence=confidence, seed=seed
        ),
        curves=roc_curve_points(probabilities, labels, ROC_POINTS),
    )
