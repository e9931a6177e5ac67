"""What a finished search says: studies in short, curves over C, the outer estimates with intervals.

The search in numbers: every figure that tables, card and page show, computed once.

A study as a curve over C: mean inner score, and how far each C lies from the study's best.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from foldwise.search.trials import (
    FINAL_STUDY,
    FitCounts,
    OuterFold,
    SearchResult,
    Trial,
    at_edge,
    outer_study,
)
from foldwise.settings import Search
from foldwise.solver.linear import Multiclass
from foldwise.stats.intervals import Interval, corrected_interval, pooled_interval
from foldwise.stats.scores import METRICS, Scores, is_loss, predicted_codes, row_losses


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


@dataclass(frozen=True, slots=True)
class CurvePoint:
    """One trial on its study's curve.

    Attributes
    ----------
    C : float
    score : float
        Mean over the inner folds.
    excess : float
        Mean over the inner folds of the *paired* difference from the best trial, counted so that
        worse is positive: 0 at the best C.
    error : float
        Standard error of that mean: standard deviation of the differences (ddof 1) over the square
        root of their number. Much smaller than the error of the score itself, because hard parts
        are hard at every C.
    """

    C: float
    score: float
    excess: float
    error: float

    @property
    def is_as_good(self) -> bool:
        """Whether the trial lies within one standard error of the best."""
        return self.excess <= self.error


@dataclass(frozen=True, slots=True)
class Curve:
    """One study's trials sorted by C; ``fold`` is None for the final study."""

    fold: int | None
    best: CurvePoint
    points: tuple[CurvePoint, ...]

    @property
    def name(self) -> str:
        """Name of the study."""
        return FINAL_STUDY if self.fold is None else outer_study(self.fold)


def curves(result: SearchResult) -> tuple[Curve, ...]:
    """Give the outer studies' curves by fold, then the final study's."""
    outer = [
        _curve(fold.fold, result.study_trials(fold.study), fold.best, result.metric)
        for fold in result.outer
    ]
    final = _curve(None, result.study_trials(FINAL_STUDY), result.final.best, result.metric)
    return (*outer, final)


def optimism(fold: OuterFold, metric: str) -> float:
    """How much better the fold's inner score is than its outer score; negative if it is worse."""
    inner, outer = fold.best.mean(metric), fold.scores.value(metric)
    return outer - inner if is_loss(metric) else inner - outer


def _curve(fold: int | None, trials: tuple[Trial, ...], best: Trial, metric: str) -> Curve:
    points = [_point(trial, best, metric) for trial in trials]
    return Curve(fold, _point(best, best, metric), tuple(sorted(points, key=lambda p: p.C)))


def _point(trial: Trial, best: Trial, metric: str) -> CurvePoint:
    scores, reference = _inner(trial, metric), _inner(best, metric)
    worse = scores - reference if is_loss(metric) else reference - scores
    return CurvePoint(
        C=trial.C,
        score=trial.mean(metric),
        excess=float(worse.mean()),
        error=float(worse.std(ddof=1) / np.sqrt(len(worse))),
    )


def _inner(trial: Trial, metric: str) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    return np.array([fold.scores.value(metric) for fold in trial.inner])
