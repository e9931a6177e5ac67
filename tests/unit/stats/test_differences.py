"""Differences of two searches follow their formula, and few rows that differ are no sign."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import stats

from foldwise.stats.intervals import Fold, paired_differences
from foldwise.stats.scores import METRIC, METRICS, row_losses, score
from tests.unit.solver.predictions import draw_predictions

FOLDS = 4


def folds_of(
    stated: NDArray[np.float64],
    labels: NDArray[np.int64],
    *,
    repeats: int = 1,
    trained: float = 0.0,
    seed: int = 0,
) -> list[Fold]:
    """Predictions dealt to folds, the same rows to the same ones; inner means are noise."""
    found = []
    for repeat in range(repeats):
        part_of = np.random.default_rng(repeat).permutation(len(labels)) % FOLDS
        random = np.random.default_rng((seed, repeat))
        for fold in range(FOLDS):
            rows = np.flatnonzero(part_of == fold)
            inner = {metric: 0.5 + trained * random.normal() for metric in METRICS}
            mine = stated[rows], labels[rows]
            found.append(Fold(repeat, rows, mine[1], mine[0], score(*mine), inner))
    return found


def pair_of(
    seed: int, *, rows: int = 200, repeats: int = 1, trained: float = 0.0
) -> tuple[list[Fold], list[Fold]]:
    """Two searches' folds, of one data set."""
    stated, labels = draw_predictions(seed, rows=rows, classes=3)
    other, _ = draw_predictions(seed + 1, rows=rows, classes=3)
    other = 0.5 * (stated + other)
    asked = {"repeats": repeats, "trained": trained}
    return (
        folds_of(stated, labels, seed=1, **asked),  # type: ignore[arg-type]
        folds_of(other, labels, seed=2, **asked),  # type: ignore[arg-type]
    )


@pytest.mark.parametrize("metric", ["accuracy", "log_loss"])
def test_a_difference_is_as_plain_arithmetic_has_it(metric: str) -> None:
    """V = P + share max(0, J - J0), of rows and folds that are subtracted one from the other."""
    first, second = pair_of(3, trained=0.1)
    found = paired_differences(first, second, 0.9)[metric]

    def by_row(folds: list[Fold]) -> NDArray[np.float64]:
        stated = np.concatenate([fold.probabilities for fold in folds])
        labels = np.concatenate([fold.labels for fold in folds])
        if metric == "log_loss":
            return row_losses(stated, labels)
        return np.asarray(stated.argmax(axis=1) == labels, np.float64)

    rows = by_row(second) - by_row(first)
    n, share = len(rows), {"accuracy": 0.25, "log_loss": 0.5}[metric]
    outer = np.array(
        [b.scores[metric] - a.scores[metric] for a, b in zip(first, second, strict=True)]
    )
    inner = np.array(
        [b.inner[metric] - a.inner[metric] for a, b in zip(first, second, strict=True)]
    )
    scored = rows.var(ddof=1) / n + (2 / n**2 if METRIC[metric].counts else 0)
    jackknife = (FOLDS - 1) / FOLDS * ((inner - inner.mean()) ** 2).sum()
    trained = share * max(0, jackknife - outer.var(ddof=1) / FOLDS)
    freedom = (scored + trained) ** 2 / (scored**2 / (n - 1) + trained**2 / (FOLDS - 1))
    error = math.sqrt(scored + trained)
    student = stats.t(freedom)
    assert trained > 0
    assert found.value == pytest.approx(outer.mean())
    assert found.interval.high - found.value == pytest.approx(student.ppf(0.95) * error)
    assert found.value - found.interval.low == pytest.approx(student.ppf(0.95) * error)
    assert found.p == pytest.approx(2 * student.sf(abs(outer.mean()) / error))
    assert found.folds == pytest.approx(tuple(outer))


def test_nadeau_and_bengios_t_stands_beside_it() -> None:
    """Student's test of the folds' differences, its error longer by sqrt(1 + K / (K - 1))."""
    first, second = pair_of(5)
    found = paired_differences(first, second, 0.95)["log_loss"]
    longer = math.sqrt(1 + FOLDS / (FOLDS - 1))
    plain = stats.ttest_1samp(found.folds, 0)
    assert found.corrected_p == pytest.approx(
        2 * stats.t(FOLDS - 1).sf(abs(plain.statistic) / longer)
    )
    ends = plain.confidence_interval(0.95)
    width = found.corrected.high - found.corrected.low
    assert width == pytest.approx((ends.high - ends.low) * longer)


@settings(max_examples=30)
@given(st.integers(0, 1000), st.integers(1, 2))
def test_the_other_way_round_it_is_the_same_with_the_other_sign(seed: int, repeats: int) -> None:
    """Whichever search is the reference, for every metric."""
    first, second = pair_of(seed, repeats=repeats, trained=0.01, rows=60)
    there = paired_differences(first, second, 0.95)
    back = paired_differences(second, first, 0.95)
    for metric in METRICS:
        one, other = there[metric], back[metric]
        assert one.value == pytest.approx(-other.value, abs=1e-12)
        assert one.interval.low == pytest.approx(-other.interval.high, abs=1e-12)
        assert one.p == pytest.approx(other.p)
        assert one.interval.low <= one.value <= one.interval.high


def test_a_search_differs_from_itself_by_nothing() -> None:
    """And nothing is claimed."""
    first, _ = pair_of(7)
    for found in paired_differences(first, first, 0.95).values():
        assert (found.value, found.p) == (0, 1)


@pytest.mark.parametrize(("rows", "is_sign"), [(4, False), (5, False), (6, True)])
def test_a_handful_of_rows_on_one_side_is_no_sign(rows: int, *, is_sign: bool) -> None:
    """By McNemar's exact test, six are the first; by psi alone, four would be."""
    _, labels = draw_predictions(1, rows=300, classes=2)
    right = np.where(np.eye(2)[labels] == 1, 0.8, 0.2)
    wrong = right.copy()
    wrong[:rows] = 1 - wrong[:rows]
    assert (stats.binomtest(rows, rows).pvalue < 0.05) == is_sign
    # Some errors that both make: else every row is right in one of the two.
    for stated in (right, wrong):
        stated[-30:] = 1 - stated[-30:]
    found = paired_differences(folds_of(wrong, labels), folds_of(right, labels), 0.95)
    assert (found["accuracy"].p < 0.05) == is_sign


def test_equal_rows_of_one_group_count_once() -> None:
    """Every row twice, in one group, tells what it tells once."""
    first, second = pair_of(9, rows=120)

    def doubled(folds: list[Fold]) -> list[Fold]:
        return [
            Fold(
                0,
                np.concatenate([fold.rows, fold.rows + 120]),
                np.tile(fold.labels, 2),
                np.tile(fold.probabilities, (2, 1)),
                fold.scores,
                fold.inner,
            )
            for fold in folds
        ]

    once = paired_differences(first, second, 0.95)
    twice = paired_differences(doubled(first), doubled(second), 0.95, np.tile(np.arange(120), 2))
    for metric in ("accuracy", "recall", "precision", "f1", "log_loss"):
        assert twice[metric].interval.high == pytest.approx(once[metric].interval.high)
        assert twice[metric].p == pytest.approx(once[metric].p)
