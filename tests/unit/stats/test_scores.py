"""The six metrics agree with scikit-learn's, per class too; where it refuses, they are defined."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics

from foldwise.stats.scores import METRICS, confusion, is_loss, per_class, row_losses, score
from tests.unit.solver.predictions import Predictions, draw_predictions, predictions


def by_scikit_learn(probabilities: np.ndarray, labels: np.ndarray) -> dict[str, float]:
    classes = probabilities.shape[1]
    found = probabilities.argmax(axis=1)
    ranked = probabilities[:, 1] if classes == 2 else probabilities
    macro = {"average": "macro", "zero_division": 0}
    return {
        "accuracy": metrics.accuracy_score(labels, found),
        "precision": metrics.precision_score(labels, found, **macro),
        "recall": metrics.recall_score(labels, found, **macro),
        "f1": metrics.f1_score(labels, found, **macro),
        "roc_auc": metrics.roc_auc_score(labels, ranked, multi_class="ovr", average="macro"),
        "log_loss": metrics.log_loss(labels, probabilities),
    }


@settings(max_examples=30)
@given(predictions())
def test_the_six_metrics_are_scikit_learns(given_predictions: Predictions) -> None:
    """Accuracy, macro precision, recall and F1, ROC AUC and log-loss, ties included."""
    expected = by_scikit_learn(*given_predictions)
    assert score(*given_predictions) == pytest.approx(expected, rel=1e-12, abs=1e-12)


@settings(max_examples=30)
@given(predictions(least_classes=3))
def test_each_class_is_scored_as_scikit_learn_scores_it(given_predictions: Predictions) -> None:
    """Precision, recall, F1, support and one-against-the-rest AUC per class."""
    probabilities, labels = given_predictions
    expected = metrics.precision_recall_fscore_support(
        labels, probabilities.argmax(axis=1), labels=range(probabilities.shape[1]), zero_division=0
    )
    areas = metrics.roc_auc_score(labels, probabilities, multi_class="ovr", average=None)
    for code, found in enumerate(per_class(probabilities, labels)):
        assert found.precision == pytest.approx(expected[0][code])
        assert found.recall == pytest.approx(expected[1][code])
        assert found.f1 == pytest.approx(expected[2][code])
        assert found.support == expected[3][code]
        assert found.roc_auc == pytest.approx(areas[code])


@settings(max_examples=30)
@given(predictions())
def test_the_confusion_matrix_is_scikit_learns(given_predictions: Predictions) -> None:
    """True classes down, predicted ones across, classes that never occur kept."""
    probabilities, labels = given_predictions
    expected = metrics.confusion_matrix(
        labels, probabilities.argmax(axis=1), labels=range(probabilities.shape[1])
    )
    np.testing.assert_array_equal(confusion(probabilities, labels), expected)


def test_a_certain_and_wrong_prediction_costs_a_finite_loss() -> None:
    """Probabilities of 0 are clipped by their type's precision, as scikit-learn clips them."""
    certain = np.array([[1.0, 0.0], [1.0, 0.0]])
    expected = metrics.log_loss([0, 1], certain)
    assert score(certain, np.array([0, 1]))["log_loss"] == pytest.approx(expected, rel=1e-12)
    single = certain.astype(np.float32)
    assert row_losses(single, np.array([0, 1]))[1] == pytest.approx(-math.log(2**-23), rel=1e-6)


def test_without_rows_of_a_class_the_auc_is_the_mean_over_the_others() -> None:
    """A part that lacks a class can be scored; scikit-learn refuses."""
    probabilities, labels = draw_predictions(3, rows=60, classes=4)
    kept = labels != 2
    probabilities, labels = probabilities[kept], labels[kept]
    areas = [metrics.roc_auc_score(labels == code, probabilities[:, code]) for code in (0, 1, 3)]
    assert score(probabilities, labels)["roc_auc"] == pytest.approx(np.mean(areas))
    assert math.isnan(per_class(probabilities, labels)[2].roc_auc)


def test_with_a_single_class_the_auc_is_not_a_number() -> None:
    """There is nothing to rank against, and no figure is made up."""
    probabilities, _ = draw_predictions(4, rows=20, classes=3)
    assert math.isnan(score(probabilities, np.zeros(20, dtype=np.int64))["roc_auc"])


def test_a_class_neither_present_nor_predicted_leaves_the_macro_mean_alone() -> None:
    """Macro means run over classes that occur or are predicted, as scikit-learn's do."""
    probabilities, labels = draw_predictions(5, rows=60, classes=3)
    wider = np.column_stack([probabilities, np.zeros(60)])
    assert score(wider, labels)["f1"] == pytest.approx(score(probabilities, labels)["f1"])


@settings(max_examples=30)
@given(predictions(), st.integers(0, 2**32 - 1))
def test_the_order_of_the_rows_does_not_matter(given_predictions: Predictions, seed: int) -> None:
    """Scores are functions of the set of rows."""
    probabilities, labels = given_predictions
    order = np.random.default_rng(seed).permutation(len(labels))
    shuffled = score(probabilities[order], labels[order])
    assert shuffled == pytest.approx(score(probabilities, labels), rel=1e-12)


def test_only_the_log_loss_is_better_when_smaller() -> None:
    """The direction of each metric is fixed."""
    assert [metric for metric in METRICS if is_loss(metric)] == ["log_loss"]


@given(predictions())
def test_a_score_is_found_by_its_name(given_predictions: Predictions) -> None:
    """There are exactly the six metrics, in order, and each is a plain number."""
    scores = score(*given_predictions)
    assert tuple(scores) == METRICS
    assert {type(value) for value in scores.values()} == {float}
