"""What a nested search found, as the tables of a notebook, by scikit-learn's names."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import rankdata

from foldwise.asked import Asked
from foldwise.data.columns import cells_of, told_names
from foldwise.files import Value
from foldwise.logistic import StandardLogistic
from foldwise.search.summary import Candidate, Estimates, contest, evidence, outer_estimates
from foldwise.search.trials import FINAL, SearchResult, Trial
from foldwise.stats.intervals import corrected_interval, possible, two_class_intervals
from foldwise.stats.scores import METRIC, Scores, ThresholdCurve
from foldwise.stats.two_classes import FIGURES, TWO_CLASS, two_class_scores

CONFIDENCE = 0.95


def signed(metric: str, value: float) -> float:
    """The value as scikit-learn's scorer has it: larger is better."""
    return -value if metric in FIGURES and FIGURES[metric].is_loss else value


@dataclass(frozen=True, slots=True, eq=False)
class Frames:
    """The tables of one search; ``answered`` is the result as its models answer by a threshold."""

    asked: Asked
    result: SearchResult
    answered: SearchResult | None = None

    def cv_results(self) -> dict[str, Any]:
        """The final study's trials, as the searches of scikit-learn tell theirs."""
        metric, trials = self.result.metric, self.result.study_trials(FINAL)
        values = [self.asked.named(trial.values) for trial in trials]
        scores = np.array([[signed(metric, f.scores[metric]) for f in t.inner] for t in trials])
        means = scores.mean(axis=1)
        ranks = rankdata(np.where(np.isnan(means), np.inf, -means), method="min")
        return {
            "params": values,
            **{f"param_{name}": _column(values, name) for of in values for name in of},
            **{f"split{fold}_test_score": column for fold, column in enumerate(scores.T)},
            "mean_test_score": means,
            "std_test_score": scores.std(axis=1),
            "rank_test_score": ranks.astype(np.int32),
        }

    def inner_results(self) -> pd.DataFrame:
        """Every trial of every study, a row for each inner fold."""
        names = self._names
        rows = (row for trial in self.result.trials for row in self._rows(trial, names))
        return pd.DataFrame(rows).astype({"fold": "Int64"})  # the final study has none

    def candidates(self) -> pd.DataFrame:
        """How each candidate did in each study, what it cost, and whether it won."""
        told = map(self._candidate, contest(self.result, self.asked.own.select))
        return pd.DataFrame(told).astype({"fold": "Int64"})

    def _candidate(self, told: Candidate) -> dict[str, Any]:
        choice, metric = told.choice, self.result.metric
        part = choice.study.part
        facts = [fold.facts for trial in told.trials for fold in trial.inner]
        return {
            "repeat": 0 if part is None else part.repeat,
            "fold": None if part is None else part.fold,
            **self.asked.named(choice.values),
            self.asked.scoring_name: signed(metric, choice.mean(metric)),
            "fits": len(facts),
            "seconds": sum(float(each["seconds"]) for each in facts),
            "won": told.won,
        }

    def outer_scores(self) -> pd.DataFrame:
        """The metrics, a row for each repeat and outer fold."""
        names = self._names
        found = []
        for each, judged in zip(
            self.result.outer, (self.answered or self.result).outer, strict=True
        ):
            scores = _named(judged.scores, names)
            if (positive := self.asked.positive) is not None:
                values = each.predictions.values[:, positive]
                of_two = two_class_scores(values, each.labels == positive)
                scores = {**_named(of_two, self._two_class_names), **scores}
            found.append({"repeat": each.part.repeat, "fold": each.fold, **scores})
        order = ["repeat", "fold", *names.values(), *self._two_class_names.values()]
        return pd.DataFrame(found, columns=order)

    def outer_summary(self) -> pd.DataFrame:
        """Each metric's mean over the outer folds, its interval, and the interval's method."""
        scores, names = self.outer_scores(), {**self._names, **self._two_class_names}
        known = {}
        if self.asked.classes is not None:
            estimates = {**self._estimates(self.result)}
            if self.answered is not None:
                by_answers = self._estimates(self.answered)
                estimates |= {m: of for m, of in by_answers.items() if METRIC[m].counts}
            known = {metric: (of.mean, of.interval) for metric, of in estimates.items()}
        if (positive := self.asked.positive) is not None:
            told = evidence(self.result)
            known |= two_class_intervals(told, positive, CONFIDENCE, self.asked.groups)
        rows = {}
        for metric, name in names.items():
            if metric in known:
                mean, interval = known[metric]
            else:
                values = scores[name].to_numpy()
                mean, folds = signed(metric, float(values.mean())), self.result.plan.folds
                interval = corrected_interval(values, CONFIDENCE, folds=folds)
                interval = possible(metric, interval) if metric == "sensitivity" else interval
            low, high = sorted(signed(metric, end) for end in (interval.low, interval.high))
            rows[name] = {
                "mean": signed(metric, mean), "low": low, "high": high, "method": interval.method,
            }  # fmt: skip
        return pd.DataFrame.from_dict(rows, orient="index").rename_axis("metric")

    def _estimates(self, result: SearchResult) -> Estimates:
        return outer_estimates(result, confidence=CONFIDENCE, groups=self.asked.groups)

    def outer_curves(self) -> pd.DataFrame:
        """The ROC curve and the precision-recall curve of each outer fold, by threshold."""
        curves = []
        for each in self.result.outer:
            positive = each.labels == self.asked.positive
            if positive.all() or not positive.any():
                continue
            curve = ThresholdCurve.of(each.predictions.values[:, self.asked.positive], positive)
            columns = {
                "repeat": each.part.repeat,
                "fold": each.fold,
                "threshold": curve.thresholds,
                "false_positive_rate": curve.false_positive_rate,
                "recall": curve.recall,
                "precision": curve.precision,
            }
            curves.append(pd.DataFrame(columns))
        return pd.concat(curves, ignore_index=True)

    def outer_predictions(self) -> pd.DataFrame:
        """What the outer models said of each row, in the rows' order, repeat by repeat."""
        outer, classes = self.result.outer, self.asked.classes
        columns = ["prediction"] if classes is None else classes.tolist()
        values = np.concatenate([fold.predictions.values for fold in outer])
        parts = np.repeat([fold.part for fold in outer], [len(fold.rows) for fold in outer], axis=0)
        rows = np.concatenate([fold.rows for fold in outer])
        order = np.lexsort((rows, parts[:, 0]))
        index = self.asked.index[rows[order]]
        table = pd.DataFrame(values[order], index=index, columns=columns)
        if self.answered is not None and classes is not None:
            codes = [each.predictions.values.argmax(axis=1) for each in self.answered.outer]
            answers = classes[np.concatenate(codes)[order]]
            table.insert(0, "prediction", answers, allow_duplicates=True)
        for name, column in (("fold", 1), ("repeat", 0)):  # classes may be called so, too
            table.insert(0, name, parts[order, column], allow_duplicates=True)
        return table

    def _rows(self, trial: Trial, names: dict[str, str]) -> Iterator[dict[str, Any]]:
        outer = trial.study.part
        for inner in trial.inner:
            yield {
                "repeat": inner.part.repeat,
                "fold": None if outer is None else outer.fold,
                "trial": trial.number,
                **self.asked.named(trial.values),
                "inner_fold": inner.part.fold,
                **_named(inner.scores, names),
            }

    @property
    def _names(self) -> dict[str, str]:
        """The metrics that there are, what was selected by first, by scikit-learn's names."""
        are_shares = all(each.predictions.are_probabilities for each in self.result.outer)
        classes, scoring = self.asked.classes, self.asked.scoring_name
        names = {
            metric: of.scorer
            for metric, of in METRIC.items()
            if classes is not None and (are_shares or of.judges != "probabilities")
        }
        if classes is not None and len(classes) == 2:
            names["roc_auc"] = "roc_auc"
        first = self.result.metric
        others = {of: name for of, name in names.items() if scoring != name and of != first}
        return {first: scoring, **others}

    @property
    def _two_class_names(self) -> dict[str, str]:
        """What two classes have besides; of decision scores without what takes probabilities."""
        if self.asked.positive is None:
            return {}
        are_shares = self.result.outer[0].predictions.are_probabilities
        return {
            metric: of.scorer
            for metric, of in TWO_CLASS.items()
            if of.scorer != self.asked.scoring_name and (are_shares or of.judges != "probabilities")
        }


