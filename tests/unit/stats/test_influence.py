"""Influence functions are derivatives of the metrics, and sum to nothing."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from foldwise.stats.scores import (
    METRICS,
    ClassCounts,
    class_f1_terms,
    metric_terms,
    per_class,
    row_losses,
    score,
)
from tests.unit.solver.predictions import draw_predictions

SEEDS = st.integers(0, 10_000)
CLASSES = st.integers(2, 4)
Array = NDArray[np.float64]


def weighted_score(
    probabilities: Array, labels: NDArray[np.int64], weights: Array
) -> dict[str, float]:
    """The metrics of rows that count with weights, written out."""
    classes, found = probabilities.shape[1], probabilities.argmax(axis=1)
    cells = np.zeros((classes, classes))
    np.add.at(cells, (labels, found), weights)
    counts = ClassCounts(np.diagonal(cells), cells.sum(axis=1), cells.sum(axis=0))
    areas = []
    for code in [1] if classes == 2 else np.unique(labels):
        ours, ranked = labels == code, probabilities[:, code]
        above = np.sign(ranked[ours][:, None] - ranked[~ours]) / 2 + 0.5
        pairs = np.outer(weights[ours], weights[~ours])
        areas.append((above * pairs).sum() / pairs.sum())
    return {
        "accuracy": float(counts.accuracy),
        "precision": float(counts.macro(counts.precision)),
        "recall": float(counts.macro(counts.recall)),
        "f1": float(counts.macro(counts.f1)),
        "roc_auc": float(np.mean(areas)),
        "log_loss": float(np.average(row_losses(probabilities, labels), weights=weights)),
    }


@settings(max_examples=40)
@given(SEEDS, CLASSES)
def test_a_metric_is_the_mean_of_its_terms(seed: int, classes: int) -> None:
    """All, as they are scored elsewhere, and each class's F1."""
    probabilities, labels = draw_predictions(seed, rows=60, classes=classes)
    expected = score(probabilities, labels)
    found = metric_terms(probabilities, labels)
    assert {metric: found[metric].value for metric in METRICS} == pytest.approx(dict(expected))
    assert [each.value for each in class_f1_terms(probabilities, labels)] == pytest.approx(
        [each.f1 for each in per_class(probabilities, labels)]
    )


@settings(max_examples=40)
@given(SEEDS, CLASSES)
def test_influences_sum_to_nothing(seed: int, classes: int) -> None:
    """Drawing the same rows again leaves every term where it is."""
    for terms in metric_terms(*draw_predictions(seed, rows=60, classes=classes)).values():
        np.testing.assert_allclose(terms.influence.mean(axis=0), 0, atol=1e-12)


@settings(deadline=None, max_examples=40)
@given(SEEDS, CLASSES, st.integers(0, 39))
def test_influence_is_the_derivative_towards_a_row(seed: int, classes: int, row: int) -> None:
    """One row counts by 1e-6 of all more: the metric moves by 1e-6 of the row's influence."""
    probabilities, labels = draw_predictions(seed, rows=40, classes=classes)
    weights, step = np.ones(40), 1e-6
    before = weighted_score(probabilities, labels, weights)
    weights[row] += step * 40
    after = weighted_score(probabilities, labels, weights)
    for metric, terms in metric_terms(probabilities, labels).items():
        moved = (after[metric] - before[metric]) / step
        assert moved == pytest.approx(terms.rows[row], rel=1e-3, abs=1e-3)


def test_of_a_mean_over_rows_the_influence_is_the_row_less_the_mean() -> None:
    """So that the pooled variance is that of the rows' scores."""
    probabilities, labels = draw_predictions(3, rows=200, classes=3)
    found, losses = metric_terms(probabilities, labels), row_losses(probabilities, labels)
    right = probabilities.argmax(axis=1) == labels
    np.testing.assert_allclose(found["log_loss"].rows, losses - losses.mean())
    np.testing.assert_allclose(found["accuracy"].rows, right - right.mean())


@pytest.mark.parametrize("metric", METRICS)
def test_the_variance_is_the_jackknifes(metric: str) -> None:
    """Leaving out one row after another and scoring the rest gives the same within a few percent.

    What leaving out makes of a metric is no more than its influence divided by n - 1, to first
    order.
    """
    probabilities, labels = draw_predictions(8, rows=300, classes=3)
    kept = ~np.eye(300, dtype=bool)
    left = np.array([score(probabilities[rows], labels[rows])[metric] for rows in kept])
    jackknife = 299 / 300 * ((left - left.mean()) ** 2).sum()
    psi = metric_terms(probabilities, labels)[metric].rows
    assert (psi**2).sum() / 300 / 299 == pytest.approx(jackknife, rel=0.05)


def test_rows_are_ranked_only_among_those_of_the_same_model() -> None:
    """Another model's probabilities may lie on another scale; the area is the parts' mean."""
    probabilities, labels = draw_predictions(5, rows=400, classes=2)
    labels[:200] = labels[200:]
    part_of = np.repeat([0, 1], 200)
    moved = probabilities.copy()
    moved[:200, 1] = 0.1 * moved[:200, 1]
    expected = np.mean(
        [score(moved[rows], labels[rows])["roc_auc"] for rows in (part_of == 0, part_of == 1)]
    )
    assert metric_terms(moved, labels, part_of)["roc_auc"].value == pytest.approx(expected)
    assert metric_terms(moved, labels)["roc_auc"].value < expected - 0.05


def test_a_class_without_error_still_has_a_variance() -> None:
    """Four rows of four right don't prove that the fifth will be."""
    labels = np.array([0] * 36 + [1] * 4)
    terms = metric_terms(np.eye(2)[labels] * 0.8 + 0.1, labels)
    for metric in ("accuracy", "precision", "recall", "f1", "roc_auc"):
        assert not terms[metric].rows.any()
        assert terms[metric].unseen > 0


def test_an_area_that_nothing_defines_is_not_a_number() -> None:
    """With one class among the labels no row can be ranked wrong."""
    probabilities, _ = draw_predictions(5, rows=30, classes=3)
    terms = metric_terms(probabilities, np.zeros(30, dtype=np.int64))
    assert np.isnan(terms["roc_auc"].value)
