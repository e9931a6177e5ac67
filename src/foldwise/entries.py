"""The comparison's entries: what is searched of each classifier, and which ones `tune` has, too."""

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field
from pydantic.dataclasses import dataclass

from foldwise import rules
from foldwise.errors import SettingsError
from foldwise.files import Value
from foldwise.settings import (
    Between,
    Dimension,
    FilterSettings,
    Metric,
    OneOf,
    Settings,
    is_range,
    is_told,
    too_many,
)

ENTRIES = Path("comparison/params.yaml")
Pixels = Literal["unit", "standard", "raw", "filters"]
# By kind: whether its scale is logarithmic, whether its numbers are whole, and its rule.
_APART = ", apart by a millionth of the larger at least, by 300 powers of ten at most"
_RANGES = {
    "log": (True, False, f"[low, high], two numbers with 0 < low < high{_APART}"),
    "linear": (False, False, f"[low, high], two numbers with low < high{_APART}"),
    "log_integer": (True, True, "[low, high], two integers with 1 <= low < high"),
    "integer": (False, True, "[low, high], two integers with low < high"),
}
_OPTIONS = "a list of different numbers, words, true, false or null"
_KINDS = ", ".join(f"{{{kind}: [...]}}" for kind in (*_RANGES, "choice"))


def _dimension(given: Any) -> Dimension:
    if isinstance(given, Between | OneOf):
        return given
    kinds = [*given.items()] if isinstance(given, dict) else []
    kind, ends = kinds[0] if len(kinds) == 1 else ("", None)
    if kind == "choice":
        options = ends if isinstance(ends, list) else []
        is_plain = all(isinstance(option, Value) for option in options)
        if not is_plain or not 0 < len(options) == len({(type(one), one) for one in options}):
            raise rules.broken(_OPTIONS, ends, at=".choice")
        return OneOf(tuple(options))
    if kind not in _RANGES:
        raise rules.broken(f"one of {_KINDS}", given)
    is_log, is_whole, rule = _RANGES[kind]
    types = {int} if is_whole else {int, float}
    pair: list[Any] = ends if isinstance(ends, list) and len(ends) == 2 else ["", ""]
    if not {*map(type, pair)} <= types or not is_range(*pair, is_log=is_log, is_whole=is_whole):
        raise rules.broken(rule, ends, at=f".{kind}")
    low, high = pair if is_whole else map(float, pair)
    return Between(low, high, is_log)


