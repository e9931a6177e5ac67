"""What a nested search says as it goes: frozen events, complete enough to tell the story again."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from foldwise.model.linear import Fit, FitOutcome
from foldwise.model.scores import Scores

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
