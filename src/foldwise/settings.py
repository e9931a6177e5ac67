"""What changes results: params.yaml and the comparison's entries as frozen, validated models.

Every parameter's rule, default and meaning stand here, once; ``make docs`` writes them into the
reference. A value is checked when it is read, and trusted from then on.
"""

import hashlib
import json
import math
import re
from collections.abc import Mapping
from dataclasses import asdict, is_dataclass, replace
from datetime import date
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar, get_args

from pydantic import AfterValidator, BeforeValidator, ConfigDict, Field, TypeAdapter
from pydantic import ValidationError as Invalid
from pydantic.dataclasses import dataclass
from pydantic_core import ErrorDetails, PydanticCustomError
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from foldwise.errors import InputError, SettingsError
from foldwise.files import Value, read_bytes

ENTRIES = Path("comparison/params.yaml")
MOST_FEATURES = 4096
"""Of a channel: a search's time grows with them."""
Source = Literal["idx", "openml", "digits", "table"]
Kind = Literal["number", "category", "drop"]
Metric = Literal["accuracy", "precision", "recall", "f1", "roc_auc", "log_loss"]
Search = Literal["curve", "tpe", "random_uniform"]
Multiclass = Literal["multinomial", "ovr"]
Features = Literal["pixels", "filters"]
Pixels = Literal["unit", "standard", "raw", "filters"]

OF_TABLES = ("target", "group", "drop", "columns")
"""Parameters of `prepare` that say nothing of images."""
TOLERATED_SHARE = 0.001
"""Of the holdout's images that may stand in the development set: data sets hold some duplicates."""
OF_IMAGES = ("prepare.augment", "tune.candidates", "tune.features", "tune.scale_floor")
"""Parameters that say nothing of tables."""


@dataclass(frozen=True, slots=True)
class Reads:
    """What a source reads of `prepare`: its parameters, what `holdout` tells, what `path` is."""

    parameters: tuple[str, ...]
    holdout: Literal["nothing", "count", "share"] = "count"
    path: Literal["folder", "file"] = "folder"

    def finds(self, path: Path) -> bool:
        """Whether there is such a thing."""
        return path.is_file() if self.path == "file" else path.is_dir()


SOURCES: Mapping[Source, Reads] = {
    "idx": Reads(("path", "augment"), holdout="nothing"),
    "openml": Reads(("version", "augment")),
    "digits": Reads(("augment",)),
    "table": Reads(("path", *OF_TABLES), holdout="share", path="file"),
}

_T = TypeVar("_T")
_LARGEST_FILE = 1_000_000
# The text below a parameter is what it means.
_CONFIG = ConfigDict(extra="forbid", use_attribute_docstrings=True)


def _parameter(default: object, rule: str, **limits: Any) -> Any:
    return Field(default=default, json_schema_extra={"rule": rule}, **limits)


def _later(field: Any) -> Any:
    """One that came later: what was made before, whose digests stay, is as its default makes it."""
    field.json_schema_extra["is_later"] = True
    return field


# Strict: YAML's true, 6.0 and "6" are no integers.
def _integer(default: int | None, low: int, high: int, *, null: bool = False) -> Any:
    rule = f"an integer from {low:,} to {high:,}{', or null' if null else ''}"
    return _parameter(default, rule, ge=low, le=high, strict=True)


def _number(default: float, low: float, high: float) -> Any:
    return _parameter(default, f"a number from {low:g} to {high:g}", ge=low, le=high, strict=True)


def _flag() -> Any:
    return _parameter(default=False, rule="true or false", strict=True)


def _share(default: float) -> Any:
    rule = "a number between 0 and 1 (both excluded)"
    return _parameter(default, rule, gt=0, lt=1, strict=True)


def _choice(default: str, options: object) -> Any:
    *most, last = get_args(options)
    return _parameter(default, f"{', '.join(most)} or {last}")


def _text(default: object, pattern: str, rule: str) -> Any:
    return _parameter(default, rule, pattern=f"^({pattern})$", strict=True)


