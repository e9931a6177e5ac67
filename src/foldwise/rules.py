"""What a parameter may be: its rule, declared once; read from YAML, or refused in one line.

A section is a frozen dataclass of pydantic's whose fields each bear their rule in words.
"""

from dataclasses import is_dataclass
from datetime import date
from difflib import get_close_matches
from pathlib import Path
from typing import Any, TypeVar, get_args

from pydantic import ConfigDict, Field, TypeAdapter
from pydantic import ValidationError as Invalid
from pydantic_core import ErrorDetails, PydanticCustomError
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from foldwise.errors import SettingsError
from foldwise.files import read_bytes

CONFIG = ConfigDict(extra="forbid", use_attribute_docstrings=True)
"""Of a section: the text below a parameter is what it means."""
_T = TypeVar("_T")
_LARGEST_FILE = 1_000_000
_UNKNOWN = {"unexpected_keyword_argument", "invalid_key"}


def parameter(default: object, rule: str, **limits: Any) -> Any:
    """One with a rule in words, and in pydantic's ``limits``."""
    return Field(default=default, json_schema_extra={"rule": rule}, **limits)


def later(field: Any) -> Any:
    """One that came later: what was made before, whose digests stay, is as its default makes it."""
    field.json_schema_extra["is_later"] = True
    return field


def integer(default: int | None, low: int, high: int, *, null: bool = False) -> Any:
    """Strict as all of them: YAML's true, 6.0 and "6" are no integers."""
    rule = f"an integer from {low:,} to {high:,}{', or null' if null else ''}"
    return parameter(default, rule, ge=low, le=high, strict=True)


def number(default: float, low: float, high: float) -> Any:
    """A number within limits, both included."""
    return parameter(default, f"a number from {low:g} to {high:g}", ge=low, le=high, strict=True)


def share(default: float) -> Any:
    """A part of a whole, neither none nor all of it."""
    rule = "a number between 0 and 1 (both excluded)"
    return parameter(default, rule, gt=0, lt=1, strict=True)


def choice(default: str, options: object) -> Any:
    """One of a Literal's words."""
    *most, last = get_args(options)
    return parameter(default, f"{', '.join(most)} or {last}")


def text(default: object, pattern: str, rule: str) -> Any:
    """Text that is of a pattern from end to end."""
    return parameter(default, rule, pattern=f"^({pattern})$", strict=True)


def broken(rule: str, given: object, *, at: str = "") -> PydanticCustomError:
    """What a validator raises that knows a closer rule, and the key ``at`` which it is broken."""
    return PydanticCustomError("rule", "{rule}", {"rule": rule, "at": at, "got": shown(given)})


def shown(value: object) -> str:
    """Put any value that YAML can make into short, printable words for an error's one line."""
    if value is None or isinstance(value, bool):
        return "null" if value is None else str(value).lower()
    if isinstance(value, dict):
        return "a mapping"
    if isinstance(value, list) and not value:
        return "an empty list"
    if not isinstance(value, str | int | float | date):
        return f"a {type(value).__name__}"
    if isinstance(value, int) and abs(value) >= 10**40:
        return f"an integer of {value.bit_length()} bits"
    words = str(value) if isinstance(value, date) else repr(value)
    return words if len(words) <= 60 else f"{words[:40]}... ({len(words)} characters)"


def read_yaml(path: Path) -> object:
    """Read a file as DVC does: YAML 1.2, no duplicate keys.

    Raises
    ------
    SettingsError
        The file can't be read, or is no such YAML.
    """
    try:
        if (size := path.stat().st_size) > _LARGEST_FILE:
            raise SettingsError(
                f"{path} must be smaller than a megabyte, got {size:,} bytes: is it the right file?"
            )
        return YAML(typ="safe", pure=True).load(read_bytes(path).decode())
    except OSError as error:
        told = str(error).removeprefix(f"{path.name}: ")
        raise SettingsError(
            f"{path} must be a readable file, got '{error.strerror or told}':"
            " run from the project's folder, or restore it with git checkout"
        ) from error
    except (YAMLError, ValueError, RecursionError) as error:
        words = " ".join(str(error).split())[:200] or type(error).__name__
        raise SettingsError(f"{path} must be valid YAML, got: {words}: mend the file") from error


def read_as(kind: type[_T], given: object, *, prefix: str = "", file: object) -> _T:
    """Take what a file holds as a section, whose keys stand below ``prefix`` there.

    Raises
    ------
    SettingsError
        A key is unknown, or a value breaks its rule: the full key, the rule, the value, the file.
    """
    try:
        return TypeAdapter(kind).validate_python(given)
    except Invalid as error:
        errors = error.errors(include_url=False)
        first = min(errors, key=lambda one: one["type"] not in _UNKNOWN)
        raise SettingsError(_line(first, kind, prefix, file)) from error


def _line(error: ErrorDetails, kind: Any, prefix: str, file: object) -> str:
    place = [str(part) for part in error["loc"]]
    got = error.get("ctx", {}).get("got") or shown(error["input"])
    if error["type"] == "dataclass_type":
        key = ".".join([*prefix.split(".")[:-1], *place])
        remedy = f"edit {file}, or leave it out for the defaults"
        return f"{key or file} must be a mapping of parameters, got {got}: {remedy}"
    if len(place) > 1 and is_dataclass(section := fields_of(kind)[place[0]].annotation):
        kind, prefix, place = section, f"{prefix}{place[0]}.", place[1:]
    if error["type"] in _UNKNOWN:
        return _unknown(error, [*fields_of(kind)], prefix, file)
    if error["type"] == "rule":
        at = f"{prefix}{'.'.join(place)}{error['ctx']['at']}"
        return f"{at} must be {error['msg']}, got {got}: edit {file}"
    rule = fields_of(kind)[place[0]].json_schema_extra["rule"]
    got = "nothing" if error["type"] == "missing" else got
    return f"{prefix}{place[0]} must be {rule}, got {got}: edit {file}"


def _unknown(error: ErrorDetails, known: list[str], prefix: str, file: object) -> str:
    key = error["input"] if error["type"] == "invalid_key" else error["loc"][-1]
    near = get_close_matches(key, known, n=1) if isinstance(key, str) else []
    hint = f" (did you mean {prefix}{near[0]}?)" if near else ""
    name = f"{prefix}{key}" if isinstance(key, str) and key.isidentifier() else shown(key)
    return (
        f"{prefix.rstrip('.') or 'the top level'} knows the parameters {', '.join(known)},"
        f" got {name}{hint}: remove or rename it in {file}"
    )


def fields_of(kind: Any) -> dict[str, Any]:
    """A section's parameters by name, as pydantic has them."""
    return dict(kind.__pydantic_fields__)
