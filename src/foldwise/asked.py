"""A search as it was asked for: checked before anything is fitted, with who makes its fits."""

import warnings
from collections.abc import Callable, Mapping
from copy import copy
from dataclasses import astuple, dataclass, field, replace
from typing import Any, Self, get_args

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pandas.util import hash_pandas_object
from sklearn.base import BaseEstimator, ClassifierMixin, clone, is_classifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils import _safe_indexing, check_random_state, column_or_1d, indexable
from sklearn.utils.validation import _num_samples, check_consistent_length, validate_data

from foldwise.data.columns import as_pandas
from foldwise.errors import InputError
from foldwise.files import Value
from foldwise.logistic import (
    Rows,
    StandardLogistic,
    checked_weights,
    class_codes,
    require_one_name_each,
    require_target,
)
from foldwise.partition import group_codes, plan_of, require_classes, require_weight
from foldwise.scorers import Judging
from foldwise.search.curve import starts
from foldwise.search.engines.batched import BatchedEngine, LinearClassifier, Repeats, computing
from foldwise.search.engines.estimator import EstimatorEngine, FittedEstimator, Kinds
from foldwise.search.engines.pipeline import as_fitted, content_of
from foldwise.search.engines.scoring import Cores, DeviceScores
from foldwise.search.jobs import Engine, Judge, Model, Predictions
from foldwise.search.plan import Plan
from foldwise.search.space import KIND, Select, Space, curve_range, dimension, own_values
from foldwise.search.trials import Part, Values
from foldwise.search.version import search_key
from foldwise.settings import Between, Dimension, OneOf
from foldwise.solver.linear import decision_scores
from foldwise.stats.scores import SCORE, Scores
from foldwise.threads import device, threads

_STARTUP = 5
_SMALL = 500_000
"""Values of a table below which threads cost more than they save, and all fits' scores fit."""
_DEFAULT = {"C": Between(1e-4, 10.0, is_log=True)}


class Answered(ClassifierMixin, BaseEstimator):  # type: ignore[misc]  # has no types
    """A classifier that has answered already: its rows are places in what it said."""

    def __init__(self, values: Any, classes: Any, model: Any = None, encoded: Any = None) -> None:
        self.values, self.classes, self.model, self.encoded = values, classes, model, encoded
        self.classes_ = classes

    def fit(self, *_: Any) -> Self:
        """It has learned all that it will."""
        return self

    def decision_function(self, places: Any) -> NDArray[np.float64]:
        """Of a linear model."""
        scores = decision_scores(self.model.numbers, self.encoded[places[:, 0]])
        return scores[:, 0] if scores.shape[1] == 1 else scores

    def predict_proba(self, places: Any) -> NDArray[np.float64]:
        """What it said, or decision scores in its place."""
        return self.values[places[:, 0]]  # type: ignore[no-any-return]

    def predict(self, places: Any) -> NDArray[Any]:
        """The class of which it said the most."""
        return self.classes_[self.predict_proba(places).argmax(axis=1)]  # type: ignore[no-any-return]