def _inside(path: str) -> str:
    is_inside = 0 < len(path) <= 400 and path.isprintable() and "\\" not in path
    if not is_inside or path.startswith(("/", "~")) or ".." in path.split("/"):
        raise ValueError
    return path


Holdout = int | float | str | Mapping[str, str] | None
_SPLITS = ({"column"}, {"date", "from"}, {"file"})


def _holdout(given: Any) -> Holdout:
    is_count = type(given) is int and 1 <= given <= 1_000_000_000
    if given is None or given == "none" or is_count or (type(given) is float and 0 < given < 1):
        return given  # type: ignore[no-any-return]
    if not isinstance(given, Mapping) or {*given} not in _SPLITS:
        raise ValueError
    if "from" in given and not is_day(given["from"]):
        raise _broken("a date in quotes, as '2024-01-31'", given["from"], at=".from")
    if not all(isinstance(of, str) and of for of in given.values()):
        raise ValueError
    if "file" in given:
        _inside(given["file"])
    return given


def is_day(given: object) -> bool:
    """Whether it is text such as 2024-01-31: such days are ordered as text is."""
    try:
        return isinstance(given, str) and given == str(date.fromisoformat(given))
    except ValueError:
        return False


@dataclass(frozen=True, slots=True, config=_CONFIG)
class PrepareSettings:
    """What the data is and where it comes from."""

    source: Source = _choice("idx", Source)
    """Where the data come from: a folder of four IDX files, OpenML, scikit-learn's 8x8 digits, or
    a table, CSV or Parquet."""
    name: str = _text(
        "mnist",
        "[A-Za-z0-9][A-Za-z0-9._-]{0,99}",
        "text of letters, digits, dots, hyphens and underscores that begins with a letter or digit",
    )
    """The data's name; the registered model is called `<name>-classifier`. With `openml`, the name
    there, such as `mnist_784`. `mnist` is kept for the MNIST files, whose checksums are known."""
    path: Annotated[str, AfterValidator(_inside)] = _parameter(
        "data/raw",
        "a path inside the project, relative and without '..'"
        " (for data that lies elsewhere, make a symbolic link inside the project)",
    )
    """Folder of the four IDX files, or the table's file; only `idx` and `table` read it, others ask
    for the default."""
    version: int = _integer(1, 1, 1_000_000)
    """Version of the OpenML data; only `openml` reads it, others ask for 1."""
    holdout: Annotated[Holdout, BeforeValidator(_holdout)] = _parameter(
        None,
        "an integer from 1 to 1,000,000,000, a number between 0 and 1, {column: NAME},"
        " {date: NAME, from: '2024-01-31'}, {file: PATH}, none, or null",
    )
    """For images, how many of the last rows are the holdout; null means 10,000 for `openml` and 297
    for `digits`, and is a must for `idx`, whose t10k files are the holdout. For a table, the share
    of its rows, whole groups and each class alike, 0.2 if null; the column that marks the holdout's
    rows by 1, true, yes, holdout or test, and the others by 0, false, no, development or train; the
    column of dates and the holdout's first; a second file of the same columns, inside the project,
    which the stage `prepare` in dvc.yaml must have among its dependencies; or none."""
    target: str | None = _parameter(None, "a column's name, as text, or null", strict=True)
    """The table's column of classes; only `table` reads this and the next three."""
    group: str | None = _parameter(None, "a column's name, as text, or null", strict=True)
    """The table's column that tells which rows belong together, such as a patient's; they are never
    parted, and it is no feature."""
    drop: tuple[str, ...] = _parameter((), "a list of columns' names, as text")
    """Columns of the table that are no features."""
    columns: Mapping[str, Kind] = _parameter(
        {}, "a mapping of columns' names to number, category or drop"
    )
    """What columns are, where that can't be seen or is seen wrongly."""
    limit: int | None = _integer(None, 2, 1_000_000_000, null=True)
    """Take a stratified part of so many development images, for quick runs; null takes all. The
    holdout stays whole."""
    augment: int = _integer(0, 0, 24)
    """Shifted copies added for each development image: the first 8 by one pixel, further ones by
    two. Of three axes the first or the last must be 1, 3 or 4 channels; others are refused."""


