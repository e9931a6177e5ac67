"""The comparison as tables: a JSON document a classifier, and CSV of all of them and of all pairs.

Their times are as measured: they differ from run to run, the rest does not.
"""

from collections.abc import Sequence

from foldwise.compare.pairwise import Pair
from foldwise.model.scores import METRICS
from foldwise.report.contest import ModelSummary
from foldwise.report.tables.text import Json, csv_text, rounded, significant
from foldwise.search.values import Values
from foldwise.settings import Value


def model_report(model: ModelSummary) -> dict[str, Json]:
    """Tell one classifier's result; numbers to be compared stand at the top."""
    result, best = model.result, model.result.best_trial
    scores: dict[str, Json] = {}
    for metric, interval in model.intervals.items():
        scores[metric] = rounded(model.scores.value(metric))
        scores[f"{metric}_low"] = rounded(interval.low)
        scores[f"{metric}_high"] = rounded(interval.high)
    if model.calibration_error is not None:
        scores["calibration_error"] = rounded(model.calibration_error)
    return {
        "title": model.entry.title,
        **scores,
        f"inner_{model.entry.metric}": rounded(best.mean(model.entry.metric)),
        "inner_accuracy": rounded(best.mean("accuracy")),
        "best": {name: _plain(value) for name, value in best.values.items()},
        "trials": len(result.trials),
        "tuning_rows": model.entry.rows,
        "fit_seconds": round(result.fit_seconds, 1),
        "predict_seconds": round(result.predict_seconds, 1),
        "threads": result.threads,
    }


def models_csv(models: Sequence[ModelSummary]) -> str:
    """List the classifiers with their holdout scores and times."""
    header = (
        "model",
        "title",
        "best",
        *METRICS,
        "accuracy_low",
        "accuracy_high",
        "calibration_error",
        "fit_seconds",
        "predict_seconds",
    )
    return csv_text(header, (_row(model) for model in models))


def pairs_csv(pairs: Sequence[Pair]) -> str:
    """List McNemar's tests: the rows that one of two got right alone, and the p-values."""
    header = ("first", "second", "first_only", "second_only", "p_value", "p_value_holm")
    return csv_text(
        header,
        (
            (
                pair.first,
                pair.second,
                pair.test.gained,
                pair.test.lost,
                f"{pair.test.p:.3g}",
                f"{pair.adjusted:.3g}",
            )
            for pair in pairs
        ),
    )


def values_text(values: Values) -> str:
    """Write a set of values in one line: ``C = 5.31, gamma = 0.0213``."""
    return ", ".join(f"{name} = {_short(value)}" for name, value in values.items())


def _row(model: ModelSummary) -> tuple[object, ...]:
    error = model.calibration_error
    return (
        model.entry.name,
        model.entry.title,
        values_text(model.result.best_trial.values),
        *(rounded(model.scores.value(metric)) for metric in METRICS),
        rounded(model.intervals["accuracy"].low),
        rounded(model.intervals["accuracy"].high),
        None if error is None else rounded(error),
        round(model.result.fit_seconds, 1),
        round(model.result.predict_seconds, 1),
    )


def _plain(value: Value) -> Value:
    return significant(value) if isinstance(value, float) else value


def _short(value: Value) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)
