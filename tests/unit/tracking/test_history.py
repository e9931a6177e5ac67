"""What the records tell of the champion, and where they are silent."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from foldwise.errors import StoreError
from foldwise.tracking.audit import Record, State, record_id
from foldwise.tracking.checks import Check
from foldwise.tracking.history import Unrecorded, told


def record(champion: int | None, version: int, state: State = "applied") -> Record:
    return Record(
        id="x",
        at="then",
        who="ann@host",
        action="promote",
        decision="refused" if state == "none" else "promoted",
        state=state,
        champion=champion,
        previous=None,
        version=version,
        reason="ünd 'so' \"weiter\"",
        checks=(Check("accuracy", "0.93", ">= 0.9", "pass"),),
    )


def unrecorded(records: Sequence[Record], holder: int | None) -> list[Unrecorded]:
    return [entry for entry in told(records, holder) if isinstance(entry, Unrecorded)]


def test_a_chain_of_applied_records_has_no_gap() -> None:
    """Each begins where the last one ended, and the alias is where the last one put it."""
    chain = [record(None, 1), record(1, 2), record(2, 1)]
    assert list(told(chain, 1)) == chain


@pytest.mark.parametrize("state", ["none", "abandoned"])
def test_a_record_that_moved_nothing_leaves_the_champion(state: State) -> None:
    """Refused and abandoned moves are no changes."""
    assert unrecorded([record(None, 1), record(1, 2, state)], 1) == []
    assert unrecorded([record(None, 1), record(1, 2, state)], 2) == [Unrecorded("now", 1, 2)]


def test_a_champion_without_any_record_is_unrecorded() -> None:
    """It was set by hand before foldwise ever decided."""
    assert list(told([], 3)) == [Unrecorded("now", recorded=None, found=3)]
    assert list(told([], None)) == []


def test_a_gap_shows_before_the_record_that_saw_it() -> None:
    """The story stays in order."""
    first, second = record(None, 1), record(3, 2)
    assert list(told([first, second], 2)) == [first, Unrecorded("then", 1, 3), second]


def test_a_champion_that_was_removed_is_unrecorded() -> None:
    """Deleting the alias or its version is a change too."""
    assert unrecorded([record(None, 1)], None) == [Unrecorded("now", 1, None)]


@given(st.lists(st.tuples(st.integers(1, 4), st.sampled_from(["applied", "none", "abandoned"]))))
def test_decisions_alone_never_look_like_changes_by_hand(moves: list[tuple[int, State]]) -> None:
    """Whatever is decided, in whatever order, the story has no gap."""
    champion, records = None, []
    for version, state in moves:
        records.append(record(champion, version, state))
        champion = version if state == "applied" else champion
    assert unrecorded(records, champion) == []


def test_a_record_comes_back_from_json_as_it_was() -> None:
    """Reasons may hold any character."""
    original = record(1, 2)
    assert Record.from_json(original.to_json()) == original


@pytest.mark.parametrize("text", ["", "[]", "{}", "3", '{"checks": 1}', "null"])
def test_a_damaged_record_is_one_clear_error(text: str) -> None:
    """A tag can be edited by anybody."""
    with pytest.raises(StoreError, match="audit tag must be as foldwise wrote it"):
        Record.from_json(text)


def test_a_record_of_a_long_decision_fits_into_a_tag() -> None:
    """MLflow takes 100,000 characters; a decision with the longest reason needs a tenth."""
    long = replace(
        record(1, 2),
        reason="x" * 1000,
        checks=(Check("n" * 50, "f" * 200, "b" * 100, "fail"),) * 12,
    )
    assert len(long.to_json()) < 10_000


def test_ids_sort_by_time_and_differ_within_one_instant() -> None:
    """So two machines never write over each other's record."""
    early = datetime(2026, 11, 24, 12, 0, 0, 5, tzinfo=UTC)
    late = datetime(2026, 11, 24, 12, 0, 1, tzinfo=UTC)
    assert record_id(early) < record_id(late)
    assert len({record_id(early) for _ in range(10)}) > 1
