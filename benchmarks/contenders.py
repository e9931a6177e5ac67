"""Who does the nested search: each suits itself to the machine, makes a sample, tells seconds."""

import warnings
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from importlib.util import find_spec
from time import perf_counter
from typing import Any, ClassVar, NamedTuple, Self

import numpy as np
from joblib import Parallel, delayed
from numpy.typing import NDArray
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression, LogisticRegressionCV
from sklearn.metrics import log_loss
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from benchmarks import own
from benchmarks.work import Model, Parts, Task, Wanted, Work, seconds_of

MOST_ITERATIONS = 20_000
SAMPLED_FOLDS = 2


class Made(NamedTuple):
    """A fit made to be looked at: its model, its evaluations, and its own seconds on its worker."""

    wanted: Wanted
    model: Model
    evaluations: float
    seconds: float


@dataclass(frozen=True, slots=True, eq=False)
class Sample:
    """Inner fits at some values of C, the first outer fold's model, and how many the whole makes.

    ``judged`` is what the gap is measured on, against solutions that standardise by their own
    rows, or by all but those of the parts ``scaled_outside``.
    """

    inner: Sequence[Made]
    outer: Made
    judged: Sequence[Made]
    count: int
    scaled_outside: Parts | None = None


@dataclass(slots=True)
class Contender(ABC):
    """A nested search; without ``workers`` it is timed whole, else so many fits at a time."""

    name: str
    workers: int = 0
    once: ClassVar[bool] = False
    """Whether even its sample is so slow that it is taken but once."""

    def suit(self, task: Task) -> Self:  # noqa: ARG002 - those that do more ask the task
        """With as many workers as serve it best."""
        return self

    @abstractmethod
    def sample(self, task: Task) -> Sample:
        """Make some of the search's fits, as many at a time as there are workers."""

    def seconds(self, task: Task, sample: Sample) -> float:
        """For all fits, if each takes per row what the sampled ones took on average.

        In the contender's favour: the workers are never idle, and nothing but fits is counted.
        """
        rows = {parts: len(task.work.training_rows(parts)) for parts in task.work.training_sets}
        sampled = sum(rows[fit.wanted.left_out] for fit in sample.inner)
        each = sum(fit.seconds for fit in sample.inner) / sampled
        return each * sum(rows[fit.left_out] for fit in task.wanted) / self.workers

    @property
    def note(self) -> str:
        """How its seconds came about."""
        many = "one fit" if self.workers == 1 else f"{self.workers} fits"
        return f"extrapolated; {many} at a time" if self.workers else "whole"


@dataclass(slots=True)
class InOneGo(Contender):
    """foldwise, with every C known beforehand; ``searched`` is the last of its searches."""

    searched: own.Searched = field(kw_only=True)

    def sample(self, task: Task) -> Sample:
        """The search's own models."""
        models = own.models(task.work, task.sampled)
        passes = sum(self.searched.paths.values()) + sum(self.searched.fits.values())
        each = passes / len(self.searched.fits)
        fits = [Made(fit, models[fit], each, 0.0) for fit in task.sampled]
        return Sample(fits[:-1], fits[-1], fits, len(self.searched.fits))

    def seconds(self, task: Task, sample: Sample) -> float:  # noqa: ARG002 - it does the whole
        """All fits in one call."""
        return seconds_of(lambda: own.in_one_go(task))


@dataclass(slots=True)
class Rounds(InOneGo):
    """foldwise as a user has it: in rounds, each proposed by what the ones before it found."""

    def seconds(self, task: Task, sample: Sample) -> float:  # noqa: ARG002 - it does the whole
        """Search anew."""
        self.searched = own.search(task.work)
        return self.searched.seconds


@dataclass(slots=True)
class Stock(Contender):
    """scikit-learn's nested search, each fit for itself, on pixels of a dtype.

    ``sums`` is whether the estimator's tolerance is for the gradient of the summed loss, not the
    mean: it then gets as many times the tolerance as there are rows, which means the same.
    """

    estimator: type[LogisticRegression] = LogisticRegression
    dtype: type[np.floating] = np.float64
    sums: bool = False

    def suit(self, task: Task) -> Self:
        """One fit per core or one fit on all cores: whichever is quicker at a few short fits."""
        few = task.sampled[: min(task.work.threads, task.work.size.sampled)]

        def seconds(candidate: Self) -> float:
            candidate._fits(task.work, few, max_iter=1)
            return seconds_of(lambda: candidate._fits(task.work, few, max_iter=10))

        counts = sorted({1, task.work.threads})
        return min((replace(self, workers=count) for count in counts), key=seconds)

    def sample(self, task: Task) -> Sample:
        """All of the sampled fits."""
        fits = self._fits(task.work, task.sampled)
        return Sample(fits[:-1], fits[-1], fits, len(task.wanted))

    def _fits(
        self, work: Work, wanted: Sequence[Wanted], max_iter: int = MOST_ITERATIONS
    ) -> list[Made]:
        data, jobs = work.images.astype(self.dtype), []
        for fit in wanted:
            assert fit.scored is not None
            split = work.training_rows(fit.left_out), work.scored_rows(fit.scored)
            tol = work.size.tol * (len(split[0]) if self.sums else 1)
            model = self.estimator(C=fit.C, tol=tol, max_iter=max_iter)
            pipeline = make_pipeline(StandardScaler(), model)
            jobs.append(delayed(_timed_fit)(pipeline, data, work.labels, split))
        made = Parallel(n_jobs=self.workers)(jobs)
        return [
            Made(fit, _model(pipeline, fit.C), float(pipeline[-1].n_iter_.max()), seconds)
            for fit, (pipeline, seconds) in zip(wanted, made, strict=True)
        ]


