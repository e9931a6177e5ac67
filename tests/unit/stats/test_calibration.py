"""The reliability table counts every row once, and its summary is the calibration error."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

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
def test_with_one_slice_the_error_is_the_overall_gap(given_predictions: Predictions) -> None:
    """Mean confidence against accuracy is the coarsest calibration."""
    probabilities, labels = given_predictions
    accuracy = (predicted_codes(probabilities) == labels).mean()
    gap = abs(probabilities.max(axis=1).mean() - accuracy)
    assert calibration_error(probabilities, labels, bins=1) == pytest.approx(gap)


def test_confidence_that_comes_true_is_calibrated() -> None:
    """Four rows at 0.75 of which three are right: no error; all four wrong: 0.75."""
    stated = np.tile([0.75, 0.25], (4, 1))
    assert calibration_error(stated, np.array([0, 0, 0, 1])) == pytest.approx(0)
    assert calibration_error(stated, np.array([1, 1, 1, 1])) == pytest.approx(0.75)


def test_a_confidence_on_an_edge_belongs_to_the_slice_below() -> None:
    """Slices are open below and closed above, so that certainty has a slice, rounded up or not."""
    beyond = np.nextafter(1.0, 2.0)
    stated = np.array([[0.5, 0.5], [0.75, 0.25], [1.0, 0.0], [beyond, 0.0]])
    table = reliability(stated, np.zeros(4, dtype=np.int64), bins=2)
    assert [(each.high, each.rows) for each in table] == [(0.5, 1), (1.0, 3)]
