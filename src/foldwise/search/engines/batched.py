"""The batched engine: C-paths of all training sets traced side by side, fits started on them.

Paths are its secret. They follow from data, range of C, tolerance and training set alone, however
far they were traced at a time. So the shelf that outlives a killed search may lose any of them, and
keeps no curvature pairs, a hundred times a path's size: a path found there that must go further is
traced anew.
"""

import io
import shutil
from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from foldwise.errors import OutputError, SearchError
from foldwise.files import DocumentError, decode_arrays, read_bytes, write_bytes
from foldwise.search.jobs import Classes, Done, Engine, Job, Judge, LeftOut, Predictions, Task
from foldwise.search.plan import Plan
from foldwise.search.trials import Facts, Part, Progress
from foldwise.solver.fits import FitRequest, SolverOptions, solve
from foldwise.solver.layout import Layout
from foldwise.solver.linear import Fit, LinearModel, probabilities
from foldwise.solver.paths import RegularisationPath, Stretch, Traced, anchors, trace
from foldwise.stats.scores import Scores
from foldwise.threads import one_blas_thread

Folds = frozenset[int]

MODEL_ARRAYS = ("mean", "scale", "coefficients", "intercepts")


class Features(Protocol):
    """What is made of raw rows before a linear model sees them, row by row."""

    def transform(self, X: NDArray[Any]) -> NDArray[Any]:
        """Features (rows, features) of raw images (rows, pixels), or of a table's rows."""
        ...

    def stock(self, mean: NDArray[np.float64]) -> list[tuple[str, Any]]:
        """Fitted steps of scikit-learn's own that make the same, ``mean`` (features,) in gaps."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class LinearClassifier:
    """A model of the batched solver: its numbers, for raw rows unless there are ``features``."""

    numbers: LinearModel
    features: Features | None = None

    def predict(self, X: NDArray[Any]) -> Predictions:
        """Class probabilities of raw rows, images' (rows, pixels) or a table's, a data frame."""
        seen = X if self.features is None else self.features.transform(X)
        return Predictions(probabilities(self.numbers, seen))

    def estimator(self, classes: Classes) -> Any:
        """A stock scikit-learn pipeline that computes the same of rows of float64."""
        from foldwise.search.engines.pipeline import to_pipeline  # scikit-learn: two seconds

        return to_pipeline(self.numbers, classes, before=self._stock())

    def arrays(self) -> dict[str, NDArray[np.float64]]:
        """Standardisation and coefficients."""
        return {name: getattr(self.numbers, name) for name in MODEL_ARRAYS}

    def digest(self, classes: Classes) -> str:
        """SHA-256 (hexadecimal) of the function that it computes."""
        from foldwise.search.engines.pipeline import content_digest

        return content_digest(self.numbers, classes, before=self._stock())

    def _stock(self) -> list[tuple[str, Any]]:
        return [] if self.features is None else self.features.stock(self.numbers.mean)


class Backend(Protocol):
    """Traces the paths of training sets, and solves the distinct fits."""

    def trace(self, stretches: Sequence[Stretch]) -> Iterator[Traced | RegularisationPath]:
        """Trace each path as far as it is asked for; yield each as it gets there."""
        ...

    def solve(self, requests: Sequence[FitRequest]) -> Iterator[Fit]:
        """Make each requested fit once; yield each as it ends, in any order."""
        ...


Scorer = Callable[[Sequence[LinearModel], int], Sequence[Scores]]
"""Scores models where their rows are, each on those of a part that are scored."""

Opener = Callable[[Sequence[tuple[NDArray[Any], NDArray[np.int64]]]], Scorer]
"""Makes a scorer of the rows and labels that each part is scored on."""


@dataclass(frozen=True, slots=True, eq=False)
class LocalBackend:
    """The cores of this machine: threads take lanes of blocks, BLAS has one thread in each."""

    layout: Layout
    options: SolverOptions

    def trace(self, stretches: Sequence[Stretch]) -> Iterator[Traced | RegularisationPath]:
        """Trace all paths side by side."""
        with one_blas_thread():
            yield from trace(self.layout, stretches, self.options)

    def solve(self, requests: Sequence[FitRequest]) -> Iterator[Fit]:
        """Make each requested fit once, all side by side."""
        with one_blas_thread():
            yield from solve(self.layout, requests, self.options)


def computing(device: str, layout: Layout, options: SolverOptions) -> tuple[Backend, Opener | None]:
    """What makes the fits here, by "cpu", "cuda" or "auto"; what scores them, if not these cores.

    Raises
    ------
    SearchError
        A GPU is asked for, and there is none, or none with memory enough.
    """
    if device != "cpu":
        from foldwise.search.engines.gpu import opened  # torch, if it is there: seconds

        if there := opened(layout, options, device):
            return there, there.scorer
    return LocalBackend(layout, options), None


@dataclass(frozen=True, slots=True)
class PathShelf:
    """One search's paths, a file each in a folder of their own, if there is one."""

    folder: Path | None = None

    def find(self, left_out: Folds) -> RegularisationPath | None:
        """The path of the training set without these parts; None if there is no whole file."""
        if self.folder is None:
            return None
        try:
            stored = decode_arrays(read_bytes(self.folder / _name(left_out)))
            solutions, evaluations = tuple(stored["solutions"]), int(stored["evaluations"])
            return RegularisationPath(left_out, stored["anchors"], solutions, evaluations)
        except (OSError, KeyError, DocumentError):
            return None

    def keep(self, path: RegularisationPath) -> None:
        """Write a path whole, or not at all if the disk has no room for it."""
        if self.folder is None:
            return
        buffer = io.BytesIO()
        np.savez(
            buffer,
            allow_pickle=False,
            anchors=path.anchors,
            solutions=np.stack(path.solutions),
            evaluations=np.array(path.evaluations),
        )
        with suppress(OSError, OutputError):
            write_bytes(self.folder / _name(path.left_out), buffer.getvalue())

    def clear(self) -> None:
        """Forget all paths: the search is over."""
        if self.folder is not None:
            shutil.rmtree(self.folder, ignore_errors=True)


