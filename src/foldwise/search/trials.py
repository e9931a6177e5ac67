"""What a nested search says as it goes: frozen events, and what follows from them.

What a nested search says as it goes: frozen events, complete enough to tell the story again.

Trials, fits' outcomes and scores as JSON, exactly: floats keep every bit.

What follows from the trials: the best one of a study, and the count of fits.

Trials of any classifier's parameters: named values, scored on each part of a sample.
"""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from foldwise.settings import Value
from foldwise.solver.linear import Fit, FitOutcome
from foldwise.stats.scores import Scores, is_loss

FINAL_STUDY = "final"
_OUTER = "outer-"


def outer_study(fold: int) -> str:
    """Name of outer fold ``fold``'s study: ``outer-0``, ``outer-1``, ..."""
    return f"{_OUTER}{fold}"


@dataclass(frozen=True, slots=True)
class InnerFold:
    """One inner fold of a trial: the part scored, its scores, and how the fit ended."""

    part: int
    scores: Scores
    outcome: FitOutcome


@dataclass(frozen=True, slots=True)
class Trial:
    """A trial finished: one value of C in one study, scored on each of its inner folds.

    ``number`` counts the study's completed trials from 0; ``inner`` is sorted by part.
    """

    study: str
    number: int
    C: float
    inner: tuple[InnerFold, ...]

    def left_out(self, part: int) -> frozenset[int]:
        """The parts that the inner fold scoring ``part`` left out of its training rows."""
        if self.study == FINAL_STUDY:
            return frozenset({part})
        return frozenset({part, int(self.study.removeprefix(_OUTER))})

    def mean(self, metric: str) -> float:
        """Mean of ``metric`` over the inner folds: what the study optimises."""
        return float(np.mean([fold.scores.value(metric) for fold in self.inner]))


@dataclass(frozen=True, slots=True, eq=False)
class OuterFold:
    """An outer fold finished: its study's best trial, its model, and the estimate on its part.

    ``rows`` (n,) are the part's row numbers in the development set, ascending; ``probabilities``
    (n, classes) belong to them; ``labels`` (n,) are their class codes.
    """

    fold: int
    best: Trial
    fit: Fit
    scores: Scores
    rows: NDArray[np.int64]
    labels: NDArray[np.int64]
    probabilities: NDArray[np.float64]

    @property
    def study(self) -> str:
        """Name of the fold's study."""
        return outer_study(self.fold)


@dataclass(frozen=True, slots=True, eq=False)
class FinalModel:
    """The final study finished: its best trial and the model fitted on all development rows."""

    best: Trial
    fit: Fit


@dataclass(frozen=True, slots=True)
class FitCounts:
    """Logical fits asked for, distinct fits made, and how the distinct ones ended."""

    logical: int
    distinct: int
    converged: int
    stalled: int
    exhausted: int


@dataclass(frozen=True, slots=True, eq=False)
class SearchResult:
    """The whole search. ``trials`` are sorted by study (outer-0 ..., final), then number."""

    metric: str
    trials: tuple[Trial, ...]
    outer: tuple[OuterFold, ...]
    final: FinalModel
    fits: FitCounts

    def study_trials(self, study: str) -> tuple[Trial, ...]:
        """The trials of one study, by number."""
        return tuple(trial for trial in self.trials if trial.study == study)


@dataclass(frozen=True, slots=True)
class Progress:
    """So many of the search's logical fits are done; shown, never recorded."""

    done: int
    total: int


@dataclass(frozen=True, slots=True)
class Tracing:
    """So many of the paths' anchors are known; shown, never recorded."""

    done: int
    total: int


Event = Tracing | Progress | Trial | OuterFold | FinalModel | SearchResult
"""What the search yields: a study's trials before its fold; the SearchResult last, once."""


Json = dict[str, Any]


def trial_to_json(trial: Trial) -> Json:
    """A trial as JSON values."""
    return asdict(trial)


def trial_from_json(encoded: Json) -> Trial:
    """The inverse of :func:`trial_to_json`.

    Raises
    ------
    KeyError, TypeError
        If a field is missing or unknown.
    """
    inner = tuple(
        InnerFold(
            part=fold["part"],
            scores=Scores(**fold["scores"]),
            outcome=FitOutcome(**fold["outcome"]),
        )
        for fold in encoded["inner"]
    )
    return Trial(encoded["study"], encoded["number"], encoded["C"], inner)


class Scored(Protocol):
    """A trial of any kind: numbered, with a mean score."""

    @property
    def number(self) -> int:
        """Completed trials of its study before it."""
        ...

    def mean(self, metric: str) -> float:
        """Mean of ``metric`` over the inner folds."""
        ...


T = TypeVar("T", bound=Scored)


def best_trial(trials: Sequence[T], metric: str) -> T:
    """The trial with the best mean score; of equals the first."""
    sign = 1 if is_loss(metric) else -1
    return min(trials, key=lambda trial: (sign * trial.mean(metric), trial.number))


def at_edge(C: float, low: float, high: float, *, share: float = 0.02) -> bool:
    """Whether C lies within ``share`` of an end of [low, high], on the logarithmic scale."""
    margin = math.log(high / low) * share
    return math.log(C / low) < margin or math.log(high / C) < margin


def count_fits(trials: Sequence[Trial], outer: Sequence[OuterFold], final: FinalModel) -> FitCounts:
    """Count from the results alone, so that a resumed search counts as an uninterrupted one.

    A fit is determined by the parts it leaves out and its C; asked for twice, it counts once
    among the distinct.
    """
    ended = {
        (trial.left_out(fold.part), trial.C): fold.outcome.status
        for trial in trials
        for fold in trial.inner
    }
    for fit in (*(fold.fit for fold in outer), final.fit):
        ended[fit.left_out, fit.model.C] = fit.outcome.status
    statuses = Counter(ended.values())
    return FitCounts(
        logical=sum(len(trial.inner) for trial in trials) + len(outer) + 1,
        distinct=len(ended),
        converged=statuses["converged"],
        stalled=statuses["stalled"],
        exhausted=statuses["exhausted"],
    )


Values = Mapping[str, Value]


@dataclass(frozen=True, slots=True)
class ScoredPart:
    """One inner fold of a trial: the part scored, its scores, and the fit's wall-clock seconds."""

    part: int
    scores: Scores
    seconds: float


@dataclass(frozen=True, slots=True)
class ValuesTrial:
    """A trial finished: values by parameter, scored on every part; ``inner`` is sorted by part."""

    number: int
    values: Values
    inner: tuple[ScoredPart, ...]

    @property
    def study(self) -> str:
        """There is one study a model, and its folds are the final study's: the parts themselves."""
        return FINAL_STUDY

    def mean(self, metric: str) -> float:
        """Mean of ``metric`` over the parts: what the study optimises."""
        return float(np.mean([part.scores.value(metric) for part in self.inner]))


def values_trial_to_json(trial: ValuesTrial) -> Json:
    """A trial as JSON values."""
    return asdict(trial)


def values_trial_from_json(encoded: Json) -> ValuesTrial:
    """The inverse of :func:`values_trial_to_json`.

    Raises
    ------
    KeyError, TypeError
        If a field is missing or unknown.
    """
    inner = tuple(
        ScoredPart(fold["part"], Scores(**fold["scores"]), fold["seconds"])
        for fold in encoded["inner"]
    )
    return ValuesTrial(encoded["number"], encoded["values"], inner)
