"""The search in numbers: every figure that tables, card and page show, computed once."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from foldwise.model.linear import Multiclass
from foldwise.model.scores import METRICS, Scores, predicted_codes, row_losses
from foldwise.report.curves import optimism
from foldwise.search.intervals import Interval, corrected_interval, pooled_interval
from foldwise.search.results import FitCounts, OuterFold, SearchResult
from foldwise.search.selection import at_edge
from foldwise.settings import Search


@dataclass(frozen=True, slots=True)
class OuterEstimate:
    """One metric's mean over the outer folds.

    Attributes
    ----------
    mean, spread : float
        Mean and standard deviation (ddof 1) over the folds.
    corrected : Interval
        Nadeau and Bengio's, conservative: the default.
    pooled : Interval or None
        Over all rows as if independent; only for metrics that are a mean over rows.
    """

    mean: float
    spread: float
    corrected: Interval
    pooled: Interval | None


@dataclass(frozen=True, slots=True)
class FoldSummary:
    """One outer fold: what it chose, and what that came to."""

    fold: int
    C: float
    trial: int
    is_at_edge: bool
    inner: float
    scores: Scores
    optimism: float


@dataclass(frozen=True, slots=True)
class SearchSummary:
    """The whole search; ``inner`` is the final study's best mean inner score."""

    metric: str
    multiclass: Multiclass
    sampler: Search
    low: float
    high: float
    outer: Mapping[str, OuterEstimate]
    folds: tuple[FoldSummary, ...]
    C: float
    trial: int
    is_at_edge: bool
    inner: float
    trials: int
    fits: FitCounts


def summarise_search(
    result: SearchResult, *, low: float, high: float, confidence: float, sampler: Search = "tpe"
) -> SearchSummary:
    """Estimates with intervals, each fold's choice, and the counts.

    Parameters
    ----------
    low, high : float
        The search range of ``C``.
    confidence : float
        Of all intervals, in (0, 1).
    sampler : str
        ``tune.search``: how the trials' ``C`` were drawn.
    """
    best = result.final.best
    return SearchSummary(
        metric=result.metric,
        multiclass=result.final.fit.model.multiclass,
        sampler=sampler,
        low=low,
        high=high,
        outer={metric: _estimate(result, metric, confidence) for metric in METRICS},
        folds=tuple(_fold(fold, result.metric, low, high) for fold in result.outer),
        C=best.C,
        trial=best.number,
        is_at_edge=at_edge(best.C, low, high),
        inner=best.mean(result.metric),
        trials=len(result.trials),
        fits=result.fits,
    )


def _estimate(result: SearchResult, metric: str, confidence: float) -> OuterEstimate:
    values = [fold.scores.value(metric) for fold in result.outer]
    of_row = _OF_ROW.get(metric)
    rows = np.concatenate([of_row(fold) for fold in result.outer]) if of_row else None
    return OuterEstimate(
        mean=float(np.mean(values)),
        spread=float(np.std(values, ddof=1)),
        corrected=corrected_interval(values, confidence),
        pooled=None if rows is None else pooled_interval(rows, confidence),
    )


def _right(fold: OuterFold) -> NDArray[np.float64]:
    return np.asarray(predicted_codes(fold.probabilities) == fold.labels, dtype=np.float64)


def _losses(fold: OuterFold) -> NDArray[np.float64]:
    return row_losses(fold.probabilities, fold.labels)


# The metrics that are a mean over rows, so that their rows can be pooled.
_OF_ROW: Mapping[str, Callable[[OuterFold], NDArray[np.float64]]] = {
    "accuracy": _right,
    "log_loss": _losses,
}


def _fold(fold: OuterFold, metric: str, low: float, high: float) -> FoldSummary:
    return FoldSummary(
        fold=fold.fold,
        C=fold.best.C,
        trial=fold.best.number,
        is_at_edge=at_edge(fold.best.C, low, high),
        inner=fold.best.mean(metric),
        scores=fold.scores,
        optimism=optimism(fold, metric),
    )
