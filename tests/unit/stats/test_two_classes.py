"""What two classes have besides, against scikit-learn, and its influence functions."""

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.special import expit, logit
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import (
    average_precision_score,
    brier_score_loss,
    precision_recall_curve,
    roc_curve,
)

from foldwise.stats.intervals import Fold, two_class_intervals
from foldwise.stats.scores import METRICS, ThresholdCurve
from foldwise.stats.two_classes import (
    average_precision_terms,
    calibration_terms,
    sensitivity_at,
    two_class_scores,
    two_class_terms,
)

SEEDS = st.integers(0, 10_000)
Array = NDArray[np.float64]
Flags = NDArray[np.bool_]
EVEN = dict.fromkeys(METRICS, 0.5)


def drawn(seed: int, rows: int = 60, slope: float = 1.0) -> tuple[Array, Flags]:
    """Probabilities, some of them equal, and classes that come true as ``slope`` says."""
    draws = np.random.default_rng(seed)
    values: Array = expit(np.round(draws.normal(size=rows), 1))
    positive = draws.random(rows) < expit(slope * logit(values))
    positive[np.argmin(values)], positive[np.argmax(values)] = True, False  # never separated
    return values, positive


@settings(max_examples=30)
@given(SEEDS)
def test_scores_are_scikit_learns(seed: int) -> None:
    values, positive = drawn(seed)
    found = two_class_scores(values, positive)
    expected = average_precision_score(positive, values)
    assert found["average_precision"] == pytest.approx(expected, abs=1e-12)
    assert found["brier"] == pytest.approx(brier_score_loss(positive, values), abs=1e-12)
    false, true, _ = roc_curve(positive, values, drop_intermediate=False)
    allowed = false <= 0.1 + 1e-12
    assert found["sensitivity"] == pytest.approx(true[allowed].max(), abs=1e-12)


@settings(deadline=None, max_examples=30)
@given(SEEDS)
def test_calibration_is_scikit_learns_regression_without_a_penalty(seed: int) -> None:
    values, positive = drawn(seed)
    found = two_class_scores(values, positive)
    model = LogisticRegression(C=np.inf, tol=1e-10, max_iter=10_000)
    model.fit(logit(values)[:, np.newaxis], positive)
    assert found["calibration_slope"] == pytest.approx(model.coef_[0, 0], abs=1e-5)
    with_intercept = expit(logit(values) + found["calibration_intercept"])
    assert with_intercept.sum() == pytest.approx(positive.sum())


@settings(max_examples=30)
@given(SEEDS)
def test_the_curve_is_scikit_learns(seed: int) -> None:
    """Both of them, at the same thresholds."""
    values, positive = drawn(seed)
    curve = ThresholdCurve.of(values, positive)
    false, true, thresholds = roc_curve(positive, values, drop_intermediate=False)
    np.testing.assert_array_equal(curve.thresholds, thresholds[1:])
    np.testing.assert_allclose(curve.false_positive_rate, false[1:], atol=1e-12)
    np.testing.assert_allclose(curve.recall, true[1:], atol=1e-12)
    precision, recall, _ = precision_recall_curve(positive, values)
    np.testing.assert_allclose(curve.precision[::-1], precision[:-1], atol=1e-12)
    np.testing.assert_allclose(curve.recall[::-1], recall[:-1], atol=1e-12)


@settings(deadline=None, max_examples=30)
@given(SEEDS)
def test_a_rows_influence_is_what_more_of_it_changes(seed: int) -> None:
    """Said 500 times over with one row once more: by its influence over all rows."""
    values, positive = drawn(seed, rows=20)
    before, times = two_class_scores(values, positive), 500
    terms = two_class_terms(values, positive, np.zeros(20, dtype=np.int64))
    row = seed % 20
    often = np.repeat(np.arange(20), times)
    after = two_class_scores(*(each[np.append(often, row)] for each in (values, positive)))
    for metric, each in terms.items():
        moved = (after[metric] - before[metric]) * (len(often) + 1)
        assert moved == pytest.approx(each.influence[row, 0], abs=2e-2, rel=1e-2), metric


@settings(max_examples=30)
@given(SEEDS)
def test_influences_sum_to_nothing_and_parts_are_ranked_apart(seed: int) -> None:
    values, positive = drawn(seed)
    values = np.concatenate([values, values / 2])  # another model, of the same ranks
    part_of = np.repeat([0, 1], 60)
    terms = two_class_terms(values, np.tile(positive, 2), part_of)
    alone = two_class_scores(values[:60], positive)["average_precision"]
    assert terms["average_precision"].value == pytest.approx(alone, abs=1e-12)
    for each in terms.values():
        assert each.influence.sum() == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("slope", [0.5, 1.0, 2.0])
def test_calibration_tells_probabilities_that_are_too_extreme(slope: float) -> None:
    found, _ = calibration_terms(*drawn(0, rows=20_000, slope=slope))
    assert found.value == pytest.approx(slope, abs=0.1)


@pytest.mark.parametrize("values", [[0.1, 0.2, 0.8, 0.9], [0.9, 0.8, 0.2, 0.1], [0.3] * 4])
def test_there_is_no_slope_where_a_threshold_tells_all(values: list[float]) -> None:
    found = two_class_scores(np.array(values), np.array([False, False, True, True]))
    assert np.isnan(found["calibration_slope"])
    assert np.isfinite(found["calibration_intercept"])