@dataclass(frozen=True, slots=True, eq=False)
class Profile:
    """What of a table's columns may be shown: the share that is missing, each coefficient's name.

    ``coefficients`` (1 + outer folds, classes or 1 for two, names) are the final model's, then the
    outer ones', NaN where an outer one has none.
    """

    missing: Mapping[str, float]
    names: tuple[str, ...]
    coefficients: NDArray[np.float64]

    @classmethod
    def of(cls, final: Any, outer: Sequence[Any], X: Any) -> Self | None:
        """Of the rows that a final StandardLogistic was fitted to; others have none."""
        if not isinstance(final, StandardLogistic):
            return None
        columns = final.columns_
        known = {name: place for place, name in enumerate(final.encoded_names_)}
        coefficients = np.full((1 + len(outer), *final.coef_.shape), np.nan)
        for own, model in zip(coefficients, (final, *outer), strict=True):
            if isinstance(model, StandardLogistic):  # a candidate of another kind may have won
                for name, of_column in zip(model.encoded_names_, model.coef_.T, strict=True):
                    if name in known:  # the final model may lack what an outer one has
                        own[:, known[name]] = of_column
        cells = zip(*cells_of(X), strict=True)
        missing = {name: float(pd.isna(column).mean()) for name, column in cells}
        return cls(missing, told_names(columns, X, shows_rare=False), coefficients)


def _column(values: Sequence[Mapping[str, Value]], name: str) -> NDArray[Any]:
    """A parameter of each trial, masked where the trial's estimator has none of that name."""
    column = np.ma.masked_array([of.get(name) for of in values], [name not in of for of in values])
    return column if column.mask.any() else column.data


def _named(scores: Scores, names: dict[str, str]) -> dict[str, float]:
    return {name: signed(metric, scores[metric]) for metric, name in names.items()}
