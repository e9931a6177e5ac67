"""The audit: each decision on a model as one JSON record, kept as a tag on the version."""

import json
import secrets
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal, Self

from foldwise.errors import StoreError
from foldwise.tracking.checks import Check
from foldwise.tracking.faults import store_faults
from foldwise.tracking.model_files import AUDIT
from foldwise.tracking.registry import Version
from foldwise.tracking.store import Store

Action = Literal["promote", "rollback"]
Decision = Literal["promoted", "refused", "forced", "rolled back", "unchanged"]
State = Literal["pending", "applied", "abandoned", "none"]

_PREFIX = "audit."


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


def write_record(store: Store, version: Version, record: Record) -> None:
    """Write a record on its version, or over the one of the same id."""
    with store_faults(f"recording the decision on version {version.number}"):
        store.client.set_model_version_tag(
            version.name, str(version.number), f"{_PREFIX}{record.id}", record.to_json()
        )


def copy_record(store: Store, version: Version, record: Record) -> None:
    """Put a copy of a record as a file beside the version's model."""
    with (
        store_faults(f"copying the record of version {version.number}"),
        TemporaryDirectory(prefix="foldwise-") as folder,
    ):
        Path(folder, f"{record.id}.json").write_text(record.to_json() + "\n", encoding="utf-8")
        store.client.log_model_artifacts(version.model_id, folder, AUDIT)


def records_of(versions: Iterable[Version]) -> tuple[Record, ...]:
    """All records on the versions, oldest first."""
    found = [
        Record.from_json(text)
        for version in versions
        for tag, text in version.tags.items()
        if tag.startswith(_PREFIX)
    ]
    return tuple(sorted(found, key=lambda record: record.id))


def settled(record: Record, state: State) -> Record:
    """The record once its move is over."""
    return replace(record, state=state)
