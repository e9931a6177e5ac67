"""(c) ``LogisticRegressionCV`` as the inner search: fits start where the last C's ended."""

from collections.abc import Sequence
from dataclasses import dataclass
from time import perf_counter

import numpy as np
from sklearn.linear_model import LogisticRegressionCV
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from benchmarks.measured import Sample, SampledFit
from benchmarks.stock import MOST_ITERATIONS, inner_splits, linear, linear_model
from benchmarks.workload import LogicalFit, Workload, strengths
from foldwise.search.folds import StudyPlan
from foldwise.search.results import SearchResult

SAMPLED_FOLDS = 2


@dataclass(frozen=True, slots=True, eq=False)
class WarmPath:
    """The nested search with one ``LogisticRegressionCV`` per study, in float64: it has no other.

    It scales before it splits: the inner folds' scaling has seen their scored rows.
    """

    name: str
    workload: Workload
    workers: int

    def sample(self, result: SearchResult) -> Sample:
        """The first study's whole path on two of its folds, and its model."""
        study = self.workload.plan.studies[0]
        started = perf_counter()
        pipeline = self._fit(study, strengths(result, study.name), folds=SAMPLED_FOLDS)
        seconds = perf_counter() - started
        model = pipeline[-1]
        fits = model.n_iter_.size + 1
        # The folds run side by side: a worker's seconds are the wall's.
        each = seconds * min(self.workers, SAMPLED_FOLDS) / fits
        inner = tuple(
            SampledFit(
                LogicalFit(plan.left_out, C, plan.scored),
                linear_model(pipeline[0], path[:, :-1], path[:, -1], C),
                float(model.n_iter_[fold, 0, position]),
                each,
            )
            for fold, plan in enumerate(study.inner[:SAMPLED_FOLDS])
            for position, C in enumerate(model.Cs_.tolist())
            for path in [model.coefs_paths_[fold, 0, position]]
        )
        best = float(model.C_)
        outer = LogicalFit(study.refit, best, 0)
        return Sample(
            inner, SampledFit(outer, linear(pipeline, best), float("nan"), each), self.workers
        )

    def whole(self, result: SearchResult) -> int:
        """Do the whole nested search at the same values of C; the number of fits made."""
        fits = 0
        for study in self.workload.plan.studies:
            pipeline = self._fit(study, strengths(result, study.name), folds=len(study.inner))
            fits += pipeline[-1].n_iter_.size + 1
        return fits

    def _fit(self, study: StudyPlan, tried: Sequence[float], *, folds: int) -> Pipeline:
        rows = self.workload.training_rows(study.refit)
        model = LogisticRegressionCV(
            Cs=list(tried),
            cv=inner_splits(self.workload, study)[:folds],
            scoring="neg_log_loss",
            l1_ratios=(0.0,),
            use_legacy_attributes=False,
            tol=self.workload.size.tol,
            max_iter=MOST_ITERATIONS,
            n_jobs=self.workers,
        )
        pipeline = make_pipeline(StandardScaler(), model)
        images = self.workload.images[rows].astype(np.float64)
        return pipeline.fit(images, self.workload.labels[rows])
