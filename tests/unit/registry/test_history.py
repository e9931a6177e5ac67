"""What the records tell of the champion, and where they are silent."""

import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from foldwise.errors import StoreError
from foldwise.registry.audit import Check, Decision, Unrecorded, history, in_order, new_id
from foldwise.registry.audit import unrecorded as not_by_record

State = Literal["pending", "applied", "abandoned", "none"]


def record(
    champion: int | None, version: int, state: State = "applied", *, previous: int | None = None
) -> Decision:
    return Decision(
        id="x",
        at="then",
        who="ann@host",
        action="promote",
        decision="refused" if state == "none" else "promoted",
        state=state,
        champion=champion,
        previous=previous,
        version=version,
        reason="ünd 'so' \"weiter\"",
        checks=(Check("accuracy", "0.93", ">= 0.9", "pass"),),
    )


def held(champion: int | None, previous: int | None = None) -> dict[str, int | None]:
    return {"champion": champion, "previous_champion": previous}


def unrecorded(
    records: Sequence[Decision], champion: int | None, previous: int | None = None
) -> list[Unrecorded]:
    story = history(records, held(champion, previous))
    return [entry for entry in story if isinstance(entry, Unrecorded)]


def champion_moved(before: str, recorded: int | None, found: int | None) -> Unrecorded:
    return Unrecorded("champion", before, recorded, found)


def previous_moved(before: str, recorded: int | None, found: int | None) -> Unrecorded:
    return Unrecorded("previous_champion", before, recorded, found)


def test_a_chain_of_applied_records_has_no_gap() -> None:
    """Each begins where the last one ended, and the alias is where the last one put it."""
    chain = [record(None, 1), record(1, 2), record(2, 1, previous=1)]
    assert list(history(chain, held(1, 2))) == chain


@pytest.mark.parametrize("state", ["none", "abandoned"])
def test_a_record_that_moved_nothing_leaves_the_champion(state: State) -> None:
    """Refused and abandoned moves are no changes."""
    assert unrecorded([record(None, 1), record(1, 2, state)], 1) == []
    found = unrecorded([record(None, 1), record(1, 2, state)], 2)
    assert found == [champion_moved("now", 1, 2)]


def test_a_champion_without_any_record_is_unrecorded() -> None:
    """It was set by hand before foldwise ever decided."""
    assert list(history([], held(3))) == [champion_moved("now", None, 3)]
    assert list(history([], held(None))) == []


def test_a_gap_shows_before_the_record_that_saw_it() -> None:
    """The story stays in order."""
    first, second = record(None, 1), record(3, 2)
    story = list(history([first, second], held(2, 3)))
    assert story == [first, champion_moved("then", 1, 3), second]


def test_a_champion_that_was_removed_is_unrecorded() -> None:
    """Deleting the alias or its version is a change too."""
    assert unrecorded([record(None, 1)], None) == [champion_moved("now", 1, None)]


@pytest.mark.parametrize("found", [None, 3])
def test_a_previous_champion_moved_by_hand_is_unrecorded(found: int | None) -> None:
    """A rollback would go to it."""
    chain = [record(None, 1), record(1, 2)]
    assert unrecorded(chain, 2, found) == [previous_moved("now", 1, found)]
    later = record(2, 4, previous=found)
    assert unrecorded([*chain, later], 4, 2) == [previous_moved("then", 1, found)]


@given(st.lists(st.tuples(st.integers(1, 4), st.sampled_from(["applied", "none", "abandoned"]))))
def test_decisions_alone_never_look_like_changes_by_hand(moves: list[tuple[int, State]]) -> None:
    """Whatever is decided, in whatever order, the story has no gap."""
    champion = previous = None
    records = []
    for version, state in moves:
        records.append(record(champion, version, state, previous=previous))
        if state == "applied":
            previous = previous if champion is None else champion
            champion = version
    assert unrecorded(records, champion, previous) == []


def test_only_decisions_that_moved_an_alias_say_who_should_hold_it() -> None:
    """Whatever the others saw."""
    moved, refused = record(None, 1, previous=8), record(7, 2, "none", previous=6)
    assert not not_by_record([], held(None))
    assert not not_by_record([moved, refused], held(1))
    assert not not_by_record([moved, refused, record(7, 3, previous=6)], held(3, 7))
    assert not not_by_record([record(1, 2), record(2, 1, "abandoned")], held(2, 1))


