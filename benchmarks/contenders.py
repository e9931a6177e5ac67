"""Who does the nested search: each tells the seconds of the whole, and shows some of its fits."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib.util import find_spec
from time import perf_counter
from typing import Any, NamedTuple, Self

import numpy as np
from joblib import Parallel, delayed
from sklearn.linear_model import LogisticRegression, LogisticRegressionCV
from sklearn.metrics import log_loss
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from benchmarks import own, solver
from benchmarks.clock import seconds_of
from benchmarks.work import Task, Wanted

MOST_ITERATIONS = 20_000


class Made(NamedTuple):
    """A fit made to be looked at: its model, its evaluations, and its own seconds on its worker."""

    wanted: Wanted
    model: solver.LinearModel
    evaluations: float
    seconds: float


@dataclass(frozen=True, slots=True, eq=False)
class Line:
    """A contender in the table: of the whole search seconds, fits made, and those they stand for.

    ``gap`` is the judged fits' largest relative excess over the tight solutions' objectives.
    """

    name: str
    seconds: float
    fits: int
    logical: int
    evaluations: float
    gap: float
    log_loss: float
    note: str = "whole"

    @classmethod
    def of(cls, name: str, task: Task, made: Sequence[Made], *told: Any, fits: int = 0) -> Self:
        """Judged by fits, of which the last is the first outer fold's model.

        Of the whole are told its evaluations per fit, its seconds, and how these came about.
        """
        work, logical, (evaluations, seconds, *note) = task.work, len(task.wanted), told
        tight = solver.tight(work, tuple(each.wanted for each in made))
        gaps = [solver.gap(work, m.model, tight[m.wanted[:2]], m.wanted.left_out) for m in made]
        loss = solver.mean_loss(work, made[-1].model, work.parts[0])
        return cls(name, seconds, fits or logical, logical, evaluations, max(gaps), loss, *note)


@dataclass(slots=True)
class InOneGo:
    """foldwise, with every C known beforehand; ``searched`` is the last of its searches."""

    name: str
    searched: solver.Searched = field(kw_only=True)

    def line(self, task: Task) -> Line:
        """All fits in one call."""
        return self._line(task, seconds_of(lambda: solver.in_one_go(task)))

    def _line(self, task: Task, seconds: float) -> Line:
        count, models = len(self.searched.fits), solver.as_searched(task.work, task.sampled)
        each = sum(times for _, times in self.searched.evaluations) / count
        made = [Made(fit, models[fit[:2]], each, 0.0) for fit in task.sampled]
        return Line.of(self.name, task, made, each, seconds, fits=count)


@dataclass(slots=True)
class Rounds(InOneGo):
    """foldwise as a user has it: in rounds, each proposed by what the ones before it found."""

    def line(self, task: Task) -> Line:
        """Search anew."""
        self.searched = own.search(task.work)
        return self._line(task, self.searched.seconds["whole"])


@dataclass(slots=True)
class Stock:
    """scikit-learn's nested search, each fit for itself, a core each, on pixels of a dtype.

    ``sums`` is whether the estimator's tolerance is for the gradient of the summed loss, not the
    mean: it then gets as many times the tolerance as there are rows, which means the same.
    """

    name: str
    estimator: type[LogisticRegression] = LogisticRegression
    dtype: type[np.floating] = np.float64
    sums: bool = False

    def line(self, task: Task) -> Line:
        """By all of the sampled fits."""
        made = self.made(task)
        passes = float(np.mean([fit.evaluations for fit in made[:-1]]))
        return Line.of(self.name, task, made, passes, *extrapolated(task, made[:-1]))

    def made(self, task: Task) -> list[Made]:
        """The sampled fits."""
        work, jobs = task.work, []
        data = work.images.astype(self.dtype)
        for fit in task.sampled:
            split = work.training_rows(fit.left_out), work.parts[fit.scored or 0]
            tol = work.size.tol * (len(split[0]) if self.sums else 1)
            model = self.estimator(C=fit.C, tol=tol, max_iter=MOST_ITERATIONS)
            pipeline = make_pipeline(StandardScaler(), model)
            jobs.append(delayed(_timed_fit)(pipeline, data, work.labels, split))
        made = Parallel(n_jobs=work.threads)(jobs)
        return [
            Made(fit, _model(pipeline, fit.C), float(pipeline[-1].n_iter_.max()), seconds)
            for fit, (pipeline, seconds) in zip(task.sampled, made, strict=True)
        ]


def extrapolated(task: Task, made: Sequence[Made]) -> tuple[float, str]:
    """Seconds of all fits, a core each and none ever idle, and how they came about."""
    workers = task.work.threads
    seconds = task.seconds((of.left_out, took) for of, _, _, took in made) / workers
    return seconds, f"extrapolated; {workers} fits at a time"


@dataclass(slots=True)
class WarmPath:
    """One ``LogisticRegressionCV`` per study: fits start where the last C's ended; float64 alone.

    It scales before it splits: its inner folds' scaling has seen their scored rows, so its last
    fit alone is judged. Even its sample is so slow that it is taken but once.
    """

    name: str
    _line: Line | None = None

    def line(self, task: Task) -> Line:
        """By the first study's whole path on two of its folds, a core each, and its model."""
        self._line = self._line or self._sampled(task)
        return self._line

    def _sampled(self, task: Task) -> Line:
        work, study, began = task.work, task.work.studies[0], perf_counter()
        rows, folds = work.training_rows(study), work.inner(study)[:2]
        parts = work.part_of[rows]
        path = LogisticRegressionCV(
            Cs=list(task.tried[study]),
            cv=[(np.flatnonzero(parts != i), np.flatnonzero(parts == i)) for _, i in folds],
            scoring="neg_log_loss",
            l1_ratios=(0.0,),
            use_legacy_attributes=False,
            tol=work.size.tol,
            max_iter=MOST_ITERATIONS,
            n_jobs=work.threads,
        )
        images = work.images[rows].astype(np.float64)
        pipeline = make_pipeline(StandardScaler(), path).fit(images, work.labels[rows])
        # The folds run side by side: a worker's seconds are the wall's.
        seconds = (perf_counter() - began) * min(work.threads, 2) / (path.n_iter_.size + 1)
        passes, C = float(path.n_iter_.mean()), float(path.C_)
        last = Made(Wanted(study, C, 0), _model(pipeline, C), passes, seconds)
        every = [last._replace(wanted=Wanted(left_out, C, part)) for left_out, part in folds]
        return Line.of(self.name, task, [last], passes, *extrapolated(task, every))


Contender = InOneGo | Stock | WarmPath


def contenders(searched: solver.Searched) -> list[Contender]:
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


def _model(pipeline: Pipeline, C: float) -> solver.LinearModel:
    """What was fitted in float64."""
    scaler, fitted = pipeline
    numbers = (scaler.mean_, scaler.scale_, fitted.coef_, fitted.intercept_)
    return solver.LinearModel(C, "multinomial", *(np.asarray(n, dtype=np.float64) for n in numbers))


def _timed_fit(
    pipeline: Pipeline, images: Any, labels: Any, split: tuple[Any, Any]
) -> tuple[Pipeline, float]:
    """One inner fold, as the random search does it: take the rows, fit, score."""
    training, scored = split
    began = perf_counter()
    pipeline.fit(images[training], labels[training])
    log_loss(labels[scored], pipeline.predict_proba(images[scored]), labels=pipeline.classes_)
    return pipeline, perf_counter() - began
