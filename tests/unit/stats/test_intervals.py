"""Intervals follow their formulas, nest as they should, and move with the scores."""

import math
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy import stats

from foldwise.stats.intervals import (
    Interval,
    bootstrap_intervals,
    class_f1_intervals,
    corrected_interval,
    naive_interval,
    pooled_interval,
    prediction_interval,
)
from foldwise.stats.scores import METRICS, row_losses, score
from tests.unit.solver.predictions import draw_predictions

FOLDS = st.lists(st.floats(-5, 5), min_size=3, max_size=12)
CONFIDENCE = st.floats(0.5, 0.999)
Method = Callable[[list[float], float], Interval]
METHODS = (naive_interval, corrected_interval, prediction_interval)


def half(interval: Interval) -> float:
    return (interval.high - interval.low) / 2


@given(FOLDS, CONFIDENCE)
def test_the_naive_interval_is_students(values: list[float], confidence: float) -> None:
    """As scipy computes the confidence interval of a mean."""
    assume(np.std(values) > 1e-6)
    expected = stats.ttest_1samp(values, 0).confidence_interval(confidence)
    found = naive_interval(values, confidence)
    assert (found.low, found.high) == pytest.approx(tuple(expected), rel=1e-9, abs=1e-9)
    assert found.confidence == confidence


@given(FOLDS, CONFIDENCE)
def test_the_corrected_and_prediction_intervals_are_the_naive_one_stretched(
    values: list[float], confidence: float
) -> None:
    """By sqrt((1/K + 1/(K-1)) / (1/K)), and by sqrt((1 + 1/K) / (1/K))."""
    folds = len(values)
    reach = half(naive_interval(values, confidence))
    stretched = math.sqrt(1 + folds / (folds - 1))
    assert half(corrected_interval(values, confidence)) == pytest.approx(reach * stretched)
    assert half(prediction_interval(values, confidence)) == pytest.approx(
        reach * math.sqrt(folds + 1)
    )


@pytest.mark.parametrize("method", METHODS)
@given(FOLDS, st.floats(-3, 3), st.floats(0.1, 4))
def test_an_interval_moves_and_scales_with_the_scores(
    method: Method, values: list[float], shift: float, scale: float
) -> None:
    """Intervals don't depend on the unit or the origin of a score."""
    base = method(values, 0.9)
    moved = method([shift + scale * value for value in values], 0.9)
    assert moved.low == pytest.approx(shift + scale * base.low, abs=1e-6)
    assert moved.high == pytest.approx(shift + scale * base.high, abs=1e-6)


def test_the_pooled_interval_is_students_over_rows() -> None:
    """Its mean is the mean over all rows, its width that of independent rows."""
    probabilities, labels = draw_predictions(1, rows=500, classes=4)
    losses = row_losses(probabilities, labels)
    expected = stats.ttest_1samp(losses, 0).confidence_interval(0.95)
    found = pooled_interval(losses, 0.95)
    assert (found.low, found.high) == pytest.approx(tuple(expected))


def test_bootstrap_intervals_hold_the_scores_and_have_the_known_width() -> None:
    """All six metrics lie inside theirs; accuracy's width is that of a binomial share."""
    probabilities, labels = draw_predictions(2, rows=2000, classes=3)
    found = bootstrap_intervals(probabilities, labels, draws=1000, confidence=0.95, seed=4)
    scores = score(probabilities, labels)
    assert tuple(found) == METRICS
    assert all(found[metric].low < scores[metric] < found[metric].high for metric in METRICS)
    error = math.sqrt(scores["accuracy"] * (1 - scores["accuracy"]) / 2000)
    assert half(found["accuracy"]) == pytest.approx(1.96 * error, rel=0.1)


def test_more_confidence_makes_a_wider_interval() -> None:
    """An interval at 99 % holds that at 80 % of the same draws."""
    given_predictions = draw_predictions(3, rows=300, classes=3)
    narrow, wide = (
        bootstrap_intervals(*given_predictions, draws=500, confidence=confidence, seed=1)
        for confidence in (0.8, 0.99)
    )
    for metric in METRICS:
        assert wide[metric].low < narrow[metric].low < narrow[metric].high < wide[metric].high


def test_class_f1_intervals_are_percentiles_of_their_own_class() -> None:
    """The class that is hard to tell has the lower interval."""
    probabilities, labels = draw_predictions(4, rows=600, classes=2)
    rare = labels.copy()
    rare[np.flatnonzero(labels == 1)[:200]] = 0
    found = class_f1_intervals(probabilities, rare, draws=300, confidence=0.9, seed=1)
    assert len(found) == 2
    assert found[1].high < found[0].low


def test_an_auc_that_no_draw_defines_has_no_interval() -> None:
    """With one class among the labels nothing is ranked: NaN, not a made-up figure."""
    probabilities, _ = draw_predictions(5, rows=30, classes=3)
    labels = np.zeros(30, dtype=np.int64)
    found = bootstrap_intervals(probabilities, labels, draws=60, confidence=0.95, seed=1)
    assert math.isnan(found["roc_auc"].low)
    assert not math.isnan(found["log_loss"].low)