@dataclass(frozen=True, slots=True, eq=False)
class BatchedEngine:
    """Fits of L2-regularised logistic regression, whose one parameter is C.

    Attributes
    ----------
    images : uint8 array, or floats (rows, features); or the ``features`` of pixels
    labels : int array (rows,)
        Class codes.
    plan : Plan
        Which rows a part is scored by.
    low, high : float
        The range of C that paths are traced over.
    shelf : PathShelf
        Paths on it aren't traced again.
    threads : int
        Fits scored at a time.
    features : Features or None
        What ``images`` are of raw ones, for the models that are kept.
    repeat : int
        Of several partitions the one that the backend's layout is of; see :class:`Repeats`.
    scorer : Scorer, optional
        A device's: where there is no judge it scores in place of this machine's cores.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from foldwise import NestedSearchCV, BatchedEngine
    >>> search = NestedSearchCV(cv=3, n_trials=2).fit(*load_iris(return_X_y=True))
    >>> search.engine_  # it is what fits the default estimator
    'batched'
    """

    images: NDArray[Any]
    labels: NDArray[np.int64]
    plan: Plan
    backend: Backend
    low: float
    high: float
    shelf: PathShelf = field(default_factory=PathShelf)
    threads: int = 1
    features: Features | None = None
    repeat: int | None = None
    judge: Judge | None = None
    scorer: Scorer | None = None
    _paths: dict[Folds, RegularisationPath] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if (count := len(self.plan.part_of)) != 1 and self.repeat is None:
            raise SearchError(
                f"the batched engine's plan must have one partition, got {count}: say which by "
                "repeat, and put an engine for each into Repeats"
            )

    def run(
        self, tasks: Sequence[Task], *, later: Collection[LeftOut] = ()
    ) -> Iterator[Progress | Done]:
        """Trace paths as far as the tasks ask, then make all fits together, scoring as they end."""
        yield from self._trace(tasks, later)
        wanted = {self._request(task.job): task for task in tasks}
        made = self.backend.solve(tuple(wanted))
        fits = ((wanted[FitRequest(fit.left_out, fit.model.C)], fit) for fit in made)
        if self.scorer is None or self.judge is not None:
            yield from self._score(fits)
        else:
            all_fits = list(fits)
            yield from self._score(all_fits, self._scored_there(all_fits, self.scorer))

    def _trace(self, tasks: Sequence[Task], later: Collection[LeftOut]) -> Iterator[Progress]:
        """Trace each task's path to its C; new training sets of later ones to the largest C."""
        asked = [(_folds(task.job.left_out), _strength(task.job)) for task in tasks]
        largest = max((C for _, C in asked), default=self.low)
        asked += [(new, largest) for new in map(_folds, later) if new not in self._paths]
        stretches: dict[Folds, Stretch] = {}
        for left_out, C in sorted(asked, key=lambda each: (sorted(each[0]), each[1])):
            path = self._known(left_out)
            if path.reach(C) > len(path.solutions):
                stretches[left_out] = Stretch(path, path.reach(C))
        for event in self.backend.trace(tuple(stretches.values())):
            if isinstance(event, RegularisationPath):
                self.shelf.keep(event)
                self._paths[event.left_out] = event
            else:
                yield Progress(event.done, event.total, "points of paths")

    def _known(self, left_out: Folds) -> RegularisationPath:
        """What is known of a training set's path, here or on the shelf."""
        if left_out not in self._paths:
            new = RegularisationPath(left_out, anchors(self.low, self.high))
            self._paths[left_out] = self.shelf.find(left_out) or new
        return self._paths[left_out]

    def _request(self, job: Job) -> FitRequest:
        C = _strength(job)
        left_out = _folds(job.left_out)
        return FitRequest(left_out, C, self._paths[left_out].at(C))

    def _scored_there(
        self, fits: Sequence[tuple[Task, Fit]], scorer: Scorer
    ) -> dict[Task, dict[Part, Scores]]:
        """What a device says of the fits, part by part: many at a time are no dearer than one."""
        scores: dict[Task, dict[Part, Scores]] = {task: {} for task, _ in fits}
        for part in self.plan.parts:
            own = [(task, fit.model) for task, fit in fits if part in task.score_on]
            if own:
                told = scorer([model for _, model in own], part.fold)
                for (task, _), each in zip(own, told, strict=True):
                    scores[task][part] = each
        return scores

    def _score(
        self,
        fits: Iterable[tuple[Task, Fit]],
        known: Mapping[Task, Mapping[Part, Scores]] | None = None,
    ) -> Iterator[Done]:
        """Each fit, in their order, scored while others are made, unless its scores are known."""
        done = partial(self._done, known)
        # Two BLAS threads sum a prediction in another order than one: its bits must not depend on
        # whether fits are still being made beside it.
        limit = one_blas_thread()
        if self.threads == 1:
            with limit:
                yield from (done(task, fit) for task, fit in fits)
            return
        with limit, ThreadPoolExecutor(self.threads) as pool:
            scoring: deque[Future[Done]] = deque()
            for task, fit in fits:
                scoring.append(pool.submit(done, task, fit))
                while len(scoring) > self.threads:
                    yield scoring.popleft().result()
            while scoring:
                yield scoring.popleft().result()

    def _done(
        self, known: Mapping[Task, Mapping[Part, Scores]] | None, task: Task, fit: Fit
    ) -> Done:
        model = LinearClassifier(fit.model)
        if known is not None and task.keep == "scores":
            return Done(task, known[task], _facts(fit))
        rows = {part: self.plan.scored_rows(part) for part in task.score_on}
        predictions = {
            part: Predictions(probabilities(fit.model, self.images, of))
            for part, of in rows.items()
        }
        if known is not None:
            scores = dict(known[task])
        elif self.judge is None:
            scores = {part: predictions[part].scores(self.labels[of]) for part, of in rows.items()}
        else:
            scores = {part: self.judge(model, predictions[part], of) for part, of in rows.items()}
        whole = replace(model, features=self.features)
        return Done(task, scores, _facts(fit), predictions, whole).kept()


