"""From params.yaml to Settings: every value is checked once, here, and trusted from then on."""

import hashlib
import json
from dataclasses import Field, asdict, fields, is_dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from foldwise.errors import SettingsError
from foldwise.settings.rules import Rule, Value, shown
from foldwise.settings.schema import PrepareSettings, Settings

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

_LARGEST_FILE = 1_000_000
_Section = TypeVar("_Section", bound="DataclassInstance")


def load_settings(path: Path = Path("params.yaml")) -> Settings:
    """Read, check and freeze the parameters.

    Parameters
    ----------
    path : Path
        A YAML 1.2 file, read as DVC reads it (safe loading, no duplicate keys). A key left out
        takes its default.

    Raises
    ------
    SettingsError
        The file can't be read, a key is unknown, or a value breaks its rule: one line with the
        full key, the rule, the value and the remedy.
    """
    settings = read_section(Settings, read_yaml(path), prefix="", file=path)
    _check_together(settings, path)
    return settings


def flattened(settings: Settings) -> dict[str, Value]:
    """Every parameter by its full key, such as ``tune.folds``."""
    flat: dict[str, Value] = {}
    for key, value in asdict(settings).items():
        flat.update(
            {f"{key}.{name}": inner for name, inner in value.items()}
            if isinstance(value, dict)
            else {key: value}
        )
    return flat


def parameters_digest(settings: Settings, *, only: tuple[str, ...] = ("",)) -> str:
    """SHA-256 (hexadecimal) of the parameters as canonical JSON; defaults count as given.

    ``only`` takes beginnings of full keys, such as ``("seed", "tune.")``.
    """
    chosen = {key: value for key, value in flattened(settings).items() if key.startswith(only)}
    canonical = json.dumps(chosen, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()


def read_yaml(path: Path) -> object:
    """Whatever a small YAML file holds, or a SettingsError of one line."""
    try:
        if path.stat().st_size > _LARGEST_FILE:
            raise SettingsError(
                f"{path} must be smaller than a megabyte, got {path.stat().st_size:,} bytes:"
                " is it the right file?"
            )
        return YAML(typ="safe", pure=True).load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise SettingsError(
            f"{path} must be a readable file, got '{error.strerror}':"
            " run from the project's folder, or restore it with git checkout"
        ) from error
    except (YAMLError, ValueError, RecursionError) as error:
        words = " ".join(str(error).split())[:200] or type(error).__name__
        raise SettingsError(f"{path} must be valid YAML, got: {words}: mend the file") from error


def read_section(kind: type[_Section], given: object, *, prefix: str, file: Path) -> _Section:
    """A mapping as a dataclass whose fields carry rules; ``prefix`` is the full key so far."""
    if not isinstance(given, dict):
        raise SettingsError(
            f"{prefix.rstrip('.') or file} must be a mapping of parameters, got {shown(given)}:"
            f" edit {file}, or leave it out for the defaults"
        )
    known = {field.name: field for field in fields(kind)}
    for key in given:
        if key not in known:
            raise _unknown(key, [*known], prefix=prefix, file=file)
    return kind(
        **{key: _read(known[key], value, prefix=prefix, file=file) for key, value in given.items()}
    )


def _read(field: Field[Any], value: object, *, prefix: str, file: Path) -> object:
    key = f"{prefix}{field.name}"
    if isinstance(field.type, type) and is_dataclass(field.type):
        return read_section(field.type, value, prefix=f"{key}.", file=file)
    rule: Rule = field.metadata["rule"]
    if not rule.holds(value):
        raise SettingsError(f"{key} must be {rule.says}, got {shown(value)}: edit {file}")
    return rule.convert(value)


def _unknown(key: object, known: list[str], *, prefix: str, file: Path) -> SettingsError:
    near = get_close_matches(key, known, n=1) if isinstance(key, str) else []
    hint = f" (did you mean {prefix}{near[0]}?)" if near else ""
    name = f"{prefix}{key}" if isinstance(key, str) and key.isidentifier() else shown(key)
    return SettingsError(
        f"{prefix.rstrip('.') or 'the top level'} knows the parameters {', '.join(known)},"
        f" got {name}{hint}: remove or rename it in {file}"
    )


def _check_together(settings: Settings, file: Path) -> None:
    prepare, tune = settings.prepare, settings.tune
    if not tune.c_low < tune.c_high:
        raise SettingsError(
            f"tune.c_low must be below tune.c_high, got {tune.c_low:g} and {tune.c_high:g}:"
            f" edit {file}"
        )
    if prepare.name == "mnist" and prepare.source != "idx":
        raise SettingsError(
            f"prepare.name must not be mnist when prepare.source is {prepare.source}, because"
            f" mnist names the MNIST files' model, got mnist: name the data, such as"
            f" {'digits' if prepare.source == 'digits' else 'mnist_784'}, in {file}"
        )
    if prepare.source == "idx" and prepare.holdout is not None:
        raise SettingsError(
            "prepare.holdout must be null when prepare.source is idx, because the t10k files are"
            f" the holdout, got {prepare.holdout}: edit {file}"
        )
    _check_read(prepare, file)
    if prepare.limit is not None and prepare.limit < 2 * tune.folds:
        raise SettingsError(
            f"prepare.limit must be at least {2 * tune.folds}, two classes in each of"
            f" {tune.folds} folds, got {prepare.limit}: edit {file}"
        )


def _check_read(prepare: PrepareSettings, file: Path) -> None:
    """Refuse a parameter that the source doesn't read: whoever set it means other data."""
    for name, source in (("path", "idx"), ("version", "openml")):
        default, value = getattr(PrepareSettings(), name), getattr(prepare, name)
        if prepare.source != source and value != default:
            raise SettingsError(
                f"prepare.{name} must be {default} when prepare.source is {prepare.source}, which"
                f" doesn't read it, got {shown(value)}: set prepare.source to {source}, or"
                f" prepare.{name} to {default}, in {file}"
            )
