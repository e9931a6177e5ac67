"""The holdout as tables: evaluation.json, and CSV of predictions, classes, curves and bins."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from foldwise.model.scores import METRICS, predicted_codes
from foldwise.model.scores.ranking import Rates
from foldwise.report.holdout import HoldoutSummary
from foldwise.report.judged import Judged
from foldwise.report.tables.text import DIGITS, Json, csv_text, rounded


def evaluation(holdout: HoldoutSummary) -> dict[str, Json]:
    """Tell the holdout's scores as flat keys, each with its interval: ``accuracy_low``, ..."""
    scores: dict[str, Json] = {}
    for metric in METRICS:
        interval = holdout.intervals[metric]
        scores[metric] = rounded(holdout.scores.value(metric))
        scores[f"{metric}_low"] = rounded(interval.low)
        scores[f"{metric}_high"] = rounded(interval.high)
    return {
        **scores,
        "calibration_error": rounded(holdout.calibration_error),
        "confidence": holdout.intervals[METRICS[0]].confidence,
        "rows": holdout.rows,
    }


def predictions_csv(judged: Judged) -> str:
    """List each row's actual and predicted class and the probability of each class."""
    header = ("row", "label", "predicted", *(f"p_{name}" for name in judged.classes))
    predicted = predicted_codes(judged.probabilities)
    return csv_text(
        header,
        (
            (
                row,
                judged.classes[judged.labels[row]],
                judged.classes[predicted[row]],
                *(f"{value:.{DIGITS}f}" for value in judged.probabilities[row].tolist()),
            )
            for row in range(len(predicted))
        ),
    )


def confusion_csv(holdout: HoldoutSummary) -> str:
    """List the confusion matrix, a cell a row: its images and their share of the actual class."""
    counts, names = holdout.confusion, holdout.classes
    totals = np.maximum(counts.sum(axis=1), 1)
    return csv_text(
        ("actual", "predicted", "images", "share"),
        (
            (names[actual], names[predicted], images, rounded(float(images / totals[actual])))
            for (actual, predicted), images in np.ndenumerate(counts)
        ),
    )


def mistakes_csv(holdout: HoldoutSummary) -> str:
    """List actual and predicted class of each mistake: DVC's template of a confusion counts rows.

    Sorted by cell, so that it doesn't say which row was which.
    """
    counts, names = holdout.confusion, holdout.classes
    return csv_text(
        ("actual", "predicted"),
        (
            (names[actual], names[predicted])
            for (actual, predicted), images in np.ndenumerate(counts)
            for _ in range(images if actual != predicted else 0)
        ),
    )


def per_class_csv(holdout: HoldoutSummary) -> str:
    """List each class's scores, F1 with its interval."""
    header = ("class", "precision", "recall", "f1", "f1_low", "f1_high", "roc_auc", "support")
    rows = zip(holdout.classes, holdout.by_class, holdout.f1_intervals, strict=True)
    return csv_text(
        header,
        (
            (
                name,
                *map(rounded, (each.precision, each.recall, each.f1)),
                *map(rounded, (interval.low, interval.high, each.roc_auc)),
                each.support,
            )
            for name, each, interval in rows
        ),
    )


def roc_csv(holdout: HoldoutSummary) -> str:
    """List the points of each class's ROC curve, thinned, and at each the mean over the classes.

    The area under the means is the macro-averaged one.
    """
    header = ("class", "false_positive_rate", "true_positive_rate", "mean_true_positive_rate")
    return csv_text(
        header,
        (
            (name, *map(rounded, point))
            for name, (false, true) in zip(holdout.classes, holdout.curves, strict=True)
            for point in zip(false, true, _mean_true(false, holdout.curves), strict=True)
        ),
    )


def _mean_true(false: NDArray[np.float64], curves: Sequence[Rates]) -> NDArray[np.float64]:
    """Average the classes' true positive rates; of an upright piece the upper end counts."""
    each = [np.interp(false, *curve) for curve in curves]
    return np.asarray(np.mean(each, axis=0))


def calibration_csv(holdout: HoldoutSummary) -> str:
    """List the reliability table."""
    header = ("confidence", "accuracy", "rows", "low", "high")
    return csv_text(
        header,
        (
            (
                rounded(each.confidence),
                rounded(each.accuracy),
                each.rows,
                rounded(each.low),
                rounded(each.high),
            )
            for each in holdout.bins
        ),
    )
