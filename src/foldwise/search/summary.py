"""What a finished search says: the outer estimates with intervals, and each study as a curve."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from foldwise.search.space import KIND, Select, Space
from foldwise.search.trials import OuterFold, SearchResult, Study, Trial, Values, number_of
from foldwise.stats import intervals
from foldwise.stats.scores import METRICS, is_loss


@dataclass(frozen=True, slots=True)
class OuterEstimate:
    """One metric's mean over the outer folds, and standard deviation (ddof 1).

    The interval is by the influence of the rows scored and of the parts trained on; the corrected
    one, shown beside it, is Nadeau and Bengio's.
    """

    mean: float
    spread: float
    interval: intervals.Interval
    corrected: intervals.Interval


Estimates = Mapping[str, OuterEstimate]
"""The outer estimate of each metric, by name."""


def outer_estimates(
    result: SearchResult, *, confidence: float, groups: NDArray[np.int64] | None = None
) -> Estimates:
    """Each metric's mean over the outer folds; all intervals with ``confidence``, in (0, 1).

    Variances are clustered by ``groups`` (rows,), if rows are drawn in groups.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from foldwise import NestedSearchCV, outer_estimates
    >>> search = NestedSearchCV(cv=3, n_trials=2).fit(*load_iris(return_X_y=True))
    >>> estimate = outer_estimates(search.result_, confidence=0.95)["accuracy"]
    >>> estimate.interval.low < estimate.mean < estimate.interval.high
    True
    """
    found = {}
    for metric, interval in intervals.outer_intervals(evidence(result), confidence, groups).items():
        values = [fold.scores[metric] for fold in result.outer]
        mean, spread = float(np.mean(values)), float(np.std(values, ddof=1))
        corrected = intervals.corrected_interval(values, confidence, folds=result.plan.folds)
        found[metric] = OuterEstimate(mean, spread, interval, intervals.possible(metric, corrected))
    return found


def evidence(result: SearchResult) -> tuple[intervals.Fold, ...]:
    """What the outer folds tell of the procedure."""
    return tuple(
        intervals.Fold(
            repeat=fold.part.repeat,
            rows=fold.rows,
            labels=fold.labels,
            probabilities=fold.predictions.values,
            scores=fold.scores,
            inner={metric: fold.best.mean(metric) for metric in METRICS},
        )
        for fold in result.outer
    )


def edges(values: Values, space: Space) -> tuple[str, ...]:
    """Names of the numbers that lie at an end of their range, on its own scale."""
    own = ((name, of) for name, of in space.ranges.items() if name in values)
    return tuple(name for name, of in own if of.is_edge(number_of(values, name)))


def optimism(fold: OuterFold, metric: str) -> float:
    """How much better the fold's inner score is than its outer score; negative if it is worse."""
    inner, outer = fold.best.mean(metric), fold.scores[metric]
    return outer - inner if is_loss(metric) else inner - outer


def best_trials(result: SearchResult) -> tuple[Trial, ...]:
    """The best trial of each study: the outer folds', then the final one's."""
    return (*(fold.best for fold in result.outer), result.final.best)


def optimum_error(result: SearchResult) -> float | None:
    """Standard error of the best value of the one number that ``curve`` searched, of its log10.

    Each outer fold's choice is the optimum without a part: so they are a jackknife,
    ``sqrt((K-1)/K sum (x_o - mean)^2)``, its variance averaged over partitions. None where choices
    differ by other things too: by the draws of another sampler, or by the steps of the metric.
    """
    space = result.space
    if space.method != "curve" or space.is_stepped or not result.outer:
        return None
    ((name, range_),) = space.ranges.items()
    if range_.low <= 0:
        return None
    partitions: dict[int, list[float]] = {}
    for fold in result.outer:
        value = number_of(fold.best.values, name)
        partitions.setdefault(fold.part.repeat, []).append(math.log10(value))
    variances = [(len(each) - 1) * np.var(each) for each in partitions.values()]
    return float(np.sqrt(np.mean(variances)))


@dataclass(frozen=True, slots=True, eq=False)
class Candidate:
    """How one kind of model did in one study, by its inner scores alone.

    ``choice`` is what the study would have chosen of its ``trials``.
    """

    kind: str
    choice: Trial
    trials: tuple[Trial, ...]
    won: bool


def contest(result: SearchResult, select: Select = "best") -> tuple[Candidate, ...]:
    """Each kind of model in each study; nothing where there are no kinds."""
    found = []
    for best in best_trials(result):
        for kind in result.space.kinds:
            told = result.study_trials(best.study)
            own = tuple(trial for trial in told if trial.values[KIND] == kind)
            won = best.values[KIND] == kind
            choice = best if won else result.space.chosen(own, select)
            found.append(Candidate(kind, choice, own, won))
    return tuple(found)


@dataclass(frozen=True, slots=True, eq=False)
class Curve:
    """One study's trials sorted by one numeric parameter; the arrays have an entry a trial.

    Attributes
    ----------
    best, scores : place of the best trial, and means over the inner folds
    excess : float64 array (trials,)
        Means over the inner folds of the *paired* difference from the best trial, counted so that
        worse is positive: 0 at the best.
    errors : float64 array (trials,)
        Standard errors of these means: standard deviation of the differences (ddof 1) over the
        square root of their number. Much smaller than the error of the score itself, because hard
        parts are hard at every value.
    """

    study: Study
    best: int
    values: NDArray[np.float64]
    scores: NDArray[np.float64]
    excess: NDArray[np.float64]
    errors: NDArray[np.float64]


def curves(result: SearchResult, name: str) -> tuple[Curve, ...]:
    """Give the outer studies' curves over a numeric parameter by fold, then the final study's.

    They are of the trials that have it, with the best of these.
    """
    return tuple(_curve(result, best, name) for best in best_trials(result))


def _curve(result: SearchResult, best: Trial, name: str) -> Curve:
    trials = sorted(
        (trial for trial in result.study_trials(best.study) if name in trial.values),
        key=lambda trial: number_of(trial.values, name),
    )
    if name not in best.values:  # another kind has won
        best = result.space.chosen(trials)
    place = [trial.number for trial in trials].index(best.number)
    inner = np.array([[fold.scores[result.metric] for fold in trial.inner] for trial in trials])
    worse = inner - inner[place] if is_loss(result.metric) else inner[place] - inner
    return Curve(
        study=best.study,
        best=place,
        values=np.array([number_of(trial.values, name) for trial in trials]),
        scores=inner.mean(axis=1),
        excess=worse.mean(axis=1),
        errors=worse.std(axis=1, ddof=1) / np.sqrt(inner.shape[1]),
    )