@dataclass(slots=True)
class WarmPath(Contender):
    """One ``LogisticRegressionCV`` per study: fits start where the last C's ended; float64 alone.

    It scales before it splits: the inner folds' scaling has seen their scored rows.
    """

    once: ClassVar[bool] = True

    def suit(self, task: Task) -> Self:
        """A fold a core."""
        return replace(self, workers=task.work.threads)

    def sample(self, task: Task) -> Sample:
        """The first study's whole path on two of its folds, and its model.

        Judged are a few of the first fold's fits, spread over its path.
        """
        work, study, began = task.work, task.work.studies[0], perf_counter()
        rows, folds = work.training_rows(study), work.inner(study)[:SAMPLED_FOLDS]
        parts = work.part_of[rows]
        path = LogisticRegressionCV(
            Cs=list(task.tried[study]),
            cv=[(np.flatnonzero(parts != i), np.flatnonzero(parts == i)) for _, i in folds],
            scoring="neg_log_loss",
            l1_ratios=(0.0,),
            use_legacy_attributes=False,
            tol=work.size.tol,
            max_iter=MOST_ITERATIONS,
            n_jobs=self.workers,
        )
        images = work.images[rows].astype(np.float64)
        pipeline = make_pipeline(StandardScaler(), path).fit(images, work.labels[rows])
        seconds, model = perf_counter() - began, pipeline[-1]
        # The folds run side by side: a worker's seconds are the wall's.
        each = seconds * min(self.workers, SAMPLED_FOLDS) / (model.n_iter_.size + 1)
        inner = [
            Made(
                Wanted(left_out, C, part),
                _model(pipeline, C, model.coefs_paths_[fold, 0, position]),
                float(model.n_iter_[fold, 0, position]),
                each,
            )
            for fold, (left_out, part) in enumerate(folds)
            for position, C in enumerate(model.Cs_.tolist())
        ]
        first, best = inner[: len(inner) // SAMPLED_FOLDS], float(model.C_)
        outer = Made(Wanted(study, best, 0), _model(pipeline, best), float("nan"), each)
        judged = [first[(2 * third + 1) * len(first) // 6] for third in range(3)]
        return Sample(inner, outer, judged, len(task.wanted), scaled_outside=study)


def contenders(searched: own.Searched) -> list[Contender]:
    """Everyone in the table, in its order; intelex where it is installed."""
    found: list[Contender] = [
        Stock("scikit-learn, float64"),
        Stock("scikit-learn, float32", dtype=np.float32),
        WarmPath("LogisticRegressionCV, warm starts, float64"),
        Rounds("**foldwise**, rounds as they are proposed", searched=searched),
        InOneGo("foldwise, all C known, in one go", searched=searched),
    ]
    if find_spec("sklearnex") is not None:
        from sklearnex.linear_model import LogisticRegression as Accelerated

        name = "scikit-learn-intelex, float32"
        found.insert(3, Stock(name, estimator=Accelerated, dtype=np.float32, sums=True))
    return found


def _model(pipeline: Pipeline, C: float, weights: NDArray[np.floating] | None = None) -> Model:
    """What was fitted in float64; ``weights`` of a path have the intercept last."""
    scaler, fitted = pipeline
    joint = np.column_stack([fitted.coef_, fitted.intercept_]) if weights is None else weights
    numbers = (scaler.mean_, scaler.scale_, joint[:, :-1], joint[:, -1])
    return Model(C, *(np.asarray(each, dtype=np.float64) for each in numbers))


def _timed_fit(
    pipeline: Pipeline, images: Any, labels: Any, split: tuple[Any, Any]
) -> tuple[Pipeline, float]:
    """One inner fold, as the random search does it: take the rows, fit, score."""
    training, scored = split
    began = perf_counter()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # the ten iterations of a try-out
        pipeline.fit(images[training], labels[training])
    log_loss(labels[scored], pipeline.predict_proba(images[scored]), labels=pipeline.classes_)
    return pipeline, perf_counter() - began
