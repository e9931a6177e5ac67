"""Promotion and rollback: a version is judged, the decision recorded, the champion moved.

The record comes first, the alias last, so that whatever a kill leaves in between can be settled.
One process at a time, of all that share the store, decides on a model.
"""

import platform
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal

import numpy as np

from foldwise.errors import PromotionError, StoreError
from foldwise.registry.audit import CHAMPION, PREVIOUS, Check, Decision, Word, all_hold, new_id
from foldwise.registry.gate import DIGITS, Case, Rival, judge, without_comparison
from foldwise.registry.snapshot import Snapshot, Version, named, note_holdout_use
from foldwise.registry.stored_files import AUDIT, fetch_files, sealed
from foldwise.registry.verify import NO_HOLDOUT, Holdout, Verification, fault_inside, verify
from foldwise.runs.lineage import user
from foldwise.settings import Settings
from foldwise.stats.scores import PUBLISHED
from foldwise.store.faults import StoreRefused, store_faults
from foldwise.store.mutex import Busy, Lease, held
from foldwise.store.open import Store

_SECONDS = 600
_LONGEST_REASON = 1000


def promote(
    store: Store,
    name: str,
    which: str,
    *,
    holdout: Holdout,
    settings: Settings,
    reason: str = "",
    is_dry: bool = False,
    is_forced: bool = False,
) -> Decision:
    """Judge the version ``which``, an alias or number, and make it the champion if all checks hold.

    One decision on a model runs at a time, from the judgement to the move, so that each is judged
    against the champion it replaces. One that is ``unchanged``, or dry, is not recorded; a forced
    one promotes whatever the judgement, if the version verifies, and waits for nobody for long.

    Raises
    ------
    StoreError
        The version isn't there, or the store failed.
    PromotionError
        The champion can't be compared with, or a reason is missing or too long.
    """
    check_reason(reason, is_needed=is_forced)
    with deciding(store, name, is_dry=is_dry, is_forced=is_forced) as (snapshot, lease):
        version, champion = snapshot.find(which), snapshot.champion
        found = verify(store, version, holdout, settings)
        if found.holds and _is_same(store, champion, version):
            return _decision(snapshot, version, "unchanged", (), reason=reason)
        checks = found.checks
        if NO_HOLDOUT in checks:
            checks = tuple(replace(c, verdict="fail") if c == NO_HOLDOUT else c for c in checks)
        elif found.holds:
            case = _case(store, snapshot, found, holdout, settings=settings, is_dry=is_dry)
            try:
                if champion is not None:
                    case = replace(case, rival=_rival(store, champion, holdout, settings))
                checks = judge(case)
            except (PromotionError, StoreError) as error:
                if not is_forced:
                    raise
                checks = without_comparison(case, error)
        # Whom we meet, or that we meet nobody, may be no recorded decision.
        met = snapshot.set_by_record(CHAMPION, "warning")
        checks = checks if met.verdict == "pass" else (*checks, met)
        word: Word = "forced" if is_forced and found.holds else "refused"
        word = "promoted" if all_hold(checks) else word
        decision = _decision(snapshot, version, word, checks, reason=reason)
        return decision if is_dry else _carry_out(store, snapshot, decision, lease)


def rollback(store: Store, name: str, *, reason: str, is_forced: bool = False) -> Decision:
    """Make the previous champion the champion again; rolling back twice changes nothing.

    Only its files are looked at, and whether it is the previous champion by the records: a rollback
    must work when data and reports are gone. A forced one waits for nobody for long, and asks
    nothing of the checkout. There must be a previous champion, and a reason.
    """
    check_reason(reason, is_needed=True)
    with deciding(store, name, is_forced=is_forced) as (snapshot, lease):
        if (version := snapshot.holder(PREVIOUS)) is None:
            raise StoreError(
                f"a rollback needs a previous champion, and {name} has none:"
                f" `foldwise promote VERSION{named(store.root, name)}` makes another version the"
                " champion"
            )
        if snapshot.champion == version:
            return _decision(snapshot, version, "unchanged", (), reason=reason)
        with TemporaryDirectory(prefix="foldwise-") as folder:
            files = fetch_files(store, version, Path(folder))
            seals = sealed(version, files, None if is_forced else store.root)
        # A version that somebody gave the alias to need never have been judged.
        checks = (*seals, snapshot.set_by_record(PREVIOUS, "fail"))
        word: Word = "rolled back" if all_hold(checks) else "refused"
        decision = _decision(snapshot, version, word, checks, reason=reason, action="rollback")
        return _carry_out(store, snapshot, decision, lease)


