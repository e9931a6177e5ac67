"""The seam between the search and whoever makes its fits: jobs, tasks, engines and models.

An engine is made for one data set and one plan: it holds the rows, their class codes and what it
needs of options, and knows no study, trial, book or store. What it must hold to:

- A fit is what its job says and nothing else: trained on ``plan.training_rows(job.left_out)`` with
  ``job.values``, the same to the bit in any batch and order, however often it is asked for, and
  whatever comes ``later``. What an engine prepares, keeps or warm-starts from (paths, arranged
  rows, a device's memory) must follow from the data, its options and the training set alone: no
  fit may know rows that it leaves out.
- It scores where it fits: each part of ``score_on`` on ``plan.scored_rows(part)``, by its judge,
  which unless another was given is :meth:`Predictions.scores`; and gives back :meth:`Done.kept`,
  so that only what is kept travels.
- Each task is done once, as soon as it can be: the search keeps complete trials while the rest
  runs, and a kill loses what is under way. A consumer may close the generator: nothing may then
  run on.
- A model is numbers in float64 and ends as a stock scikit-learn estimator, whatever made it.
- What goes wrong outside (a cluster, a device) is one :class:`~foldwise.errors.SearchError`.

``tests/conformance/engine_cases.py`` asks all of it of any engine.
"""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from foldwise.files import Value
from foldwise.search.trials import Facts, Part, Progress, Values
from foldwise.stats.scores import Scores, score

LeftOut = frozenset[Part]
Keep = Literal["scores", "predictions", "model"]
Classes = Sequence[int] | Sequence[str]


@dataclass(frozen=True, slots=True)
class Job:
    """What determines a fit: the parts that it doesn't train on, and the values.

    Equal jobs are fitted once: that is the sharing. ``values`` are sorted by name.
    """

    left_out: LeftOut
    values: tuple[tuple[str, Value], ...]

    @classmethod
    def of(cls, left_out: LeftOut, values: Values) -> Self:
        """The job of a mapping of values."""
        return cls(left_out, tuple(sorted(values.items())))


@dataclass(frozen=True, slots=True)
class Task:
    """A job to do, the parts to score its fit on, and what is to be kept of it.

    ``predictions`` are those of the parts scored; a ``model`` comes with them.
    """

    job: Job
    score_on: tuple[Part, ...]
    keep: Keep = "scores"


@dataclass(frozen=True, slots=True, eq=False)
class Predictions:
    """One value a row and class (rows, classes), the largest being the predicted class's.

    What are no probabilities are decision scores: they rank rows, but have no log-loss and no
    calibration.
    """

    values: NDArray[np.float64]
    are_probabilities: bool = True

    def scores(self, labels: NDArray[np.int64]) -> Scores:
        """All metrics against class codes (rows,); the log-loss is NaN for decision scores."""
        scores = score(self.values, labels)
        return scores if self.are_probabilities else {**scores, "log_loss": float("nan")}


class Model(Protocol):
    """A fitted classifier.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from foldwise import NestedSearchCV, Model
    >>> search = NestedSearchCV(cv=3, n_trials=2).fit(*load_iris(return_X_y=True))
    >>> model: Model = search.result_.final.model
    >>> model.predict(load_iris().data).values.shape
    (150, 3)
    """

    def predict(self, X: NDArray[Any]) -> Predictions:
        """What it says of raw rows (rows, features)."""
        ...

    def estimator(self, classes: Classes) -> Any:
        """The fitted scikit-learn estimator that answers ``classes``."""
        ...

    def arrays(self) -> Mapping[str, NDArray[Any]]:
        """All that makes it what it is, to be kept beside a result."""
        ...

    def digest(self, classes: Classes) -> str:
        """SHA-256 (hexadecimal) of the function that it computes, however it is stored."""
        ...


Judge = Callable[[Model, Predictions, NDArray[np.int64]], Scores]
"""Scores a model by what it predicted of the rows with these numbers."""


@dataclass(frozen=True, slots=True, eq=False)
class Done:
    """A task done: the scores on each part, and as much of the fit as was to be kept.

    ``facts`` are numbers and words about the fit, recorded as they are; its ``status``, if it has
    one, is counted: converged, stalled or exhausted.
    """

    task: Task
    scores: Mapping[Part, Scores]
    facts: Facts = field(default_factory=dict)
    predictions: Mapping[Part, Predictions] = field(default_factory=dict)
    model: Model | None = None

    def kept(self) -> Self:
        """Without what the task doesn't ask for: only what is kept need travel."""
        keep = self.task.keep
        return replace(
            self,
            predictions={} if keep == "scores" else self.predictions,
            model=self.model if keep == "model" else None,
        )


class Engine(Protocol):
    """Makes fits and scores them where they are made; the module says what it promises.

    Examples
    --------
    >>> from foldwise import Engine, EstimatorEngine
    >>> hasattr(EstimatorEngine, "run") and hasattr(Engine, "run")
    True
    """

    def run(
        self, tasks: Sequence[Task], *, later: Collection[LeftOut] = ()
    ) -> Iterator[Progress | Done]:
        """Do each task once; yield each as it ends, in any order.

        A search calls it in rounds: the trials drawn at random of all studies at once, hundreds of
        fits; then a trial a study at a time; at the end the models. Word of the progress of what is
        prepared goes between; of the fits the search itself keeps count.

        Parameters
        ----------
        tasks : sequence of Task
            Of distinct jobs; none is allowed.
        later : collection of sets of parts
            Training sets, by the parts left out, that jobs to come may be on: what an engine
            prepares for a training set it may prepare for all of them at once.
        """
        ...
