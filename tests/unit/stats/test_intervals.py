"""Intervals follow their formulas, nest as they should, and move with the scores."""

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import stats

from foldwise.stats.influence import Terms
from foldwise.stats.intervals import (
    Fold,
    Interval,
    corrected_interval,
    f1_intervals,
    outer_intervals,
    possible,
    prediction_interval,
    score_intervals,
)
from foldwise.stats.scores import METRIC, METRICS, Rows, row_losses, score
from foldwise.stats.two_classes import FIGURES
from tests.unit.solver.predictions import draw_predictions

FOLDS = st.lists(st.floats(-5, 5), min_size=3, max_size=12)
CONFIDENCE = st.floats(0.5, 0.999)
Method = Callable[[list[float], float], Interval]
METHODS = (corrected_interval, partial(prediction_interval, parts=1.0))


def half(interval: Interval) -> float:
    return (interval.high - interval.low) / 2


@given(FOLDS, CONFIDENCE)
def test_the_corrected_and_prediction_intervals_are_students_stretched(
    values: list[float], confidence: float
) -> None:
    """As scipy computes the confidence interval of a mean, times sqrt(1 + K/(K-1)), sqrt(K + 1)."""
    assume(np.std(values) > 1e-6)
    folds = len(values)
    expected = stats.ttest_1samp(values, 0).confidence_interval(confidence)
    reach = (expected.high - expected.low) / 2
    stretched = math.sqrt(1 + folds / (folds - 1))
    assert half(corrected_interval(values, confidence)) == pytest.approx(reach * stretched)
    assert half(prediction_interval(values, confidence, 1.0)) == pytest.approx(
        reach * math.sqrt(folds + 1)
    )


@pytest.mark.parametrize("parts", [0.1, 1.0, 10.0])
def test_a_score_is_foretold_alike_whatever_the_holdout_s_size(parts: float) -> None:
    """Folds and holdout are drawn from one normal; two and a half in a hundred lie on each side."""
    random, draws = np.random.default_rng(int(parts * 10)), 4000
    outside = 0
    for _ in range(draws):
        expected = prediction_interval(random.normal(size=6).tolist(), 0.95, parts)
        outside += random.normal() / parts**0.5 > expected.high
    assert outside / draws == pytest.approx(0.025, abs=0.009)


def test_no_end_is_shown_that_the_metric_can_not_have() -> None:
    """Accuracies end at 1, losses at 0; folds that all score alike tell of no interval."""
    shares, losses = [0.99, 1.0, 0.98, 1.0], [0.001, 0.03, 0.002, 0.0005]
    accuracy = possible("accuracy", corrected_interval(shares, 0.95))
    assert 0 < accuracy.low < accuracy.high == 1.0
    loss = possible("log_loss", corrected_interval(losses, 0.95))
    assert (loss.low, loss.high) == (0.0, corrected_interval(losses, 0.95).high)
    assert possible("log_loss", corrected_interval([1, 2, 4, 3], 0.95)).high > 1
    alike = possible("accuracy", corrected_interval([1.0] * 4, 0.95))
    assert math.isnan(alike.low)
    assert math.isnan(alike.high)


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


def folds_of(
    seed: int, *, rows: int = 240, folds: int = 4, repeats: int = 1, trained: float = 0.0
) -> list[Fold]:
    """Predictions dealt to folds; inner means as the rows outside score, and some noise more."""
    made = []
    for repeat in range(repeats):
        random = np.random.default_rng((seed, repeat))
        probabilities, labels = draw_predictions(seed, rows=rows, classes=3)
        part_of = random.permutation(rows) % folds
        for fold in range(folds):
            inside = np.flatnonzero(part_of == fold)
            others = score(probabilities[part_of != fold], labels[part_of != fold])
            inner = {m: v + trained * random.normal() for m, v in others.items()}
            mine = probabilities[inside], labels[inside]
            made.append(Fold(repeat, inside, mine[1], mine[0], score(*mine), inner))
    return made


def perfect(labels: NDArray[np.int64], wrong: Sequence[int] = ()) -> NDArray[np.float64]:
    """Probabilities of 0.9 for the label, or, in the rows that are wrong, for the next one."""
    classes = int(labels.max()) + 1
    stated = labels.copy()
    stated[list(wrong)] = (stated[list(wrong)] + 1) % classes
    return np.eye(classes)[stated] * (0.9 - 0.1 / (classes - 1)) + 0.1 / (classes - 1)


def test_the_interval_of_an_accuracy_is_wilsons() -> None:
    """Of a model that is given; half an error and half a hit more have their say."""
    probabilities, labels = draw_predictions(2, rows=2000, classes=3)
    found = score_intervals(probabilities, labels, 0.95)["accuracy"]
    right = int((probabilities.argmax(axis=1) == labels).sum())
    expected = stats.binomtest(right, 2000).proportion_ci(0.95, method="wilson")
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high), abs=2e-4)


