"""Every draw of the bootstrap is a plain score of the rows drawn, whatever the shortcuts."""

import tracemalloc
from time import perf_counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from foldwise.stats.bootstrap import (
    bootstrap_class_f1,
    bootstrap_means,
    bootstrap_scores,
    row_counts,
)
from foldwise.stats.scores import METRICS, per_class, score
from tests.unit.solver.predictions import Predictions, draw_predictions, predictions


def drawn_rows(rows: int, *, draws: int, seed: int) -> list[np.ndarray]:
    counts = np.concatenate(list(row_counts(rows, draws=draws, seed=seed)), axis=1)
    return [np.repeat(np.arange(rows), column.astype(int)) for column in counts.T]


@settings(deadline=None)
@given(predictions(), st.integers(0, 2**32 - 1))
def test_every_draw_is_scored_as_its_rows_would_be(
    given_predictions: Predictions, seed: int
) -> None:
    """Weighted sums over rows ranked once equal ``score`` of the rows repeated, ties included."""
    probabilities, labels = given_predictions
    found = bootstrap_scores(probabilities, labels, draws=5, seed=seed)
    for draw, rows in enumerate(drawn_rows(len(labels), draws=5, seed=seed)):
        expected = score(probabilities[rows], labels[rows])
        drawn = {metric: found[metric][draw] for metric in METRICS}
        assert drawn == pytest.approx(expected, rel=1e-9, abs=1e-12, nan_ok=True)


@settings(deadline=None)
@given(predictions(), st.integers(0, 2**32 - 1))
def test_class_f1_is_that_of_the_rows_drawn(given_predictions: Predictions, seed: int) -> None:
    """The same draws, seen class by class."""
    probabilities, labels = given_predictions
    found = bootstrap_class_f1(probabilities, labels, draws=3, seed=seed)
    for draw, rows in enumerate(drawn_rows(len(labels), draws=3, seed=seed)):
        expected = [each.f1 for each in per_class(probabilities[rows], labels[rows])]
        np.testing.assert_allclose(found[draw], expected)


def test_a_mean_is_that_of_the_rows_drawn() -> None:
    """Any figure a row has can be redrawn, over block edges too."""
    values = np.random.default_rng(1).normal(size=50)
    found = bootstrap_means(values, draws=70, seed=2)
    expected = [values[rows].mean() for rows in drawn_rows(50, draws=70, seed=2)]
    np.testing.assert_allclose(found, expected)


def test_a_draw_has_as_many_rows_as_the_data() -> None:
    """Over block edges too: 130 draws of 40 rows, none twice."""
    counts = np.concatenate(list(row_counts(40, draws=130, seed=2)), axis=1)
    assert counts.shape == (40, 130)
    assert (counts.sum(axis=0) == 40).all()
    assert len(np.unique(counts, axis=1).T) == 130


def test_each_row_is_drawn_equally_often() -> None:
    """Counts have mean 1 and variance 1 - 1/n for every row, as multinomial counts have."""
    counts = np.concatenate(list(row_counts(20, draws=20_000, seed=3)), axis=1)
    np.testing.assert_allclose(counts.mean(axis=1), 1, atol=0.04)
    np.testing.assert_allclose(counts.var(axis=1), 1 - 1 / 20, atol=0.06)


def test_the_seed_alone_decides_the_draws() -> None:
    """The same seed gives the same bits, another one others."""
    given_predictions = draw_predictions(1, rows=200, classes=3)
    first, again, other = (
        bootstrap_scores(*given_predictions, draws=70, seed=seed) for seed in (5, 5, 6)
    )
    assert all((first[metric] == again[metric]).all() for metric in METRICS)
    assert (first["log_loss"] != other["log_loss"]).all()


def test_two_thousand_draws_of_a_holdout_take_seconds_and_little_memory() -> None:
    """10,000 rows by 10 classes: under 12 s, and memory that doesn't grow with the draws."""
    given_predictions = draw_predictions(2, rows=10_000, classes=10)
    start = perf_counter()
    bootstrap_scores(*given_predictions, draws=2000, seed=1)
    assert perf_counter() - start < 12
    tracemalloc.start()
    bootstrap_scores(*given_predictions, draws=400, seed=1)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 64e6