@dataclass(frozen=True, slots=True, eq=False)
class Asked:
    """A search as it was asked for by its ``own`` NestedSearchCV, checked.

    An estimator is fitted to ``X`` and ``labels`` (rows,), class codes or a regressor's targets,
    which have no classes; a scorer compares with ``y``. There are encoded ``rows`` if the batched
    engine makes the fits, and of two classes the code of the ``positive`` one; ``cut_by`` is the
    scorer by which thresholds are chosen. Where several ``candidates`` are chosen from, each is
    asked for alone, too.
    """

    own: Any
    estimator: Any
    X: Any
    y: NDArray[Any]
    labels: NDArray[Any]
    classes: NDArray[Any] | None
    weights: NDArray[np.float64] | None
    groups: NDArray[np.int64] | None
    rows: Rows | None
    plan: Plan
    space: Space
    scorer: Any
    positive: int | None
    cut_by: Any
    candidates: Mapping[str, Self] = field(default_factory=dict)

    @classmethod
    def of(cls, own: Any, given: tuple[Any, ...], *, plan: Plan | None = None) -> Self:
        """Check all that was given, before anything is fitted; ``plan`` is what ``cv`` says.

        ``fit`` was ``given`` X, y, groups and sample_weight.
        """
        if isinstance(own.estimator, Mapping):
            return cls._of_candidates(own, given)
        X, y, groups, sample_weight = given
        estimator = searched(own)
        _require_options(own)
        dimensions = _dimensions(own)
        strength = _strength(estimator, dimensions)
        rows = None
        if strength is not None and (sample_weight is None or strength == "C"):
            indicators = getattr(estimator, "indicators", False)
            rows = Rows.of(own, (X, y, sample_weight), indicators=indicators)
            are_numbers = rows.columns.is_scaled.all() and not np.isnan(rows.encoded).any()
            if strength != "C" and not are_numbers:
                rows = None  # a scaler without an imputer or encoder: it says itself what it wants
        if rows is not None:
            labels, classes, weights = rows.labels, rows.classes, rows.weights
            dimensions = {"C": dimensions[strength or "C"]}
        else:
            require_one_name_each(X)
            validate_data(own, X, skip_check_array=True)
            (X,) = indexable(X)
            weights, classes = checked_weights(sample_weight, X), None
            if is_classifier(estimator):
                labels, classes = class_codes(own, y, rows=_num_samples(X))
            else:
                require_target(y)
                labels = column_or_1d(y, warn=True)
                check_consistent_length(X, labels)
        targets = labels if classes is None else classes[labels]
        codes = np.zeros(len(labels), dtype=np.int64) if classes is None else labels
        of_groups = None if groups is None else group_codes(groups, len(labels), "groups")
        seed = _seed(own)
        names = () if classes is None else classes.tolist()
        plan = plan or plan_of(own, (X, targets, of_groups), codes, seed=seed, classes=names)
        require_classes(plan, codes, classes)
        require_weight(plan, weights)
        judging = Judging.of(own, estimator, targets, classes, is_batched=rows is not None)
        startup = _STARTUP if curve_range(dimensions) is None else starts(int(own.n_trials))
        space = Space(dimensions, "curve", startup, seed, judging.metric)
        return cls(
            own, estimator, X, targets, labels, classes, weights, of_groups, rows, plan, space,
            judging.scorer, judging.positive, judging.cut_by,
        )  # fmt: skip

    @classmethod
    def _of_candidates(cls, own: Any, given: tuple[Any, ...]) -> Self:
        """Each as if it were alone; of one kind, with one plan and one metric."""
        _require_candidates(own)
        seed = _seed(own)  # a RandomState is asked once for all
        asked: dict[str, Self] = {}
        plan = None  # a splitter may draw, and an iterator ends: cv is asked once for all
        for name, (estimator, searched_in) in own.estimator.items():
            alone = copy(own)
            alone.estimator, alone.param_distributions = estimator, searched_in
            alone.random_state = seed
            try:
                asked[name] = cls.of(alone, given, plan=plan)
            except InputError as error:
                raise InputError(f"candidate {name!r}: {error}") from error
            plan = asked[name].plan
        first = next(iter(asked.values()))
        if len({each.classes is None for each in asked.values()}) > 1:
            raise InputError(
                f"candidates must all be classifiers, or all regressors, {' and '.join(asked)}"
                " are some of each: search them apart"
            )
        for name in ("n_features_in_", "feature_names_in_"):
            if hasattr(first.own, name):
                setattr(own, name, getattr(first.own, name))
        metrics = {each.space.metric for each in asked.values()}
        metric = metrics.pop() if len(metrics) == 1 else SCORE
        space = replace(first.space, startup=starts(int(own.n_trials)), metric=metric).among(
            {name: each.space.dimensions for name, each in asked.items()}
        )
        return replace(
            first, own=own, rows=None, space=space,
            estimator={name: each.estimator for name, each in asked.items()},
            candidates={
                name: replace(each, space=replace(each.space, metric=metric))
                for name, each in asked.items()
            },
        )  # fmt: skip

    def chosen(self, values: Values) -> "Asked":
        """The candidate that a trial's values are of."""
        return self.candidates[str(values[KIND])] if self.candidates else self

    @property
    def engines(self) -> str | dict[str, str]:
        """Which engine makes the fits, of each candidate."""
        if self.candidates:
            return {name: str(each.engines) for name, each in self.candidates.items()}
        return "estimator" if self.rows is None else "batched"

    @property
    def scoring_name(self) -> str:
        """What the scorer is called."""
        return self.own.scoring if isinstance(self.own.scoring, str) else SCORE

    @property
    def index(self) -> Any:
        """What the rows are called."""
        return self.X.index if hasattr(self.X, "iloc") else pd.RangeIndex(_num_samples(self.X))

    @property
    def key(self) -> str:
        """What makes the search the same, but for its number of trials."""
        own, X = self.own, as_pandas(self.X)
        if hasattr(X, "iloc"):
            X = [*map(str, X.columns), *map(str, X.dtypes), _cells(X)]
        data = content_of([X, self.y, self.weights, self.groups])
        asked = {
            "estimator": content_of(self.estimator),
            "space": repr(self.space),
            "parts": content_of(self.plan.part_of),
            "scoring": content_of([own.scoring, getattr(self.scorer, "_kwargs", None)]),
            "error_score": repr(own.error_score),
        }
        return search_key(data, asked, self.space.seed)

    @property
    def engine(self) -> Engine:
        """Who makes the fits."""
        if self.candidates:
            return Kinds({name: each.engine for name, each in self.candidates.items()})
        if self.rows is None:
            weights = {} if self.weights is None else {f"{self._last}sample_weight": self.weights}
            return EstimatorEngine(
                self.X, self.labels, self.classes, self.plan,  # type: ignore[arg-type]
                self.build, self.own.n_jobs, self.judged, as_given=True,
                parameters=weights, error_score=self.own.error_score,
            )  # fmt: skip
        repeats = range(len(self.plan.part_of))
        # The metrics need no judge, and a device scores them.
        own = self.judged if self.space.metric == SCORE else None
        engines = [self._batched(self.rows, repeat, own) for repeat in repeats]
        return engines[0] if len(engines) == 1 else Repeats(engines)

    def _batched(self, rows: Rows, repeat: int, judge: Judge | None) -> BatchedEngine:
        is_small = rows.encoded.size < _SMALL
        jobs = self.own.n_jobs or -1
        own_threads = 1 if is_small else max(1, jobs if jobs > 0 else threads() + 1 + jobs)
        logistic = self.estimator[-1] if isinstance(self.estimator, Pipeline) else self.estimator
        own = [Part(repeat, fold) for fold in range(self.plan.folds)]
        parts = [self.plan.rows(part) for part in own]
        arranged = rows.arranged(logistic, parts, threads=own_threads)
        backend, scorer_of = computing(device(), *arranged)
        scored = [self.plan.scored_rows(part) for part in own]
        told = [(rows.encoded[of], self.labels[of]) for of in scored]
        scorer = scorer_of and scorer_of(told)
        if is_small and judge is None and scorer is None:
            scorer = DeviceScores(Cores(), told, len(rows.classes), together=0)
        searched = self.space.dimensions["C"]
        ends: Any = searched.options if isinstance(searched, OneOf) else astuple(searched)[:2]
        low, high = float(min(ends)), float(max(ends))
        if high < 1.01 * low:  # a path needs some length
            low, high = low / 2, high * 2
        return BatchedEngine(
            rows.encoded, self.labels, self.plan, backend, low, high,
            threads=own_threads, repeat=repeat, judge=judge, scorer=scorer,
        )  # fmt: skip

    def judged(self, model: Model, predictions: Predictions, rows: NDArray[np.int64]) -> Scores:
        """Score rows by the metrics, and by the search's scorer if it is another."""
        scores = {} if self.classes is None else dict(predictions.scores(self.labels[rows]))
        if self.space.metric == SCORE:
            scores[SCORE] = self._scored(model, predictions, rows)
        return scores

    def _scored(self, model: Model, predictions: Predictions, rows: NDArray[np.int64]) -> float:
        # A scorer that isn't scikit-learn's may ask anything.
        if self.rows is None or not hasattr(self.scorer, "_response_method"):
            answers, X = self.fitted(model), _safe_indexing(self.X, rows)
        else:
            encoded, X = self.rows.encoded[rows], np.arange(len(rows))[:, np.newaxis]
            answers = Answered(predictions.values, self.classes, model, encoded)
        try:
            return float(self.scorer(answers, X, self.y[rows]))
        # Whatever somebody's scorer raises: they asked to go on.
        except Exception as error:
            if self.own.error_score == "raise":
                raise
            warnings.warn(f"the scorer failed: {error!r}", UserWarning, stacklevel=2)
            return float(self.own.error_score)

    @property
    def _last(self) -> str:
        """What stands before the names of parameters that go to a pipeline's last step."""
        of = self.estimator
        return f"{of.steps[-1][0]}__" if isinstance(of, Pipeline) else ""

    def build(self, values: Values) -> Any:
        """The estimator with these values, not yet fitted."""
        return clone(self.estimator).set_params(**self.named(values))

    def named(self, values: Values) -> dict[str, Value]:
        """The values by the estimator's names; a candidate's stand behind its own."""
        if self.candidates:
            kind, own = values[KIND], self.params(values)
            return {KIND: kind, **{f"{kind}.{name}": value for name, value in own.items()}}
        return dict(values) if self.rows is None else {f"{self._last}C": values["C"]}

    def params(self, values: Values) -> dict[str, Value]:
        """The values by the names of the estimator that they are of."""
        return self.chosen(values).named(own_values(values) if self.candidates else values)

    def fitted(self, model: Model) -> Any:
        """The fitted estimator that computes what the model does."""
        if isinstance(model, FittedEstimator):
            return model.fitted
        if self.rows is None or not isinstance(model, LinearClassifier):
            raise TypeError(f"a linear model is expected, got {type(model).__name__}")
        estimator = self.build({"C": model.numbers.C})
        first = estimator[0] if isinstance(estimator, Pipeline) else estimator
        for name in ("n_features_in_", "feature_names_in_"):
            if hasattr(self.own, name):
                setattr(first, name, getattr(self.own, name))
        if isinstance(estimator, Pipeline):
            return as_fitted(estimator, model.numbers, self.rows.classes.tolist())
        return estimator.take(self.rows, model.numbers)