def test_a_record_comes_back_from_json_as_it_was() -> None:
    """Reasons may hold any character."""
    original = record(1, 2)
    assert Decision.from_json(original.to_json()) == original


@pytest.mark.parametrize("text", ["", "[]", "{}", "3", '{"checks": 1}', "null"])
def test_a_damaged_record_is_one_clear_error(text: str) -> None:
    """A tag can be edited by anybody."""
    with pytest.raises(StoreError, match="audit tag must be as foldwise wrote it"):
        Decision.from_json(text)


def test_a_record_of_a_long_decision_fits_into_a_tag() -> None:
    """MLflow takes 100,000 characters; a decision with the longest reason needs a tenth."""
    long = replace(
        record(1, 2),
        reason="x" * 1000,
        checks=(Check("n" * 50, "f" * 200, "b" * 100, "fail"),) * 12,
    )
    assert len(long.to_json()) < 10_000


def test_a_shortened_record_keeps_what_the_history_tells() -> None:
    """The move, who, when, why, and which checks failed."""
    passed, failed = Check("a", "1", "> 0", "pass"), Check("b", "1", "> 2", "fail")
    whole = replace(record(1, 2), checks=(passed, failed))
    short = whole.shortened()
    assert short == replace(whole, checks=(Check("b", "", "", "fail"),), is_short=True)
    assert short.shortened() == short
    assert Decision.from_json(short.to_json()) == short


@given(st.text(max_size=1000))
def test_a_shortened_record_fits_where_the_model_keeps_it(reason: str) -> None:
    """PostgreSQL's column takes 5,000 characters, whatever they are."""
    checks = (Check("n" * 50, "f" * 200, "b" * 100, "fail"),) * 12
    whole = replace(record(1, 2), who=f"{'u' * 64}@{'h' * 64}", reason=reason, checks=checks)
    assert len(whole.shortened().to_json()) <= 5000


def test_ids_sort_by_time_and_differ_within_one_instant() -> None:
    """So two machines never write over each other's record."""
    ids = [new_id() for _ in range(20)]
    times = [each.rpartition("-")[0] for each in ids]
    assert times == sorted(times)
    assert len(set(ids)) == len(ids)


def test_a_field_that_a_later_version_adds_is_passed_over() -> None:
    """So a team may mix versions: nothing is orphaned by one more field."""
    told = json.loads(record(1, 2).to_json())
    told["checks"][0]["unit"] = "share"
    assert Decision.from_json(json.dumps(told | {"more": 1})) == record(1, 2)


def test_a_record_of_0_1_is_the_same_record() -> None:
    """It bore no schema; short and whole, it must not look as if it had to be written again."""
    told = json.loads(record(1, 2).to_json())
    del told["schema"]
    assert Decision.from_json(json.dumps(told)) == record(1, 2)


def test_a_records_tag_begins_with_what_people_look_for() -> None:
    """MLflow shows the tag as it is, in a narrow column."""
    told = json.loads(record(1, 2).to_json())
    assert list(told)[:5] == ["decision", "version", "reason", "who", "at"]


@given(st.permutations(range(6)))
def test_records_stand_in_the_order_in_which_they_were_made_whatever_the_clock(
    clock: list[int],
) -> None:
    """It stepped back, or another machine's lags: each names the last one that it knew of."""
    made = [
        replace(
            record(number or None, number + 1, previous=max(number - 1, 0) or None),
            id=f"at-{time}",
            after=before,
        )
        for number, (time, before) in enumerate(
            zip(clock, ["", *(f"at-{time}" for time in clock)], strict=False)
        )
    ]
    found = in_order({each.id: each for each in made})
    assert list(found) == made
    assert unrecorded(found, 6, 5) == []


def test_records_that_name_none_or_each_other_are_all_told() -> None:
    """As an older version wrote them, or after a tag was changed by hand."""
    made = {
        name: replace(record(None, 1), id=name, after=after)
        for name, after in {"a": "", "b": "c", "c": "b", "d": "d", "e": "gone"}.items()
    }
    assert sorted(each.id for each in in_order(made)) == sorted(made)