LOGISTIC = "logistic"
"""The candidate that `tune` itself describes."""


def _different_names(names: tuple[str, ...]) -> tuple[str, ...]:
    if LOGISTIC in names or len({*names}) < len(names):
        raise ValueError
    return names


@dataclass(frozen=True, slots=True, config=_CONFIG)
class TuneSettings:
    """The nested search for C."""

    folds: int = _integer(6, 3, 100)
    """Parts of the development set: K outer folds with K-1 inner folds each."""
    trials: int = _integer(12, 1, 10_000)
    """Values of C tried in each study. More of them go on with those that there are."""
    startup_trials: int | None = _integer(None, 1, 10_000, null=True)
    """How many of a study's first trials are spread over the range, before what they gave is looked
    at; null: two thirds of the trials with `curve`, at most 8, and 5 with `tpe`."""
    c_low: float = _number(1e-4, 1e-10, 1e10)
    """Lower end of the range of C, searched by logarithm."""
    c_high: float = _number(10.0, 1e-10, 1e10)
    """Upper end of the range of C."""
    metric: Metric = _choice("log_loss", Metric)
    """What the inner folds select by."""
    tol: float = _share(1e-4)
    """A fit has converged when no entry of its gradient is larger, as in scikit-learn."""
    max_iter: int = _integer(1000, 1, 1_000_000)
    """A fit stops after so many iterations."""
    multiclass: Multiclass = _choice("multinomial", Multiclass)
    """One softmax over all classes, or one-vs-rest sigmoids."""
    scale_floor: float = _number(0.16, 0, 1)
    """Least scale that a pixel is divided by, as a share of the range of all pixels: one that is
    hardly ever lit is not magnified without bound. 0 is standardisation as it stands in books. A
    table has none, for its columns have no range in common."""
    features: Features = _later(_choice("pixels", Features))
    """What the model is given: pixels, or what the filters below make of them."""
    candidates: Annotated[tuple[str, ...], AfterValidator(_different_names)] = _later(
        _parameter(
            (),
            "a list of names of entries of comparison/params.yaml, each once, none called logistic",
        )
    )
    """What each study chooses from beside this logistic regression, which is then the candidate
    `logistic`: the comparison's entries of these names, each with `tune.trials` sets of values,
    selected by `tune.metric`; what else an entry says of its tuning is not read."""
    search: Search = _choice("curve", Search)
    """Minima of the curve of the inner score over log C, Optuna's TPE on the same scale, or the
    reference report's random search, uniform in C."""


Frequency = Annotated[float, Field(ge=0.001, le=0.5, strict=True)]


def _square_root(power: float) -> float:
    if power not in (0.25, 0.5, 1.0):
        raise ValueError
    return power


@dataclass(frozen=True, slots=True, config=_CONFIG)
class FilterSettings:
    """The bank of `tune.features: filters`: what `foldwise.FilterBank` is made with.

    It makes 4 × angles × frequencies × grid² features of each channel of an image.
    """

    size: int = _integer(7, 2, 31)
    """Side of a filter, in pixels; with `(grid - 1) * step` no more than an image's smaller
    side."""
    angles: int = _integer(8, 1, 32)
    """Directions, evenly spread over half a turn."""
    frequencies: tuple[Frequency, ...] = _parameter(
        (0.12, 0.22), "a list of 1 to 8 numbers from 0.001 to 0.5", min_length=1, max_length=8
    )
    """Waves a pixel."""
    threshold: float = _number(0.3, 0, 10)
    """What a filter of length 1 must find in pixels of 0 to 1 before it counts."""
    step: int = _integer(1, 1, 16)
    """Filters are applied at every pixel, every second or every third one, and so on."""
    grid: int = _integer(4, 1, 16)
    """Windows along each side, under which what is found is added up."""
    window: float = _number(0.6, 0.2, 5)
    """A window's standard deviation, in cells of the grid."""
    power: Annotated[float, AfterValidator(_square_root)] = _parameter(
        0.25, "0.25, 0.5 or 1", strict=True
    )
    """Of each sum."""


