"""Procedures that are held against each other run on the same parts, and are equal where said."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from validation.own import METRICS
from validation.verdicts import IDLE, TWINS, Contest, Duel, drawn, duels, falsehoods, world

CELL = Contest("balanced", "idle columns", 120, 2)


def test_columns_are_as_equal_as_is_said() -> None:
    """Twins have one slope and one distribution; idle ones change no chance."""
    population = world("8 % positive")
    assert population.chances.mean() == pytest.approx(0.08, abs=1e-3)
    logits = np.log(population.chances / (1 - population.chances))
    curved = 0.3 * population.features[:, 1] * population.features[:, 2]
    slopes = np.linalg.lstsq(population.features, logits - curved, rcond=None)[0]
    assert slopes[1 + IDLE[0]] == pytest.approx(0, abs=1e-6)
    assert slopes[1 + IDLE[1]] == pytest.approx(0, abs=1e-6)
    assert slopes[1 + TWINS[0]] == pytest.approx(slopes[1 + TWINS[1]])
    assert abs(slopes[1 + TWINS[0]]) > 0.1


def test_a_duel_is_seeded_and_both_have_the_same_parts(tmp_path: Path) -> None:
    """Kept and made anew it is the same; the next one is another."""
    one, other = drawn(CELL, 0), drawn(CELL, 1)
    assert not np.array_equal(one.labels, other.labels)
    assert not np.array_equal(one.probabilities[0], one.probabilities[1])
    for first, second in zip(one.folds(0), one.folds(1), strict=True):
        np.testing.assert_array_equal(first.rows, second.rows)
    assert not [*duels(CELL, tmp_path, make=False)]
    again = drawn(CELL, 0)
    np.testing.assert_array_equal(one.truth, again.truth)


def test_rows_that_are_alike_are_never_parted() -> None:
    """Five equal rows are one group."""
    duel = drawn(replace(CELL, pair="C, 1.1 C", rows=200, together=5), 0)
    for values in (duel.part_of, duel.labels, duel.probabilities[0]):
        assert (np.ptp(values.reshape(-1, 5), axis=1) == 0).all()


def test_a_claim_that_leaves_out_the_true_difference_is_wrong() -> None:
    """In each metric, by either method; who claims nothing is never wrong."""
    made = [drawn(replace(CELL, rows=600), number) for number in range(2)]
    worse = [replace(each, probabilities=np.stack([each.probabilities[0], 1 - each.labels * 0.9]))
             for each in made]  # fmt: skip

    def with_truth(of: list[Duel], difference: float) -> list[Duel]:
        truth = np.array([np.zeros(len(METRICS)), np.full(len(METRICS), difference)])
        return [replace(each, truth=truth) for each in of]

    number, far = falsehoods(iter(with_truth(worse, 5.0)), 1)
    assert number == 2
    assert {far[metric]["influence"].share for metric in ("accuracy", "log_loss")} == {1.0}
    _, near = falsehoods(iter(with_truth(made, 5.0)), 1)
    assert near["accuracy"]["influence"].share == 0
    assert falsehoods(iter(()), 1) == (0, {})
