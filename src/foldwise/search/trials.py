"""What a nested search says as it goes: frozen events, and what follows from them."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from math import isnan
from operator import index
from typing import TYPE_CHECKING, Any, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from foldwise.files import Value, plain
from foldwise.stats.scores import Scores, completed, is_loss

if TYPE_CHECKING:
    from foldwise.search.jobs import Model, Predictions
    from foldwise.search.plan import Plan
    from foldwise.search.space import Space

Values = Mapping[str, Value]
Facts = Mapping[str, float | str]
"""What an engine tells of a fit: shown and recorded; ``status`` is counted, and what has no
``device`` is the cores'."""

CORES = "processor cores"


class Part(NamedTuple):
    """One of the K parts of one partition of the development set."""

    repeat: int
    fold: int


@dataclass(frozen=True, slots=True, order=True)
class Study:
    """One search for the values: of an outer fold, or the final one, whose ``part`` is None.

    As text it is ``outer-3`` (in the partitions after the first ``outer-1.3``) or ``final``.
    """

    part: Part | None = None

    @property
    def is_final(self) -> bool:
        """Whether its folds are the parts themselves, and its model the one for use."""
        return self.part is None

    @property
    def fold(self) -> int | None:
        """Number of its outer fold; None for the final study."""
        return None if self.part is None else self.part.fold

    def __str__(self) -> str:
        if self.part is None:
            return "final"
        repeat, fold = self.part
        return f"outer-{repeat}.{fold}" if repeat else f"outer-{fold}"

    @classmethod
    def parse(cls, text: str) -> Self:
        """The inverse of ``str``; a ValueError if the text names no study."""
        if text == "final":
            return cls()
        kind, _, numbers = text.partition("-")
        repeat, _, fold = numbers.rpartition(".")
        if kind != "outer":
            raise ValueError(f"a study is called final or outer-N, not {text}")
        return cls(Part(int(repeat or 0), int(fold)))


FINAL = Study()


@dataclass(frozen=True, slots=True)
class InnerFold:
    """One inner fold of a trial: the part scored, its scores, and how the fit ended."""

    part: Part
    scores: Scores
    facts: Facts = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Trial:
    """A trial finished: values tried in one study, scored on each of its inner folds.

    ``number`` counts the study's completed trials from 0; ``inner`` is sorted by part.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from foldwise import NestedSearchCV
    >>> search = NestedSearchCV(cv=3, n_trials=2).fit(*load_iris(return_X_y=True))
    >>> trial = search.result_.trials[0]
    >>> str(trial.study), trial.number, len(trial.inner)
    ('outer-0', 0, 2)
    """

    study: Study
    number: int
    values: Values
    inner: tuple[InnerFold, ...]

    def left_out(self, part: Part) -> frozenset[Part]:
        """The parts that the inner fold scoring ``part`` left out of its training rows."""
        return frozenset({part} if self.study.part is None else {part, self.study.part})

    def mean(self, metric: str) -> float:
        """Mean of ``metric`` over the inner folds: what the study optimises."""
        return float(np.mean([fold.scores[metric] for fold in self.inner]))


@dataclass(frozen=True, slots=True, eq=False)
class OuterFold:
    """An outer fold finished: its study's best trial, its model, and the estimate on its part.

    ``rows`` (n,) are the part's row numbers in the development set, ascending; ``predictions``
    belong to them; ``labels`` (n,) are their class codes.
    """

    best: Trial
    model: "Model"
    facts: Facts
    scores: Scores
    rows: NDArray[np.int64]
    labels: NDArray[np.int64]
    predictions: "Predictions"

    @property
    def study(self) -> Study:
        """The fold's study."""
        return self.best.study

    @property
    def fold(self) -> int:
        """The fold's number."""
        return self.part.fold

    @property
    def part(self) -> Part:
        """The part that the fold is scored on."""
        if self.best.study.part is None:
            raise TypeError("the final study has no outer part")
        return self.best.study.part