@dataclass(frozen=True, slots=True, eq=False)
class Repeats:
    """An engine for each partition of a plan; a model of all rows comes from the first.

    Each holds the rows arranged by its own partition.
    """

    engines: Sequence[Engine]

    def run(
        self, tasks: Sequence[Task], *, later: Collection[LeftOut] = ()
    ) -> Iterator[Progress | Done]:
        """Let each engine do the tasks of its partition, one engine after another."""
        for repeat, engine in enumerate(self.engines):
            own = [task for task in tasks if _repeat(task.job.left_out) == repeat]
            yield from engine.run(own, later=[of for of in later if _repeat(of) == repeat])


def _repeat(left_out: LeftOut) -> int:
    return max((part.repeat for part in left_out), default=0)


def _facts(fit: Fit) -> Facts:
    outcome = fit.outcome
    facts: dict[str, float | str] = {
        "status": outcome.status,
        "iterations": outcome.iterations,
        "evaluations": outcome.evaluations,
    }
    return facts if fit.device is None else {**facts, "device": fit.device}


def _folds(left_out: LeftOut) -> Folds:
    return frozenset(part.fold for part in left_out)


def _strength(job: Job) -> float:
    (C,) = (value for name, value in job.values if name == "C")
    return float(C)  # type: ignore[arg-type]  # the space says it's a number


def _name(left_out: Folds) -> str:
    return f"without-{'-'.join(map(str, sorted(left_out))) or 'none'}.npz"
