"""Thresholds against scikit-learn's TunedThresholdClassifierCV on the same folds."""

from typing import Any

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.datasets import load_breast_cancer, load_diabetes, load_iris
from sklearn.linear_model import Ridge
from sklearn.metrics import accuracy_score, f1_score, get_scorer, log_loss, make_scorer
from sklearn.model_selection import FixedThresholdClassifier, TunedThresholdClassifierCV
from sklearn.svm import LinearSVC
from sklearn.tree import DecisionTreeClassifier

from foldwise import NestedSearchCV
from foldwise.errors import InputError
from tests.unit.estimator.table_cases import BALANCED

X, CODES = load_breast_cancer(return_X_y=True)
X = X[:, :4] / X[:, :4].std(axis=0) + np.random.default_rng(0).normal(size=(569, 4))
Y = np.array(["malignant", "benign"])[CODES]
TREE = DecisionTreeClassifier(random_state=0)
SIZES = {"min_samples_leaf": [20, 50]}


def quick_f1(y: Any, answers: Any, *, pos_label: str) -> float:
    """As f1_score has it, a hundred times as fast."""
    right = np.sum((answers == pos_label) & (y == pos_label))
    return float(2 * right / (np.sum(answers == pos_label) + np.sum(y == pos_label)))


BENIGN_F1 = make_scorer(quick_f1, pos_label="benign")


class Answers(DecisionTreeClassifier):  # type: ignore[misc]  # has no types
    """A tree that says nothing but its answers."""

    predict_proba = property()


@pytest.mark.parametrize(
    ("estimator", "threshold", "theirs", "positive"),
    [
        (TREE, "balanced_accuracy", BALANCED, None),
        (TREE, BENIGN_F1, BENIGN_F1, "benign"),
        (LinearSVC(), "f1", BENIGN_F1, "benign"),
        (None, BALANCED, BALANCED, None),
    ],
    ids=["tree", "callable", "decision scores", "batched"],
)
def test_each_study_chooses_as_scikit_learn_does(
    estimator: Any, threshold: Any, theirs: Any, positive: str | None
) -> None:
    """On its inner folds, at the values chosen there; the final study on all parts."""
    searched = {None: None, LinearSVC: {"C": [1e-3]}}.get(estimator and type(estimator), SIZES)
    search = NestedSearchCV(
        estimator, searched, cv=3, n_trials=2, scoring="accuracy", threshold=threshold,
        pos_label=positive,
    ).fit(X, Y)  # fmt: skip
    (part_of,) = search.result_.plan.part_of
    found = [*search.outer_thresholds_, search.threshold_]
    for fold, model in enumerate([*search.outer_estimators_, search.best_estimator_]):
        trained = part_of != fold
        splits = [
            (np.flatnonzero(part_of[trained] != part), np.flatnonzero(part_of[trained] == part))
            for part in np.unique(part_of[trained])
        ]
        tuned = TunedThresholdClassifierCV(clone(model.estimator), scoring=theirs, cv=splits)
        tuned.fit(X[trained], Y[trained])
        close = 1e-4 if estimator is None else 1e-12  # two solvers' tolerance
        assert found[fold] == pytest.approx(tuned.best_threshold_, abs=close)
        assert isinstance(model, FixedThresholdClassifier)
        assert (model.predict(X) == tuned.predict(X)).mean() > 0.99


def test_of_candidates_the_threshold_is_the_winners() -> None:
    """Whoever wins a study has the threshold and the scores that it has alone."""
    candidates = {"tree": (TREE, SIZES), "svm": (LinearSVC(), {"C": [1e-3, 1e-2]})}
    asked: dict[str, Any] = {
        "cv": 3, "n_trials": 2, "scoring": "roc_auc", "threshold": BALANCED,
    }  # fmt: skip
    search = NestedSearchCV(candidates, **asked).fit(X, Y)
    alone = {name: NestedSearchCV(*of, **asked).fit(X, Y) for name, of in candidates.items()}
    *winners, final = search.selected_
    assert search.threshold_ == alone[final].threshold_
    for fold, name in enumerate(winners):
        assert search.outer_thresholds_[fold] == alone[name].outer_thresholds_[fold]
        assert (search.outer_scores_ == alone[name].outer_scores_).loc[fold, "accuracy"]


def test_answers_are_scored_as_they_are_given() -> None:
    """What counts answers by those of the threshold, the rest as ever; inner scores know none."""
    plain, search = (
        NestedSearchCV(TREE, SIZES, cv=3, n_trials=2, scoring="f1_macro", threshold=each).fit(X, Y)
        for each in (None, BALANCED)
    )
    assert search.outer_params_ == plain.outer_params_
    assert search.best_score_ == plain.best_score_
    assert "prediction" not in plain.outer_predictions_
    for fold, told in search.outer_predictions_.groupby("fold"):
        y, scores = Y[told.index], search.outer_scores_.loc[fold]
        model = search.outer_estimators_[fold]
        np.testing.assert_array_equal(told["prediction"], model.predict(X[told.index]))
        assert (told["prediction"] == "malignant").equals(
            told["malignant"] >= search.outer_thresholds_[fold]
        )
        assert scores["f1_macro"] == f1_score(y, told["prediction"], average="macro")
        assert scores["accuracy"] == pytest.approx(accuracy_score(y, told["prediction"]))
        values = told[["benign", "malignant"]]
        assert scores["neg_log_loss"] == pytest.approx(-log_loss(y, values), abs=1e-9)
    assert (search.outer_scores_["accuracy"] != plain.outer_scores_["accuracy"]).any()
    same = ["neg_log_loss", "roc_auc", "average_precision"]
    assert search.outer_summary_.loc[same].equals(plain.outer_summary_.loc[same])
    summary = search.outer_summary_
    assert (summary["low"] <= summary["mean"]).all()
    assert summary.loc["accuracy", "mean"] == pytest.approx(search.outer_scores_["accuracy"].mean())
    expected = get_scorer("f1_macro")(search.best_estimator_, X, Y)
    assert search.score(X, Y) == expected
    assert (search.predict(X) == search.best_estimator_.predict(X)).all()


@pytest.mark.parametrize(
    ("parameters", "data", "told"),
    [
        ({}, load_iris(return_X_y=True), "threshold is of two classes, y has 3: leave threshold"),
        ({"estimator": Ridge(), "param_distributions": {"alpha": [1.0]}, "scoring": "r2"},
         load_diabetes(return_X_y=True), "a regressor has none: leave threshold out"),
        ({"threshold": "balanced"}, (X, Y), "threshold must be one scorer, .*, got 'balanced'"),
        ({"threshold": "roc_auc"}, (X, Y), "a scorer of answers, .*, got 'roc_auc': choose one"),
        ({"threshold": lambda *_: 1.0}, (X, Y), "must be a scorer of answers, of make_scorer"),
        ({"estimator": Answers(), "param_distributions": SIZES, "scoring": "accuracy"}, (X, Y),
         "threshold needs predict_proba or decision_function, which Answers"),
        ({"estimator": TREE, "param_distributions": {"min_samples_leaf": [250]}}, (X, Y),
         "predictions that differ to choose"),
    ],
)  # fmt: skip
def test_what_has_no_threshold_is_one_line(parameters: Any, data: Any, told: str) -> None:
    asked = {"threshold": BALANCED, "cv": 3, "n_trials": 1, **parameters}
    with pytest.raises(InputError, match=told):
        NestedSearchCV(**asked).fit(*data)