@dataclass(frozen=True, slots=True, config=rules.CONFIG)
class Entry:
    """One classifier of the comparison: how it is tuned, what is fixed and what is searched."""

    name: str
    estimator: str = rules.text(
        ..., r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)+", "a class's full name, as in sklearn.svm.SVC"
    )
    """A classifier with scikit-learn's interface."""
    title: str = rules.text("", r"[^\n|]{0,60}", "text of at most 60 characters")
    """As in tables."""
    pixels: Pixels = rules.choice("unit", Pixels)
    """What it is given: pixels from 0 to 1, pixels standardised by the mean and spread of the
    training rows, pixels from 0 to 255, or the standardised features of the bank that the entry's
    `filters` describes, as those of params.yaml do."""
    scale_floor: float = rules.number(0.0, 0, 1)
    """As `tune.scale_floor`, for standardised pixels."""
    metric: Metric = rules.choice("accuracy", Metric)
    """What its study selects by."""
    rows: int | None = rules.integer(10_000, 2, 1_000_000_000, null=True)
    """Tune on a stratified part of so many development rows; null takes all."""
    trials: int = rules.integer(16, 1, 10_000)
    """How many sets of values are tried."""
    startup_trials: int | None = rules.integer(None, 1, 10_000, null=True)
    """How many of them are spread over the ranges, first; null: two thirds where one real number
    is searched, at most 8, and 6 elsewhere."""
    outer: bool = rules.parameter(default=False, rule="true or false", strict=True)
    """Whether outer folds estimate the procedure, too; else the holdout alone does."""
    register: bool = rules.parameter(default=False, rule="true or false", strict=True)
    """Whether its model becomes a version of the registered model, to be judged and promoted."""
    fixed: Mapping[str, Value] = rules.parameter(
        {}, "a mapping of parameters to numbers, words, true, false or null"
    )
    filters: FilterSettings = Field(default_factory=FilterSettings)
    space: Mapping[str, Annotated[Dimension, BeforeValidator(_dimension)]] = rules.parameter(
        ..., "a mapping of at least one parameter to its range", min_length=1
    )

    def __post_init__(self) -> None:
        """Call it by its name unless it has a title."""
        object.__setattr__(self, "title", self.title or self.name.replace("_", " "))

    @property
    def plan(self) -> dict[str, Value]:
        """How it is tuned: all of it that is one value."""
        return {
            name: getattr(self, name)
            for name, of in rules.fields_of(Entry).items()
            if of.description
        }

    @property
    def digest(self) -> str:
        """SHA-256 (hexadecimal) of all that changes its final study; title and flags do not."""
        flags = {"outer", "register"} if self.scale_floor else {"outer", "register", "scale_floor"}
        plan = {name: of for name, of in self.plan.items() if name not in flags}
        story = {
            "name": self.name,
            "plan": plan | {"title": ""},
            "fixed": dict(self.fixed),
            "space": {name: asdict(dimension) for name, dimension in self.space.items()},
        }
        if self.pixels == "filters":
            story["filters"] = asdict(self.filters)
        return hashlib.sha256(json.dumps(story, sort_keys=True).encode()).hexdigest()


def load_entries(path: Path = ENTRIES) -> dict[str, Entry]:
    """Read and check the comparison's entries, by name, in the file's order: as `load_settings`."""
    document = rules.read_yaml(path)
    models = document.get("models") if isinstance(document, dict) and len(document) == 1 else None
    if not isinstance(models, dict) or not models:
        raise SettingsError(
            f"{path} must hold one mapping, models, with an entry a classifier,"
            f" got {rules.shown(document)}: edit it"
        )
    return {name: _entry(name, given, path) for name, given in models.items()}


def candidates(settings: Settings) -> tuple[Entry, ...]:
    """The comparison's entries that each study chooses from, too: as `load_entries` reads them."""
    entries = load_entries() if settings.tune.candidates else {}
    for name in settings.tune.candidates:
        if name not in entries:
            raise SettingsError(
                f"tune.candidates must name entries of {ENTRIES}, {', '.join(entries)},"
                f" got {name!r}: edit params.yaml"
            )
    return tuple(entries[name] for name in settings.tune.candidates)


def of_search(settings: Settings) -> dict[str, Any]:
    """What makes one search another: of a candidate, all that is read of its entry."""
    told = {name: of for name, of in asdict(settings.tune).items() if is_told(f"tune.{name}", of)}
    if settings.tune.candidates:
        told["candidates"] = [
            replace(each, rows=None, trials=1, startup_trials=None, metric="accuracy").digest
            for each in candidates(settings)
        ]
    has_filters = settings.tune.features == "filters"
    return told | ({"filters": asdict(settings.filters)} if has_filters else {})


def _entry(name: object, given: object, file: Path) -> Entry:
    if not isinstance(name, str) or not re.fullmatch(r"[a-z][a-z0-9_]{0,39}", name):
        raise SettingsError(
            "models must be called a name of lower-case letters, digits and underscores,"
            f" got {rules.shown(name)}: edit {file}"
        )
    inside = {"name": name} | given if isinstance(given, dict) else given
    entry = rules.read_as(Entry, inside, prefix=f"models.{name}.", file=file)
    if twice := entry.fixed.keys() & entry.space.keys():
        raise SettingsError(
            f"models.{name} must fix a parameter or search it, got {min(twice)} in both:"
            f" edit {file}"
        )
    if said := too_many(entry.filters, f"models.{name}.filters"):
        raise SettingsError(f"{said} in {file}")
    return entry
