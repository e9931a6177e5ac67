"""The number of a comparison: each judged pair counts, who was only met as champion does not."""

import json
from itertools import product

import pytest

from foldwise.registry.audit import Decision
from foldwise.registry.snapshot import Snapshot, Version

HOLDOUT, NAME = "h" * 64, "toy-classifier"


def snapshot(*looks: str, promoted: tuple[str, ...] = ()) -> Snapshot:
    """A registry with notes of looks, ``model`` or ``model.champion``, and promotions of 0.1."""
    tags = {f"holdout.{HOLDOUT}.{look}": json.dumps({"at": "", "run": "r"}) for look in looks}
    versions = []
    for number, content in enumerate(promoted, start=2):
        decided = Decision(
            id=f"20260101T00000{number}Z-ab",
            at="2026-01-01T00:00:00+00:00",
            who="me@here",
            action="promote",
            decision="promoted",
            state="applied",
            champion=number - 1,
            previous=None,
            version=number,
            reason="",
            checks=(),
        )
        own = {"content_digest": content, "holdout_digest": HOLDOUT}
        versions.append(
            Version(NAME, number, "r", "m", (), {**own, decided.tag: decided.to_json()})
        )
    return Snapshot(NAME, tuple(versions), {}, {NAME: tags})


def test_the_first_challenger_of_the_first_champion_is_comparison_one() -> None:
    """No hypothesis was tested with a model that was only met as champion."""
    assert snapshot("first").spent(HOLDOUT, "second", "first") == 1


def test_each_model_that_was_only_scored_counts() -> None:
    """Whoever is judged may have been picked for its score."""
    assert snapshot("first", "b", "c", "d").spent(HOLDOUT, "d", "first") == 3


def test_judging_the_same_pair_again_costs_nothing() -> None:
    """It is the same hypothesis."""
    assert snapshot("first", "b", "b.first").spent(HOLDOUT, "b", "first") == 1


def test_judging_again_after_a_change_of_champion_counts() -> None:
    """A model that was refused meets another champion: another hypothesis."""
    looks = ("first", "b", "b.first", "c", "c.first")
    assert snapshot(*looks).spent(HOLDOUT, "b", "c") == 3


def test_a_first_champion_that_comes_back_as_challenger_counts() -> None:
    """Then it is one that is judged."""
    looks = ("first", "b", "b.first")
    assert snapshot(*looks).spent(HOLDOUT, "first", "b") == 2


def test_whom_0_1_promoted_over_another_counts_though_no_note_says_so() -> None:
    """Its notes don't tell whom a model met, its decisions do."""
    looks = ("first", "b", "c")
    assert snapshot(*looks, promoted=("b",)).spent(HOLDOUT, "c", "b") == 3
    assert snapshot(*looks).spent(HOLDOUT, "c", "b") == 2


def test_another_holdout_has_its_own_count() -> None:
    """And its notes don't mix."""
    assert snapshot("first", "b", "b.first").spent("e" * 64, "c", "b") == 1


@pytest.mark.parametrize("models", [2, 3, 4])
def test_the_jth_pair_s_number_is_at_least_j(models: int) -> None:
    """Whoever meets whom, in whatever order: so the levels of all hypotheses stay within alpha."""
    names = "abcd"[:models]
    pairs = [pair for pair in product(names, names) if pair[0] != pair[1]]
    for start in range(len(pairs)):
        order = pairs[start:] + pairs[:start]
        looks: tuple[str, ...] = ()
        for j, (one, other) in enumerate(order, start=1):
            assert snapshot(*looks).spent(HOLDOUT, one, other) >= j
            looks = (*looks, one, f"{one}.{other}")
