"""Published numbers, shown beside ours where the data is the same: ``reference.json``."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from foldwise.errors import SettingsError
from foldwise.files import DocumentError, decode, encode, read_bytes
from foldwise.stats.scores import METRICS

REFERENCES = Path("reference.json")


@dataclass(frozen=True, slots=True)
class Reference:
    """What a published report says of its holdout: its chosen ``C``, scores, and each class's F1.

    They are as published, whose digits are their precision; some scores may be missing.
    """

    title: str
    C: str
    scores: Mapping[str, str]
    f1: tuple[str, ...]


def read_reference(name: str, classes: int, path: Path = REFERENCES) -> Reference | None:
    """Look up the published numbers for the data of this name; no file, no numbers."""
    try:
        entries = decode(dict[str, Any], read_bytes(path))
        if name not in entries:
            return None
        reference = decode(Reference, encode(entries[name]))
    except FileNotFoundError:
        return None
    except (OSError, DocumentError) as error:
        raise SettingsError(
            f"{path} must be JSON, an object of data name to published numbers, {error}:"
            f" edit {REFERENCES}, or write {{}} into it"
        ) from error
    if not set(reference.scores) <= set(METRICS):
        raise _refused(path, name, f"scores among {list(METRICS)}", list(reference.scores))
    if len(reference.f1) != classes:
        raise _refused(path, name, f"{classes} texts for f1, one a class", list(reference.f1))
    return reference


def _refused(path: Path, name: str, rule: str, value: object) -> SettingsError:
    return SettingsError(f"{path}, {name} must have {rule}, got {value}: edit {REFERENCES}")
