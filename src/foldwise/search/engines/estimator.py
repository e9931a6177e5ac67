"""The engine of any scikit-learn classifier: fits side by side, one core each."""

import hashlib
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field, replace
from functools import partial
from time import perf_counter
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from sklearn.utils import _safe_indexing
from sklearn.utils.parallel import Parallel, delayed
from threadpoolctl import threadpool_limits

from foldwise.search.engines.pipeline import content_digest, content_of, linear_model
from foldwise.search.jobs import (
    Classes,
    Done,
    Engine,
    Job,
    Judge,
    LeftOut,
    Model,
    Predictions,
    Task,
)
from foldwise.search.plan import Plan
from foldwise.search.space import KIND, own_values
from foldwise.search.trials import Progress, Values
from foldwise.stats.scores import METRICS, SCORE, Scores, is_loss
from foldwise.threads import one_thread

FAILED = "failed"
"""Status of a fit that ended in an error, which stands beside it."""
_LONGEST = 200


@dataclass(frozen=True, slots=True, eq=False)
class FittedEstimator:
    """A model that is a fitted scikit-learn estimator, a classifier of the plan's classes.

    It is given rows as float32, as images want it, or ``as_given``.
    """

    fitted: Any
    as_given: bool = False

    def predict(self, X: Any) -> Predictions:
        """Probabilities of raw rows (rows, features), or whatever it has instead.

        Decision scores; 1 for the class that it answers; or a regressor's one value.
        """
        rows = X if self.as_given else X.astype(np.float32, copy=False)
        if hasattr(self.fitted, "predict_proba"):
            return Predictions(np.asarray(self.fitted.predict_proba(rows), np.float64))
        if not hasattr(self.fitted, "decision_function"):
            answers = np.asarray(self.fitted.predict(rows))[:, np.newaxis]
            is_classifier = hasattr(self.fitted, "classes_")
            values = answers == self.fitted.classes_ if is_classifier else answers
            return Predictions(values.astype(np.float64), are_probabilities=False)
        scores = np.asarray(self.fitted.decision_function(rows), np.float64)
        if scores.ndim == 1:  # two classes: one score, of the second against the first
            scores = np.column_stack([-scores, scores])
        return Predictions(scores, are_probabilities=False)

    def estimator(self, classes: Classes) -> Any:
        """The classifier itself, which was fitted on these classes."""
        if list(self.fitted.classes_) != list(classes):
            raise ValueError(f"the model answers {self.fitted.classes_}, not {classes}")
        return self.fitted

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Nothing: a classifier is as large as it likes, and its fit can be made again."""
        return {}

    def digest(self, classes: Classes) -> str:
        """SHA-256 (hexadecimal) of its parameters and of what it has learned.

        One that computes what a linear model does has that model's digest.
        """
        numbers = linear_model(self.fitted)
        if numbers is not None:
            return content_digest(numbers, classes)
        return content_of(self.fitted, hashlib.sha256(repr(list(classes)).encode()))


@dataclass(frozen=True, slots=True, eq=False)
class EstimatorEngine:
    """Fits of an estimator that ``build`` makes of values.

    Attributes
    ----------
    X : array (rows, features), or whatever the estimator takes
    labels : int array (rows,)
        Class codes; without classes, the targets of a regressor.
    classes : ints or strings, ascending
        What the classifier is fitted to answer, in the order of the codes.
    build : callable
        From values to an estimator, not yet fitted.
    threads : int
        Fits made at a time; a single one gets all of them. No score depends on it.
    as_given : bool
        Somebody's own estimator gets X as it is and fits are joblib's; others X as float32, in
        threads.
    parameters : mapping
        What else ``fit`` of such a one gets, by name: arrays with an entry a row, such as weights.
    error_score : float or "raise"
        What a fit of such a one that fails scores on its inner folds.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.tree import DecisionTreeClassifier
    >>> from foldwise import EstimatorEngine, Plan
    >>> X, y = np.arange(30.0)[:, None], np.arange(30) % 2
    >>> plan = Plan.stratified(y, folds=3, seed=1)
    >>> engine = EstimatorEngine(X, y, (0, 1), plan, lambda of: DecisionTreeClassifier(**of))
    >>> engine.classes
    (0, 1)
    """

    X: Any
    labels: NDArray[Any]
    classes: Classes | None
    plan: Plan
    build: Callable[[Values], Any]
    threads: int | None = 1
    judge: Judge | None = None
    as_given: bool = False
    parameters: Mapping[str, NDArray[Any]] = field(default_factory=dict)
    error_score: float | Literal["raise"] = "raise"

    def run(
        self, tasks: Sequence[Task], *, later: Collection[LeftOut] = ()
    ) -> Iterator[Progress | Done]:
        """Make the fits as threads are free; nothing is prepared for later ones."""
        del later
        if self.as_given:
            fits = (delayed(self._given)(task) for task in tasks)
            yield from Parallel(self.threads, return_as="generator_unordered")(fits)
            return
        if len(tasks) == 1:
            with threadpool_limits(limits=self.threads):
                yield self._do(tasks[0])
            return
        # All cores are taken by fits: BLAS must not take them a second time.
        with threadpool_limits(1, user_api="blas"), one_core_threads(self.threads or 1) as pool:
            waiting = [pool.submit(self._do, task) for task in tasks]
            try:
                for done in as_completed(waiting):
                    yield done.result()
            finally:
                for future in waiting:
                    future.cancel()

    def _given(self, task: Task) -> Done:
        """One core a fit, so that its bits don't depend on how many are made."""
        with one_thread():
            try:
                return self._do(task)
            # Whatever somebody's estimator raises: they asked to go on.
            except Exception as error:
                if self.error_score == "raise" or task.keep == "model":
                    raise
                told = float(self.error_score)  # larger is better, as scorers have it
                failed = {name: -told if is_loss(name) else told for name in [*METRICS, SCORE]}
                facts = {"status": FAILED, "error": repr(error)[:_LONGEST]}
                return Done(task, dict.fromkeys(task.score_on, failed), facts)

    def _do(self, task: Task) -> Done:
        rows = self.plan.training_rows(task.job.left_out)
        fitted = self.build(dict(task.job.values))
        targets = self.labels if self.classes is None else np.asarray(self.classes)[self.labels]
        parameters = {name: of[rows] for name, of in self.parameters.items()}
        began = perf_counter()
        fitted.fit(self._rows(rows), targets[rows], **parameters)
        seconds = perf_counter() - began
        model = FittedEstimator(fitted, as_given=self.as_given)
        parts = {part: self.plan.scored_rows(part) for part in task.score_on}
        predictions = {part: model.predict(self._rows(of)) for part, of in parts.items()}
        judge = self.judge or self._scores
        scores = {part: judge(model, predictions[part], of) for part, of in parts.items()}
        return Done(task, scores, {"seconds": seconds}, predictions, model).kept()

    def _scores(self, _: Model, predictions: Predictions, rows: NDArray[np.int64]) -> Scores:
        return predictions.scores(self.labels[rows])

    def _rows(self, rows: NDArray[np.int64]) -> Any:
        """These rows of X as the estimator gets them."""
        return _safe_indexing(self.X, rows) if self.as_given else self.X[rows].astype(np.float32)


