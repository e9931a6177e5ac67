"""NestedSearchCV of two classes: which is the positive one, and what is told of it."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.stats import loguniform
from sklearn.datasets import load_breast_cancer, load_diabetes, load_iris
from sklearn.linear_model import Ridge
from sklearn.metrics import (
    average_precision_score,
    brier_score_loss,
    f1_score,
    precision_score,
    recall_score,
    roc_auc_score,
    roc_curve,
)
from sklearn.svm import LinearSVC
from sklearn.tree import DecisionTreeClassifier

from foldwise import NestedSearchCV
from foldwise.errors import InputError

X, CODES = load_breast_cancer(return_X_y=True)
Y = np.array(["malignant", "benign"])[CODES]
TREE = DecisionTreeClassifier(max_leaf_nodes=8, random_state=0)
SIZES = {"min_samples_leaf": [5, 20]}
OF_TWO = [
    "average_precision",
    "neg_brier_score",
    "sensitivity_at_specificity_0.9",
    "calibration_slope",
    "calibration_intercept",
]


@pytest.mark.parametrize("positive", ["benign", "malignant"])
@pytest.mark.parametrize("estimator", [None, TREE], ids=["batched", "estimator"])
def test_outer_scores_are_of_the_positive_class(estimator: Any, positive: str) -> None:
    """As scikit-learn has them, of what the outer models said."""
    search = NestedSearchCV(
        estimator, None if estimator is None else SIZES, cv=3, n_trials=2, pos_label=positive
    ).fit(X, Y)
    assert [name for name in search.outer_summary_.index if name in OF_TWO] == OF_TWO
    for fold, told in search.outer_predictions_.groupby("fold"):
        is_positive, values = Y[told.index] == positive, told[positive]
        scores = search.outer_scores_.loc[fold]
        assert scores["average_precision"] == pytest.approx(
            average_precision_score(is_positive, values), abs=1e-12
        )
        assert scores["neg_brier_score"] == pytest.approx(
            -brier_score_loss(is_positive, values), abs=1e-12
        )
        assert scores["roc_auc"] == pytest.approx(roc_auc_score(is_positive, values), abs=1e-12)
        false, true, thresholds = roc_curve(is_positive, values, drop_intermediate=False)
        assert scores[OF_TWO[2]] == pytest.approx(true[false <= 0.1 + 1e-12].max(), abs=1e-12)
        curve = search.outer_curves_[search.outer_curves_["fold"] == fold]
        np.testing.assert_array_equal(curve["threshold"], thresholds[1:])
        np.testing.assert_allclose(curve["false_positive_rate"], false[1:], atol=1e-12)


def test_the_summary_has_means_and_intervals() -> None:
    """Calibration is that of all rows together."""
    search = NestedSearchCV(cv=3, n_trials=2, n_repeats=2).fit(X, Y)
    summary, scores = search.outer_summary_.loc[OF_TWO], search.outer_scores_[OF_TWO]
    means = scores.mean()[:3]
    np.testing.assert_allclose(summary["mean"][:3], means, rtol=1e-12)
    assert (summary["low"] < summary["mean"]).all()
    assert (summary["mean"] < summary["high"]).all()
    assert summary["method"].unique().tolist() == [
        "influence", "corrected (Nadeau-Bengio)", "influence, models given",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("scoring", "of"),
    [
        ("f1", f1_score),
        ("precision", precision_score),
        ("recall", recall_score),
        ("average_precision", average_precision_score),
        ("neg_brier_score", brier_score_loss),
        ("roc_auc", roc_auc_score),
    ],
)
@pytest.mark.parametrize("positive", [None, "benign"])
def test_scorers_of_two_classes_ask_for_the_positive_one(
    scoring: str, of: Any, positive: str | None
) -> None:
    """The greater one, malignant, unless another is said; it has one row in the summary."""
    search = NestedSearchCV(cv=3, n_trials=1, scoring=scoring, pos_label=positive).fit(X, Y)
    asked = positive or "malignant"
    told = search.outer_predictions_[search.outer_predictions_["fold"] == 0]
    is_positive, values = Y[told.index] == asked, told[asked]
    answers = values > 0.5 if scoring in ("f1", "precision", "recall") else values
    expected = of(is_positive, answers)
    signed = -expected if scoring.startswith("neg_") else expected
    assert search.outer_scores_.loc[0, scoring] == pytest.approx(signed, abs=1e-12)
    assert search.outer_summary_.index[0] == scoring
    assert search.outer_summary_.index.is_unique


def test_the_positive_class_is_part_of_what_a_storage_knows(tmp_path: Any) -> None:
    """Scores of one class are not taken for the other's."""
    malignant, benign = (
        NestedSearchCV(
            cv=3, n_trials=1, scoring="f1", pos_label=each, storage=tmp_path / "trials.db"
        ).fit(X, Y).best_score_
        for each in ("malignant", "benign")
    )  # fmt: skip
    assert malignant != benign


def test_decision_scores_have_no_calibration() -> None:
    search = NestedSearchCV(
        LinearSVC(), {"C": loguniform(1e-4, 1e-2)}, cv=3, n_trials=1, scoring="roc_auc",
        pos_label="benign",
    ).fit(X / X.std(axis=0), Y)  # fmt: skip
    told = [*search.outer_summary_.index]
    assert [name for name in told if name in OF_TWO] == [OF_TWO[0], OF_TWO[2]]
    assert "neg_log_loss" not in told
    assert search.outer_scores_["average_precision"].min() > 0.9


@pytest.mark.parametrize(
    ("pos_label", "data", "told"),
    [
        ("Malignant", (X, Y), "a class of y, got 'Malignant': name 'benign' or 'malignant'"),
        (1, load_iris(return_X_y=True), "pos_label is of two classes, y has 3: leave pos_label"),
    ],
)
def test_a_positive_class_that_is_none_is_one_line(pos_label: Any, data: Any, told: str) -> None:
    with pytest.raises(InputError, match=told):
        NestedSearchCV(cv=3, n_trials=1, pos_label=pos_label).fit(*data)


def test_a_regressor_has_no_positive_class() -> None:
    search = NestedSearchCV(Ridge(), {"alpha": [1.0]}, cv=3, n_trials=1, scoring="r2", pos_label=1)
    with pytest.raises(InputError, match="a regressor has none: leave pos_label out"):
        search.fit(*load_diabetes(return_X_y=True))
    assert not hasattr(search.set_params(pos_label=None).fit(
        *load_diabetes(return_X_y=True)), "outer_curves_"
    )  # fmt: skip


def test_a_part_without_the_positive_class_leaves_its_figures_open() -> None:
    """And the others as they are."""
    part_of = np.arange(len(Y)) % 4
    rows = ~((part_of == 0) & (Y == "malignant"))
    search = NestedSearchCV(cv=part_of[rows], n_trials=1).fit(X[rows], Y[rows])
    scores = search.outer_scores_["average_precision"]
    assert pd.isna(scores).sum() == 1
    assert set(search.outer_curves_["fold"]) == set(range(4)) - {int(scores.isna().argmax())}
    assert search.outer_summary_["mean"].isna().sum() > 0
    assert search.outer_summary_.loc["neg_brier_score"].notna().all()
