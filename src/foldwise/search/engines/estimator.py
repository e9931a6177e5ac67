"""The engine of any scikit-learn classifier: fits side by side, one core each."""

import hashlib
from collections.abc import Callable, Collection, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from time import perf_counter
from typing import Any

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from foldwise.search.engines.batched import LinearClassifier
from foldwise.search.engines.pipeline import content_digest, linear_model, pieces
from foldwise.search.jobs import Classes, Done, LeftOut, Model, Predictions, Task
from foldwise.search.plan import Plan
from foldwise.search.trials import Progress, Values


@dataclass(frozen=True, slots=True, eq=False)
class FittedEstimator:
    """A model that is a fitted scikit-learn classifier of the plan's classes."""

    fitted: Any

    def predict(self, X: NDArray[Any]) -> Predictions:
        """Probabilities, or decision scores where it has none, of raw rows (rows, features)."""
        rows = X.astype(np.float32)
        if hasattr(self.fitted, "predict_proba"):
            return Predictions(np.asarray(self.fitted.predict_proba(rows), np.float64))
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
        digest = hashlib.sha256(repr(list(classes)).encode())
        for piece in pieces(self.fitted):
            digest.update(piece)
        return digest.hexdigest()


def model_of(estimator: Any) -> Model:
    """The model whose ``estimator`` this is: the batched solver's numbers, or the thing itself."""
    numbers = linear_model(estimator)
    return FittedEstimator(estimator) if numbers is None else LinearClassifier(numbers)


@dataclass(frozen=True, slots=True, eq=False)
class EstimatorEngine:
    """Fits of a classifier that ``build`` makes of values.

    Attributes
    ----------
    X : array (rows, features)
    labels : int array (rows,)
        Class codes.
    classes : ints or strings, ascending
        What the classifier is fitted to answer, in the order of the codes.
    plan : Plan
    build : callable
        From values to a classifier, not yet fitted.
    threads : int
        Fits made at a time; a single one gets all of them. No score depends on it.
    """

    X: NDArray[Any]
    labels: NDArray[np.int64]
    classes: Classes
    plan: Plan
    build: Callable[[Values], Any]
    threads: int = 1

    def run(
        self, tasks: Sequence[Task], *, later: Collection[LeftOut] = ()
    ) -> Iterator[Progress | Done]:
        """Make the fits as threads are free; nothing is prepared for later ones."""
        del later
        if len(tasks) == 1:
            with threadpool_limits(limits=self.threads):
                yield self._do(tasks[0])
            return
        # All cores are taken by fits: BLAS must not take them a second time.
        with threadpool_limits(limits=1, user_api="blas"), one_core_threads(self.threads) as pool:
            waiting = [pool.submit(self._do, task) for task in tasks]
            try:
                for done in as_completed(waiting):
                    yield done.result()
            finally:
                for future in waiting:
                    future.cancel()

    def _do(self, task: Task) -> Done:
        rows = self.plan.training_rows(task.job.left_out)
        fitted = self.build(dict(task.job.values))
        began = perf_counter()
        fitted.fit(self.X[rows].astype(np.float32), np.asarray(self.classes)[self.labels[rows]])
        seconds = perf_counter() - began
        model = FittedEstimator(fitted)
        parts = {part: self.plan.scored_rows(part) for part in task.score_on}
        predictions = {part: model.predict(self.X[of]) for part, of in parts.items()}
        scores = {part: predictions[part].scores(self.labels[of]) for part, of in parts.items()}
        return Done(task, scores, {"seconds": seconds}, predictions, model).kept()


def one_core_threads(count: int) -> ThreadPoolExecutor:
    """A pool whose threads keep OpenMP to one core each; BLAS has one limit for the process."""
    return ThreadPoolExecutor(count, initializer=_take_one_core)


def _take_one_core() -> None:
    # OpenMP keeps its limit per thread, and these threads need it to their end.
    threadpool_limits(limits=1, user_api="openmp")
