"""The audit: each decision on a model as one JSON record, and the story of the aliases.

One line of a verdict: what was looked at, what was found, what was asked for.

The audit: each decision on a model as one JSON record, kept as a tag on the version.

Deleting a version deletes its tags, so the record stands in short on the registered model too.

The story of the aliases as the records tell it, and what happened without a record.
"""

import json
import secrets
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal, Self

from foldwise.errors import StoreError
from foldwise.registry.snapshot import CHAMPION, PREVIOUS, Version, alias_holder, all_versions
from foldwise.registry.stored_model import AUDIT
from foldwise.store.faults import store_faults
from foldwise.store.open import Store

Verdict = Literal["pass", "warning", "fail"]


@dataclass(frozen=True, slots=True)
class Check:
    """A check as the tables and the audit show it.

    Attributes
    ----------
    name : str
    figure : str
        What was found.
    bound : str
        What was asked for; empty where the check only reports.
    verdict : pass, warning or fail
    """

    name: str
    figure: str
    bound: str
    verdict: Verdict


def judged(name: str, figure: str, bound: str, *, holds: bool) -> Check:
    """A check that passes or fails."""
    return Check(name, figure, bound, "pass" if holds else "fail")


def advised(name: str, figure: str, bound: str, *, holds: bool) -> Check:
    """A check that passes or warns."""
    return Check(name, figure, bound, "pass" if holds else "warning")


def same_digest(name: str, found: str, told: str) -> Check:
    """A check that what is there has the digest that was recorded."""
    return judged(name, found[:12], told[:12] or "none recorded", holds=found == told)


def all_hold(checks: Iterable[Check]) -> bool:
    """Whether none of the checks failed."""
    return all(check.verdict != "fail" for check in checks)


Action = Literal["promote", "rollback"]
Decision = Literal["promoted", "refused", "forced", "rolled back", "unchanged"]
State = Literal["pending", "applied", "abandoned", "none"]

_PREFIX = "audit."
_SHORT_REASON = 500


@dataclass(frozen=True, slots=True)
class Record:
    """One decision.

    Attributes
    ----------
    id : str
        Sorts by time.
    at : str
        When, ISO 8601 in UTC.
    who : str
        ``user@host``.
    action : promote or rollback
    decision : promoted, refused, forced or rolled back
    state : str
        Of the move that the decision asks for: ``pending`` until the aliases are moved, then
        ``applied``; ``abandoned`` if it was cut short; ``none`` where nothing is to be moved.
    champion, previous : int or None
        Who held the aliases ``champion`` and ``previous_champion`` before.
    version : int
        Whom the decision is about; after the move, the champion.
    reason : str
        In the user's words; may be empty.
    checks : tuple of Check
    is_short : bool
        Whether this is what is left of it on the registered model, because the version or its
        tag was deleted: without the checks that passed, and the others' figures.
    """

    id: str
    at: str
    who: str
    action: Action
    decision: Decision
    state: State
    champion: int | None
    previous: int | None
    version: int
    reason: str
    checks: tuple[Check, ...]
    is_short: bool = False

    @property
    def held_before(self) -> dict[str, int | None]:
        """Who held each alias when it was decided."""
        return {CHAMPION: self.champion, PREVIOUS: self.previous}

    @property
    def held_after(self) -> dict[str, int | None]:
        """Who holds each alias by this decision."""
        if self.state != "applied":
            return self.held_before
        previous = self.previous if self.champion is None else self.champion
        return {CHAMPION: self.version, PREVIOUS: previous}

    def shortened(self) -> Self:
        """As the registered model keeps it: at most 5,000 characters, PostgreSQL's column there."""
        told = (check for check in self.checks if check.verdict != "pass")
        checks = tuple(Check(check.name, "", "", check.verdict) for check in told)
        return replace(self, reason=self.reason[:_SHORT_REASON], checks=checks, is_short=True)

    def to_json(self) -> str:
        """As the tag and the file have it, what people look for first."""
        return json.dumps(asdict(self), ensure_ascii=False)

    @classmethod
    def from_json(cls, text: str) -> Self:
        """The inverse of `to_json`.

        Raises
        ------
        StoreError
            The tag was changed by hand.
        """
        try:
            told: dict[str, Any] = json.loads(text)
            return cls(**told | {"checks": tuple(Check(**check) for check in told["checks"])})
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise StoreError(
                f"an audit tag must be as foldwise wrote it, reading gave {error!r}:"
                " restore or remove the tag in MLflow"
            ) from error


def record_id(at: datetime) -> str:
    """An id that sorts by time and that two machines don't give twice."""
    return f"{at:%Y%m%dT%H%M%S.%fZ}-{secrets.token_hex(2)}"


def write_record(store: Store, name: str, record: Record) -> None:
    """Write a record on its version and on the model, or over the one of the same id."""
    tag = f"{_PREFIX}{record.id}"
    with store_faults(f"recording the decision on version {record.version}"):
        if not record.is_short:
            number = str(record.version)
            store.client.set_model_version_tag(name, number, tag, record.to_json())
        store.client.set_registered_model_tag(name, tag, record.shortened().to_json())


def copy_record(store: Store, version: Version, record: Record) -> None:
    """Put a copy of a record as a file beside the version's model."""
    with (
        store_faults(f"copying the record of version {version.number}"),
        TemporaryDirectory(prefix="foldwise-") as folder,
    ):
        Path(folder, f"{record.id}.json").write_text(record.to_json() + "\n", encoding="utf-8")
        store.client.log_model_artifacts(version.model_id, folder, AUDIT)


def read_records(store: Store, name: str) -> tuple[Record, ...]:
    """All records on a model, oldest first; short ones where the version's is gone."""
    whole, short = _on_versions(store, name), _on_model(store, name)
    return tuple(record for _, record in sorted((short | whole).items()))


def unkept_records(store: Store, name: str) -> tuple[Record, ...]:
    """Records on versions that the model doesn't keep in short as they are: a kill came between."""
    whole, short = _on_versions(store, name), _on_model(store, name)
    return tuple(each for each in whole.values() if short.get(each.id) != each.shortened())


def _on_versions(store: Store, name: str) -> dict[str, Record]:
    return _records(version.tags for version in all_versions(store, name))


def _on_model(store: Store, name: str) -> dict[str, Record]:
    with store_faults(f"reading the records of {name}"):
        models = store.client.search_registered_models(f"name = '{name}'")
    return _records(model.tags for model in models)


def _records(holders: Iterable[Mapping[str, str]]) -> dict[str, Record]:
    found = (
        Record.from_json(text)
        for tags in holders
        for tag, text in tags.items()
        if tag.startswith(_PREFIX)
    )
    return {record.id: record for record in found}


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
