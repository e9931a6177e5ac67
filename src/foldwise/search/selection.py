"""What follows from the trials: the best one of a study, and the count of fits."""

import math
from collections import Counter
from collections.abc import Sequence
from typing import Protocol, TypeVar

from foldwise.model.scores import is_loss
from foldwise.search.results import FinalModel, FitCounts, OuterFold, Trial


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