def _cells(table: Any) -> Any:
    """What a frame or a column holds, the same in each process."""
    try:
        return hash_pandas_object(table).to_numpy()
    except TypeError:  # lists and the like in cells
        if table.ndim == 1:
            return table.tolist()
        columns = [_cells(table.iloc[:, place]) for place in range(table.shape[1])]
        return [hash_pandas_object(table.index).to_numpy(), *columns]


def searched(own: Any) -> Any:
    """What a NestedSearchCV searches; of candidates the first."""
    estimator = own.estimator
    if isinstance(estimator, Mapping):
        (estimator, _), *_ = estimator.values()
    return StandardLogistic() if estimator is None else estimator


def _require_candidates(own: Any) -> None:
    """They are told apart by their names, and bring their own ranges."""
    if own.param_distributions is not None:
        raise InputError(
            "param_distributions must be None where estimator names candidates, each with its own,"
            f" got {own.param_distributions!r:.60}: put it beside its estimator"
        )
    for name, given in own.estimator.items():
        if not isinstance(name, str) or not name or "." in name:
            raise InputError(
                f"a candidate's name must be text without dots, got {name!r}: rename it"
            )
        if not isinstance(given, tuple) or len(given) != 2:
            raise InputError(
                "a candidate must be an estimator and its param_distributions,"
                f" got {given!r:.60} for {name!r}: write (estimator, {{...}})"
            )
    if not own.estimator:
        raise InputError("estimator must name a candidate at least, got {}: name one")