@dataclass(frozen=True, slots=True, eq=False)
class FinalModel:
    """The final study finished: its best trial and the model fitted on all development rows."""

    best: Trial
    model: "Model"
    facts: Facts


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
    """The whole search. ``trials`` are sorted by study (outer folds, then final), then number.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from foldwise import NestedSearchCV
    >>> search = NestedSearchCV(cv=3, n_trials=2).fit(*load_iris(return_X_y=True))
    >>> [str(fold.study) for fold in search.result_.outer]
    ['outer-0', 'outer-1', 'outer-2']
    """

    plan: "Plan"
    space: "Space"
    trials: tuple[Trial, ...]
    outer: tuple[OuterFold, ...]
    final: FinalModel
    fits: FitCounts

    @property
    def metric(self) -> str:
        """What the studies selected by."""
        return self.space.metric

    @property
    def devices(self) -> tuple[str, ...]:
        """What computed the fits."""
        told = [fold.facts for trial in self.trials for fold in trial.inner]
        return devices([*told, *(fold.facts for fold in self.outer), self.final.facts])

    def pooled(self) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
        """Row numbers (n,), class codes (n,) and predictions (n, classes) of the first partition.

        Of all its outer folds, one after the other: each row is there once.
        """
        outer = [fold for fold in self.outer if not fold.part.repeat]
        values = np.concatenate([fold.predictions.values for fold in outer])
        rows, labels = np.hstack([np.stack([fold.rows, fold.labels]) for fold in outer])
        return rows, labels, values

    def study_trials(self, study: Study) -> tuple[Trial, ...]:
        """The trials of one study, by number."""
        return tuple(trial for trial in self.trials if trial.study == study)


@dataclass(frozen=True, slots=True)
class Progress:
    """So many of all pieces of one kind of work are done; shown, never recorded."""

    done: int
    total: int
    what: str = "fits"


Event = Progress | Trial | OuterFold | FinalModel | SearchResult
"""What the search yields: a study's trials before its fold; the SearchResult last, once."""


def by_number(trials: Iterable[Trial]) -> tuple[Trial, ...]:
    """A study's trials by number, of equal ones the first."""
    first: dict[int, Trial] = {}
    for trial in trials:
        first.setdefault(trial.number, trial)
    return tuple(first[number] for number in sorted(first))


def best_trial(trials: Sequence[Trial], metric: str) -> Trial:
    """The trial with the best mean score; of equals the first, and one without a score never."""
    sign = 1 if is_loss(metric) else -1

    def rank(trial: Trial) -> tuple[bool, float, int]:
        loss = sign * trial.mean(metric)
        return isnan(loss), loss, trial.number

    return min(trials, key=rank)


def devices(told: Iterable[Facts]) -> tuple[str, ...]:
    """What computed fits: names of devices, and the cores if they made any."""
    return tuple(sorted({str(facts.get("device", CORES)) for facts in told}))


def number_of(values: Values, name: str) -> float:
    """The value of a numeric parameter."""
    value = values[name]
    if isinstance(value, str) or value is None:
        raise TypeError(f"{name} is {value!r}, not a number")
    return float(value)


Json = dict[str, Any]


def trial_to_json(trial: Trial) -> Json:
    """A trial as JSON values; floats keep every bit."""
    return {**plain(trial), "study": str(trial.study)}


def trial_from_json(encoded: Json) -> Trial:
    """The inverse of :func:`trial_to_json`; trials that name C and outcomes (0.1) are understood.

    Raises
    ------
    AttributeError, KeyError, TypeError, ValueError
        If a field is missing or of another kind.
    """
    values = encoded["values"] if "values" in encoded else {"C": encoded["C"]}
    inner = tuple(
        InnerFold(
            part=_part(fold["part"]),
            scores=completed({str(name): _number(of) for name, of in fold["scores"].items()}),
            facts=dict(fold["facts"] if "facts" in fold else fold["outcome"]),
        )
        for fold in encoded["inner"]
    )
    return Trial(Study.parse(encoded["study"]), index(encoded["number"]), dict(values), inner)


def _part(encoded: int | Sequence[int]) -> Part:
    repeat, fold = (0, encoded) if isinstance(encoded, int) else encoded
    return Part(index(repeat), index(fold))


def _number(encoded: object) -> float:
    if isinstance(encoded, bool) or not isinstance(encoded, int | float):
        raise TypeError(f"a score must be a number, it is {encoded!r}")
    return float(encoded)
