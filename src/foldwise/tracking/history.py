"""The story of the aliases as the records tell it, and what happened without a record."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from foldwise.tracking.audit import Record, read_records
from foldwise.tracking.registry import CHAMPION, PREVIOUS, alias_holder
from foldwise.tracking.store import Store

RECORDED = "set by a recorded decision"
_NOW = "now"
_NOBODY: Mapping[str, int | None] = {CHAMPION: None, PREVIOUS: None}


@dataclass(frozen=True, slots=True)
class Unrecorded:
    """An alias was moved by other means than foldwise.

    Attributes
    ----------
    alias : str
        ``champion`` or ``previous_champion``.
    before : str
        The time of the first record that saw it, or ``now``.
    recorded, found : int or None
        Who held the alias by the records, and who did in truth.
    """

    alias: str
    before: str
    recorded: int | None
    found: int | None

    def told(self) -> str:
        """As a check's figure."""
        word = "removed" if self.found is None else "set"
        return f"{word} outside foldwise (recorded: {self.recorded or 'none'})"


def read_history(store: Store, name: str) -> tuple[Record | Unrecorded, ...]:
    """All decisions on a model, oldest first, with the unrecorded changes between them."""
    return tuple(told(read_records(store, name), _held(store, name)))


def told(
    records: Sequence[Record], held: Mapping[str, int | None]
) -> Iterator[Record | Unrecorded]:
    """Put the records in a row and see where an alias changed between them.

    Parameters
    ----------
    records : sequence of Record
        Oldest first.
    held : mapping
        Who holds the aliases ``champion`` and ``previous_champion`` now.
    """
    expected = _NOBODY
    for record in records:
        yield from _changes(record.at, expected, record.held_before)
        yield record
        expected = record.held_after
    yield from _changes(_NOW, expected, held)


def decided(records: Sequence[Record]) -> Mapping[str, int | None]:
    """Who should hold the aliases by the decisions that moved them, oldest first.

    A decision that moved nothing saw who held them, but didn't make it right.
    """
    holders = _NOBODY
    for record in records:
        if record.state == "applied":
            previous = holders[PREVIOUS] if record.champion is None else record.champion
            holders = {CHAMPION: record.version, PREVIOUS: previous}
    return holders


def unrecorded_now(store: Store, name: str) -> tuple[Unrecorded, ...]:
    """Which aliases are not where a recorded decision put them."""
    return tuple(_changes(_NOW, decided(read_records(store, name)), _held(store, name)))


def _held(store: Store, name: str) -> Mapping[str, int | None]:
    return {alias: alias_holder(store, name, alias) for alias in _NOBODY}


def _changes(
    before: str, recorded: Mapping[str, int | None], found: Mapping[str, int | None]
) -> Iterator[Unrecorded]:
    for alias in _NOBODY:
        if recorded[alias] != found[alias]:
            yield Unrecorded(alias, before, recorded[alias], found[alias])
