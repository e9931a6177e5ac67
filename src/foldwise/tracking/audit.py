"""The audit: each decision on a model as one JSON record, kept as a tag on the version.

Deleting a version deletes its tags, so the record stands in short on the registered model too.
"""

import json
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal, Self

from foldwise.errors import StoreError
from foldwise.tracking.checks import Check
from foldwise.tracking.faults import store_faults
from foldwise.tracking.model_files import AUDIT
from foldwise.tracking.registry import CHAMPION, PREVIOUS, Version, all_versions
from foldwise.tracking.store import Store

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
