"""NestedSearchCV against a nested loop by hand, and what it makes of what it is given."""

import os
import re
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, reject, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.stats import loguniform, randint, uniform
from sklearn.base import clone
from sklearn.datasets import (
    load_breast_cancer,
    load_diabetes,
    load_digits,
    load_iris,
    load_wine,
)
from sklearn.exceptions import FitFailedWarning
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.metrics import get_scorer, log_loss, r2_score
from sklearn.model_selection import GroupKFold, KFold, ShuffleSplit
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC
from sklearn.tree import DecisionTreeClassifier

from foldwise import Between, NestedSearchCV, OneOf, StandardLogistic
from foldwise.errors import DataError, InputError, SearchError
from foldwise.search.nested import MemoryBook
from foldwise.search.plan import Plan
from foldwise.search.summary import outer_estimates
from foldwise.search.trials import FINAL
from tests.unit.estimator.table_cases import Table, by_scikit_learn, seeded, slope
from tests.unit.solver.numpy_device import NumpyDevice
from tests.waiting import PATIENCE

IRIS = load_iris(return_X_y=True)
TWO = tuple(of[:150] for of in load_breast_cancer(return_X_y=True))
TWO = TWO[0][:, :4], TWO[1]  # two classes: where a third adds nothing, it costs five times as much
PIPELINE = make_pipeline(StandardScaler(), LogisticRegression(tol=1e-6, max_iter=5000))
STRENGTH = {"logisticregression__C": loguniform(1e-3, 10)}
TREE = DecisionTreeClassifier(random_state=0)
DEPTHS = {"max_depth": [1, 2, 4, None]}
EACH_ENGINE = pytest.mark.parametrize(
    ("estimator", "searched"), [(None, None), (TREE, DEPTHS)], ids=["batched", "estimator"]
)


def parts(search: NestedSearchCV) -> NDArray[np.int64]:
    return np.asarray(search.result_.plan.part_of)


def assert_same_bits(one: NestedSearchCV, other: NestedSearchCV) -> None:
    for name in ("inner_results_", "outer_predictions_"):
        pd.testing.assert_frame_equal(getattr(one, name), getattr(other, name), check_exact=True)


def frame(load: Any) -> Table:
    X, y = load(return_X_y=True, as_frame=True)
    return Table(X, y.to_numpy(), np.arange(len(y)))


@pytest.mark.parametrize(
    ("table", "class_weight"),
    [
        (frame(load_iris), None),
        (frame(load_wine), None),
        (frame(load_breast_cancer), "balanced"),
        (seeded(), "balanced"),
        (seeded(classes=3), None),
    ],
    ids=["iris", "wine", "breast cancer", "gaps and categories", "three classes"],
)
def test_each_fold_is_scored_as_scikit_learns_own_parts_score_it(
    table: Table, class_weight: Any
) -> None:
    """Inner folds and outer ones, at the values that were chosen there; groups where given."""
    model = StandardLogistic(class_weight=class_weight)
    C = {"C": loguniform(1e-3, 10)}
    search = NestedSearchCV(model, C, cv=3, n_trials=2, random_state=2)
    search.fit(table.X, table.y, groups=table.groups)
    assert search.engine_ == "batched"
    (part_of,) = parts(search)
    assert search.inner_results_["fold"].dtype == "Int64"
    for _, row in search.inner_results_.iterrows():
        outer = -1 if pd.isna(row["fold"]) else int(row["fold"])
        trained = ~np.isin(part_of, [outer, row["inner_fold"]])
        scored = part_of == row["inner_fold"]
        model = by_scikit_learn(C=row["C"], tol=1e-6, class_weight=class_weight)
        model.fit(table.X[trained], table.y[trained])
        expected = -log_loss(table.y[scored], model.predict_proba(table.X[scored]))
        assert row["neg_log_loss"] == pytest.approx(expected, abs=3e-3)
    for fold, model in enumerate(search.outer_estimators_):
        trained, scored = part_of != fold, part_of == fold
        told = search.outer_predictions_[search.outer_predictions_["fold"] == fold]
        expected = model.predict_proba(table.X[scored])
        np.testing.assert_array_equal(told[search.classes_.tolist()], expected)
        assert slope(model, table.X[trained], table.y[trained]) < 1e-4


def test_each_fold_of_digits_is_solved_and_scored_as_scikit_learn_does_it() -> None:
    """The models by the gradient that its fits stop by: where C is large they take long."""
    table = frame(load_digits)
    search = NestedSearchCV(None, {"C": [0.02]}, cv=3, n_trials=1).fit(table.X, table.y)
    (part_of,) = parts(search)
    assert len(search.inner_results_) == 3 * 2 + 3
    for (outer, inner), row in (
        search.inner_results_.fillna({"fold": -1}).set_index(["fold", "inner_fold"]).iterrows()
    ):
        trained, scored = ~np.isin(part_of, [outer, inner]), part_of == inner
        theirs = by_scikit_learn(C=0.02, tol=1e-5).fit(table.X[trained], table.y[trained])
        expected = -log_loss(table.y[scored], theirs.predict_proba(table.X[scored]))
        assert row["neg_log_loss"] == pytest.approx(expected, abs=1e-3)
    assert len(search.outer_estimators_) == 3
    for fold, model in enumerate(search.outer_estimators_):
        assert slope(model, table.X[part_of != fold], table.y[part_of != fold]) < 1e-4
    assert slope(search.best_estimator_, table.X, table.y) < 1e-4