@dataclass(frozen=True, slots=True, eq=False)
class Kinds:
    """An engine for each kind of model of a conditional space, which knows its own values alone.

    A fit whose engine doesn't say what it took gets the time since the one before as ``seconds``.
    """

    engines: Mapping[str, Engine]

    def run(
        self, tasks: Sequence[Task], *, later: Collection[LeftOut] = ()
    ) -> Iterator[Progress | Done]:
        """Let each engine do the tasks of its kind, one engine after another."""
        for kind, engine in self.engines.items():
            own = {}
            for task in tasks:
                values = dict(task.job.values)
                if values[KIND] == kind:
                    job = Job.of(task.job.left_out, own_values(values))
                    own[replace(task, job=job)] = task
            began = perf_counter()
            for event in engine.run(tuple(own), later=later if own else ()):
                if isinstance(event, Done):
                    facts = {"seconds": perf_counter() - began, **event.facts}
                    yield replace(event, task=own[event.task], facts=facts)
                    began = perf_counter()
                else:
                    yield event


def one_core_threads(count: int) -> ThreadPoolExecutor:
    """A pool whose threads keep OpenMP to one core each; BLAS has one limit for the process."""
    # OpenMP keeps its limit per thread, and these threads need it to their end.
    limit = partial(threadpool_limits, limits=1, user_api="openmp")
    return ThreadPoolExecutor(count, initializer=limit)
