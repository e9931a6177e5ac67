"""The champion changes by recorded decisions, one at a time, whatever is killed in between."""

import re
import sqlite3
from collections.abc import Callable
from contextlib import AbstractContextManager, closing
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from foldwise.app.ui import serve_ui
from foldwise.errors import PromotionError, StoreError
from foldwise.registry.audit import Check, Decision, Unrecorded
from foldwise.registry.champion import (
    check_reason,
    promote,
    reconcile,
    rollback,
)
from foldwise.registry.registration import register
from foldwise.registry.stored_files import fetch_files, files_digest
from foldwise.solver.linear import probabilities
from foldwise.stats.scores import score
from foldwise.store.mutex import Lease, held
from foldwise.store.open import Store, open_store
from tests.integration.conftest import copied, without_outside_settings
from tests.integration.registry_cases import (
    NAME,
    SETTINGS,
    Killed,
    acting_after,
    as_found,
    evaluated,
    killed_at,
    make_holdout,
    model_of,
    seen,
    start_run,
    start_together,
    submission,
    watched,
)

SPLIT = make_holdout()
HOLDOUT = as_found(SPLIT)
GOOD, BETTER, WORSE, BEST = 0.1, 0.05, 0.2, 0.0


@pytest.fixture
def candidates(registered: Callable[..., Path], tmp_path: Path) -> Store:
    """Versions 1 (good), 2 (better), 3 (worse) and 4 (best), none of them champion."""
    return open_store(copied(registered(GOOD, BETTER, WORSE, BEST), tmp_path / "project"))