def test_a_pipeline_of_scaler_and_logistic_regression_is_batched_by_itself() -> None:
    """And ends as that pipeline, which says what the estimator engine's would."""
    X, y = TWO
    batched = NestedSearchCV(PIPELINE, STRENGTH, cv=3, n_trials=3).fit(X, y)
    unlike = LogisticRegression(tol=1e-6, max_iter=5000, warm_start=True)
    pipeline = make_pipeline(StandardScaler(), unlike)
    one_by_one = NestedSearchCV(pipeline, STRENGTH, cv=3, n_trials=3).fit(X, y)
    assert (batched.engine_, one_by_one.engine_) == ("batched", "estimator")
    assert [type(step) for _, step in batched.best_estimator_.steps] == [
        StandardScaler, LogisticRegression,
    ]  # fmt: skip
    assert batched.best_params_ == pytest.approx(one_by_one.best_params_)
    np.testing.assert_allclose(batched.predict_proba(X), one_by_one.predict_proba(X), atol=1e-3)


@pytest.mark.parametrize("scoring", ["balanced_accuracy", "neg_log_loss"])
def test_the_environment_says_what_computes_the_fits(
    scoring: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The metrics are the device's, too; it is the same search, and told within the tolerance."""
    C = {"C": [0.1, 1.0]}
    search = NestedSearchCV(None, C, cv=3, n_repeats=2, n_trials=2, scoring=scoring)
    cores = clone(search).fit(*IRIS)
    monkeypatch.setattr("foldwise.search.engines.gpu.found", lambda _: NumpyDevice())
    monkeypatch.setenv("FOLDWISE_DEVICE", "cuda")
    search.fit(*IRIS)
    assert (search.engine_, search.device_) == ("batched", NumpyDevice.name)
    assert cores.device_ == "processor cores"
    assert search.search_key_ == cores.search_key_
    pd.testing.assert_frame_equal(search.inner_results_, cores.inner_results_, atol=1e-4)
    pd.testing.assert_frame_equal(search.outer_scores_, cores.outer_scores_, atol=1e-4)


def test_a_gpu_that_is_asked_for_must_be_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("foldwise.search.engines.gpu.torch", None)
    monkeypatch.setenv("FOLDWISE_DEVICE", "cuda")
    with pytest.raises(SearchError, match="FOLDWISE_DEVICE=cuda needs"):
        NestedSearchCV(cv=3, n_trials=1).fit(*IRIS)


@pytest.mark.parametrize(
    "scoring", ["balanced_accuracy", "f1_macro", "roc_auc_ovr", "neg_log_loss"]
)
@EACH_ENGINE
def test_a_scorer_is_scikit_learns(scoring: str, estimator: Any, searched: Any) -> None:
    """Best score, outer scores and ``score`` are what it gives."""
    X, y = IRIS
    searched = searched or {"C": [0.1, 1.0]}
    search = NestedSearchCV(estimator, searched, cv=3, n_trials=3, scoring=scoring).fit(X, y)
    (part_of,) = parts(search)
    scorer = get_scorer(scoring)
    for fold, model in enumerate(search.outer_estimators_):
        rows = part_of == fold
        told = search.outer_scores_.loc[fold, scoring]
        assert told == pytest.approx(scorer(model, X[rows], y[rows]))
    assert search.score(X, y) == pytest.approx(scorer(search.best_estimator_, X, y))
    assert search.best_score_ == search.cv_results_["mean_test_score"].max()
    assert search.outer_summary_.index[0] == scoring
    assert (search.outer_summary_["low"] < search.outer_summary_["mean"]).all()


def test_a_regressor_is_searched() -> None:
    X, y = load_diabetes(return_X_y=True)
    search = NestedSearchCV(
        Ridge(), {"alpha": loguniform(1e-3, 10)}, cv=4, n_trials=3, scoring="r2"
    ).fit(X, y)
    (part_of,) = parts(search)
    rows = part_of == 0
    model = Ridge(**search.outer_params_[0]).fit(X[~rows], y[~rows])
    assert search.outer_scores_.loc[0, "r2"] == pytest.approx(
        r2_score(y[rows], model.predict(X[rows]))
    )
    assert [*search.outer_predictions_] == ["repeat", "fold", "prediction"]
    assert search.outer_summary_.loc["r2", "method"] == "corrected (Nadeau-Bengio)"


def test_decision_scores_have_no_log_loss() -> None:
    search = NestedSearchCV(
        SVC(), {"C": loguniform(0.1, 10)}, cv=3, n_trials=2, scoring="accuracy"
    ).fit(*IRIS)
    assert "neg_log_loss" not in search.outer_summary_.index
    assert not hasattr(search, "predict_proba")


def test_predictions_keep_the_index_and_each_row_has_one() -> None:
    table = seeded()
    X = table.X.set_index(pd.Index([f"patient {row}" for row in range(len(table.y))]))
    search = NestedSearchCV(cv=3, n_trials=2).fit(X, table.y)
    assert [*search.outer_predictions_.index] == [*X.index]
    assert [*search.feature_names_in_] == [*X.columns]


@pytest.mark.parametrize(
    ("given", "kind", "ends"),
    [
        (loguniform(0.01, 1), float, (0.01, 1)),
        (uniform(0.5, 2), float, (0.5, 2.5)),
        (Between(0.1, 0.2, is_log=True), float, (0.1, 0.2)),
        ([0.5, 1.0], float, (0.5, 1.0)),
        (OneOf((0.25,)), float, (0.25, 0.25)),
    ],
)
def test_ranges_of_many_makers_are_taken(given: Any, kind: type, ends: tuple[float, float]) -> None:
    search = NestedSearchCV(param_distributions={"C": given}, cv=3, n_trials=4).fit(*TWO)
    tried = search.cv_results_["param_C"]
    assert all(type(each) is kind for each in tried.tolist())
    assert ends[0] <= tried.min() <= tried.max() <= ends[1]


@pytest.mark.parametrize(("given", "least"), [(randint(2, 5), 2), ([1, 2, None], 1)])
def test_whole_numbers_and_lists_reach_the_estimator_as_they_are(given: Any, least: int) -> None:
    search = NestedSearchCV(TREE, {"max_depth": given}, cv=3, n_trials=4).fit(*IRIS)
    depths = {each["max_depth"] for each in search.cv_results_["params"]}
    assert all(depth is None or (type(depth) is int and least <= depth < 5) for depth in depths)


@given(st.integers(0, 2**32 - 1), st.integers(3, 6))
@settings(max_examples=40)
def test_no_group_is_ever_in_two_parts(seed: int, folds: int) -> None:
    """Whatever the groups, and no part is empty."""
    draws = np.random.default_rng(seed)
    groups = draws.integers(0, draws.integers(5 * folds, 100), 200)
    labels = draws.integers(0, 3, 200)
    try:
        plan = Plan.stratified(labels, folds=folds, seed=seed % 1000, groups=groups)
    except DataError:  # so few groups have a class that some part is left without
        reject()
    (part_of,) = plan.part_of
    assert all(len(set(part_of[groups == group])) == 1 for group in np.unique(groups))
    assert set(part_of) == set(range(folds))


def test_a_column_s_name_is_no_group() -> None:
    """The line says what was given, and what to give."""
    told = r"each of the 150 rows, got 'patient': pass them, such as a column of the table"
    with pytest.raises(InputError, match=told):
        NestedSearchCV(cv=3, n_trials=2).fit(*IRIS, groups="patient")


@pytest.mark.parametrize("missing", [None, np.nan])
def test_a_row_without_a_group_is_refused(missing: object) -> None:
    """All those without one would else be one group, and stand or fall together."""
    X, y = IRIS
    groups = np.arange(len(y)).astype(object)
    groups[[7, 9]] = missing
    with pytest.raises(InputError, match="groups must have a value for each row, row 7 has none"):
        NestedSearchCV(cv=3, n_trials=2).fit(X, y, groups=groups)


def test_groups_stay_together_and_count_in_the_intervals() -> None:
    """Rows told six times over: clustered, they tell no more than once."""
    X, y = TWO
    six = np.tile(np.arange(len(y)), 6)
    search = NestedSearchCV(cv=3, n_trials=2)
    clustered = search.fit(X[six], y[six], groups=six).outer_summary_
    assert all(
        len(np.unique(part_of[six == group])) == 1
        for part_of in parts(search)
        for group in range(len(y))
    )
    by_rows, by_groups = (
        outer_estimates(search.result_, confidence=0.95, groups=groups)["accuracy"].interval
        for groups in (None, six)
    )
    assert [*clustered.loc["accuracy", ["low", "high"]]] == [by_groups.low, by_groups.high]
    assert by_groups.low < by_rows.low < by_rows.high < by_groups.high


@pytest.mark.parametrize(
    "cv",
    [
        np.arange(150) % 4,
        np.array(["a", "b", "c"])[np.arange(150) % 3],
        KFold(3, shuffle=True, random_state=1),
        [*GroupKFold(3).split(*TWO, np.arange(150) // 2)],
    ],
    ids=["numbers", "names", "splitter", "splits"],
)
def test_parts_may_be_given(cv: Any) -> None:
    search = NestedSearchCV(cv=cv, n_trials=1).fit(*TWO)
    (part_of,) = parts(search)
    if hasattr(cv, "split"):
        cv = [*cv.split(*TWO)]
    if isinstance(cv, list):
        tested = [set(rows) for _, rows in cv]
    else:
        tested = [set(np.flatnonzero(cv == each)) for each in np.unique(cv)]
    found = [set(np.flatnonzero(part_of == part)) for part in range(max(part_of) + 1)]
    assert sorted(map(sorted, found)) == sorted(map(sorted, tested))


@EACH_ENGINE
def test_repeats_are_partitions_of_their_own(estimator: Any, searched: Any) -> None:
    """Each row is predicted in each; the first is the one that a single repeat has."""
    search = NestedSearchCV(estimator, searched, cv=3, n_repeats=2, n_trials=2).fit(*TWO)
    alone = NestedSearchCV(estimator, searched, cv=3, n_trials=2).fit(*TWO)
    assert len(search.outer_predictions_) == 300
    assert [*search.outer_scores_["repeat"]] == [0, 0, 0, 1, 1, 1]
    assert (parts(search)[0] != parts(search)[1]).any()
    np.testing.assert_array_equal(parts(search)[0], parts(alone)[0])
    first = search.outer_predictions_[search.outer_predictions_["repeat"] == 0]
    pd.testing.assert_frame_equal(first, alone.outer_predictions_)


@pytest.mark.parametrize("table", [frame(load_wine), seeded()], ids=["wine", "gaps and categories"])
def test_weights_count_in_each_fold_as_rows_that_scikit_learn_is_given_so_often(
    table: Table,
) -> None:
    """In means, deviations and losses of fits; a score counts every row once, also of weight 0."""
    often = np.random.default_rng(0).integers(0, 4, len(table.y))
    search = NestedSearchCV(None, {"C": loguniform(1e-3, 1)}, cv=3, n_trials=1)
    search.fit(table.X, table.y, groups=table.groups, sample_weight=often)
    assert search.engine_ == "batched"
    (part_of,) = parts(search)

    def expected(C: float, *left_out: int) -> Any:
        rows = np.repeat(np.arange(len(often)), often * ~np.isin(part_of, left_out))
        return by_scikit_learn(C=C, tol=1e-6).fit(table.X.iloc[rows], table.y[rows])

    def scored(model: Any, part: int) -> float:
        rows = part_of == part
        return -float(log_loss(table.y[rows], model.predict_proba(table.X[rows])))

    for _, row in search.inner_results_.fillna({"fold": -1}).iterrows():
        model = expected(row["C"], int(row["fold"]), int(row["inner_fold"]))
        told = scored(model, int(row["inner_fold"]))
        assert row["neg_log_loss"] == pytest.approx(told, abs=3e-3)
    for fold, values in enumerate(search.outer_params_):
        told = scored(expected(values["C"], fold), fold)
        assert search.outer_scores_["neg_log_loss"][fold] == pytest.approx(told, abs=3e-3)


def test_weights_of_any_size_are_what_scikit_learns_scaler_and_regression_take() -> None:
    """Outer fold by outer fold, without gaps or categories."""
    X, y = load_breast_cancer(return_X_y=True)
    weights = np.random.default_rng(0).gamma(1.0, size=len(y))
    search = NestedSearchCV(None, {"C": [0.1]}, cv=3, n_trials=1).fit(X, y, sample_weight=weights)
    (part_of,) = parts(search)
    for fold, model in enumerate(search.outer_estimators_):
        trained, scored = part_of != fold, part_of == fold
        scaler = StandardScaler().fit(X[trained], sample_weight=weights[trained])
        theirs = LogisticRegression(C=0.1, tol=1e-6)
        theirs.fit(scaler.transform(X[trained]), y[trained], sample_weight=weights[trained])
        told = theirs.predict_proba(scaler.transform(X[scored]))
        np.testing.assert_allclose(model.predict_proba(X[scored]), told, atol=3e-3)


def test_a_pipelines_weights_give_each_fold_scikit_learns_own_bits() -> None:
    """They go to its last step, which the estimator engine fits."""
    X, y = IRIS
    weights = np.random.default_rng(0).gamma(1.0, size=len(y))
    search = NestedSearchCV(PIPELINE, STRENGTH, cv=3, n_trials=2)
    search.fit(X, y, sample_weight=weights)
    assert search.engine_ == "estimator"
    (part_of,) = parts(search)
    for fold, values in enumerate(search.outer_params_):
        rows = part_of != fold
        theirs = clone(PIPELINE).set_params(**values)
        theirs.fit(X[rows], y[rows], logisticregression__sample_weight=weights[rows])
        told = search.outer_predictions_[part_of == fold][[0, 1, 2]]
        np.testing.assert_allclose(told, theirs.predict_proba(X[part_of == fold]), atol=1e-9)


class Fails(DecisionTreeClassifier):  # type: ignore[misc]  # has no types
    """A tree that can't have two levels."""

    def fit(self, X: Any, y: Any, **more: Any) -> "Fails":
        if self.max_depth == 2:
            raise RuntimeError("two levels are too many")
        return super().fit(X, y, **more)  # type: ignore[no-any-return]


@pytest.mark.parametrize("jobs", [1, 2])
def test_a_fit_that_fails_is_never_chosen(jobs: int) -> None:
    """And one line tells of all that fail, in whichever process."""
    asked: dict[str, Any] = {"cv": 3, "n_trials": 6, "scoring": "accuracy", "n_jobs": jobs}
    search = NestedSearchCV(Fails(random_state=0), {"max_depth": [1, 2, 3]}, **asked)
    with pytest.warns(FitFailedWarning) as told:
        search.fit(*IRIS)
    lost = int(search.inner_results_["accuracy"].isna().sum())
    assert lost > 3
    (line,) = (each for each in told if issubclass(each.category, FitFailedWarning))
    assert str(line.message) == (
        f"error_score stands for {lost} of {len(search.inner_results_)} scores of inner folds,"
        " whose fits failed; the first one, with {'max_depth': 2}:"
        " RuntimeError('two levels are too many')"
    )
    assert line.filename == __file__
    failed = search.cv_results_["param_max_depth"] == 2
    assert failed.any()
    assert np.isnan(search.cv_results_["mean_test_score"][failed]).all()
    assert search.best_params_["max_depth"] != 2
    with pytest.raises(RuntimeError, match="two levels are too many"):
        search.set_params(error_score="raise").fit(*IRIS)


@pytest.mark.parametrize("own", [StandardLogistic(), NestedSearchCV(cv=3, n_trials=1)])
def test_names_of_two_kinds_are_refused_with_what_makes_one_of_them(own: Any) -> None:
    X = pd.DataFrame(TWO[0]).rename(columns={0: "length"})
    with pytest.raises(InputError, match=r"as none's, got 1 beside text: set X\.columns"):
        own.fit(X, TWO[1])
    X.columns = X.columns.astype(str)
    assert own.fit(X, TWO[1]).feature_names_in_.tolist() == ["length", "1", "2", "3"]


def test_a_class_with_too_few_rows_is_called_by_its_name() -> None:
    y = np.array(["common"] * 140 + ["rare"] * 4 + ["usual"] * 6)
    with pytest.raises(ValueError, match="class 'rare' has 4: lower cv or add rows"):
        NestedSearchCV(cv=5).fit(IRIS[0], y)


@pytest.mark.parametrize(
    ("parameters", "told"),
    [
        ({"scoring": "neg_logloss"}, r"got 'neg_logloss' \(did you mean 'neg_log_loss'\?\)"),
        ({"scoring": "roc_auc"}, r"is of two classes, y has 3: choose 'roc_auc_ovr'"),
        ({"scoring": ["accuracy"]}, r"must be one scorer, .*, got \['accuracy'\] .*: sklearn"),
        ({"scoring": np.zeros(2)}, r"must be one scorer, .*, got array\(\[0., 0.\]\): sklearn"),
        ({"estimator": SVC(), "param_distributions": {"C": [1.0]}}, "asks for predict_proba"),
        ({"estimator": TREE}, "param_distributions must name parameters to search, got None"),
        ({"param_distributions": {"c": [1.0]}}, "of StandardLogistic, got 'c': name some"),
        ({"param_distributions": {"C": 1.0}}, "C must be given a range: .*, got 1.0"),
        ({"cv": 2}, "cv must make at least 3 parts, .*, got 2: raise it"),
        ({"cv": 51}, "every class needs at least cv = 51 rows, class 0 has 50: lower cv"),
        ({"cv": 151}, "no larger than the number of rows, got 151 and n_samples=150: lower it"),
        ({"cv": ShuffleSplit(3)}, "cv's splits must partition the rows"),
        (
            {"cv": [(np.r_[rest[1:], part[0]], part) for rest, part in KFold(3).split(IRIS[0])]},
            "cv's splits must partition .*; these 3 don't: pass a number of parts",
        ),
        ({"cv": iter(())}, "these 0 don't: .*, or a list of such splits"),
        ({"cv": np.arange(149) % 3}, r"a value for each of the 150 rows, got \(149,\)"),
        ({"cv": np.arange(150) // 50}, "rows in at least 3 parts, .* class 0 has some in 1"),
        ({"cv": np.arange(150) % 3, "n_repeats": 2}, "n_repeats must be 1 where cv says"),
        ({"n_trials": 0}, "n_trials must be a whole number of at least 1, got 0"),
        ({"cv": 5.0}, r"cv must be a number of parts, .*, got 5.0: give one of them"),
        ({"scoring": "precision"}, "a scorer of the 3 classes of y, .*: choose another, such as"),
        ({"param_distributions": {"C": Between(1e-200, 1e200, is_log=True)}}, "300 powers of ten"),
        ({"param_distributions": {"C": Between(2.0, 1.0, is_log=True)}}, "low < high, above 0"),
        ({"param_distributions": {"C": Between(1.0, np.inf, is_log=False)}}, "low < high, got 1"),
        ({"param_distributions": {"C": OneOf(())}}, "C must be given a range: "),
        ({"random_state": -1}, "random_state must be from 0 to 2147483647, got -1: choose one"),
        ({"error_score": "x"}, "error_score must be a number or 'raise', got 'x': give nan"),
        ({"n_jobs": 0}, "n_jobs must be a whole number other than 0, .*, got 0: give -1 for all"),
    ],
)  # fmt: skip
def test_what_can_not_be_searched_is_one_line(parameters: dict[str, Any], told: str) -> None:
    with pytest.raises(InputError, match=told) as caught:
        NestedSearchCV(**parameters).fit(*IRIS)
    assert "\n" not in str(caught.value)


def test_groups_that_cv_parts_are_refused() -> None:
    with pytest.raises(InputError, match="cv must keep rows of one group in one part"):
        NestedSearchCV(cv=np.arange(150) % 3).fit(*IRIS, groups=np.arange(150) // 2)


def test_the_same_seed_gives_the_same_bits_whatever_the_jobs() -> None:
    table = seeded()
    one, other = (
        NestedSearchCV(TREE, DEPTHS, cv=3, n_trials=3, n_jobs=jobs).fit(
            table.X[["whole", "constant"]], table.y
        )
        for jobs in (1, 2)
    )
    assert_same_bits(one, other)


@pytest.fixture
def _interruptible() -> Iterator[None]:
    """What runs in the background of a shell ignores Ctrl-C."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


class StoppedAt:
    """Presses Ctrl-C when so many trials have been kept."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, trials: int) -> None:
        self.left, self.kept = trials, 0
        add = MemoryBook.add

        def stop(book: MemoryBook, trial: Any) -> None:
            add(book, trial)
            self.kept += 1
            self.left -= 1
            if self.left == 0:
                signal.raise_signal(signal.SIGINT)

        monkeypatch.setattr(MemoryBook, "add", stop)


@pytest.mark.usefixtures("_interruptible")
@EACH_ENGINE
def test_after_ctrl_c_fit_goes_on_to_the_same_bits(
    estimator: Any, searched: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No trial is made twice; of three classes, whose fits have other company afterwards."""
    whole = NestedSearchCV(estimator, searched, cv=3, n_trials=7).fit(*IRIS)
    search = NestedSearchCV(estimator, searched, cv=3, n_trials=7)
    stopped = StoppedAt(monkeypatch, 9)
    with pytest.raises(KeyboardInterrupt):
        search.fit(*IRIS)
    assert stopped.kept == 9
    search.fit(*IRIS)
    assert stopped.kept == 4 * 7
    assert_same_bits(search, whole)


class Hangs(DecisionTreeClassifier):  # type: ignore[misc]  # has no types
    """A tree whose fits say who makes them, and from the tenth on wait for word."""

    def __init__(self, folder: str = "", max_depth: int | None = None) -> None:
        super().__init__(max_depth=max_depth, random_state=0)
        self.folder = folder

    def fit(self, X: Any, y: Any) -> "Hangs":
        folder = Path(self.folder)
        (folder / f"made {uuid4()}").write_text(str(os.getpid()))
        if len([*folder.glob("made *")]) >= 10:
            (folder / "hangs").touch()
            while not (folder / "go on").exists():
                time.sleep(0.01)
        return super().fit(X, y)  # type: ignore[no-any-return]


def _ended(process: int) -> bool:
    """Whether the process ends, in time that a loaded machine has too."""
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until:
        try:
            os.kill(process, 0)
        except ProcessLookupError:
            return True
        time.sleep(0.02)
    return False


@pytest.mark.usefixtures("_interruptible")
def test_ctrl_c_ends_the_workers_and_fit_goes_on_to_the_same_bits(tmp_path: Path) -> None:
    """While they fit: none is waited for, and none is left."""
    asked: dict[str, Any] = {"param_distributions": DEPTHS, "cv": 3, "n_trials": 3}
    search = NestedSearchCV(Hangs(str(tmp_path)), **asked, n_jobs=2)

    def interrupt() -> None:
        while not (tmp_path / "hangs").exists():
            time.sleep(0.01)
        os.kill(os.getpid(), signal.SIGINT)

    watch = threading.Thread(target=interrupt, daemon=True)
    watch.start()
    with pytest.raises(KeyboardInterrupt):
        search.fit(*IRIS)
    watch.join()
    told = (each.read_text() for each in tmp_path.glob("made *"))
    workers = {int(each) for each in told if each}  # one may have been ended before it wrote
    assert os.getpid() not in workers
    assert all(map(_ended, workers))
    (tmp_path / "go on").touch()
    whole = NestedSearchCV(DecisionTreeClassifier(random_state=0), **asked).fit(*IRIS)
    assert_same_bits(search.fit(*IRIS), whole)


@pytest.mark.usefixtures("_interruptible")
def test_other_data_begin_anew_after_ctrl_c(monkeypatch: pytest.MonkeyPatch) -> None:
    X, y = TWO
    search = NestedSearchCV(cv=3, n_trials=2)
    stopped = StoppedAt(monkeypatch, 3)
    with pytest.raises(KeyboardInterrupt):
        search.fit(X, y)
    search.fit(X[::-1], y[::-1])
    assert stopped.kept == 3 + 4 * 2


def test_storage_keeps_trials_for_another_search(tmp_path: Path) -> None:
    """More trials are added to those that are there."""
    file = tmp_path / "trials.db"
    few = NestedSearchCV(cv=3, n_trials=12, storage=file).fit(*TWO)
    more = NestedSearchCV(cv=3, n_trials=14, storage=f"sqlite:///{file}").fit(*TWO)
    fresh = NestedSearchCV(cv=3, n_trials=14).fit(*TWO)
    kept = more.inner_results_[more.inner_results_["trial"] < 12].reset_index(drop=True)
    pd.testing.assert_frame_equal(kept, few.inner_results_, check_exact=True)
    pd.testing.assert_frame_equal(more.inner_results_, fresh.inner_results_, check_exact=True)


def test_a_storage_that_is_no_database_is_one_line(tmp_path: Path) -> None:
    file = tmp_path / "notes.txt"
    file.write_text("mine")
    with pytest.raises(SearchError, match=r"must be Optuna's database .* point storage elsewhere"):
        NestedSearchCV(cv=3, n_trials=2, storage=file).fit(*IRIS)


def test_a_column_of_chance_scores_at_chance() -> None:
    """What is said of the procedure isn't what was chosen by."""
    draws = np.random.default_rng(0)
    X, y = draws.normal(size=(200, 20)), draws.integers(0, 2, 200)
    summary = NestedSearchCV(cv=4, n_trials=4, scoring="accuracy").fit(X, y).outer_summary_
    assert summary.loc["accuracy", "low"] < 0.5 < summary.loc["accuracy", "high"]


@pytest.mark.parametrize("by_group", [False, True])
def test_permuted_labels_score_at_chance(by_group: Any) -> None:
    """Also where whole groups get another's labels: what is learned of groups doesn't leak."""
    table = seeded(rows=360)
    draws = np.random.default_rng(4)
    if by_group:
        rank = np.unique(table.groups, return_inverse=True)[1]
        label_of = draws.permutation(np.arange(rank.max() + 1) % 2)
        y, groups = label_of[rank], table.groups
    else:
        y, groups = draws.permutation(table.y), None
    X = table.X.assign(of_group=np.sin(table.groups), square=table.groups**2 % 7)
    summary = NestedSearchCV(cv=4, n_trials=4).fit(X, y, groups=groups).outer_summary_
    for metric, chance in (("roc_auc", 0.5), ("accuracy", 0.5), ("average_precision", None)):
        low, high = summary.loc[metric, ["low", "high"]]
        positive = np.mean(y == np.unique(y)[1])
        assert low < (positive if chance is None else chance) < high
    assert summary.loc["neg_log_loss", "low"] < -np.log(2)


def test_a_scorer_of_decision_scores_gets_them_from_the_batched_engine() -> None:
    """Over three classes they rank rows in another way than probabilities do."""
    X, y = IRIS
    search = NestedSearchCV(cv=3, n_trials=2, scoring="average_precision").fit(X[:, :2], y)
    assert search.engine_ == "batched"
    (part_of,) = parts(search)
    for fold, model in enumerate(search.outer_estimators_):
        rows = part_of == fold
        expected = get_scorer("average_precision")(model, X[rows, :2], y[rows])
        assert search.outer_scores_.loc[fold, "average_precision"] == pytest.approx(expected)


def test_a_metric_is_called_as_it_was_asked_for() -> None:
    """Of two classes `roc_auc_ovr` is `roc_auc`."""
    X, y = load_breast_cancer(return_X_y=True)
    search = NestedSearchCV(cv=3, n_trials=2, scoring="roc_auc_ovr").fit(X, y)
    assert search.outer_summary_.index[0] == "roc_auc_ovr"
    assert search.outer_scores_["roc_auc_ovr"].mean() > 0.98


@pytest.mark.parametrize("names", [("row", "other"), ("fold", "repeat")])
def test_classes_may_have_any_name(names: tuple[str, str]) -> None:
    """Also those of columns that stand beside them."""
    X, y = load_breast_cancer(return_X_y=True)
    plain = NestedSearchCV(cv=3, n_trials=2).fit(X, y).outer_predictions_
    named = NestedSearchCV(cv=3, n_trials=2).fit(X, np.array(sorted(names))[y]).outer_predictions_
    assert [*named] == ["repeat", "fold", *sorted(names)]
    np.testing.assert_array_equal(named.to_numpy(), plain.to_numpy())


def test_a_range_between_two_neighbours_is_searched() -> None:
    C = Between(1.0, float(np.nextafter(1.0, 2.0)), is_log=True)
    search = NestedSearchCV(param_distributions={"C": C}, cv=3, n_trials=3).fit(*TWO)
    alone = NestedSearchCV(param_distributions={"C": [1.0]}, cv=3, n_trials=1).fit(*TWO)
    assert search.best_score_ == pytest.approx(alone.best_score_, abs=1e-3)


@EACH_ENGINE
def test_weights_that_leave_a_fit_without_rows_are_refused(estimator: Any, searched: Any) -> None:
    """The remedy, weights in a third part, helps."""
    X, y = TWO
    part_of = np.arange(150) % 4
    search = NestedSearchCV(estimator, searched, cv=part_of, n_trials=2)
    with pytest.raises(InputError, match=r"sample_weight must be above 0 .*, it is in 2: give"):
        search.fit(X, y, sample_weight=(part_of < 2) * 1.0)
    assert search.fit(X, y, sample_weight=(part_of < 3) * 1.0).best_score_ < 0


@pytest.mark.filterwarnings("ignore:error_score stands for")
def test_what_a_failed_fit_scores_has_scikit_learns_sign() -> None:
    """A bad score is bad where the metric is a loss, too."""
    asked: dict[str, Any] = {"cv": 3, "n_trials": 6, "error_score": -99.0}
    search = NestedSearchCV(Fails(random_state=0), {"max_depth": [1, 2, 3]}, **asked).fit(*IRIS)
    failed = search.cv_results_["param_max_depth"] == 2
    assert (search.cv_results_["mean_test_score"][failed] == -99).all()
    assert failed.any()
    assert search.best_params_["max_depth"] != 2


def test_a_linear_range_is_walked_in_equal_steps() -> None:
    """By logarithms, half of eight values would lie below 1."""
    search = NestedSearchCV(
        Ridge(), {"alpha": uniform(0.01, 100)}, cv=3, n_trials=12, scoring="r2"
    ).fit(*load_diabetes(return_X_y=True))
    places = search.result_.space.startup_trials(search.result_.study_trials(FINAL))
    steps = np.diff(search.cv_results_["param_alpha"][:places])
    assert places >= 3
    np.testing.assert_allclose(steps, 100 / 8)


def test_a_range_of_one_value_is_that_value() -> None:
    one = NestedSearchCV(param_distributions={"C": Between(0.5, 0.5, is_log=True)}, cv=3)
    assert one.set_params(n_trials=1).fit(*TWO).best_params_ == {"C": 0.5}


def test_cv_none_is_the_default() -> None:
    assert NestedSearchCV(cv=None, n_trials=1).fit(*TWO).result_.plan.folds == 6


@pytest.mark.usefixtures("_interruptible")
def test_a_random_state_goes_on_after_ctrl_c(monkeypatch: pytest.MonkeyPatch) -> None:
    """With the seed that was drawn for it."""
    search = NestedSearchCV(cv=3, n_trials=2, random_state=np.random.RandomState(3))
    stopped = StoppedAt(monkeypatch, 3)
    with pytest.raises(KeyboardInterrupt):
        search.fit(*IRIS)
    search.fit(*IRIS)
    assert stopped.kept == 4 * 2
    again = NestedSearchCV(cv=3, n_trials=2, random_state=np.random.RandomState(3)).fit(*IRIS)
    assert_same_bits(search, again)


def test_a_random_state_draws_anew_for_each_finished_search() -> None:
    """Once for all candidates, which have the same parts."""
    both = {"own": (StandardLogistic(), {}), "tree": (TREE, DEPTHS)}
    search, again = (
        NestedSearchCV(both, cv=3, n_trials=2, random_state=np.random.RandomState(3)).fit(*TWO)
        for _ in range(2)
    )
    assert_same_bits(search, again)
    assert (parts(search.fit(*TWO)) != parts(again)).any()


def test_a_scorer_of_ones_own_gets_a_whole_estimator() -> None:
    """Also where all fits run side by side."""
    search = NestedSearchCV(PIPELINE, STRENGTH, cv=3, n_trials=2, scoring=coefficients)
    assert search.fit(*TWO).engine_ == "batched"
    model, (part_of,) = search.outer_estimators_[0], parts(search)
    told = search.outer_scores_.loc[0, "score"]
    assert told == coefficients(model, TWO[0][part_of == 0], None) > 2


def coefficients(model: Any, X: Any, _: Any) -> float:
    return float(abs(model[-1].coef_).sum() + len(model.predict(X[:2])))


@pytest.mark.filterwarnings("ignore:the scorer failed")
@EACH_ENGINE
def test_a_scorer_that_fails_gives_the_error_score(estimator: Any, searched: Any) -> None:
    calls = 0

    def now_and_then(model: Any, X: Any, y: Any) -> float:
        nonlocal calls
        calls += 1
        if calls % 3 == 0:
            raise RuntimeError("not now")
        return float(model.score(X, y))

    search = NestedSearchCV(
        estimator, searched, cv=3, n_trials=3, scoring=now_and_then, error_score=-7.0, n_jobs=1
    ).fit(*TWO)
    assert (search.inner_results_["score"] == -7).any()
    with pytest.raises(RuntimeError, match="not now"):
        search.set_params(error_score="raise").fit(*TWO)


@EACH_ENGINE
def test_where_nothing_has_a_score_no_model_is_given(estimator: Any, searched: Any) -> None:
    search = NestedSearchCV(estimator, searched, cv=3, n_trials=2, scoring=lambda *_: float("nan"))
    with pytest.raises(SearchError, match=r"none of the 2 of outer-0 has one: .*, correct it"):
        search.fit(*TWO)


@EACH_ENGINE
def test_columns_of_one_name_are_refused(estimator: Any, searched: Any) -> None:
    X = pd.DataFrame(TWO[0], columns=["a", "b", "c", "b"])
    search = NestedSearchCV(estimator, searched, cv=3, n_trials=1)
    with pytest.raises(InputError, match="got 'b' for columns 1 and 3: rename one"):
        search.fit(X, TWO[1])
    assert search.fit(X.set_axis([*"abcd"], axis=1), TWO[1]).best_score_ < 0


@pytest.mark.parametrize("way", ["u\u0308", "\u00fc\u200b", "\u00a0\u00fc"])
def test_what_nobody_can_tell_apart_by_sight_is_refused(way: str) -> None:
    """Classes, categories or names: they would be two, and people would see one."""
    words = np.array(["\u00fc", "m", way] * 20)
    told = r"told apart by sight, got '.*\\.*' and '.*\\.*': spell it in one way"
    X = pd.DataFrame({"a": np.arange(60.0), "b": pd.Categorical(words)})
    with pytest.raises(InputError, match=f"y's classes must be {told}"):
        NestedSearchCV(cv=3, n_trials=1).fit(X[["a"]], words)
    with pytest.raises(InputError, match=f"the categories of column 'b' must be {told}"):
        NestedSearchCV(cv=3, n_trials=1).fit(X, words == "m")
    X.columns = ["\u00fc", way]
    with pytest.raises(InputError, match="another name for each column, got '\u00fc' for columns"):
        NestedSearchCV(cv=3, n_trials=1).fit(X, words == "m")


@pytest.mark.parametrize("estimator", [None, TREE, Ridge()], ids=["batched", "estimator", "other"])
@pytest.mark.parametrize("missing", [None, np.nan, pd.NA])
def test_a_row_without_a_target_is_refused(estimator: Any, missing: Any) -> None:
    y = pd.Series(IRIS[1].astype(object))
    y[[7, 9]] = missing
    searched: Any = {None: None, TREE: DEPTHS}.get(estimator, {"alpha": [1.0]})
    with pytest.raises(InputError, match="y must have a value for each row, row 7 has none: fill"):
        NestedSearchCV(estimator, searched, cv=3, n_trials=1).fit(IRIS[0], y)


def test_a_column_without_values_is_named_and_tells_nothing() -> None:
    """Nor does one whose values are all in the rows that a fold leaves out."""
    X, y = pd.DataFrame(TWO[0], columns=[*"abcd"]), TWO[1]
    part_of = np.arange(150) % 3
    seldom = X.assign(seldom=np.where(part_of == 1, 1.0, np.nan))
    empty = seldom.assign(number=np.nan, kind=pd.Categorical([None] * 150))
    search = NestedSearchCV(cv=part_of, n_trials=2)
    with pytest.warns(UserWarning, match="has no value in any row") as told:
        search.fit(empty, y)
    assert [str(each.message)[:30] for each in told] == [
        "column 'number' has no value i", "column 'kind' has no value in ",
    ]  # fmt: skip
    plain = NestedSearchCV(cv=part_of, n_trials=2).fit(seldom, y)
    assert plain.outer_estimators_[1].coef_[:, -1].tolist() == [0]
    np.testing.assert_allclose(
        search.outer_scores_["neg_log_loss"], plain.outer_scores_["neg_log_loss"], atol=1e-3
    )


@pytest.mark.filterwarnings("error")
def test_a_notebook_without_widgets_sees_one_line_that_is_written_anew(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Only a carriage return goes back there; rich would ask for ipywidgets and show nothing."""
    monkeypatch.setattr("rich.console._is_jupyter", lambda: True)
    monkeypatch.setattr("foldwise.estimator.find_spec", lambda _: None)
    monkeypatch.setenv("TERM", "xterm-color")
    NestedSearchCV(cv=3, n_trials=2, verbose=1).fit(*TWO)
    shown = capsys.readouterr().out
    assert re.search(r"fits .*100%.*0:00:00", shown)
    assert "\x1b[1A" not in shown


def test_no_progress_is_shown_unasked(capsys: pytest.CaptureFixture[str]) -> None:
    NestedSearchCV(cv=3, n_trials=1).fit(*TWO)
    assert capsys.readouterr() == ("", "")
    NestedSearchCV(cv=3, n_trials=1, verbose=1).fit(*TWO)
    assert "fits" in capsys.readouterr().err
