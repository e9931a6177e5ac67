"""Promotion and rollback: a version is judged, the decision recorded, the champion moved."""

import platform
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

from foldwise.settings import Settings
from foldwise.tracking.audit import Action, Decision, Record, record_id
from foldwise.tracking.checks import Check, all_hold, same_digest
from foldwise.tracking.history import RECORDED, unrecorded_now
from foldwise.tracking.judgement import Request, check_reason, judge
from foldwise.tracking.lineage import user
from foldwise.tracking.model_files import files_digest
from foldwise.tracking.moving import carry_out, settle_pending
from foldwise.tracking.registry import (
    CHAMPION,
    PREVIOUS,
    Version,
    alias_holder,
    fetch_files,
    find_version,
)
from foldwise.tracking.registry_lock import registry_lock
from foldwise.tracking.store import Store
from foldwise.tracking.verify import Holdout
from foldwise.tracking.watching import Watcher, unwatched


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a promotion or rollback.

    Attributes
    ----------
    decision : str
        As in the record; ``unchanged``, and not recorded, if the champion has the same content.
    version : Version
        Whom it was about.
    champion : int or None
        Who was champion before.
    checks : tuple of Check
        Empty if unchanged.
    """

    decision: Decision
    version: Version
    champion: int | None
    checks: tuple[Check, ...]


def promote(
    store: Store,
    name: str,
    which: str,
    *,
    holdout: Holdout,
    settings: Settings,
    request: Request,
    after: Watcher = unwatched,
) -> Outcome:
    """Judge a version and, if every check holds, make it the champion.

    One promotion on this machine runs at a time, from the judgement to the move, so that each is
    judged against the champion it replaces.

    Parameters
    ----------
    store, name
    which : str
        An alias, by default of the command ``challenger``, or a number.
    holdout, settings
    request : Request
    after : Watcher
        Told each step, see `carry_out`.

    Raises
    ------
    StoreError
        The version isn't there, or the store failed.
    PromotionError
        The champion can't be compared with.
    """
    with _locked(store, name, is_dry=request.is_dry):
        version = find_version(store, name, which)
        holder = alias_holder(store, name, CHAMPION)
        champion = None if holder is None else find_version(store, name, str(holder))
        if champion is not None and champion.content == version.content != "":
            return Outcome("unchanged", version, holder, ())
        judgement = judge(
            store, version, champion, holdout=holdout, settings=settings, request=request
        )
        checks = (*judgement.checks, *_changes_by_hand(store, name, CHAMPION))
        decision: Decision = "promoted" if all_hold(checks) else "refused"
        if decision == "refused" and request.is_forced and judgement.is_verified:
            decision = "forced"
        outcome = Outcome(decision, version, holder, checks)
        if not request.is_dry:
            carry_out(store, version, _record(store, "promote", outcome, request.reason), after)
        return outcome


def rollback(store: Store, name: str, *, reason: str, after: Watcher = unwatched) -> Outcome:
    """Make the previous champion the champion again; rolling back twice changes nothing.

    Only its files are looked at, and whether it is the previous champion by the records: a rollback
    must work when data and reports are gone.

    Raises
    ------
    StoreError
        There is no previous champion.
    PromotionError
        No reason was given, or one too long.
    """
    check_reason(reason, is_needed=True)
    with _locked(store, name, is_dry=False):
        version = find_version(store, name, PREVIOUS)
        holder = alias_holder(store, name, CHAMPION)
        if holder == version.number:
            return Outcome("unchanged", version, holder, ())
        checks = (_same_files(store, version), _was_champion(store, name))
        decision: Decision = "rolled back" if all_hold(checks) else "refused"
        outcome = Outcome(decision, version, holder, checks)
        carry_out(store, version, _record(store, "rollback", outcome, reason), after)
        return outcome


def _same_files(store: Store, version: Version) -> Check:
    with TemporaryDirectory(prefix="foldwise-") as folder:
        found = files_digest(fetch_files(store, version, Path(folder)))
    return same_digest("stored files", found, version.tags.get("bytes_digest", ""))


def _was_champion(store: Store, name: str) -> Check:
    """A version that somebody gave the alias to need never have been judged."""
    for change in _changes_by_hand(store, name, PREVIOUS):
        return replace(change, verdict="fail")
    return Check(PREVIOUS, RECORDED, RECORDED, "pass")


def _changes_by_hand(store: Store, name: str, alias: str) -> Iterator[Check]:
    """A warning if whom we meet, or that we meet nobody, is no recorded decision."""
    for change in unrecorded_now(store, name):
        if change.alias == alias:
            yield Check(alias, change.told(), RECORDED, "warning")


@contextmanager
def _locked(store: Store, name: str, *, is_dry: bool) -> Iterator[None]:
    if is_dry:
        yield
        return
    with registry_lock(store):
        settle_pending(store, name)
        yield


def _record(store: Store, action: Action, outcome: Outcome, reason: str) -> Record:
    now = datetime.now(UTC)
    moves = outcome.decision != "refused"
    return Record(
        id=record_id(now),
        at=now.isoformat(timespec="milliseconds"),
        who=f"{user()}@{platform.node()}",
        action=action,
        decision=outcome.decision,
        state="pending" if moves else "none",
        champion=outcome.champion,
        previous=alias_holder(store, outcome.version.name, PREVIOUS),
        version=outcome.version.number,
        reason=reason,
        checks=outcome.checks,
    )
