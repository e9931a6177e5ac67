"""What a finished search says: studies in short, curves over C, the outer estimates with intervals.

The search in numbers: every figure that tables, card and page show, computed once.

A study as a curve over C: mean inner score, and how far each C lies from the study's best.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from foldwise.search.space import Space
from foldwise.search.trials import (
    FitCounts,
    OuterFold,
    SearchResult,
    Study,
    Trial,
    Values,
    number_of,
)
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
    """One outer fold: what it chose, and what that came to.

    ``edges`` names the parameters whose value lies at an end of its range.
    """

    fold: int
    values: Values
    trial: int
    edges: tuple[str, ...]
    inner: float
    scores: Scores
    optimism: float


@dataclass(frozen=True, slots=True)
class SearchSummary:
    """The whole search; ``inner`` is the final study's best mean inner score."""

    metric: str
    space: Space
    outer: Mapping[str, OuterEstimate]
    folds: tuple[FoldSummary, ...]
    values: Values
    trial: int
    edges: tuple[str, ...]
    inner: float
    trials: int
    fits: FitCounts


def summarise_search(result: SearchResult, *, confidence: float) -> SearchSummary:
    """Estimates with intervals, each fold's choice, and the counts.

    Parameters
    ----------
    result : SearchResult
    confidence : float
        Of all intervals, in (0, 1).
    """
    best = result.final.best
    return SearchSummary(
        metric=result.metric,
        space=result.space,
        outer={metric: _estimate(result, metric, confidence) for metric in METRICS},
        folds=tuple(_fold(fold, result.space) for fold in result.outer),
        values=best.values,
        trial=best.number,
        edges=edges(best.values, result.space),
        inner=best.mean(result.metric),
        trials=len(result.trials),
        fits=result.fits,
    )


def _estimate(result: SearchResult, metric: str, confidence: float) -> OuterEstimate:
    values = [fold.scores[metric] for fold in result.outer]
    of_row = _OF_ROW.get(metric)
    rows = np.concatenate([of_row(fold) for fold in result.outer]) if of_row else None
    return OuterEstimate(
        mean=float(np.mean(values)),
        spread=float(np.std(values, ddof=1)),
        corrected=corrected_interval(values, confidence),
        pooled=None if rows is None else pooled_interval(rows, confidence),
    )


def _right(fold: OuterFold) -> NDArray[np.float64]:
    return np.asarray(predicted_codes(fold.predictions.values) == fold.labels, dtype=np.float64)


def _losses(fold: OuterFold) -> NDArray[np.float64]:
    return row_losses(fold.predictions.values, fold.labels)


# The metrics that are a mean over rows, so that their rows can be pooled.
_OF_ROW: Mapping[str, Callable[[OuterFold], NDArray[np.float64]]] = {
    "accuracy": _right,
    "log_loss": _losses,
}


def edges(values: Values, space: Space, *, share: float = 0.02) -> tuple[str, ...]:
    """Names of the numbers that lie within ``share`` of an end of their range, on its own scale."""
    return tuple(
        name
        for name, range_ in space.ranges.items()
        if not share <= range_.place(number_of(values, name)) <= 1 - share
    )


def _fold(fold: OuterFold, space: Space) -> FoldSummary:
    return FoldSummary(
        fold=fold.fold,
        values=fold.best.values,
        trial=fold.best.number,
        edges=edges(fold.best.values, space),
        inner=fold.best.mean(space.metric),
        scores=fold.scores,
        optimism=optimism(fold, space.metric),
    )


@dataclass(frozen=True, slots=True)
class CurvePoint:
    """One trial on its study's curve.

    Attributes
    ----------
    value : float
        Of the curve's parameter.
    score : float
        Mean over the inner folds.
    excess : float
        Mean over the inner folds of the *paired* difference from the best trial, counted so that
        worse is positive: 0 at the best.
    error : float
        Standard error of that mean: standard deviation of the differences (ddof 1) over the square
        root of their number. Much smaller than the error of the score itself, because hard parts
        are hard at every value.
    """

    value: float
    score: float
    excess: float
    error: float


@dataclass(frozen=True, slots=True)
class Curve:
    """One study's trials sorted by one parameter."""

    study: Study
    best: CurvePoint
    points: tuple[CurvePoint, ...]

    @property
    def fold(self) -> int | None:
        """Number of its outer fold; None for the final study."""
        return self.study.fold


def curves(result: SearchResult, name: str) -> tuple[Curve, ...]:
    """Give the outer studies' curves over a numeric parameter by fold, then the final study's."""
    best = (*(fold.best for fold in result.outer), result.final.best)
    return tuple(_curve(result, each, name) for each in best)


def optimism(fold: OuterFold, metric: str) -> float:
    """How much better the fold's inner score is than its outer score; negative if it is worse."""
    inner, outer = fold.best.mean(metric), fold.scores[metric]
    return outer - inner if is_loss(metric) else inner - outer


def _curve(result: SearchResult, best: Trial, name: str) -> Curve:
    trials = result.study_trials(best.study)
    points = [_point(trial, best, name, result.metric) for trial in trials]
    points.sort(key=lambda point: point.value)
    return Curve(best.study, _point(best, best, name, result.metric), tuple(points))


def _point(trial: Trial, best: Trial, name: str, metric: str) -> CurvePoint:
    scores, reference = _inner(trial, metric), _inner(best, metric)
    worse = scores - reference if is_loss(metric) else reference - scores
    return CurvePoint(
        value=number_of(trial.values, name),
        score=trial.mean(metric),
        excess=float(worse.mean()),
        error=float(worse.std(ddof=1) / np.sqrt(len(worse))),
    )


def _inner(trial: Trial, metric: str) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    return np.array([fold.scores[metric] for fold in trial.inner])