def test_the_interval_of_a_log_loss_is_students_of_its_logarithm() -> None:
    """By the delta method: the standard error of log m is that of m over m."""
    probabilities, labels = draw_predictions(2, rows=2000, classes=3)
    losses = row_losses(probabilities, labels)
    found = score_intervals(probabilities, labels, 0.95)["log_loss"]
    reach = stats.t.ppf(0.975, 1999) * losses.std(ddof=1) / math.sqrt(2000) / losses.mean()
    expected = losses.mean() * math.exp(-reach), losses.mean() * math.exp(reach)
    assert (found.low, found.high) == pytest.approx(expected, rel=1e-4)


@settings(max_examples=40)
@given(st.integers(0, 10_000), st.integers(2, 6), st.integers(12, 80), CONFIDENCE)
def test_intervals_hold_their_score_and_no_end_is_impossible(
    seed: int, classes: int, rows: int, confidence: float
) -> None:
    """However few the rows and however much is asked for; none has no width."""
    probabilities, labels = draw_predictions(seed, rows=rows, classes=classes)
    labels[:classes] = np.arange(classes)
    scores = score(probabilities, labels)
    for metric, found in score_intervals(probabilities, labels, confidence).items():
        assert 0 <= found.low <= scores[metric] <= found.high
        assert found.low < found.high <= (math.inf if metric == "log_loss" else 1)


@settings(max_examples=40)
@given(st.integers(0, 10_000), st.integers(2, 7), st.floats(0, 0.1))
def test_outer_intervals_hold_the_mean_and_no_end_is_impossible(
    seed: int, folds: int, trained: float
) -> None:
    """For any number of folds."""
    given_folds = folds_of(seed, rows=90, folds=folds, trained=trained)
    for metric, found in outer_intervals(given_folds, 0.95).items():
        mean = np.mean([fold.scores[metric] for fold in given_folds])
        assert 0 <= found.low <= mean <= found.high
        assert found.low < found.high <= (math.inf if metric == "log_loss" else 1)


def test_an_interval_around_no_error_has_a_width() -> None:
    """Sixty rows right of sixty leave room for a few percent of errors."""
    labels = np.arange(60) % 3
    whole = score_intervals(perfect(labels), labels, 0.95)
    rule = stats.binomtest(60, 60).proportion_ci(0.95, method="wilson")
    assert whole["accuracy"].low == pytest.approx(rule.low, abs=2e-3)
    for metric in ("precision", "recall", "f1", "roc_auc", "log_loss"):
        assert whole[metric].low < whole[metric].high
    rows = np.arange(60).reshape(6, 10)
    scores = score(perfect(labels), labels)
    parts = [Fold(0, each, labels[each], perfect(labels)[each], scores, scores) for each in rows]
    outer = outer_intervals(parts, 0.95)
    assert all(each.low < each.high for each in outer.values())
    assert outer["accuracy"].low == pytest.approx(rule.low, abs=2e-3)


def test_a_rare_class_without_error_makes_the_f1_uncertain() -> None:
    """Four rows of four right say little of the class, however many rows the other one has."""
    labels = np.array([0] * 296 + [1] * 4)
    probabilities = perfect(labels)
    common, rare = f1_intervals(probabilities, labels, 0.95)
    assert (common.high, rare.high) == (1, 1)
    assert rare.low < 0.75
    assert common.low > 0.97
    assert score_intervals(probabilities, labels, 0.95)["f1"].low < 0.9


def test_class_f1_intervals_belong_to_their_own_class() -> None:
    """The class that is hard to tell has the lower interval, one that never occurs a wide one."""
    labels = np.repeat([0, 1], 100)
    wrong = range(100, 160)
    padded = np.column_stack([perfect(labels, wrong), np.zeros(200)])
    first, second, never = f1_intervals(padded, labels, 0.9)
    assert second.high < first.low
    assert (never.low, never.high > 0.5) == (0, True)


def test_what_training_rows_do_widens_the_interval() -> None:
    """Inner means that differ more than the rows they are scored on explain."""
    for metric in METRICS:
        steady, shaken = (
            outer_intervals(folds_of(1, trained=noise), 0.95)[metric] for noise in (0, 0.2)
        )
        assert half(shaken) > 1.2 * half(steady)


def test_what_training_rows_do_follows_the_formula() -> None:
    """V = P + max(0, J - J0) / 2, with Satterthwaite's degrees of freedom."""
    folds = folds_of(3, rows=240, folds=4, trained=0.04)
    losses = np.concatenate([row_losses(fold.probabilities, fold.labels) for fold in folds])
    outer = [fold.scores["log_loss"] for fold in folds]
    inner = np.array([fold.inner["log_loss"] for fold in folds])
    jackknife = 3 / 4 * ((inner - inner.mean()) ** 2).sum()
    rows, trained = losses.var(ddof=1) / 240, (jackknife - np.var(outer, ddof=1) / 4) / 2
    assert trained > 0
    freedom = (rows + trained) ** 2 / (rows**2 / 239 + trained**2 / 3)
    reach = stats.t.ppf(0.975, freedom) * math.sqrt(rows + trained) / np.mean(outer)
    found = outer_intervals(folds, 0.95)["log_loss"]
    assert math.log(found.high / found.low) / 2 == pytest.approx(reach, rel=1e-9)


