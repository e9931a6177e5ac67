"""A study as a curve over C: mean inner score, and how far each C lies from the study's best."""

from dataclasses import dataclass

import numpy as np

from foldwise.model.scores import is_loss
from foldwise.search.results import FINAL_STUDY, OuterFold, SearchResult, Trial, outer_study


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