def check_reason(reason: str, *, is_needed: bool) -> None:
    """Refuse a reason that is missing where one is needed, or too long for a tag."""
    if is_needed and not reason.strip():
        raise PromotionError("--reason must say why, got nothing: add --reason TEXT")
    if len(reason) > _LONGEST_REASON:
        raise PromotionError(
            f"--reason must be at most {_LONGEST_REASON} characters, got {len(reason)}: shorten it"
        )


def reconcile(store: Store, name: str) -> tuple[Decision, ...]:
    """Settle the moves that a killed process left pending, and tell which.

    A champion that was moved stays, and its record becomes ``applied``. One that wasn't is not
    moved by a later command, that may come weeks after: the record becomes ``abandoned``, and
    ``previous_champion`` goes back. Whoever wants the move decides again. What a process is at just
    now is left alone.
    """
    if Snapshot.read(store, name).is_settled:
        return ()
    try:
        with _lease(store, name):
            return _settled(store, Snapshot.read(store, name))
    except Busy:
        return ()


@contextmanager
def deciding(
    store: Store, name: str, *, is_dry: bool = False, is_forced: bool = False
) -> Iterator[tuple[Snapshot, Lease]]:
    """Hold a model, unless it is dry, and see its registry as it is when nothing is pending."""
    if is_dry:
        yield Snapshot.read(store, name), Lease()
        return
    with _lease(store, name, wait=_SECONDS, is_forced=is_forced) as lease:
        snapshot = Snapshot.read(store, name)
        if _settled(store, snapshot):
            snapshot = Snapshot.read(store, name)
        yield snapshot, lease


def _lease(
    store: Store, name: str, *, wait: float = 0, is_forced: bool = False
) -> AbstractContextManager[Lease]:
    return held(store, f"registry-{name}", f"decide on {name}", wait=wait, is_forced=is_forced)


def _settled(store: Store, snapshot: Snapshot) -> tuple[Decision, ...]:
    pending = [each for each in snapshot.decisions if each.state == "pending"]
    settled = tuple(_settle(store, snapshot.renewed(store), each) for each in pending)
    for decision in snapshot.unkept:
        if decision.id not in {each.id for each in settled}:
            _record(store, snapshot.name, decision)
    return settled


def _case(
    store: Store,
    snapshot: Snapshot,
    found: Verification,
    holdout: Holdout,
    *,
    settings: Settings,
    is_dry: bool,
) -> Case:
    """What the version is judged by, its look at the holdout counted."""
    if found.evidence is None or found.probabilities is None:
        raise TypeError("a verification that holds has evidence and predictions")
    digest, version = holdout.digest, found.version
    met = snapshot.champion.content if snapshot.champion else ""
    if not is_dry:
        snapshot = note_holdout_use(
            store, snapshot, holdout=digest, content=version.content, run_id=version.run_id, met=met
        )
    return Case(
        evidence=found.evidence,
        predicted=found.probabilities,
        verification=found.checks,
        labels=holdout.labels,
        groups=holdout.groups,
        settings=settings,
        number=snapshot.spent(digest, version.content, met),
        before=snapshot.before(version.run_id),
        digits=PUBLISHED if is_dry else DIGITS,
    )


def _rival(store: Store, champion: Version, holdout: Holdout, settings: Settings) -> Rival:
    wrong = PromotionError(
        f"the champion, version {champion.number}, must verify to be compared with,"
        f" and doesn't: see `foldwise verify champion{named(store.root, champion.name)}`, then roll"
        " back, or force with a reason"
    )
    try:
        found = verify(store, champion, holdout, settings)
    except StoreRefused as error:  # lost, or nothing that this foldwise opens
        raise wrong from error
    predicted = found.probabilities
    if found.evidence is None or (predicted is not None and not found.holds):
        raise wrong
    # Without predictions its holdout is another, which the gate says before it looks at any.
    return found.evidence, np.empty((0, 0)) if predicted is None else predicted


