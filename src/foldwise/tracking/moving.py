"""Moving the champion: the record first, the alias last, and what a kill left in between."""

from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime

from foldwise.errors import StoreError
from foldwise.tracking.audit import (
    Record,
    State,
    copy_record,
    read_records,
    unkept_records,
    write_record,
)
from foldwise.tracking.faults import store_faults
from foldwise.tracking.registry import (
    CHAMPION,
    PREVIOUS,
    Version,
    alias_holder,
)
from foldwise.tracking.registry_lock import registry_lock
from foldwise.tracking.store import Store
from foldwise.tracking.watching import Watcher

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
