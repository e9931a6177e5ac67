"""Tables: results in, JSON-able documents and CSV text out; no clock, no run id, no version.

The search as tables: tuning.json, trials.csv, and the curves that ``dvc plots`` draws.

The holdout as tables: evaluation.json, and CSV of predictions, classes, curves and bins.
"""

import math
from collections.abc import Sequence
from dataclasses import asdict

import numpy as np
from numpy.typing import NDArray

from foldwise.report.findings import HoldoutSummary, Judged
from foldwise.report.wording import DIGITS, Json, csv_text, rounded, significant
from foldwise.search.summary import FoldSummary, SearchSummary, curves
from foldwise.search.trials import SearchResult, Values
from foldwise.settings import Value
from foldwise.stats.scores import METRICS, Rates, predicted_codes


def tuning(search: SearchSummary) -> dict[str, Json]:
    """Tell the search as a JSON document.

    Numbers to be compared between revisions stand at the top; ``dvc metrics`` shows these alone,
    because it passes over lists. ``intervals`` and ``folds`` are lists for that reason.
    """
    folds = [_fold(search, fold) for fold in search.folds]
    return {
        "metric": search.metric,
        **_values(search.values),
        f"inner_{search.metric}": rounded(search.inner),
        **{f"outer_{metric}": rounded(each.mean) for metric, each in search.outer.items()},
        "optimism": rounded(float(np.mean([fold.optimism for fold in search.folds]))),
        "at_edge": bool(search.edges) or any(fold.edges for fold in search.folds),
        "trials": search.trials,
        "fits": asdict(search.fits),
        "range": {n: [each.low, each.high] for n, each in search.space.ranges.items()},
        "intervals": [_interval(search, metric) for metric in search.outer],
        "folds": folds,
    }


def _interval(search: SearchSummary, metric: str) -> Json:
    each = search.outer[metric]
    pooled = each.pooled
    return {
        "metric": metric,
        "mean": rounded(each.mean),
        "spread": rounded(each.spread),
        "confidence": each.corrected.confidence,
        "low": rounded(each.corrected.low),
        "high": rounded(each.corrected.high),
        "method": f"{each.corrected.method}, conservative",
        "pooled_low": rounded(pooled.low) if pooled else None,
        "pooled_high": rounded(pooled.high) if pooled else None,
    }


def _fold(search: SearchSummary, fold: FoldSummary) -> Json:
    return {
        "fold": fold.fold,
        **_values(fold.values),
        "trial": fold.trial,
        "at_edge": bool(fold.edges),
        f"inner_{search.metric}": rounded(fold.inner),
        "optimism": rounded(fold.optimism),
        **{f"outer_{metric}": rounded(fold.scores[metric]) for metric in METRICS},
    }


def _cells(value: float | None) -> tuple[float | None, float | None]:
    if value is None:
        return None, None
    return significant(value), rounded(math.log10(value)) if value > 0 else None


def _values(values: Values) -> dict[str, Json]:
    return {n: significant(v) if isinstance(v, float) else v for n, v in values.items()}


def _whole(value: Value) -> Value:
    return repr(value) if isinstance(value, float) else value


def trials_csv(result: SearchResult) -> str:
    """List every inner fold of every trial, sorted by study, trial and part.

    Values have all their digits, so that a trial can be repeated.
    """
    names = tuple(result.space.dimensions)
    header = ("study", "trial", *names, "part", *METRICS, "status", "iterations")
    return csv_text(
        header,
        (
            (
                trial.study,
                trial.number,
                *(_whole(trial.values[name]) for name in names),
                fold.part.fold,
                *(rounded(fold.scores[metric]) for metric in METRICS),
                fold.facts.get("status"),
                fold.facts.get("iterations"),
            )
            for trial in result.trials
            for fold in trial.inner
        ),
    )


def curve_csv(result: SearchResult) -> str:
    """List each study's mean inner score by each number, and how much worse than its best, paired.

    The first numeric parameter heads the second column; further ones follow in rows of their own.
    ``log10_...`` is for plots whose axis knows no logarithm, such as those of DVC's templates.
    """
    ranges = result.space.ranges
    heads = [name for each in ranges for name in (each, f"log10_{each}")]
    header = ("study", *heads, "inner_score", "worse_than_best", "standard_error")
    return csv_text(
        header,
        (
            (
                curve.study,
                *(cell for of in ranges for cell in _cells(point.value if of == name else None)),
                rounded(point.score),
                rounded(point.excess),
                rounded(point.error),
            )
            for name in ranges
            for curve in curves(result, name)
            for point in curve.points
        ),
    )


def evaluation(holdout: HoldoutSummary) -> dict[str, Json]:
    """Tell the holdout's scores as flat keys, each with its interval: ``accuracy_low``, ..."""
    scores: dict[str, Json] = {}
    for metric in METRICS:
        interval = holdout.intervals[metric]
        scores[metric] = rounded(holdout.scores[metric])
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
