"""ROC curves: thinned, they keep to the curve, its ends and its area."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import roc_curve

from foldwise.stats.scores import area_under_curve, per_class, roc_curve_points
from tests.unit.solver.predictions import Predictions, draw_predictions, predictions


@settings(max_examples=30)
@given(predictions())
def test_an_unthinned_curve_is_scikit_learns(given_predictions: Predictions) -> None:
    """Its corners are the same, ties passed in one step."""
    probabilities, labels = given_predictions
    for code, (false, true) in enumerate(roc_curve_points(probabilities, labels, 1000)):
        expected = roc_curve(labels == code, probabilities[:, code], drop_intermediate=False)
        np.testing.assert_allclose(false, expected[0])
        np.testing.assert_allclose(true, expected[1])


@settings(max_examples=30)
@given(predictions(), st.integers(2, 30))
def test_a_thinned_curve_takes_corners_of_the_whole_one(
    given_predictions: Predictions, points: int
) -> None:
    """At most so many points, all on the curve, rising from (0, 0) to (1, 1)."""
    whole = roc_curve_points(*given_predictions, 1000)
    for curve, thin in zip(whole, roc_curve_points(*given_predictions, points), strict=True):
        kept = set(zip(*thin, strict=True))
        assert kept <= set(zip(*curve, strict=True))
        assert len(thin[0]) <= points
        assert (thin[0][0], thin[1][0], thin[0][-1], thin[1][-1]) == (0, 0, 1, 1)
        assert (np.diff(thin[0]) >= 0).all()
        assert (np.diff(thin[1]) >= 0).all()


def test_a_hundred_points_keep_the_area_to_a_thousandth() -> None:
    """What is drawn is what was measured."""
    probabilities, labels = draw_predictions(1, rows=10_000, classes=10)
    curves = roc_curve_points(probabilities, labels, 100)
    for (false, true), scores in zip(curves, per_class(probabilities, labels), strict=True):
        assert np.trapezoid(true, false) == pytest.approx(scores.roc_auc, abs=1e-3)


def test_a_good_curve_keeps_more_points_where_it_bends() -> None:
    """The corner in which both rates of error are below 0.1 keeps over a fifth of the points."""
    labels = np.repeat([0, 1], 5000)
    draws = np.random.default_rng(4).normal(size=10_000) + 4 * labels
    positive = 1 / (1 + np.exp(2 - draws))
    false, true = roc_curve_points(np.column_stack([1 - positive, positive]), labels, 100)[1]
    assert ((false < 0.1) & (true > 0.9)).mean() > 0.2


def test_a_class_without_rows_has_the_diagonal() -> None:
    """A curve can be drawn, and claims nothing."""
    probabilities, labels = draw_predictions(2, rows=30, classes=3)
    kept = labels != 1
    false, true = roc_curve_points(probabilities[kept], labels[kept], 50)[1]
    assert (false.tolist(), true.tolist()) == ([0, 1], [0, 1])


def test_reversed_values_have_the_complementary_area() -> None:
    """Ranking backwards turns an area of a into 1 - a, ties or not."""
    probabilities, labels = draw_predictions(3, rows=200, classes=2, coarse=True)
    values, positive = probabilities[:, 1], labels == 1
    area = area_under_curve(values, positive)
    assert area_under_curve(-values, positive) == pytest.approx(1 - area)
