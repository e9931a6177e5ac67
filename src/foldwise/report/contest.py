"""The comparison's models side by side: summary, tables and pictures.

The comparison in numbers: each classifier's scores, costs and predictions on the holdout.

The comparison as tables: a JSON document a classifier, and CSV of all of them and of all pairs.

Their times are as measured: they differ from run to run, the rest does not.

The pictures of the comparison, drawn and described.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from foldwise.compare.archive import EntryResult
from foldwise.report.album import confusion_and_roc
from foldwise.report.figures.contest import ModelCost, accuracy_against_time
from foldwise.report.figures.style import drawn
from foldwise.report.findings import ROC_POINTS
from foldwise.report.picture import Picture
from foldwise.report.wording import Json, csv_of, rounded, significant, values_text
from foldwise.settings import Entry
from foldwise.stats.intervals import Interval, bootstrap_intervals
from foldwise.stats.paired import Pair, compare_pairs
from foldwise.stats.scores import (
    METRICS,
    ClassScores,
    Rates,
    Scores,
    calibration_error,
    confusion,
    per_class,
    predicted_codes,
    roc_curve_points,
)


@dataclass(frozen=True, slots=True, eq=False)
class ModelSummary:
    """One classifier of the comparison.

    Attributes
    ----------
    entry, result
        What it is and what became of it.
    scores, intervals
        On the holdout; a log-loss only where probabilities are real: NaN, and no interval.
    calibration_error : float or None
        None where there are no probabilities.
    confusion, by_class, curves
        As in the main job's report.
    right : bool array (rows,)
        Which holdout rows it predicted right.
    """

    entry: Entry
    result: EntryResult
    scores: Scores
    intervals: Mapping[str, Interval]
    calibration_error: float | None
    confusion: NDArray[np.int64]
    by_class: tuple[ClassScores, ...]
    curves: tuple[Rates, ...]
    right: NDArray[np.bool_]


def summarise_model(
    entry: Entry,
    result: EntryResult,
    labels: NDArray[np.int64],
    *,
    draws: int,
    confidence: float,
    seed: int,
) -> ModelSummary:
    """Score an entry's predictions on the holdout; the bootstrap takes nearly all of the time."""
    values, real = result.predictions.values, result.predictions.are_probabilities
    intervals = bootstrap_intervals(values, labels, draws=draws, confidence=confidence, seed=seed)
    return ModelSummary(
        entry=entry,
        result=result,
        scores=result.predictions.scores(labels),
        intervals={m: intervals[m] for m in METRICS if real or m != "log_loss"},
        calibration_error=calibration_error(values, labels) if real else None,
        confusion=confusion(values, labels),
        by_class=per_class(values, labels),
        curves=roc_curve_points(values, labels, ROC_POINTS),
        right=predicted_codes(values) == labels,
    )


def summarise_pairs(models: Sequence[ModelSummary]) -> tuple[Pair, ...]:
    """McNemar's test of all pairs, corrected for their number."""
    return compare_pairs({model.entry.name: model.right for model in models})


def model_report(model: ModelSummary) -> dict[str, Json]:
    """Tell one classifier's result; numbers to be compared stand at the top."""
    result, best = model.result, model.result.best_trial
    scores: dict[str, Json] = {}
    for metric, interval in model.intervals.items():
        scores[metric] = rounded(model.scores[metric])
        scores[f"{metric}_low"] = rounded(interval.low)
        scores[f"{metric}_high"] = rounded(interval.high)
    if model.calibration_error is not None:
        scores["calibration_error"] = rounded(model.calibration_error)
    return {
        "title": model.entry.title,
        **scores,
        f"inner_{model.entry.metric}": rounded(best.mean(model.entry.metric)),
        "inner_accuracy": rounded(best.mean("accuracy")),
        "best": {name: significant(value) for name, value in best.values.items()},
        "trials": len(result.trials),
        "tuning_rows": model.entry.rows,
        "fit_seconds": round(result.fit_seconds, 1),
        "predict_seconds": round(result.predict_seconds, 1),
        "threads": result.threads,
    }


def models_csv(models: Sequence[ModelSummary]) -> str:
    """List the classifiers with their holdout scores and times."""
    return csv_of(map(_row, models))


def pairs_csv(pairs: Sequence[Pair]) -> str:
    """List McNemar's tests: the rows that one of two got right alone, and the p-values."""
    return csv_of(
        (
            {
                "first": pair.first,
                "second": pair.second,
                "first_only": pair.test.gained,
                "second_only": pair.test.lost,
                "p_value": f"{pair.test.p:.3g}",
                "p_value_holm": f"{pair.adjusted:.3g}",
            }
            for pair in pairs
        ),
        ("first", "second", "first_only", "second_only", "p_value", "p_value_holm"),
    )


def _row(model: ModelSummary) -> dict[str, object]:
    return {
        "model": model.entry.name,
        "title": model.entry.title,
        "best": values_text(model.result.best_trial.values),
        **{metric: model.scores[metric] for metric in METRICS},
        "accuracy_low": model.intervals["accuracy"].low,
        "accuracy_high": model.intervals["accuracy"].high,
        "calibration_error": model.calibration_error,
        "fit_seconds": round(model.result.fit_seconds, 1),
        "predict_seconds": round(model.result.predict_seconds, 1),
    }


def model_pictures(model: ModelSummary, classes: Sequence[str]) -> tuple[Picture, ...]:
    """Draw one classifier's ``confusion`` matrix and ``roc`` curves on the holdout."""
    areas = [each.roc_auc for each in model.by_class]
    return confusion_and_roc(model.confusion, model.curves, areas, classes)


def contest_pictures(
    models: Sequence[ModelSummary], *, rows: int, holdout: int
) -> tuple[Picture, ...]:
    """Draw ``accuracy_time``: what each classifier's accuracy costs."""
    costs = [
        ModelCost(
            title=model.entry.title,
            accuracy=model.scores["accuracy"],
            low=model.intervals["accuracy"].low,
            high=model.intervals["accuracy"].high,
            fit_seconds=model.result.fit_seconds,
            predict_seconds=model.result.predict_seconds,
        )
        for model in models
    ]
    return (drawn("accuracy_time", accuracy_against_time(costs, rows=rows, holdout=holdout)),)
