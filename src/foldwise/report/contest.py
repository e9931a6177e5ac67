"""The comparison in numbers: each classifier's scores, costs and predictions on the holdout."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from foldwise.compare.archive import EntryResult
from foldwise.compare.pairwise import Pair, compare_pairs
from foldwise.model.scores import (
    METRICS,
    ClassScores,
    Scores,
    calibration_error,
    confusion,
    per_class,
    predicted_codes,
    roc_curve_points,
)
from foldwise.model.scores.ranking import Rates
from foldwise.report.holdout import ROC_POINTS
from foldwise.search.intervals import Interval, bootstrap_intervals
from foldwise.settings import Entry


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
        scores=result.predictions.scored(labels),
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