@dataclass(frozen=True, slots=True, config=_CONFIG)
class EvaluateSettings:
    """The final model on the holdout."""

    bootstrap: int = _integer(2000, 50, 1_000_000)
    """Read no more: intervals need no draws. It stays, so that digests of parameters stay."""
    confidence: float = _share(0.95)
    """Confidence level of all intervals."""


@dataclass(frozen=True, slots=True, config=_CONFIG)
class ReportSettings:
    """What is told of a table's rows."""

    rows: bool = _flag()
    """Whether rows of a table and rare values of its categories may stand in reports, MLflow and
    the registry: in pictures and the model's example; and whether a model that keeps training rows
    may be registered. Only `table` reads it: images are always shown."""


@dataclass(frozen=True, slots=True, config=_CONFIG)
class PromotionSettings:
    """What a challenger must show to become champion."""

    min_accuracy: float = _number(0.90, 0, 1)
    """Least holdout accuracy of a champion."""
    max_log_loss: float = _number(0.35, 0, 1000)
    """Largest holdout log-loss of a champion."""
    max_calibration_error: float = _number(0.03, 0, 1)
    """Largest calibration error of a champion."""
    accuracy_margin: float = _number(0.003, 0, 1)
    """How much holdout accuracy a challenger may lose against the champion."""
    alpha: float = _share(0.05)
    """Level of the tests against the champion: log-loss's is shared out over the comparisons made
    on one holdout, accuracy's is the same each time."""
    bootstrap: int = _integer(10_000, 50, 1_000_000)
    """Bootstrap draws of the paired test."""


@dataclass(frozen=True, slots=True, config=_CONFIG)
class Settings:
    """All that changes results."""

    seed: int = _integer(1, 0, 2**32 - 1)
    """From it come the parts, the draws and the shifts."""
    prepare: PrepareSettings = Field(default_factory=PrepareSettings)
    tune: TuneSettings = Field(default_factory=TuneSettings)
    filters: FilterSettings = Field(default_factory=FilterSettings)
    evaluate: EvaluateSettings = Field(default_factory=EvaluateSettings)
    report: ReportSettings = Field(default_factory=ReportSettings)
    promotion: PromotionSettings = Field(default_factory=PromotionSettings)


@dataclass(frozen=True, slots=True)
class Between:
    """A number from low to high, both included; whole if they are integers.

    Examples
    --------
    >>> from foldwise import Between
    >>> Between(0.01, 1.0, is_log=True).place(0.1)
    0.5
    """

    low: int | float
    high: int | float
    is_log: bool

    def place(self, value: float) -> float:
        """Where a value lies in the range, 0 to 1; by logarithms unless it reaches zero."""
        if self.low > 0:
            return math.log(value / self.low) / math.log(self.high / self.low)
        return (value - self.low) / (self.high - self.low)

    def is_edge(self, value: float) -> bool:
        """Whether a value lies so near an end, by 2 %, that the best may lie beyond."""
        return not 0.02 <= self.place(value) <= 0.98

    def at(self, place: float) -> float:
        """The inverse of `place`."""
        if self.low > 0:
            return float(self.low * (self.high / self.low) ** place)
        return self.low + place * (self.high - self.low)


@dataclass(frozen=True, slots=True)
class OneOf:
    """One of the values given.

    Examples
    --------
    >>> from foldwise import OneOf
    >>> OneOf(("gini", "entropy")).options
    ('gini', 'entropy')
    """

    options: tuple[Value, ...]


