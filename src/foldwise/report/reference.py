"""Published numbers, shown beside ours where the data is the same: ``reference.json``."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from foldwise.errors import SettingsError
from foldwise.stats.scores import METRICS

REFERENCES = Path("reference.json")


@dataclass(frozen=True, slots=True)
class Reference:
    """What a published report says of its holdout.

    Attributes
    ----------
    title : str
        What to call it.
    C : str
        Its chosen ``C``.
    scores : metric to value, as published (its digits are its precision)
    f1 : one value a class, as published
    """

    title: str
    C: str
    scores: Mapping[str, str]
    f1: tuple[str, ...]


def read_reference(name: str, classes: int, path: Path = REFERENCES) -> Reference | None:
    """Look up the published numbers for the data of this name; no file, no numbers.

    Raises
    ------
    SettingsError
        If the file or the entry doesn't hold what it must.
    """
    try:
        entries = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise SettingsError(
            f"{path} must be JSON, an object of data name to published numbers, "
            f"reading gave {error}: mend it, or write {{}} into it"
        ) from error
    _must(isinstance(entries, dict), f"{path} must be an object of data name to numbers", entries)
    return _reference(entries[name], f"{path}, {name}", classes) if name in entries else None


def _reference(entry: Any, place: str, classes: int) -> Reference:
    keys = [field.name for field in fields(Reference)]
    _must(isinstance(entry, dict) and set(entry) == set(keys), f"{place} must have {keys}", entry)
    title, C, scores, f1 = (entry[key] for key in keys)
    _must(
        isinstance(title, str) and isinstance(C, str), f"{place}: title and C must be text", entry
    )
    known = isinstance(scores, dict) and set(scores) == set(METRICS) and _are_texts(scores.values())
    _must(known, f"{place}: scores must have a text for each of {list(METRICS)}", scores)
    whole = isinstance(f1, list) and len(f1) == classes and _are_texts(f1)
    _must(whole, f"{place}: f1 must be a list of {classes} texts, one a class", f1)
    return Reference(title, C, scores, tuple(f1))


def _are_texts(values: Any) -> bool:
    return all(isinstance(value, str) for value in values)


def _must(holds: object, rule: str, value: object) -> None:
    if not holds:
        raise SettingsError(f"{rule}, got {json.dumps(value)}: edit {REFERENCES}")
