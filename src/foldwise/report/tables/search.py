"""The search as tables: tuning.json, trials.csv, and the curves that ``dvc plots`` draws."""

import math
from dataclasses import asdict

import numpy as np

from foldwise.model.scores import METRICS
from foldwise.report.curves import curves
from foldwise.report.summary import FoldSummary, SearchSummary
from foldwise.report.tables.text import Json, csv_text, rounded, significant
from foldwise.search.results import SearchResult


def tuning(search: SearchSummary) -> dict[str, Json]:
    """Tell the search as a JSON document.

    Numbers to be compared between revisions stand at the top; ``dvc metrics`` shows these alone,
    because it passes over lists. ``intervals`` and ``folds`` are lists for that reason.
    """
    folds = [_fold(search, fold) for fold in search.folds]
    return {
        "metric": search.metric,
        "C": significant(search.C),
        f"inner_{search.metric}": rounded(search.inner),
        **{f"outer_{metric}": rounded(each.mean) for metric, each in search.outer.items()},
        "optimism": rounded(float(np.mean([fold.optimism for fold in search.folds]))),
        "at_edge": search.is_at_edge or any(fold.is_at_edge for fold in search.folds),
        "trials": search.trials,
        "fits": asdict(search.fits),
        "range": [search.low, search.high],
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
        "C": significant(fold.C),
        "trial": fold.trial,
        "at_edge": fold.is_at_edge,
        f"inner_{search.metric}": rounded(fold.inner),
        "optimism": rounded(fold.optimism),
        **{f"outer_{metric}": rounded(fold.scores.value(metric)) for metric in METRICS},
    }


def trials_csv(result: SearchResult) -> str:
    """List every inner fold of every trial, sorted by study, trial and part.

    ``C`` has all its digits, so that a trial can be repeated.
    """
    header = ("study", "trial", "C", "part", *METRICS, "status", "iterations")
    return csv_text(
        header,
        (
            (
                trial.study,
                trial.number,
                repr(float(trial.C)),
                fold.part,
                *(rounded(fold.scores.value(metric)) for metric in METRICS),
                fold.outcome.status,
                fold.outcome.iterations,
            )
            for trial in result.trials
            for fold in trial.inner
        ),
    )


def curve_csv(result: SearchResult) -> str:
    """List each study's mean inner score by C, and how much worse than its best, paired.

    ``log10_C`` is for plots whose axis knows no logarithm, such as those of DVC's templates.
    """
    header = ("study", "C", "log10_C", "inner_score", "worse_than_best", "standard_error")
    return csv_text(
        header,
        (
            (
                curve.name,
                significant(point.C),
                rounded(math.log10(point.C)),
                rounded(point.score),
                rounded(point.excess),
                rounded(point.error),
            )
            for curve in curves(result)
            for point in curve.points
        ),
    )
