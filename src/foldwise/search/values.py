"""Trials of any classifier's parameters: named values, scored on each part of a sample."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass

import numpy as np

from foldwise.model.scores import Scores
from foldwise.search.encoding import Json
from foldwise.search.results import FINAL_STUDY
from foldwise.settings import Value

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