def test_rows_of_a_group_count_as_drawn_together() -> None:
    """Every row given four times as one group: the interval of the rows given once."""
    once = folds_of(5, rows=120)
    copied = [
        Fold(
            0,
            np.concatenate([fold.rows + 120 * copy for copy in range(4)]),
            np.tile(fold.labels, 4),
            np.tile(fold.probabilities, (4, 1)),
            fold.scores,
            fold.inner,
        )
        for fold in once
    ]
    for metric, found in outer_intervals(once, 0.95).items():
        grouped = outer_intervals(copied, 0.95, np.arange(480) % 120)[metric]
        alone = outer_intervals(copied, 0.95)[metric]
        assert half(grouped) == pytest.approx(half(found), rel=0.03)
        assert half(alone) < 0.7 * half(found)


def test_repeats_average_a_rows_values_before_they_are_pooled() -> None:
    """The same predictions dealt three times say no more of the rows than dealt once."""
    once, thrice = folds_of(4), folds_of(4, repeats=3)
    for metric in ("accuracy", "log_loss"):
        single, repeated = (outer_intervals(each, 0.95)[metric] for each in (once, thrice))
        assert half(repeated) > 0.9 * half(single)


def test_intervals_hold_the_truth_of_a_rare_class() -> None:
    """Twenty positive rows of 300: nine in ten hold in every metric, where 95 in 100 should.

    Of the bootstrap's percentile intervals 88 to 90 in 100 hold in recall, F1 and ROC AUC.
    """
    random = np.random.default_rng(1)

    def draw(rows: int) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        logits = random.normal(-4, 2, rows)
        chance = 1 / (1 + np.exp(-logits))
        labels = (random.random(rows) < chance).astype(np.int64)
        stated = 1 / (1 + np.exp(-(logits + random.normal(0, 0.5, rows))))
        return np.column_stack([1 - stated, stated]), labels

    truth = score(*draw(400_000))
    held = dict.fromkeys(METRICS, 0)
    for _ in range(400):
        for metric, found in score_intervals(*draw(300), 0.95).items():
            held[metric] += found.low <= truth[metric] <= found.high
    assert min(held.values()) >= 0.905 * 400
    assert min(held["accuracy"], held["log_loss"]) >= 0.93 * 400


def test_more_confidence_makes_a_wider_interval() -> None:
    """An interval at 99 % holds that at 80 %."""
    narrow, wide = (
        score_intervals(*draw_predictions(3, rows=300, classes=3), c) for c in (0.8, 0.99)
    )
    for metric in METRICS:
        assert wide[metric].low < narrow[metric].low < narrow[metric].high < wide[metric].high


def test_an_auc_that_nothing_defines_has_no_interval() -> None:
    """With one class among the labels nothing is ranked: NaN, not a made-up figure."""
    probabilities, _ = draw_predictions(5, rows=30, classes=3)
    labels = np.zeros(30, dtype=np.int64)
    found = score_intervals(probabilities, labels, 0.95)
    assert math.isnan(found["roc_auc"].low)
    assert math.isnan(found["roc_auc"].high)
    assert not math.isnan(found["log_loss"].low)


def test_other_ends_are_a_share_of_the_way_between_them(monkeypatch: pytest.MonkeyPatch) -> None:
    """Twice the recall less 1 goes from -1, and so does its interval; one entry makes a metric."""
    probabilities, labels = draw_predictions(4, rows=80, classes=3)

    def doubled(rows: Rows) -> Terms:
        of = METRIC["recall"].terms(rows)
        return Terms(2 * of.values - 1, 2 * of.influence, 2 * of.softened - 1, 4 * of.least)

    informed = replace(METRIC["recall"], name="informed", lowest=-1.0, terms=doubled)
    monkeypatch.setitem(METRIC, "informed", informed)
    monkeypatch.setitem(FIGURES, "informed", informed)
    monkeypatch.setattr("foldwise.stats.intervals.METRICS", ("recall", "informed"))
    found = score_intervals(probabilities, labels, 0.95)
    ends = (found["recall"].low, found["recall"].high)
    assert (found["informed"].low, found["informed"].high) == pytest.approx(
        [2 * end - 1 for end in ends]
    )
    wide = possible("informed", replace(found["informed"], low=-1.5, high=1.5))
    assert (wide.low, wide.high) == (-1, 1)