@pytest.fixture(scope="module")
def template_in_use(
    registered: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """Such a project where version 1 and then version 2 were promoted: to be copied."""
    folder = tmp_path_factory.mktemp("in-use") / "project"
    with without_outside_settings():
        store = open_store(copied(registered(GOOD, BETTER, WORSE, BEST), folder))
        for which in (1, 2):
            decide(store, which)
    return folder


@pytest.fixture
def in_use(template_in_use: Path, tmp_path: Path) -> Store:
    """Candidates of which 2 is the champion, and 1 was."""
    return open_store(copied(template_in_use, tmp_path / "project"))


def decide(store: Store, which: int | str, **asked: Any) -> Decision:
    return promote(store, NAME, str(which), holdout=HOLDOUT, settings=SETTINGS, **asked)


def aliases(store: Store) -> dict[str, int]:
    held = store.client.get_registered_model(NAME).aliases
    return {alias: int(number) for alias, number in held.items()}


def records(store: Store) -> list[tuple[str, int, str]]:
    found = seen(store).decisions
    return [(record.decision, record.version, record.state) for record in found]


def content_of(store: Store) -> list[str]:
    with closing(sqlite3.connect(store.root / "mlruns" / "mlflow.db")) as connection:
        return list(connection.iterdump())


def checks_of(outcome: Decision) -> dict[str, Check]:
    return {check.name: check for check in outcome.checks}


def test_a_better_model_takes_the_place_of_the_champion_and_a_worse_one_does_not(
    candidates: Store,
) -> None:
    """The first is judged by itself; the old one stays at hand; a refusal is recorded, too."""
    outcome = decide(candidates, 1)
    assert (outcome.decision, outcome.version, outcome.champion) == ("promoted", 1, None)
    assert aliases(candidates) == {"challenger": 4, "champion": 1}
    outcome = decide(candidates, 2)
    assert (outcome.decision, outcome.champion) == ("promoted", 1)
    assert checks_of(outcome)["log-loss against champion"].verdict == "pass"
    outcome = decide(candidates, 3, reason="a try")
    assert outcome.decision == "refused"
    assert checks_of(outcome)["log-loss against champion"].verdict == "fail"
    assert aliases(candidates) == {"challenger": 4, "champion": 2, "previous_champion": 1}
    told = [("promoted", 1, "applied"), ("promoted", 2, "applied"), ("refused", 3, "none")]
    assert records(candidates) == told


def test_the_record_tells_who_when_what_and_why(in_use: Store) -> None:
    """It stands on the version as a tag, and as a file beside the model."""
    outcome = decide(in_use, 4, reason="because")
    version = seen(in_use).find("4")
    record = seen(in_use).decisions[-1]
    assert record.who.count("@") == 1
    assert record.at.endswith("+00:00")
    assert (record.champion, record.previous, record.version) == (2, 1, 4)
    assert record.reason == "because"
    assert record.checks == outcome.checks
    folder = fetch_files(in_use, version, Path("unused")) / "audit"
    copy = Decision.from_json((folder / f"{record.id}.json").read_text())
    assert replace(copy, state="applied") == record
    assert decide(in_use, 4).decision == "unchanged"  # the copy left the digest alone


def test_the_same_content_is_nothing_to_do(candidates: Store) -> None:
    """Neither the champion itself nor another version with its numbers is decided on."""
    decide(candidates, 4)
    register(candidates, submission(model_of(BEST), SPLIT, start_run(candidates)))
    before = content_of(candidates)
    for which in (4, 5, "challenger"):
        assert decide(candidates, which).decision == "unchanged"
    assert content_of(candidates) == before


def test_a_champion_that_was_changed_is_never_nothing_to_do(candidates: Store) -> None:
    """Neither asked about itself nor about another version with its numbers."""
    decide(candidates, 4)
    register(candidates, submission(model_of(BEST), SPLIT, start_run(candidates)))
    damage(candidates, 4)
    assert decide(candidates, 4).decision == "refused"
    with pytest.raises(PromotionError, match="the champion, version 4, must verify"):
        decide(candidates, 5)
    mended = decide(candidates, 5, is_forced=True, reason="its files were changed")
    assert mended.decision == "forced"


def test_a_champion_whose_content_tag_was_forged_is_never_nothing_to_do(in_use: Store) -> None:
    """Computed, it isn't the challenger's content."""
    forged = seen(in_use).find("4").content
    in_use.client.set_model_version_tag(NAME, "2", "content_digest", forged)
    with pytest.raises(PromotionError, match="the champion, version 2, must verify"):
        decide(in_use, 4)
    assert decide(in_use, 2).decision == "refused"


def test_a_dry_run_changes_nothing(candidates: Store) -> None:
    """It decides as the real one does, and the store stays as it is to the last row.

    Who asks before a decision sees of the holdout the three decimals that reports show, the record
    tells six; the registered model is scored anew.
    """
    decide(candidates, 2)
    for which, error in ((1, GOOD), (3, WORSE), (4, BEST)):
        before = content_of(candidates)
        files = sorted(candidates.root.rglob("*"))
        dry = decide(candidates, which, is_dry=True)
        assert content_of(candidates) == before
        assert sorted(candidates.root.rglob("*")) == files
        made = decide(candidates, which)
        assert (made.decision, made.champion) == (dry.decision, 2)
        for one, other in zip(made.checks, dry.checks, strict=True):
            assert replace(one, figure=other.figure, value=other.value) == other
        exact = score(probabilities(model_of(error), SPLIT.images), SPLIT.labels)["log_loss"]
        told, recorded = checks_of(dry), checks_of(seen(candidates).decisions[-1])
        assert recorded["holdout log-loss"].figure == f"{exact:.6f}"
        assert told["holdout log-loss"].figure == f"{exact:.3f}"
        for name in ("log-loss against champion", "calibration error"):
            digits = [
                set(map(len, re.findall(r"\.(\d+)", of[name].figure))) for of in (told, recorded)
            ]
            assert digits == [{3}, {6}]


def test_force_needs_a_reason_and_is_recorded(candidates: Store) -> None:
    """A forced promotion is told apart for ever from an earned one, as one without need is."""
    assert decide(candidates, 2, is_forced=True, reason="x").decision == "promoted"
    with pytest.raises(PromotionError, match="--reason"):
        decide(candidates, 3, is_forced=True, reason="  ")
    outcome = decide(candidates, 3, is_forced=True, reason="they asked")
    assert outcome.decision == "forced"
    assert aliases(candidates)["champion"] == 3
    assert records(candidates)[-1] == ("forced", 3, "applied")


def test_a_reason_too_long_for_a_record_is_refused() -> None:
    """A tag holds so much and no more."""
    with pytest.raises(PromotionError, match="at most 1000 characters, got 1001"):
        check_reason("x" * 1001, is_needed=False)


def damage(store: Store, number: int) -> None:
    folder = fetch_files(store, seen(store).find(str(number)), Path("unused"))
    (folder / "model.skops").write_bytes(b"damaged")


def test_a_version_that_does_not_verify_is_refused_even_by_force(candidates: Store) -> None:
    """Nobody can want what was never evaluated to serve."""
    damage(candidates, 4)
    for asked in ({}, {"is_forced": True, "reason": "x"}):
        outcome = decide(candidates, 4, **asked)
        assert outcome.decision == "refused"
        assert checks_of(outcome)["stored files"].verdict == "fail"
    assert "champion" not in aliases(candidates)


def test_a_damaged_champion_stops_the_comparison_unless_forced(in_use: Store) -> None:
    """It can't be compared with; whoever wants to replace it all the same says why."""
    damage(in_use, 2)
    with pytest.raises(PromotionError, match="the champion, version 2, must verify"):
        decide(in_use, 4)
    outcome = decide(in_use, 4, is_forced=True, reason="disk fault")
    assert outcome.decision == "forced"
    assert "must verify" in checks_of(outcome)["comparison with the champion"].figure


def test_a_champion_that_an_earlier_foldwise_described_otherwise_stops_it_in_the_same_words(
    in_use: Store,
) -> None:
    """Its files are as they were registered, and yet none that this one would open."""
    folder = fetch_files(in_use, seen(in_use).find("2"), Path("unused"))
    with (folder / "MLmodel").open("a") as described:
        described.write("of_old: 1\n")
    in_use.client.set_model_version_tag(NAME, "2", "bytes_digest", files_digest(folder))
    with pytest.raises(PromotionError, match="the champion, version 2, must verify"):
        decide(in_use, 4)
    assert decide(in_use, 4, is_forced=True, reason="an upgrade").decision == "forced"


def test_a_champion_that_does_not_give_its_figures_stops_the_comparison(store: Store) -> None:
    """Its files may be whole and still not be what the evidence tells of."""
    first = submission(model_of(GOOD), SPLIT, start_run(store))
    register(store, replace(first, evidence=evaluated(model_of(WORSE), SPLIT)))
    register(store, submission(model_of(BEST), SPLIT, start_run(store)))
    set_by_hand(store, 1)
    with pytest.raises(PromotionError, match="the champion, version 1, must verify"):
        decide(store, 2)


def test_a_champion_of_another_holdout_stops_the_comparison_unless_forced(in_use: Store) -> None:
    """Scores on different images don't compare."""
    fresh = make_holdout(seed=8)
    register(in_use, submission(model_of(BEST), fresh, start_run(in_use)))
    against = partial(promote, in_use, NAME, "5", holdout=as_found(fresh), settings=SETTINGS)
    # Version 5 has the content of 4, so that 2 is the one to beat.
    with pytest.raises(PromotionError, match="on one holdout"):
        against()
    assert against(is_forced=True, reason="new data").decision == "forced"


def test_a_champion_that_trained_on_this_holdout_stops_the_comparison(store: Store) -> None:
    """Its score here would be flattery."""
    first = submission(model_of(GOOD), SPLIT, start_run(store))
    seen = replace(evaluated(model_of(GOOD), SPLIT), shared_rows=1)
    seen = replace(seen, data=replace(seen.data, development_digest="c" * 64))
    register(store, replace(first, evidence=seen))
    register(store, submission(model_of(BEST), SPLIT, start_run(store)))
    decide(store, 1)
    with pytest.raises(PromotionError, match="must not have trained on the holdout"):
        decide(store, 2)


def test_judging_again_after_a_change_of_champion_counts(candidates: Store) -> None:
    """1 meets 2, then 4 does, then 1 meets 4: three hypotheses, each of which is a comparison."""
    numbers = []
    decide(candidates, 2)
    for which in (1, 4, 1, 1):
        bound = checks_of(decide(candidates, which))["log-loss against champion"].bound
        numbers.append(re.findall(r"comparison (\d+) on", bound))
    assert numbers == [["1"], ["2"], ["3"], ["3"]]
    registry = seen(candidates)
    first, met = (registry.find(which).content for which in "14")
    assert (first, met) in registry.looks(HOLDOUT.digest)


@pytest.mark.parametrize("write", range(9))
def test_a_promotion_killed_at_any_step_leaves_one_consistent_champion(
    in_use: Store, write: int
) -> None:
    """The record and the aliases tell the same, and the same command then ends the same way.

    It writes the note of its look, the record twice, its copy, two aliases, the record twice.
    """
    dying = killed_at(in_use, write)
    if write < 8:
        with pytest.raises(Killed):
            decide(dying, 4)
    else:
        assert decide(dying, 4).decision == "promoted"  # there is no ninth
    reconcile(in_use, NAME)
    moved = write > 5
    if write > 1:
        assert records(in_use)[-1] == ("promoted", 4, "applied" if moved else "abandoned")
    assert aliases(in_use) == {
        "challenger": 4,
        "champion": 4 if moved else 2,
        "previous_champion": 2 if moved else 1,
    }
    assert seen(in_use).unrecorded == ()
    assert seen(in_use).unkept == ()
    if write % 2:  # from the same two states as after one write less or more
        assert decide(in_use, 4).decision == ("unchanged" if moved else "promoted")
        assert aliases(in_use) == {"challenger": 4, "champion": 4, "previous_champion": 2}


@pytest.mark.parametrize("write", range(2, 7))
def test_a_first_promotion_killed_at_any_step_leaves_a_champion_or_none(
    candidates: Store, write: int
) -> None:
    """Where there was no champion, an abandoned promotion leaves none."""
    with pytest.raises(Killed):
        decide(killed_at(candidates, write), 4)
    reconcile(candidates, NAME)
    assert aliases(candidates) == {"challenger": 4} | ({"champion": 4} if write > 4 else {})
    assert seen(candidates).unrecorded == ()


@pytest.mark.parametrize("write", range(7))
def test_a_rollback_killed_at_any_step_leaves_one_consistent_champion(
    in_use: Store, write: int
) -> None:
    """The same holds on the way back."""
    with pytest.raises(Killed):
        rollback(killed_at(in_use, write), NAME, reason="x")
    reconcile(in_use, NAME)
    assert aliases(in_use)["champion"] == (1 if write > 4 else 2)
    assert aliases(in_use)["previous_champion"] == (2 if write > 4 else 1)
    assert seen(in_use).unrecorded == ()


def test_a_refusal_killed_at_any_step_leaves_nothing_pending(in_use: Store) -> None:
    """There is nothing to move, so there is nothing to settle."""
    before = records(in_use)
    for write in (2, 3):  # the second refusal makes no note of its look any more
        with pytest.raises(Killed):
            decide(killed_at(in_use, write - (write > 2)), 3)
        assert reconcile(in_use, NAME) == ()
        before.append(("refused", 3, "none"))
        assert records(in_use) == before
    assert aliases(in_use)["champion"] == 2


def kill_before_the_champion_moves(store: Store, which: int) -> None:
    """A promotion that has moved ``previous_champion`` alone."""

    def kill(calls: list[str], name: str) -> None:
        if name == "set_registered_model_alias" and name in calls:
            raise Killed

    with pytest.raises(Killed):
        decide(watched(store, kill), which)


def test_a_promotion_asks_mlflow_at_most_17_times_and_a_rollback_12(in_use: Store) -> None:
    """Reading of files included: on a team's server each call costs its latency."""
    asked = watched(in_use)
    assert decide(asked, 4).decision == "promoted"
    assert len(asked.calls) <= 17, asked.calls
    asked = watched(in_use)
    assert rollback(asked, NAME, reason="x").decision == "rolled back"
    assert len(asked.calls) <= 12, asked.calls


def test_two_promotions_at_once_leave_one_consistent_champion(candidates: Store) -> None:
    """One waits for the other and is judged against what that one left."""
    decide(candidates, 1)
    statuses = start_together(
        *(partial(promote_alone, candidates.root, which) for which in ("2", "4"))
    )
    assert statuses == [0, 0]
    entries = seen(candidates).history
    assert not [entry for entry in entries if isinstance(entry, Unrecorded)]
    assert {record.version for record in entries[1:] if isinstance(record, Decision)} == {2, 4}
    assert aliases(candidates)["champion"] == 4
    assert aliases(candidates)["previous_champion"] in (1, 2)


def promote_alone(root: Path, which: str) -> None:
    decide(open_store(root), which)


def test_a_champion_moved_meanwhile_stops_the_promotion(in_use: Store) -> None:
    """On a server another machine may move it while we judge: ours is abandoned, theirs stays."""
    with pytest.raises(StoreError, match="must be version 2, got 3: somebody else moved it"):
        decide(meanwhile(in_use, "log_model_artifacts"), 4)
    assert aliases(in_use) == {"challenger": 4, "champion": 3, "previous_champion": 1}
    assert records(in_use)[-1] == ("promoted", 4, "abandoned")
    assert seen(in_use).unrecorded == (by_hand("now", 2, 3),)


def test_a_champion_moved_right_after_ours_is_noticed(in_use: Store) -> None:
    """The alias is read again after the move."""
    with pytest.raises(StoreError, match="must be version 4, got 3"):
        decide(meanwhile(in_use, "set_registered_model_alias", 2), 4)
    assert aliases(in_use)["champion"] == 3
    assert records(in_use)[-1] == ("promoted", 4, "abandoned")


def test_a_store_that_fails_midway_leaves_no_pending_record(
    in_use: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The error is told, the record says abandoned, the aliases are as before."""
    before = aliases(in_use)

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    def fail() -> None:
        monkeypatch.setattr("mlflow.MlflowClient.set_registered_model_alias", full)

    def mend() -> None:
        monkeypatch.undo()

    with pytest.raises(StoreError, match=r"moving the alias champion.*the disk is full"):
        decide(acting_after(in_use, "set_registered_model_alias", 1, fail), 4)
    mend()
    reconcile(in_use, NAME)
    assert aliases(in_use) == before
    assert records(in_use)[-1] == ("promoted", 4, "abandoned")


def meanwhile(store: Store, call: str, times: int = 1) -> Store:
    """The store where another machine makes version 3 the champion after a call of ours."""
    return acting_after(store, call, times, lambda: set_by_hand(store, 3))


def by_hand(before: str, recorded: int, found: int, alias: str = "champion") -> Unrecorded:
    return Unrecorded(alias, before, recorded=recorded, found=found)


def set_by_hand(store: Store, number: int) -> None:
    store.client.set_registered_model_alias(NAME, "champion", str(number))


def test_rolling_back_returns_to_the_previous_champion_and_twice_to_where_it_was(
    in_use: Store,
) -> None:
    """The two aliases change places, each time recorded."""
    outcome = rollback(in_use, NAME, reason="errors in use")
    assert (outcome.decision, outcome.version, outcome.champion) == ("rolled back", 1, 2)
    assert aliases(in_use) == {"challenger": 4, "champion": 1, "previous_champion": 2}
    rollback(in_use, NAME, reason="it was the scanner")
    assert aliases(in_use) == {"challenger": 4, "champion": 2, "previous_champion": 1}
    decisions = [e.decision for e in seen(in_use).history if isinstance(e, Decision)]
    assert decisions == ["promoted", "promoted", "rolled back", "rolled back"]


def test_a_version_that_was_never_champion_is_not_rolled_back_to(in_use: Store) -> None:
    """Else the alias set by hand would lead past every check; set back, it works."""
    in_use.client.set_registered_model_alias(NAME, "previous_champion", "3")
    changes = (by_hand("now", 1, 3, "previous_champion"),)
    assert seen(in_use).unrecorded == changes
    # The second time there is a record that saw the alias there: that doesn't make it right.
    assert rollback(in_use, NAME, reason="x").decision == "refused"
    outcome = rollback(in_use, NAME, reason="x")
    assert outcome.decision == "refused"
    assert checks_of(outcome)["previous_champion"] == Check(
        "previous_champion",
        "set outside foldwise (recorded: 1)",
        "set by a recorded decision",
        "fail",
    )
    assert aliases(in_use)["champion"] == 2
    in_use.client.set_registered_model_alias(NAME, "previous_champion", "1")
    assert rollback(in_use, NAME, reason="x").decision == "rolled back"


def test_there_may_be_nothing_to_roll_back_to(candidates: Store) -> None:
    """Before the second promotion there is no previous champion."""
    set_by_hand(candidates, 1)
    with pytest.raises(
        StoreError, match="needs a previous champion, and blobs-classifier has none"
    ):
        rollback(candidates, NAME, reason="x")
    with pytest.raises(PromotionError, match="--reason must say why"):
        rollback(candidates, NAME, reason=" ")


def test_a_damaged_version_is_not_rolled_back_to(in_use: Store) -> None:
    """Its files are looked at before it serves again."""
    damage(in_use, 1)
    assert rollback(in_use, NAME, reason="x").decision == "refused"
    assert aliases(in_use)["champion"] == 2
    assert records(in_use)[-1] == ("refused", 1, "none")


def test_rolling_back_to_the_champion_itself_is_nothing_to_do(candidates: Store) -> None:
    """As when both aliases were set to one version by hand."""
    set_by_hand(candidates, 1)
    candidates.client.set_registered_model_alias(NAME, "previous_champion", "1")
    assert rollback(candidates, NAME, reason="x").decision == "unchanged"
    assert records(candidates) == []


def test_a_champion_set_by_hand_shows_as_an_unrecorded_change(in_use: Store) -> None:
    """Between the records where it happened, or at the end if nothing followed."""
    set_by_hand(in_use, 3)
    assert seen(in_use).unrecorded == (by_hand("now", 2, 3),)
    decide(in_use, 4)
    *_, change, last = seen(in_use).history
    assert isinstance(last, Decision)
    assert change == by_hand(last.at, 2, 3)
    assert seen(in_use).unrecorded == ()


def test_decisions_on_a_version_that_was_deleted_stay_in_the_history(in_use: Store) -> None:
    """With its tags went the full record; the model keeps it in short."""
    decide(in_use, 3, reason="a try")
    before = seen(in_use).decisions
    for number in ("1", "3"):
        in_use.client.delete_model_version(NAME, number)
    short = [record.shortened() for record in (before[0], before[2])]
    assert list(seen(in_use).decisions) == [short[0], before[1], short[1]]
    assert "log-loss against champion" in [check.name for check in short[1].checks]
    # The alias of the previous champion went with its version.
    change = by_hand("now", 1, 0, "previous_champion")
    assert seen(in_use).unrecorded == (replace(change, found=None),)
    assert decide(in_use, 4).decision == "promoted"
    assert [record.version for record in seen(in_use).decisions] == [1, 2, 3, 4]


def test_a_move_to_a_version_that_was_deleted_before_it_was_settled_is_abandoned(
    in_use: Store,
) -> None:
    """Nothing else is left to be said of it, and nothing stops the next decision."""
    kill_before_the_champion_moves(in_use, 4)
    in_use.client.delete_model_version(NAME, "4")
    (settled,) = reconcile(in_use, NAME)
    assert (settled.version, settled.state, settled.is_short) == (4, "abandoned", True)
    assert aliases(in_use) == {"champion": 2, "previous_champion": 1}
    assert decide(in_use, 3).decision == "refused"


def test_a_record_that_the_model_does_not_keep_yet_is_kept_by_the_next_command(
    in_use: Store,
) -> None:
    """A kill may come between the version's tag and the model's."""
    first, second = seen(in_use).decisions
    in_use.client.delete_registered_model_tag(NAME, f"audit.{first.id}")
    assert reconcile(in_use, NAME) == ()
    in_use.client.delete_model_version(NAME, "1")
    assert seen(in_use).decisions == (first.shortened(), second)


def on_a_server(store: Store) -> Store:
    """The same store as if it were reached over HTTP, where other machines may be at work."""
    return replace(store, artifacts=None)


def at_work(store: Store) -> AbstractContextManager[Lease]:
    """Another process decides on the model."""
    return held(store, f"registry-{NAME}", "decide")


def test_a_move_that_a_process_is_at_is_left_to_it(
    in_use: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It isn't settled under its hands, on this machine or another; when it is dead, it is."""
    for name in ("_BEAT", "_POLL"):
        monkeypatch.setattr(f"foldwise.store.mutex.{name}", 0.05)
    kill_before_the_champion_moves(in_use, 4)
    for store in (in_use, on_a_server(in_use)):
        with at_work(store):
            assert reconcile(store, NAME) == ()
    (settled,) = reconcile(on_a_server(in_use), NAME)
    assert settled.state == "abandoned"
    assert aliases(in_use) == {"challenger": 4, "champion": 2, "previous_champion": 1}


def test_after_an_outage_on_a_server_its_author_decides_again_at_once(in_use: Store) -> None:
    """Whoever holds the model has settled what others left, so that nobody waits for a clock."""
    server = on_a_server(in_use)
    kill_before_the_champion_moves(in_use, 4)
    assert rollback(server, NAME, reason="x").decision == "rolled back"
    assert decide(server, 4).decision == "promoted"
    assert records(in_use)[-3:] == [
        ("promoted", 4, "abandoned"),
        ("rolled back", 1, "applied"),
        ("promoted", 4, "applied"),
    ]


def test_by_force_nobody_waits_for_a_process_that_hangs(
    in_use: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An emergency has a reason, and finds a way."""
    for name in ("_BEAT", "_POLL", "_GRACE"):
        monkeypatch.setattr(f"foldwise.store.mutex.{name}", 0.05)
    monkeypatch.setattr("foldwise.registry.champion._SECONDS", 1)
    server = on_a_server(in_use)
    with at_work(server):
        with pytest.raises(StoreError, match="may decide on blobs-classifier, another is at it"):
            rollback(server, NAME, reason="x")
        forced = rollback(server, NAME, reason="x", is_forced=True)
    assert forced.decision == "rolled back"
    with at_work(server):
        assert decide(server, 4, reason="x", is_forced=True).decision == "promoted"


def test_a_decision_that_lost_its_hold_moves_nothing(
    in_use: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As when this machine slept, and another decided meanwhile."""
    before = aliases(in_use)
    monkeypatch.setattr("foldwise.store.mutex._SILENCE", -1.0)
    server = on_a_server(in_use)
    lock = f"foldwise-lock-registry-{NAME}"

    def take_over() -> None:
        in_use.client.set_registered_model_tag(lock, "token", "theirs")

    with pytest.raises(StoreError, match="another took over"):
        decide(acting_after(server, "log_model_artifacts", 1, take_over), 4)
    assert aliases(in_use) == before
    assert records(in_use)[-1] == ("promoted", 4, "abandoned")


def test_who_loses_a_race_leaves_the_winner_s_previous_champion(in_use: Store) -> None:
    """Two machines may both have seen the old champion; the later move stands, whole."""

    def overtake() -> None:
        for alias, number in (("previous_champion", "2"), ("champion", "3")):
            in_use.client.set_registered_model_alias(NAME, alias, number)

    with pytest.raises(StoreError, match="must be version 4, got 3"):
        decide(acting_after(in_use, "set_registered_model_alias", 2, overtake), 4)
    assert aliases(in_use) == {"challenger": 4, "champion": 3, "previous_champion": 2}


def test_checkouts_that_share_a_database_share_the_lock(
    candidates: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two promotions from two folders wait for each other all the same."""
    monkeypatch.setattr("foldwise.registry.champion._SECONDS", 0.1)
    elsewhere = replace(candidates, root=tmp_path / "elsewhere")
    with at_work(candidates), pytest.raises(StoreError, match="another is at it and holds"):
        decide(elsewhere, 1)


def test_whoever_opens_the_store_after_a_kill_settles_the_move(
    in_use: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not only the commands that decide: registering, and the UI."""
    before = aliases(in_use)
    kill_before_the_champion_moves(in_use, 4)
    monkeypatch.setattr("foldwise.app.ui._listen", stop)
    in_use.client.set_tag(start_run(in_use), "level", "pipeline")
    with pytest.raises(Stopped):
        serve_ui(root=in_use.root)
    assert records(in_use)[-1] == ("promoted", 4, "abandoned")
    assert aliases(in_use) == before
    kill_before_the_champion_moves(in_use, 4)
    assert records(in_use)[-1] == ("promoted", 4, "pending")
    register(in_use, submission(model_of(BEST, 1), SPLIT, start_run(in_use)))
    assert records(in_use)[-1] == ("promoted", 4, "abandoned")
    assert aliases(in_use) == before | {"challenger": 5}


class Stopped(Exception):
    """Before a server is started."""


def stop(*_: object) -> None:
    raise Stopped


def test_a_promotion_warns_of_a_champion_set_or_removed_by_hand(candidates: Store) -> None:
    """Without the alias it meets nobody, which its record must tell."""
    decide(candidates, 1)
    candidates.client.delete_registered_model_alias(NAME, "champion")
    outcome = decide(candidates, 2)
    assert outcome.decision == "promoted"
    assert checks_of(outcome)["champion"].figure == "removed outside foldwise (recorded: 1)"
    set_by_hand(candidates, 3)
    outcome = decide(candidates, 4)
    assert outcome.decision == "promoted"
    assert checks_of(outcome)["champion"].figure == "set outside foldwise (recorded: 2)"
    assert [each.checks[-1].verdict for each in seen(candidates).decisions[1:]] == ["warning"] * 2


def test_a_refusal_does_not_make_a_champion_set_by_hand_a_recorded_one(in_use: Store) -> None:
    """It saw who was champion; nobody decided on it."""
    set_by_hand(in_use, 1)
    assert decide(in_use, 3).decision == "refused"
    assert seen(in_use).unrecorded == (by_hand("now", 2, 1),)


def test_a_damaged_audit_tag_is_named(candidates: Store) -> None:
    """It is never skipped in silence."""
    candidates.client.set_model_version_tag(NAME, "1", "audit.x", "{}")
    with pytest.raises(StoreError, match="audit tag must be as foldwise wrote it"):
        assert seen(candidates).history


def test_a_model_nobody_registered_has_no_history(store: Store) -> None:
    """Neither an error nor a champion."""
    assert seen(store).history == ()
    assert reconcile(store, NAME) == ()
