"""The files of reports/: results in, JSON-able documents and CSV text out; no clock, no run id."""

import math
from dataclasses import asdict

import numpy as np

from foldwise.report.judged import HoldoutSummary, Judged
from foldwise.report.wording import DIGITS, Json, csv_of, json_text, rounded, significant
from foldwise.search import summary
from foldwise.search.trials import OuterFold, SearchResult, Values
from foldwise.stats.scores import METRICS, predicted_codes

SEARCH_FILES = ("tuning.json", "outer.json", "trials.csv", "curve.csv")
HOLDOUT_FILES = (
    *("evaluation.json", "holdout.json", "predictions.csv", "confusion.csv"),
    *("mistakes.csv", "per_class.csv", "roc.csv", "calibration.csv"),
)


def search_files(result: SearchResult, outer: summary.Estimates) -> dict[str, bytes]:
    """Write a search's files in reports/, by name."""
    tables = (
        json_text(tuning(result, outer)),
        json_text(outer_headline(result, outer)),
        trials_csv(result),
        curve_csv(result),
    )
    return {name: of.encode() for name, of in zip(SEARCH_FILES, tables, strict=True)}


def holdout_files(
    holdout: HoldoutSummary, judged: Judged, *, has_holdout: bool = True
) -> dict[str, bytes]:
    """Write the holdout's files in reports/, by name; without one, the outer folds' rows'."""
    scored: dict[str, Json] = {} if has_holdout else {"scored": "outer folds"}
    tables = (
        json_text(scored | evaluation(holdout)),
        json_text(holdout_headline(holdout) if has_holdout else {}),
        predictions_csv(judged),
        *(tell(holdout) for tell in (confusion_csv, mistakes_csv, per_class_csv)),
        *(tell(holdout) for tell in (roc_csv, calibration_csv)),
    )
    return {name: of.encode() for name, of in zip(HOLDOUT_FILES, tables, strict=True)}


def tuning(result: SearchResult, outer: summary.Estimates) -> dict[str, Json]:
    """Tell the search as a JSON document."""
    metric, space, best = result.metric, result.space, result.final.best
    gaps = [summary.optimism(fold, metric) for fold in result.outer]
    error, told = summary.optimum_error(result), summary.contest(result)
    return {
        "metric": metric,
        **_values(best.values),
        f"inner_{metric}": rounded(best.mean(metric)),
        **{f"outer_{name}": rounded(each.mean) for name, each in outer.items()},
        "optimism": rounded(float(np.mean(gaps))),
        **({} if error is None else {"log10_error": rounded(error)}),
        "at_edge": any(summary.edges(each.values, space) for each in summary.best_trials(result)),
        "trials": len(result.trials),
        "fits": asdict(result.fits),
        "range": {name: [each.low, each.high] for name, each in space.ranges.items()},
        "intervals": [_interval(name, each) for name, each in outer.items()],
        "folds": [_fold(result, fold) for fold in result.outer],
        **({"candidates": [_candidate(metric, of) for of in told]} if told else {}),
    }


def outer_headline(result: SearchResult, outer: summary.Estimates) -> dict[str, Json]:
    """What `dvc metrics` compares of a search: few numbers, so that they stand side by side."""
    means = {metric: rounded(each.mean) for metric, each in outer.items()}
    span = outer[result.metric].interval
    ends = {f"{result.metric}_low": rounded(span.low), f"{result.metric}_high": rounded(span.high)}
    return {**_values(result.final.best.values), **means, **ends}


def holdout_headline(holdout: HoldoutSummary) -> dict[str, float | None]:
    """The same of the holdout, by the same names: DVC shows them in the same columns."""
    told = {metric: rounded(holdout.scores[metric]) for metric in holdout.intervals}
    return {**told, "calibration_error": rounded(holdout.calibration_error)}


def _candidate(metric: str, told: summary.Candidate) -> Json:
    return {
        "study": str(told.choice.study),
        **_values(told.choice.values),
        f"inner_{metric}": rounded(told.choice.mean(metric)),
        "trials": len(told.trials),
        "won": told.won,
    }


def _interval(metric: str, each: summary.OuterEstimate) -> Json:
    return {
        "metric": metric,
        "mean": rounded(each.mean),
        "spread": rounded(each.spread),
        "confidence": each.interval.confidence,
        "low": rounded(each.interval.low),
        "high": rounded(each.interval.high),
        "method": each.interval.method,
        "corrected_low": rounded(each.corrected.low),
        "corrected_high": rounded(each.corrected.high),
        "corrected_method": each.corrected.method,
    }


def _fold(result: SearchResult, fold: OuterFold) -> Json:
    return {
        "fold": fold.fold,
        **_values(fold.best.values),
        "trial": fold.best.number,
        "at_edge": bool(summary.edges(fold.best.values, result.space)),
        f"inner_{result.metric}": rounded(fold.best.mean(result.metric)),
        "optimism": rounded(summary.optimism(fold, result.metric)),
        **{f"outer_{metric}": rounded(fold.scores[metric]) for metric in METRICS},
    }


def _values(values: Values) -> dict[str, Json]:
    return {name: significant(value) for name, value in values.items()}


