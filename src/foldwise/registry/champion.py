"""Promotion and rollback: a version is judged, the decision recorded, the champion moved.

Where a change of the registry may be watched, step by step: tests kill the process there.

One process of this machine at a time changes the registry.

Moving the champion: the record first, the alias last, and what a kill left in between.
"""

import platform
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

from filelock import Timeout

from foldwise.errors import StoreError
from foldwise.ownership import lock_file
from foldwise.registry.audit import (
    RECORDED,
    Action,
    Check,
    Decision,
    Record,
    State,
    all_hold,
    copy_record,
    read_records,
    record_id,
    same_digest,
    unkept_records,
    unrecorded_now,
    write_record,
)
from foldwise.registry.gate import Request, check_reason, judge
from foldwise.registry.snapshot import (
    CHAMPION,
    PREVIOUS,
    Version,
    alias_holder,
    fetch_files,
    find_version,
)
from foldwise.registry.stored_model import files_digest
from foldwise.registry.verify import Holdout
from foldwise.runs.lineage import user
from foldwise.settings import Settings
from foldwise.store.faults import reason, store_faults
from foldwise.store.open import Store

Watcher = Callable[[str], object]
"""Told the name of each step once it is done."""


def unwatched(_step: str) -> None:
    """Nobody watches."""


_SECONDS = 600


@contextmanager
def registry_lock(store: Store) -> Iterator[None]:
    """Wait for, then hold ``registry.lock`` beside the database; a killed process frees it.

    Checkouts that share a database share the lock.

    On a server, other machines don't see it: who moves an alias there looks again before and
    after the move.
    """
    folder = store.artifacts.parent if store.artifacts else store.root / "mlruns"
    path = folder.resolve() / "registry.lock"
    try:
        lock = lock_file(path, seconds=_SECONDS)
        lock.acquire()
    except Timeout as error:
        raise StoreError(
            f"another process has held {path} for {_SECONDS} s: end it, or wait, then run again"
        ) from error
    except OSError as error:
        raise StoreError(f"{path} can't be locked: {reason(error)}") from error
    try:
        yield
    finally:
        lock.release()


_LONGEST_MOVE = 120.0
"""Seconds, on a server that answers at all; the few calls of a move take one or two."""


def carry_out(store: Store, version: Version, record: Record, after: Watcher) -> None:
    """Write a decision down and, if it asks for a move, move the aliases; hold the lock.

    Steps: ``recorded``, ``copied``, ``previous moved``, ``champion moved``, ``settled``; a
    refusal ends after the second. The aliases are read again before and after the move, because
    on a server another machine may move them too.

    Raises
    ------
    StoreError
        The store failed, or another machine moved the champion meanwhile. The record says then
        that the move was abandoned, or, if the store can't take even that, it is settled by the
        next command.
    """
    write_record(store, version.name, record)
    after("recorded")
    try:
        copy_record(store, version, record)
        after("copied")
        if record.state == "none":
            return
        _expect(store, version.name, record.champion)
        if record.champion is not None:
            _point(store, version.name, PREVIOUS, record.champion)
        after("previous moved")
        _point(store, version.name, CHAMPION, record.version)
        after("champion moved")
        _expect(store, version.name, record.version)
        write_record(store, version.name, replace(record, state="applied"))
        after("settled")
    except StoreError:
        if record.state == "pending":
            with suppress(StoreError):
                _settle(store, version.name, record)
        raise


def reconcile(store: Store, name: str) -> tuple[Record, ...]:
    """Settle the moves that a killed process left pending, and tell which.

    A champion that was moved stays, and its record becomes ``applied``. One that wasn't is not
    moved by a later command, that may come weeks after: the record becomes ``abandoned``, and
    ``previous_champion`` goes back. Whoever wants the move decides again. On a server a move that
    began just now may be another machine's: it is left alone.
    """
    pending = [record for record in _pending(store, name) if not _may_be_under_way(store, record)]
    if not pending and not unkept_records(store, name):
        return ()
    with registry_lock(store):
        return _settle_all(store, name)


def settle_pending(store: Store, name: str) -> None:
    """Do what `reconcile` does, for a caller that holds the lock and means to decide.

    Raises
    ------
    StoreError
        Another machine may be moving the champion right now.
    """
    _settle_all(store, name)
    if under_way := _pending(store, name):
        first = under_way[0]
        raise StoreError(
            f"one decision on {name} at a time, but the move to version {first.version} by"
            f" {first.who} began at {first.at}: run again in {_LONGEST_MOVE:.0f} s"
        )


def _settle_all(store: Store, name: str) -> tuple[Record, ...]:
    settled = tuple(
        _settle(store, name, record)
        for record in _pending(store, name)
        if not _may_be_under_way(store, record)
    )
    for record in unkept_records(store, name):
        write_record(store, name, record)
    return settled


def _pending(store: Store, name: str) -> list[Record]:
    return [record for record in read_records(store, name) if record.state == "pending"]


def _may_be_under_way(store: Store, record: Record) -> bool:
    """Whether another machine, that our lock doesn't hold back, may be at it still."""
    age = (datetime.now(UTC) - datetime.fromisoformat(record.at)).total_seconds()
    return store.is_server and age < _LONGEST_MOVE


def _settle(store: Store, name: str, record: Record) -> Record:
    holder = alias_holder(store, name, CHAMPION)
    state: State = "applied" if holder == record.version else "abandoned"
    # If somebody else moved the champion meanwhile, previous_champion is theirs too.
    did_not_move = holder == record.champion and holder not in (None, record.previous)
    if did_not_move and alias_holder(store, name, PREVIOUS) == holder:
        _point(store, name, PREVIOUS, record.previous)
    settled = replace(record, state=state)
    write_record(store, name, settled)
    return settled


def _point(store: Store, name: str, alias: str, number: int | None) -> None:
    with store_faults(f"moving the alias {alias} of {name}"):
        if number is not None:
            store.client.set_registered_model_alias(name, alias, str(number))
        elif alias_holder(store, name, alias) is not None:
            store.client.delete_registered_model_alias(name, alias)


def _expect(store: Store, name: str, number: int | None) -> None:
    found = alias_holder(store, name, CHAMPION)
    if found != number:
        raise StoreError(
            f"the champion of {name} must be version {number or 'none'}, got {found or 'none'}:"
            " somebody else moved it meanwhile; see `foldwise history`, then decide again"
        )


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
