"""The reliability table counts every row once, and its summary is the calibration error."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from foldwise.stats.scores import _CHANCE as CHANCE
from foldwise.stats.scores import calibration_error, predicted_codes, reliability
from tests.unit.solver.predictions import Predictions, predictions


@given(predictions(), st.integers(1, 20))
def test_every_row_lies_in_one_slice(given_predictions: Predictions, bins: int) -> None:
    """Slices are disjoint, hold all rows, and their confidence lies within them."""
    table = reliability(*given_predictions, bins)
    assert sum(each.rows for each in table) == len(given_predictions[1])
    assert all(each.low < each.confidence <= each.high + 1e-12 for each in table)
    assert all(low.high <= high.low for low, high in pairwise(table))


@given(predictions())
def test_with_one_slice_the_error_is_the_overall_gap_less_chance(
    given_predictions: Predictions,
) -> None:
    """Mean confidence against accuracy is the coarsest calibration; c is what chance has of it."""
    probabilities, labels = given_predictions
    accuracy = (predicted_codes(probabilities) == labels).mean()
    stated = min(probabilities.max(axis=1).mean(), 1)
    squared = (stated - accuracy) ** 2 - CHANCE * stated * (1 - stated) / len(labels)
    found = calibration_error(probabilities, labels, bins=1)
    assert found == pytest.approx(max(0, squared) ** 0.5, abs=1e-7)


def test_confidence_that_comes_true_is_calibrated() -> None:
    """At 0.75 three of four are right: no error; all wrong: 0.75, but for what four rows show."""
    for rows, chance in ((4, 0.03), (40_000, 1e-5)):
        stated = np.tile([0.75, 0.25], (rows, 1))
        assert calibration_error(stated, np.arange(rows) % 4 // 3) == 0
        assert calibration_error(stated, np.ones(rows, np.int64)) == pytest.approx(0.75, abs=chance)


def test_chance_adds_nothing_on_average_to_a_slice() -> None:
    """The share that is taken off is the one that balances, checked by integration."""
    z = np.linspace(-12, 12, 2_000_001)
    excess = np.sign(z**2 - CHANCE) * np.sqrt(np.abs(z**2 - CHANCE))
    mean = float((excess * np.exp(-(z**2) / 2)).sum() * (z[1] - z[0]) / np.sqrt(2 * np.pi))
    assert mean == pytest.approx(0, abs=1e-4)


def test_a_small_holdout_does_not_make_a_calibrated_model_look_off() -> None:
    """Of 297 rows that come true as stated, few show more than 0.03; most of them did."""
    random = np.random.default_rng(1)
    share = random.beta(2, 1, (200, 297))
    stated = np.stack([0.5 + share / 2, 0.5 - share / 2], axis=2)
    labels = (random.random(share.shape) > stated[:, :, 0]).astype(np.int64)
    plain, found = [], []
    for one, of in zip(stated, labels, strict=True):
        table = reliability(one, of)
        plain.append(sum(each.rows * abs(each.accuracy - each.confidence) for each in table) / 297)
        found.append(calibration_error(one, of))
    assert np.mean(np.array(plain) > 0.03) > 0.4
    assert np.mean(np.array(found) > 0.03) < 0.15
    assert np.mean(found) < np.mean(plain) / 3


def test_a_confidence_on_an_edge_belongs_to_the_slice_below() -> None:
    """Slices are open below and closed above, so that certainty has a slice, rounded up or not."""
    beyond = np.nextafter(1.0, 2.0)
    stated = np.array([[0.5, 0.5], [0.75, 0.25], [1.0, 0.0], [beyond, 0.0]])
    table = reliability(stated, np.zeros(4, dtype=np.int64), bins=2)
    assert [(each.high, each.rows) for each in table] == [(0.5, 1), (1.0, 3)]