Dimension = Between | OneOf
# By kind: whether its scale is logarithmic, whether its numbers are whole, and its rule.
_RANGES = {
    "log": (True, False, "[low, high], two numbers with 0 < low < high"),
    "linear": (False, False, "[low, high], two numbers with low < high"),
    "log_integer": (True, True, "[low, high], two integers with 1 <= low < high"),
    "integer": (False, True, "[low, high], two integers with low < high"),
}
_OPTIONS = "a list of different numbers, words, true, false or null"
_KINDS = ", ".join(f"{{{kind}: [...]}}" for kind in (*_RANGES, "choice"))
_HUGE = 1e300
_NARROWEST = 1e-6


def _dimension(given: Any) -> Dimension:
    if isinstance(given, Between | OneOf):
        return given
    kinds = [*given.items()] if isinstance(given, dict) else []
    kind, ends = kinds[0] if len(kinds) == 1 else ("", None)
    if kind == "choice":
        options = ends if isinstance(ends, list) else []
        is_plain = all(isinstance(option, Value) for option in options)
        if not is_plain or not 0 < len(options) == len({(type(one), one) for one in options}):
            raise _broken(_OPTIONS, ends, at=".choice")
        return OneOf(tuple(options))
    if kind not in _RANGES:
        raise _broken(f"one of {_KINDS}", given)
    is_log, is_whole, rule = _RANGES[kind]
    types = {int} if is_whole else {int, float}
    pair: list[Any] = ends if isinstance(ends, list) and len(ends) == 2 else ["", ""]
    if not {*map(type, pair)} <= types or not (0 if is_log else -_HUGE) < pair[0] < pair[1] < _HUGE:
        raise _broken(rule, ends, at=f".{kind}")
    low, high = pair if is_whole else map(float, pair)
    if not (is_whole or _is_range(low, high)):
        raise _broken(f"{rule}, apart by a millionth of the larger", ends, at=f".{kind}")
    if low > 0 and high / low > _HUGE:
        raise _broken(f"{rule}, apart by 300 powers of ten at most", ends, at=f".{kind}")
    return Between(low, high, is_log)


def _is_range(low: float, high: float) -> bool:
    """Whether there are numbers between, whose logarithms differ."""
    return low < high and high - low > _NARROWEST * max(abs(low), abs(high))


def _broken(rule: str, given: object, *, at: str = "") -> PydanticCustomError:
    return PydanticCustomError("rule", "{rule}", {"rule": rule, "at": at, "got": shown(given)})


@dataclass(frozen=True, slots=True, config=_CONFIG)
class Entry:
    """One classifier of the comparison: how it is tuned, what is fixed and what is searched."""

    name: str
    estimator: str = _text(
        ..., r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)+", "a class's full name, as in sklearn.svm.SVC"
    )
    """A classifier with scikit-learn's interface."""
    title: str = _text("", r"[^\n|]{0,60}", "text of at most 60 characters")
    """As in tables."""
    pixels: Pixels = _choice("unit", Pixels)
    """What it is given: pixels from 0 to 1, pixels standardised by the mean and spread of the
    training rows, pixels from 0 to 255, or the standardised features of the bank that the entry's
    `filters` describes, as those of params.yaml do."""
    scale_floor: float = _number(0.0, 0, 1)
    """As `tune.scale_floor`, for standardised pixels."""
    metric: Metric = _choice("accuracy", Metric)
    """What its study selects by."""
    rows: int | None = _integer(10_000, 2, 1_000_000_000, null=True)
    """Tune on a stratified part of so many development rows; null takes all."""
    trials: int = _integer(16, 1, 10_000)
    """How many sets of values are tried."""
    startup_trials: int | None = _integer(None, 1, 10_000, null=True)
    """How many of them are spread over the ranges, first; null: two thirds where one real number
    is searched, at most 8, and 6 elsewhere."""
    outer: bool = _flag()
    """Whether outer folds estimate the procedure, too; else the holdout alone does."""
    register: bool = _flag()
    """Whether its model becomes a version of the registered model, to be judged and promoted."""
    fixed: Mapping[str, Value] = _parameter(
        {}, "a mapping of parameters to numbers, words, true, false or null"
    )
    filters: FilterSettings = Field(default_factory=FilterSettings)
    space: Mapping[str, Annotated[Dimension, BeforeValidator(_dimension)]] = _parameter(
        ..., "a mapping of at least one parameter to its range", min_length=1
    )

    def __post_init__(self) -> None:
        """Call it by its name unless it has a title."""
        object.__setattr__(self, "title", self.title or self.name.replace("_", " "))

    @property
    def plan(self) -> dict[str, Value]:
        """How it is tuned: all of it that is one value."""
        return {name: getattr(self, name) for name, of in _fields(Entry).items() if of.description}

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


