"""From which probability a row is called positive: chosen on the inner folds, as scikit-learn does.

At the values that a study chose, its inner folds' predictions are given to scikit-learn's own
TunedThresholdClassifierCV: no row of the outer part, and none that a model was trained on.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import clone
from sklearn.model_selection import FixedThresholdClassifier, TunedThresholdClassifierCV
from sklearn.utils import _safe_indexing

from foldwise.asked import Answered, Asked
from foldwise.errors import InputError
from foldwise.search.jobs import Done, Engine, Job, Predictions, Task
from foldwise.search.summary import best_trials
from foldwise.search.trials import OuterFold, Part, SearchResult, Study, Trial
from foldwise.stats.scores import METRIC, SCORE, Scores, score


@dataclass(frozen=True, slots=True, eq=False)
class Thresholds:
    """Each study's threshold, on the positive class's probability or decision score.

    By it and inner part, ``said`` is what was predicted at the values chosen.
    """

    asked: Asked
    of: Mapping[Study, float]
    said: Mapping[Study, Mapping[Part, Predictions]]

    @classmethod
    def chosen(cls, asked: Asked, engine: Engine, result: SearchResult) -> Self:
        """Choose them by fits that the search has made before, and makes once more."""
        best = best_trials(result)
        jobs = {
            (t.study, f.part): Job.of(t.left_out(f.part), t.values) for t in best for f in t.inner
        }
        wanted: dict[Job, set[Part]] = {}
        for (_, part), job in jobs.items():
            wanted.setdefault(job, set()).add(part)
        tasks = [Task(job, tuple(sorted(parts)), "predictions") for job, parts in wanted.items()]
        done = {e.task.job: e.predictions for e in engine.run(tasks) if isinstance(e, Done)}
        said = {
            trial.study: {f.part: done[jobs[trial.study, f.part]][f.part] for f in trial.inner}
            for trial in best
        }
        return cls(asked, {study: _chosen(asked, parts) for study, parts in said.items()}, said)

    def applied(self, study: Study, fitted: Any) -> FixedThresholdClassifier:
        """The fitted classifier, answering by the study's threshold."""
        positive = self.asked.classes.tolist()[self.asked.positive]  # type: ignore[union-attr]
        fixed = FixedThresholdClassifier(
            clone(fitted), threshold=self.of[study], pos_label=positive
        )
        fixed.estimator_ = fitted
        for name in ("n_features_in_", "feature_names_in_"):
            if hasattr(fitted, name):
                setattr(fixed, name, getattr(fitted, name))
        return fixed

    def answered(self, result: SearchResult, models: Sequence[Any]) -> SearchResult:
        """The result as its outer ``models`` answer: what counts answers is scored by them.

        Predictions become 1 for the class answered and 0 for the other.
        """
        outer = [self._outer(*each) for each in zip(result.outer, models, strict=True)]
        return replace(result, outer=tuple(outer))

    def _outer(self, fold: OuterFold, model: Any) -> OuterFold:
        asked, answers = self.asked, self._answers(fold.study, fold.predictions)
        scores = {**fold.scores, **_counted(answers, fold.labels)}
        if SCORE in scores:
            X = _safe_indexing(asked.X, fold.rows)
            scores[SCORE] = float(asked.scorer(model, X, asked.y[fold.rows]))
        return replace(fold, best=self._best(fold.best), predictions=answers, scores=scores)

    def _best(self, best: Trial) -> Trial:
        inner = []
        for each in best.inner:
            answers = self._answers(best.study, self.said[best.study][each.part])
            labels = self.asked.labels[self.asked.plan.scored_rows(each.part)]
            inner.append(replace(each, scores={**each.scores, **_counted(answers, labels)}))
        return replace(best, inner=tuple(inner))

    def _answers(self, study: Study, predictions: Predictions) -> Predictions:
        reached = predictions.values[:, self.asked.positive] >= self.of[study]
        return Predictions(np.eye(2)[np.where(reached, 1, 0) ^ (self.asked.positive == 0)])


def _counted(answers: Predictions, labels: NDArray[np.int64]) -> Scores:
    """The metrics that are made of counted answers."""
    scores = score(answers.values, labels)
    return {metric: scores[metric] for metric, of in METRIC.items() if of.counts}


def _chosen(asked: Asked, said: Mapping[Part, Predictions]) -> float:
    """The threshold of one study."""
    values = np.concatenate([each.values for each in said.values()])
    targets = np.concatenate([asked.y[asked.plan.scored_rows(part)] for part in said])
    part_of = np.repeat(np.arange(len(said)), [len(each.values) for each in said.values()])
    splits = [np.flatnonzero(part_of == part) for part in range(len(said))]
    tuned = TunedThresholdClassifierCV(
        Answered(values, asked.classes),
        scoring=asked.cut_by,
        response_method="predict_proba",  # or decision scores in its place
        cv=[(np.setdiff1d(np.arange(len(values)), scored), scored) for scored in splits],
    )
    try:
        tuned.fit(np.arange(len(values))[:, np.newaxis], targets)
    except ValueError as error:
        if "constant predictions" not in str(error):
            raise
        raise InputError(
            "threshold must have predictions that differ to choose by, a study's best model says"
            " the same of all rows of a part: leave threshold out, or search other values"
        ) from error
    return float(tuned.best_threshold_)