def trials_csv(result: SearchResult) -> str:
    """List every inner fold of every trial, sorted by study, trial and part.

    Values have all their digits, so that a trial can be repeated.
    """
    return csv_of(
        {
            "study": trial.study,
            "trial": trial.number,
            **{
                name: repr(value) if isinstance(value, float) else value
                for name, value in ((of, trial.values.get(of)) for of in result.space.dimensions)
            },
            "part": fold.part.fold,
            **{metric: fold.scores[metric] for metric in METRICS},
            "status": fold.facts.get("status"),
            "iterations": fold.facts.get("iterations"),
        }
        for trial in result.trials
        for fold in trial.inner
    )


def curve_csv(result: SearchResult) -> str:
    """List each study's mean inner score by each number, and how much worse than its best, paired.

    The first numeric parameter heads the second column; further ones follow in rows of their own.
    ``log10_...`` is for plots whose axis knows no logarithm, such as those of DVC's templates.
    """
    names = list(result.space.ranges)
    heads = [head for name in names for head in (name, f"log10_{name}")]
    return csv_of(
        (
            {
                "study": curve.study,
                **dict.fromkeys(heads),
                name: repr(significant(value)),
                f"log10_{name}": math.log10(value) if value > 0 else None,
                "inner_score": score,
                "worse_than_best": excess,
                "standard_error": error,
            }
            for name in names
            for curve in summary.curves(result, name)
            for value, score, excess, error in zip(
                *(of.tolist() for of in (curve.values, curve.scores, curve.excess, curve.errors)),
                strict=True,
            )
        ),
        ("study", *heads, "inner_score", "worse_than_best", "standard_error"),
    )


def evaluation(holdout: HoldoutSummary) -> dict[str, Json]:
    """Tell the holdout's scores as flat keys, each with its interval."""
    told = {
        f"{metric}{end}": value
        for metric, interval in holdout.intervals.items()
        for end, value in (
            ("", holdout.scores[metric]),
            ("_low", interval.low),
            ("_high", interval.high),
        )
    }
    if holdout.are_probabilities:
        told["calibration_error"] = holdout.calibration_error
    return {
        **{name: rounded(value) for name, value in told.items()},
        "confidence": holdout.intervals[METRICS[0]].confidence,
        "rows": holdout.rows,
    }


def predictions_csv(judged: Judged) -> str:
    """List each row's actual and predicted class and the probability of each class."""
    names, predicted = judged.classes, predicted_codes(judged.probabilities)
    columns = [f"p_{name}" for name in names]
    return csv_of(
        {
            "row": row,
            "label": names[judged.labels[row]],
            "predicted": names[predicted[row]],
            **{head: f"{value:.{DIGITS}f}" for head, value in zip(columns, values, strict=True)},
        }
        for row, values in enumerate(judged.probabilities.tolist())
    )


def confusion_csv(holdout: HoldoutSummary) -> str:
    """List the confusion matrix, a cell a row: its images and their share of the actual class."""
    names, totals = holdout.classes, np.maximum(holdout.confusion.sum(axis=1), 1)
    return csv_of(
        {
            "actual": names[actual],
            "predicted": names[predicted],
            "images": images,
            "share": float(images / totals[actual]),
        }
        for (actual, predicted), images in np.ndenumerate(holdout.confusion)
    )


def mistakes_csv(holdout: HoldoutSummary) -> str:
    """List actual and predicted class of each mistake: DVC's template of a confusion counts rows.

    Sorted by cell, so that it doesn't say which row was which.
    """
    names = holdout.classes
    return csv_of(
        (
            {"actual": names[actual], "predicted": names[predicted]}
            for (actual, predicted), images in np.ndenumerate(holdout.confusion)
            for _ in range(images if actual != predicted else 0)
        ),
        ("actual", "predicted"),
    )


def per_class_csv(holdout: HoldoutSummary) -> str:
    """List each class's scores, F1 with its interval."""
    each = zip(holdout.classes, holdout.by_class, holdout.f1_intervals, strict=True)
    return csv_of(
        (
            {"class": name, **asdict(scores), "f1_low": interval.low, "f1_high": interval.high}
            for name, scores, interval in each
        ),
        ("class", "precision", "recall", "f1", "f1_low", "f1_high", "roc_auc", "support"),
    )


def roc_csv(holdout: HoldoutSummary) -> str:
    """List the points of each class's ROC curve, thinned, and at each the mean over the classes.

    The area under the means is the macro-averaged one.
    """
    return csv_of(
        {
            "class": name,
            "false_positive_rate": false,
            "true_positive_rate": true,
            "mean_true_positive_rate": mean,
        }
        for name, rates in zip(holdout.classes, holdout.curves, strict=True)
        # Of an upright piece the upper end counts.
        for means in (np.mean([np.interp(rates[0], *each) for each in holdout.curves], axis=0),)
        for false, true, mean in zip(*rates, means, strict=True)
    )


def calibration_csv(holdout: HoldoutSummary) -> str:
    """List the reliability table."""
    return csv_of(map(asdict, holdout.bins), ("confidence", "accuracy", "rows", "low", "high"))
