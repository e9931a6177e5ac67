"""Moving the champion: the record first, the alias last, and what a kill left in between."""

from contextlib import suppress
from dataclasses import replace

from foldwise.errors import StoreError
from foldwise.tracking.audit import Record, copy_record, records_of, write_record
from foldwise.tracking.faults import store_faults
from foldwise.tracking.registry import (
    CHAMPION,
    PREVIOUS,
    Version,
    alias_holder,
    all_versions,
    find_version,
)
from foldwise.tracking.registry_lock import registry_lock
from foldwise.tracking.store import Store
from foldwise.tracking.watching import Watcher


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
    write_record(store, version, record)
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
        write_record(store, version, replace(record, state="applied"))
        after("settled")
    except StoreError:
        if record.state == "pending":
            with suppress(StoreError):
                _settle(store, version, record)
        raise


def reconcile(store: Store, name: str) -> tuple[Record, ...]:
    """Settle the moves that a killed process left pending, and tell which.

    A champion that was moved stays, and its record becomes ``applied``. One that wasn't is not
    moved by a later command, that may come weeks after: the record becomes ``abandoned``, and
    ``previous_champion`` goes back. Whoever wants the move decides again.
    """
    if not _pending(store, name):
        return ()
    with registry_lock(store):
        return settle_pending(store, name)


def settle_pending(store: Store, name: str) -> tuple[Record, ...]:
    """Do what `reconcile` does, for a caller that holds the lock."""
    return tuple(
        _settle(store, find_version(store, name, str(record.version)), record)
        for record in _pending(store, name)
    )


def _pending(store: Store, name: str) -> list[Record]:
    records = records_of(all_versions(store, name))
    return [record for record in records if record.state == "pending"]


def _settle(store: Store, version: Version, record: Record) -> Record:
    name = version.name
    if alias_holder(store, name, CHAMPION) == record.version:
        settled = replace(record, state="applied")
    else:
        settled = replace(record, state="abandoned")
        if record.champion not in (None, record.previous) and (
            alias_holder(store, name, PREVIOUS) == record.champion
        ):
            _point(store, name, PREVIOUS, record.previous)
    write_record(store, version, settled)
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