def _is_count(given: Any) -> bool:
    return isinstance(given, int | np.integer) and bool(given >= 1)


_OPTIONS: Mapping[str, tuple[Callable[[Any], bool], str]] = {
    "error_score": (
        lambda of: isinstance(of, int | float | np.number) or of == "raise",
        "a number or 'raise', got {}: give nan",
    ),
    "n_jobs": (
        lambda of: of is None or (isinstance(of, int | np.integer) and of != 0),
        "a whole number other than 0, or None, got {}: give -1 for all cores",
    ),
    "n_trials": (_is_count, "a whole number of at least 1, got {}: raise it"),
    "n_repeats": (_is_count, "a whole number of at least 1, got {}: raise it"),
    "select": (get_args(Select).__contains__, "'best' or 'one_se', got {}: choose one"),
}
"""What says how to search: whether it can, and what it must be."""


def _require_options(own: Any) -> None:
    for name, (is_right, rule) in _OPTIONS.items():
        if not is_right(value := getattr(own, name)):
            raise InputError(f"{name} must be {rule.format(repr(value))}")


def _dimensions(own: Any) -> dict[str, Dimension]:
    """What is searched, by the estimator's names."""
    given = own.param_distributions
    if given is None and isinstance(searched(own), StandardLogistic):
        return dict(_DEFAULT)
    known = searched(own).get_params()
    if given is None:
        raise InputError(
            f"param_distributions must name parameters to search, got {given!r}: name some of"
            f" {', '.join(sorted(known))}"
        )
    for name in given:
        if name not in known:
            raise InputError(
                f"param_distributions must name parameters of {type(searched(own)).__name__},"
                f" got {name!r}: name some of {', '.join(sorted(known))}"
            )
    return {name: dimension(name, of) for name, of in given.items()}


