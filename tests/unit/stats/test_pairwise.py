"""Holm's correction and the table of pairs."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from foldwise.stats.paired import compare_pairs, holm

P_VALUES = st.lists(st.floats(0, 1), min_size=1, max_size=10)


def test_holms_own_arithmetic() -> None:
    """Four p-values by hand: 4 x 0.005, 3 x 0.01, then 2 x 0.03; 0.04 may not fall below."""
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])


@given(P_VALUES)
def test_holm_lies_between_no_correction_and_bonferronis(p_values: list[float]) -> None:
    """Never below the raw value, never above it times their number, never above 1."""
    adjusted = holm(p_values)
    for raw, value in zip(p_values, adjusted, strict=True):
        assert raw <= value <= min(1, raw * len(p_values))


@given(P_VALUES)
def test_holm_keeps_the_order(p_values: list[float]) -> None:
    """A smaller p-value never gets the larger adjusted one."""
    adjusted = np.array(holm(p_values))
    assert (np.diff(adjusted[np.argsort(p_values, kind="stable")]) >= 0).all()


@given(P_VALUES, st.randoms())
def test_holm_does_not_care_in_which_order_pairs_come(
    p_values: list[float], random: object
) -> None:
    """Shuffled p-values get their values, shuffled alike."""
    order = list(range(len(p_values)))
    random.shuffle(order)  # type: ignore[attr-defined]
    shuffled = holm([p_values[index] for index in order])
    assert shuffled == [holm(p_values)[index] for index in order]


def test_holm_keeps_the_chance_of_a_false_call_under_alpha() -> None:
    """Six true null hypotheses, 4,000 times: at 5 %, uncorrected would be wrong in 26 %."""
    random = np.random.default_rng(8)
    draws = random.random((4000, 6))
    called = np.mean([min(holm(list(row))) <= 0.05 for row in draws])
    assert 0.035 < called < 0.062


def test_every_pair_is_tested_once_on_the_rows_they_differ_on() -> None:
    """Three models, three pairs; who won alone is counted on each side."""
    right = {
        "a": np.array([True, True, True, False]),
        "b": np.array([True, False, False, False]),
        "c": np.array([True, True, True, True]),
    }
    pairs = {(pair.first, pair.second): pair for pair in compare_pairs(right)}
    assert list(pairs) == [("a", "b"), ("a", "c"), ("b", "c")]
    assert (pairs["a", "b"].test.gained, pairs["a", "b"].test.lost) == (2, 0)
    assert pairs["b", "c"].test.p == pytest.approx(2 * 0.5**3)
    assert pairs["b", "c"].adjusted == pytest.approx(3 * 2 * 0.5**3)
