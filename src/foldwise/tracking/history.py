"""The story of the champion as the records tell it, and what happened without a record."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from foldwise.tracking.audit import Record, records_of
from foldwise.tracking.registry import CHAMPION, alias_holder, all_versions
from foldwise.tracking.store import Store


@dataclass(frozen=True, slots=True)
class Unrecorded:
    """The alias ``champion`` was moved by other means than foldwise.

    Attributes
    ----------
    before : str
        The time of the first record that saw it, or ``now``.
    recorded, found : int or None
        Who held the alias by the records, and who did in truth.
    """

    before: str
    recorded: int | None
    found: int | None


def read_history(store: Store, name: str) -> tuple[Record | Unrecorded, ...]:
    """All decisions on a model, oldest first, with the unrecorded changes between them."""
    versions = all_versions(store, name)
    holder = alias_holder(store, name, CHAMPION) if versions else None
    return tuple(told(records_of(versions), holder))


def told(records: Sequence[Record], holder: int | None) -> Iterator[Record | Unrecorded]:
    """Put the records in a row and see where the champion changed between them.

    Parameters
    ----------
    records : sequence of Record
        Oldest first.
    holder : int or None
        Who holds the alias ``champion`` now.
    """
    expected = None
    for record in records:
        if record.champion != expected:
            yield Unrecorded(before=record.at, recorded=expected, found=record.champion)
        yield record
        expected = record.version if record.state == "applied" else record.champion
    if holder != expected:
        yield Unrecorded(before="now", recorded=expected, found=holder)


def unrecorded_now(store: Store, name: str) -> Unrecorded | None:
    """The last change of the champion, if it is in no record."""
    last = read_history(store, name)[-1:]
    return last[0] if last and isinstance(last[0], Unrecorded) else None