@pytest.mark.parametrize("values", [[1.0, 1.0 - 1e-15], [1.0, 0.0], [1e-300, 2e-300], [0.0, 0.5]])
def test_calibration_bears_probabilities_of_nothing_and_all(values: list[float]) -> None:
    """Right and wrong ones: an intercept there is, and a slope unless all are the same."""
    positive = np.arange(20) % 2 == 0
    wrong = np.isin(np.arange(20), [4, 5])
    said = np.where(positive ^ wrong, *values)
    slope, intercept = calibration_terms(said, positive)
    assert np.isfinite(intercept.value)
    assert np.isfinite(intercept.influence).all()
    assert np.isfinite(slope.value) == (values != [1e-300, 2e-300])


def test_a_specificity_that_is_just_reached_counts() -> None:
    """One false alarm of ten."""
    values = np.arange(12.0)
    positive = np.isin(values, [9, 11])
    assert sensitivity_at(0.9, values, positive) == 1.0
    assert sensitivity_at(0.91, values, positive) == 0.5


def folds(
    seed: int, times: int = 1, inner: Sequence[float] = (0.5, 0.5, 0.5)
) -> tuple[list[Fold], NDArray[np.int64]]:
    """Three outer folds, each row told so many times, and whose rows are whose."""
    made = []
    for fold in range(3):
        values, positive = (np.tile(each, times) for each in drawn(seed + fold))
        rows = np.arange(fold * 60 * times, (fold + 1) * 60 * times)
        shares: Array = np.column_stack([1 - values, values])
        told = dict.fromkeys(METRICS, inner[fold])
        made.append(Fold(0, rows, positive.astype(np.int64), shares, EVEN, told))
    return made, np.concatenate([60 * fold + np.arange(60 * times) % 60 for fold in range(3)])


@settings(max_examples=30)
@given(SEEDS)
def test_intervals_hold_what_they_are_around_and_count_groups(seed: int) -> None:
    """Rows told four times over tell no more than once."""
    once = two_class_intervals(folds(seed)[0], 1, 0.95)
    four, groups = folds(seed, 4)
    by_rows, by_groups = (two_class_intervals(four, 1, 0.95, each) for each in (None, groups))
    for metric, (mean, interval) in once.items():
        assert interval.low < mean < interval.high
        (
            _,
            rows,
        ) = by_rows[metric]
        _, grouped = by_groups[metric]
        assert rows.high - rows.low < 0.6 * (grouped.high - grouped.low)
        assert grouped.high - grouped.low == pytest.approx(interval.high - interval.low, rel=0.25)


def test_intervals_are_as_wide_as_estimates_are_apart() -> None:
    """Where nothing but rows differs: as far as sixty estimates spread, and at most half more."""
    told = [two_class_intervals(folds(3 * each)[0], 1, 0.95) for each in range(60)]
    for metric in told[0]:
        spread = np.std([found[metric][0] for found in told], ddof=1)
        ends = [found[metric][1] for found in told]
        width = np.median([interval.high - interval.low for interval in ends])
        assert 0.8 < width / (2 * 1.96 * spread) < 1.5, metric


@settings(max_examples=30)
@given(SEEDS)
def test_other_rows_to_train_on_widen_what_probabilities_and_ranks_are_scored_by(seed: int) -> None:
    """Where log-loss and ROC AUC say that they matter; calibration knows nothing of them."""
    (still, _), (moved, _) = folds(seed), folds(seed, inner=(0.3, 0.5, 0.7))
    before, after = (two_class_intervals(each, 1, 0.95) for each in (still, moved))
    for metric, (mean, interval) in before.items():
        mean_after, wider = after[metric]
        assert mean_after == mean
        if metric.startswith("calibration"):
            assert wider == interval
        else:
            assert wider.low < interval.low < interval.high < wider.high


def test_the_interval_reaches_what_few_positive_rows_in_a_part_make_too_good() -> None:
    """Of values that tell nothing, average precision is near the share of positive rows."""
    random, made = np.random.default_rng(0), []
    for fold in range(6):
        rows, values = np.arange(100) + 100 * fold, random.random(100)
        shares: Array = np.column_stack([1 - values, values])
        made.append(Fold(0, rows, (np.arange(100) < 2).astype(np.int64), shares, EVEN, EVEN))
    values = np.concatenate([each.probabilities[:, 1] for each in made])
    together = average_precision_terms(values, np.tile(np.arange(100) < 2, 6)).value
    mean, interval = two_class_intervals(made, 1, 0.95)["average_precision"]
    assert mean > 1.5 * together
    assert interval.low < together / 2


def test_a_brier_score_of_nothing_has_no_interval() -> None:
    labels = np.array([0, 1] * 10)
    parts = np.arange(40).reshape(2, 20)
    made = [Fold(0, rows, labels, np.eye(2)[labels], EVEN, EVEN) for rows in parts]
    mean, interval = two_class_intervals(made, 1, 0.95)["brier"]
    assert mean == 0
    assert np.isnan([interval.low, interval.high]).all()