def _strength(estimator: Any, dimensions: Mapping[str, Dimension]) -> str | None:
    """The name of C if the batched solver's fits are this estimator's, and C alone is searched."""
    if len(dimensions) != 1:
        return None
    (name,) = dimensions
    of = dimensions[name]
    ends = of.options if isinstance(of, OneOf) else (of.low, of.high)
    if not all(isinstance(end, int | float) and end > 0 for end in ends):
        return None
    if type(estimator) is StandardLogistic:
        return name if name == "C" else None
    kinds = [type(step) for _, step in getattr(estimator, "steps", [])]
    if type(estimator) is not Pipeline or kinds != [StandardScaler, LogisticRegression]:
        return None
    scaler, logistic = estimator[0].get_params(), estimator[1].get_params()
    plain = LogisticRegression().get_params() | {
        each: logistic[each]
        for each in ("C", "tol", "max_iter", "class_weight", "random_state", "n_jobs", "verbose")
    }
    is_plain = logistic == plain and scaler["with_mean"] and scaler["with_std"]
    return name if is_plain and name == f"{estimator.steps[1][0]}__C" else None


def _seed(own: Any) -> int:
    given = own.random_state
    if given is None:
        return 0
    if isinstance(given, int | np.integer):
        if not 0 <= given < 2**31:
            raise InputError(
                f"random_state must be from 0 to {2**31 - 1}, got {given}: choose one between"
            )
        return int(given)
    # Asked again it says something else, and a search that was begun would not be found.
    drawn_of: Any
    seed: int
    drawn_of, seed = own.__dict__.get("_drawn", (None, 0))
    if drawn_of is not given:
        seed = int(check_random_state(given).randint(2**31))
        own.__dict__["_drawn"] = (given, seed)
    return seed