def load_settings(path: Path = Path("params.yaml")) -> Settings:
    """Read params.yaml as DVC does: YAML 1.2, no duplicate keys. A key left out has its default.

    Raises
    ------
    SettingsError
        The file can't be read, is another project's, a key is unknown, or a value breaks its rule:
        one line with the full key, the rule, the value and the remedy.
    """
    _check_ours(path)
    settings = _read(Settings, _read_yaml(path), prefix="", file=path)
    prepare, tune = settings.prepare, settings.tune
    if not _is_range(tune.c_low, tune.c_high):
        raise SettingsError(
            f"tune.c_low must be below tune.c_high, by a millionth at least, got {tune.c_low:g}"
            f" and {tune.c_high:g}: edit {path}"
        )
    if prepare.limit is not None and prepare.limit < 2 * tune.folds:
        raise SettingsError(
            f"prepare.limit must be at least {2 * tune.folds}, two classes in each of"
            f" {tune.folds} folds, got {prepare.limit}: edit {path}"
        )
    if said := _too_many(settings.filters, "filters"):
        raise SettingsError(f"{said} in {path}")
    return settings


def _check_ours(path: Path) -> None:
    """Refuse the parameters of another project, which would be told to be wrong."""
    pipeline = path.with_name("dvc.yaml")
    told = pipeline.read_bytes() if pipeline.is_file() else b""
    if b"cmd" in told and b"foldwise" not in told:
        raise SettingsError(
            f"{path} must be a foldwise project's, and {pipeline.name} beside it names foldwise"
            " nowhere: run this inside such a project, or make one with `foldwise init NAME`"
        )


def bank_settings(given: Mapping[str, Any]) -> FilterSettings:
    """Read what a `foldwise.FilterBank` is made with, by the rules of params.yaml.

    Raises
    ------
    InputError
        A number breaks its rule: one line with its name, the rule, the number and the default.
    """
    plain = {name: _plain(value) for name, value in given.items()}
    try:
        bank = TypeAdapter(FilterSettings).validate_python(plain)
    except Invalid as error:
        first, *_ = error.errors(include_url=False)
        name = str(first["loc"][0])
        rule, usual = _rule(_fields(FilterSettings)[name]), getattr(FilterSettings(), name)
        usual = [*usual] if isinstance(usual, tuple) else usual
        got = first["input"] if isinstance(first["input"], list) else shown(first["input"])
        raise InputError(f"{name} must be {rule}, got {got}: its default is {usual}") from error
    if said := _too_many(bank, ""):
        raise InputError(said)
    return bank


def _plain(value: Any) -> Any:
    """Python's own numbers, where numpy's are given."""
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    return value.tolist() if hasattr(value, "tolist") else value


def _too_many(bank: FilterSettings, section: str) -> str:
    """That a bank makes more features than any search is for."""
    made, dot = 4 * bank.angles * len(bank.frequencies) * bank.grid**2, "." if section else ""
    if made <= MOST_FEATURES:
        return ""
    return (
        f"{section or 'a bank'} must make at most {MOST_FEATURES:,} features, got {made:,}: lower"
        f" {section}{dot}grid, {section}{dot}angles or the number of {section}{dot}frequencies"
    )