def _is_same(store: Store, champion: Version | None, version: Version) -> bool:
    """Whether the champion, too, has by its files the content of a version that verifies."""
    if champion is None or champion.content != version.content:
        return False
    return champion == version or not fault_inside(store, champion, store.root)


def _decision(
    snapshot: Snapshot,
    version: Version,
    word: Word,
    checks: tuple[Check, ...],
    *,
    reason: str,
    action: Literal["promote", "rollback"] = "promote",
) -> Decision:
    return Decision(
        id=new_id(),
        at=datetime.now(UTC).isoformat(timespec="milliseconds"),
        who=f"{user()}@{platform.node()}",
        action=action,
        decision=word,
        state="none" if word in ("refused", "unchanged") else "pending",
        champion=snapshot.aliases.get(CHAMPION),
        previous=snapshot.aliases.get(PREVIOUS),
        version=version.number,
        reason=reason,
        checks=checks,
        after=snapshot.decisions[-1].id if snapshot.decisions else "",
    )


def _carry_out(store: Store, snapshot: Snapshot, decision: Decision, lease: Lease) -> Decision:
    """Write a decision down and, if it asks for a move, move the aliases.

    The aliases are read again before and after the move, because people may move them too. If so,
    or if the store fails, the record says that the move was abandoned; what the store can't take
    even of that is settled by the next command.
    """
    lease.check()
    _record(store, snapshot.name, decision)
    try:
        _copy(store, snapshot.find(str(decision.version)), decision)
        if decision.state == "none":
            return decision
        _expect(snapshot.renewed(store), decision.champion)
        lease.check()
        if decision.champion is not None:
            _point(store, snapshot.name, PREVIOUS, decision.champion)
        _point(store, snapshot.name, CHAMPION, decision.version)
        _expect(snapshot.renewed(store), decision.version)
        applied = replace(decision, state="applied")
        _record(store, snapshot.name, applied)
    except StoreError:
        if decision.state == "pending":
            with suppress(StoreError):
                _settle(store, snapshot.renewed(store), decision)
        raise
    return applied


def _settle(store: Store, snapshot: Snapshot, decision: Decision) -> Decision:
    holder = snapshot.aliases.get(CHAMPION)
    # If somebody else moved the champion meanwhile, previous_champion is theirs too.
    did_not_move = holder == decision.champion and holder not in (None, decision.previous)
    if did_not_move and snapshot.aliases.get(PREVIOUS) == holder:
        _point(store, snapshot.name, PREVIOUS, decision.previous)
    settled = replace(decision, state="applied" if holder == decision.version else "abandoned")
    _record(store, snapshot.name, settled)
    return settled


def _point(store: Store, name: str, alias: str, number: int | None) -> None:
    with store_faults(f"moving the alias {alias} of {name}"):
        if number is None:
            store.client.delete_registered_model_alias(name, alias)
        else:
            store.client.set_registered_model_alias(name, alias, str(number))


def _expect(snapshot: Snapshot, number: int | None) -> None:
    found = snapshot.aliases.get(CHAMPION)
    if found != number:
        raise StoreError(
            f"the champion of {snapshot.name} must be version {number or 'none'},"
            f" got {found or 'none'}: somebody else moved it meanwhile; see"
            f" `foldwise history{named(snapshot.root, snapshot.name)}`, then decide again"
        )


def _record(store: Store, name: str, decision: Decision) -> None:
    """Write a decision on its version and on the model, or over the one of the same id."""
    with store_faults(f"recording the decision on version {decision.version}"):
        if not decision.is_short:
            number = str(decision.version)
            store.client.set_model_version_tag(name, number, decision.tag, decision.to_json())
        store.client.set_registered_model_tag(name, decision.tag, decision.shortened().to_json())


def _copy(store: Store, version: Version, decision: Decision) -> None:
    """Put a copy of a decision as a file beside the version's model."""
    with (
        store_faults(f"copying the record of version {version.number}"),
        TemporaryDirectory(prefix="foldwise-") as folder,
    ):
        copy = Path(folder, f"{decision.id}.json")
        copy.write_text(decision.to_json() + "\n", encoding="utf-8")
        store.client.log_model_artifacts(version.model_id, folder, AUDIT)
