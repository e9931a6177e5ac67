"""(a), (b), (d): scikit-learn's random search, with its own estimator or one like it."""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from time import perf_counter
from typing import Any

import numpy as np
from joblib import Parallel, delayed
from numpy.typing import NDArray
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss
from sklearn.model_selection import RandomizedSearchCV
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from benchmarks.measured import Sample, SampledFit
from benchmarks.workload import FINAL_STUDY, LogicalFit, Workload, strengths
from foldwise.model.linear import LinearModel
from foldwise.search.folds import StudyPlan
from foldwise.search.results import SearchResult

MOST_ITERATIONS = 20_000


@dataclass(frozen=True, slots=True, eq=False)
class Stock:
    """A nested search as one writes it with scikit-learn.

    Attributes
    ----------
    estimator
        ``LogisticRegression`` or a class like it.
    dtype
        Of the pixels; the estimator computes in it.
    workers : int
        Fits at a time (``n_jobs``); their BLAS threads share the cores.
    sums : bool
        Whether the estimator's tolerance is for the gradient of the summed loss, not the mean: it
        then gets as many times the tolerance as there are rows, which means the same.
    """

    name: str
    estimator: type[LogisticRegression]
    dtype: type[np.floating]
    workload: Workload
    workers: int = 1
    sums: bool = False

    def pipeline(self, C: float, *, rows: int, max_iter: int = MOST_ITERATIONS) -> Pipeline:
        """Standardisation and classifier, for so many training rows."""
        tol = self.workload.size.tol * (rows if self.sums else 1)
        model = self.estimator(C=C, tol=tol, max_iter=max_iter)
        return make_pipeline(StandardScaler(), model)

    def sample(self, inner: Sequence[LogicalFit], outer: LogicalFit) -> Sample:
        """Make some of the search's fits, as many at a time as there are workers."""
        fits = self._fits((*inner, outer))
        return Sample(tuple(fits[:-1]), fits[-1], self.workers)

    def whole(self, result: SearchResult) -> int:
        """Do the whole nested search at the same values of C; the number of fits made."""
        return sum(self._study(study, result) for study in self.workload.plan.studies)

    def trial_seconds(self, wanted: Sequence[LogicalFit]) -> float:
        """Wall time of a few short fits: which number of workers is best."""
        self._fits(wanted, max_iter=1)
        started = perf_counter()
        self._fits(wanted, max_iter=10)
        return perf_counter() - started

    def _fits(
        self, wanted: Sequence[LogicalFit], max_iter: int = MOST_ITERATIONS
    ) -> list[SampledFit]:
        data = self.workload.images.astype(self.dtype)
        splits = [(self.workload.training_rows(f.left_out), self._scored_rows(f)) for f in wanted]
        made = Parallel(n_jobs=self.workers)(
            delayed(_timed_fit)(
                self.pipeline(fit.C, rows=len(split[0]), max_iter=max_iter),
                data,
                self.workload.labels,
                split,
            )
            for fit, split in zip(wanted, splits, strict=True)
        )
        return [
            SampledFit(fit, linear(pipeline, fit.C), float(pipeline[-1].n_iter_.max()), seconds)
            for fit, (pipeline, seconds) in zip(wanted, made, strict=True)
        ]

    def _scored_rows(self, fit: LogicalFit) -> NDArray[np.int64]:
        assert fit.scored is not None
        return self.workload.plan.scored_rows(fit.scored)

    def _study(self, study: StudyPlan, result: SearchResult) -> int:
        tried = strengths(result, study.name)
        rows = self.workload.training_rows(study.refit)
        search = RandomizedSearchCV(
            self.pipeline(1.0, rows=len(rows)),
            {f"{self.estimator.__name__.lower()}__C": list(tried)},
            n_iter=len(tried),
            cv=inner_splits(self.workload, study),
            scoring="neg_log_loss",
            n_jobs=self.workers,
            random_state=0,
        )
        images = self.workload.images
        search.fit(images[rows].astype(self.dtype), self.workload.labels[rows])
        if study.name != FINAL_STUDY:
            scored = np.flatnonzero(~np.isin(np.arange(len(images)), rows))
            search.predict_proba(images[scored].astype(self.dtype))
        return len(tried) * len(study.inner) + 1


def inner_splits(
    workload: Workload, study: StudyPlan
) -> list[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """A study's inner folds, as positions among its own rows."""
    parts = workload.plan.part_of[workload.training_rows(study.refit)]
    return [
        (np.flatnonzero(parts != i.scored), np.flatnonzero(parts == i.scored)) for i in study.inner
    ]


def linear(pipeline: Pipeline, C: float) -> LinearModel:
    """What was fitted, as plain numbers."""
    return linear_model(pipeline[0], pipeline[-1].coef_, pipeline[-1].intercept_, C)


def linear_model(
    scaler: StandardScaler, coefficients: Any, intercepts: Any, C: float
) -> LinearModel:
    """Coefficients for standardised pixels and their scaler, in float64."""
    numbers = (scaler.mean_, scaler.scale_, coefficients, intercepts)
    return LinearModel(C, "multinomial", *(np.asarray(each, dtype=np.float64) for each in numbers))


def _timed_fit(
    pipeline: Pipeline,
    images: NDArray[np.floating],
    labels: NDArray[np.int64],
    split: tuple[NDArray[np.int64], NDArray[np.int64]],
) -> tuple[Pipeline, float]:
    """One inner fold, as the random search does it: take the rows, fit, score."""
    training, scored = split
    started = perf_counter()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # the ten iterations of a try-out
        pipeline.fit(images[training], labels[training])
    log_loss(labels[scored], pipeline.predict_proba(images[scored]), labels=pipeline.classes_)
    return pipeline, perf_counter() - started


def fastest(candidates: Sequence[Stock], wanted: Sequence[LogicalFit]) -> Stock:
    """The candidate that is quickest at a few short fits."""
    return min(candidates, key=lambda stock: stock.trial_seconds(wanted))