def load_entries(path: Path = ENTRIES) -> dict[str, Entry]:
    """Read and check the comparison's entries, by name, in the file's order: as `load_settings`."""
    document = _read_yaml(path)
    models = document.get("models") if isinstance(document, dict) and len(document) == 1 else None
    if not isinstance(models, dict) or not models:
        raise SettingsError(
            f"{path} must hold one mapping, models, with an entry a classifier,"
            f" got {shown(document)}: edit it"
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


def flattened(settings: Settings) -> dict[str, Any]:
    """Every parameter by its full key, such as ``tune.folds``."""
    flat: dict[str, Any] = {}
    for key, value in asdict(settings).items():
        inner = value if isinstance(value, dict) else {"": value}
        for name, one in inner.items():
            flat[f"{key}.{name}".rstrip(".")] = [*one] if isinstance(one, tuple) else one
    return flat


def in_use(settings: Settings) -> dict[str, Any]:
    """Every parameter that says anything: without filters, none of theirs; so with a table's."""
    idle = ["filters."] if settings.tune.features == "pixels" else []
    if settings.prepare.source != "table":
        idle += ["report.", *(f"prepare.{name}" for name in OF_TABLES)]
    told = flattened(settings).items()
    return {
        key: value
        for key, value in told
        if not key.startswith((*idle, " ")) and (key, value) != ("tune.candidates", [])
    }


def of_search(settings: Settings) -> dict[str, Any]:
    """What makes one search another: of a candidate, all that is read of its entry."""
    told = {name: of for name, of in asdict(settings.tune).items() if _is_told(f"tune.{name}", of)}
    if settings.tune.candidates:
        told["candidates"] = [
            replace(each, rows=None, trials=1, startup_trials=None, metric="accuracy").digest
            for each in candidates(settings)
        ]
    has_filters = settings.tune.features == "filters"
    return told | ({"filters": asdict(settings.filters)} if has_filters else {})


_UNKNOWN_THEN = object()
_BEFORE = {"tune.search": "tpe", "tune.startup_trials": 5, "tune.scale_floor": _UNKNOWN_THEN}
"""What the change of the parameters found: a default, or no such parameter."""


def parameter_digests(settings: Settings) -> tuple[str, str]:
    """The parameters' digest, and what it was before they were changed.

    So what was made earlier is known again. A parameter that wasn't known then doesn't count,
    whatever it is now; one that is left at its default has the default of then.
    """
    told, defaults = _told(settings), _told(Settings())
    then = {
        key: _BEFORE[key] if key in _BEFORE and value == defaults[key] else value
        for key, value in told.items()
        if _BEFORE.get(key) is not _UNKNOWN_THEN
    }
    return _digest(told), _digest(then)


def changed_from(settings: Settings, other: str) -> dict[str, Value]:
    """The parameters that another params.yaml, given as its text, has otherwise or can't tell.

    Before a key that it leaves out stands ``++``, as DVC wants it to add one.
    """
    given: Any = None
    try:
        given = YAML(typ="safe", pure=True).load(other)
        before = flattened(_read(Settings, given, prefix="", file=Path("params.yaml")))
    except (YAMLError, ValueError, RecursionError, SettingsError):
        before = {}
    now = flattened(settings)
    changed = {key: value for key, value in now.items() if (key, value) not in before.items()}
    return {("" if _has(given, key) else "++") + key: of for key, of in changed.items()}


def _has(given: Any, key: str) -> bool:
    section, _, name = key.rpartition(".")
    inner = given.get(section) if section and isinstance(given, dict) else given
    return isinstance(inner, dict) and name in inner


def parameters_digest(settings: Settings) -> str:
    """SHA-256 (hexadecimal) of the parameters as canonical JSON; defaults count as given.

    Only those `in_use`, and of those that came later what isn't at its default.
    """
    return _digest(_told(settings))


def _told(settings: Settings) -> dict[str, object]:
    return {key: of for key, of in in_use(settings).items() if _is_told(key, of)}


def _is_told(key: str, value: Any) -> bool:
    section, _, name = key.rpartition(".")
    field = _fields(_fields(Settings)[section].annotation if section else Settings)[name]
    is_later = (field.json_schema_extra or {}).get("is_later")
    return not is_later or value != field.default


def _digest(parameters: Mapping[str, object]) -> str:
    canonical = json.dumps(parameters, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()


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


def _read_yaml(path: Path) -> object:
    try:
        if (size := path.stat().st_size) > _LARGEST_FILE:
            raise SettingsError(
                f"{path} must be smaller than a megabyte, got {size:,} bytes: is it the right file?"
            )
        return YAML(typ="safe", pure=True).load(read_bytes(path).decode())
    except OSError as error:
        raise SettingsError(
            f"{path} must be a readable file, got '{error.strerror}':"
            " run from the project's folder, or restore it with git checkout"
        ) from error
    except (YAMLError, ValueError, RecursionError) as error:
        words = " ".join(str(error).split())[:200] or type(error).__name__
        raise SettingsError(f"{path} must be valid YAML, got: {words}: mend the file") from error


def _entry(name: object, given: object, file: Path) -> Entry:
    if not isinstance(name, str) or not re.fullmatch(r"[a-z][a-z0-9_]{0,39}", name):
        raise SettingsError(
            "models must be called a name of lower-case letters, digits and underscores,"
            f" got {shown(name)}: edit {file}"
        )
    inside = {"name": name} | given if isinstance(given, dict) else given
    entry = _read(Entry, inside, prefix=f"models.{name}.", file=file)
    if twice := entry.fixed.keys() & entry.space.keys():
        raise SettingsError(
            f"models.{name} must fix a parameter or search it, got {min(twice)} in both:"
            f" edit {file}"
        )
    if said := _too_many(entry.filters, f"models.{name}.filters"):
        raise SettingsError(f"{said} in {file}")
    return entry


def _read(kind: type[_T], given: object, *, prefix: str, file: Path) -> _T:
    try:
        return TypeAdapter(kind).validate_python(given)
    except Invalid as error:
        errors = error.errors(include_url=False)
        first = min(errors, key=lambda one: one["type"] not in _UNKNOWN)
        raise SettingsError(_line(first, kind, prefix, file)) from error


_UNKNOWN = {"unexpected_keyword_argument", "invalid_key"}


def _line(error: ErrorDetails, kind: Any, prefix: str, file: Path) -> str:
    place = [str(part) for part in error["loc"]]
    got = error.get("ctx", {}).get("got") or shown(error["input"])
    if error["type"] == "dataclass_type":
        key = ".".join([*prefix.split(".")[:-1], *place])
        remedy = f"edit {file}, or leave it out for the defaults"
        return f"{key or file} must be a mapping of parameters, got {got}: {remedy}"
    if len(place) > 1 and is_dataclass(section := _fields(kind)[place[0]].annotation):
        kind, prefix, place = section, f"{prefix}{place[0]}.", place[1:]
    if error["type"] in _UNKNOWN:
        return _unknown(error, [*_fields(kind)], prefix, file)
    field = _fields(kind)[place[0]]
    if error["type"] == "rule":
        at = f"{prefix}{'.'.join(place)}{error['ctx']['at']}"
        return f"{at} must be {error['msg']}, got {got}: edit {file}"
    got = "nothing" if error["type"] == "missing" else got
    return f"{prefix}{place[0]} must be {_rule(field)}, got {got}: edit {file}"


def _unknown(error: ErrorDetails, known: list[str], prefix: str, file: Path) -> str:
    key = error["input"] if error["type"] == "invalid_key" else error["loc"][-1]
    near = get_close_matches(key, known, n=1) if isinstance(key, str) else []
    hint = f" (did you mean {prefix}{near[0]}?)" if near else ""
    name = f"{prefix}{key}" if isinstance(key, str) and key.isidentifier() else shown(key)
    return (
        f"{prefix.rstrip('.') or 'the top level'} knows the parameters {', '.join(known)},"
        f" got {name}{hint}: remove or rename it in {file}"
    )


def _fields(kind: Any) -> dict[str, Any]:
    return dict(kind.__pydantic_fields__)


def _rule(field: Any) -> str:
    return str(field.json_schema_extra["rule"])
