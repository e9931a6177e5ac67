"""What changes results: params.yaml as frozen, validated models, and what they are known by.

Every parameter's rule, default and meaning stand here, once; ``make docs`` writes them into the
reference. A value is checked when it is read, and trusted from then on.
"""

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import asdict
from datetime import date
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field
from pydantic.dataclasses import dataclass
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from foldwise import rules
from foldwise.errors import InputError, SettingsError
from foldwise.files import Value

_MOST_FEATURES = 4096
"""Of a channel: a search's time grows with them."""
Source = Literal["idx", "openml", "digits", "table"]
Kind = Literal["number", "category", "drop"]
Metric = Literal["accuracy", "precision", "recall", "f1", "roc_auc", "log_loss"]
Search = Literal["curve", "tpe", "random_uniform"]
Multiclass = Literal["multinomial", "ovr"]
Features = Literal["pixels", "filters"]

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
        raise rules.broken("a date in quotes, as '2024-01-31'", given["from"], at=".from")
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


@dataclass(frozen=True, slots=True, config=rules.CONFIG)
class PrepareSettings:
    """What the data is and where it comes from."""

    source: Source = rules.choice("idx", Source)
    """Where the data come from: a folder of four IDX files, OpenML, scikit-learn's 8x8 digits, or
    a table, CSV or Parquet."""
    name: str = rules.text(
        "mnist",
        "[A-Za-z0-9][A-Za-z0-9._-]{0,99}",
        "text of letters, digits, dots, hyphens and underscores that begins with a letter or digit",
    )
    """The data's name; the registered model is called `<name>-classifier`. With `openml`, the name
    there, such as `mnist_784`. `mnist` is kept for the MNIST files, whose checksums are known."""
    path: Annotated[str, AfterValidator(_inside)] = rules.parameter(
        "data/raw",
        "a path inside the project, relative and without '..'"
        " (for data that lies elsewhere, make a symbolic link inside the project)",
    )
    """Folder of the four IDX files, or the table's file; only `idx` and `table` read it, others ask
    for the default."""
    version: int = rules.integer(1, 1, 1_000_000)
    """Version of the OpenML data; only `openml` reads it, others ask for 1."""
    holdout: Annotated[Holdout, BeforeValidator(_holdout)] = rules.parameter(
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
    target: str | None = rules.parameter(None, "a column's name, as text, or null", strict=True)
    """The table's column of classes; only `table` reads this and the next three."""
    group: str | None = rules.parameter(None, "a column's name, as text, or null", strict=True)
    """The table's column that tells which rows belong together, such as a patient's; they are never
    parted, and it is no feature."""
    drop: tuple[str, ...] = rules.parameter((), "a list of columns' names, as text")
    """Columns of the table that are no features."""
    columns: Mapping[str, Kind] = rules.parameter(
        {}, "a mapping of columns' names to number, category or drop"
    )
    """What columns are, where that can't be seen or is seen wrongly."""
    limit: int | None = rules.integer(None, 2, 1_000_000_000, null=True)
    """Take a stratified part of so many development images, for quick runs; null takes all. The
    holdout stays whole."""
    augment: int = rules.integer(0, 0, 24)
    """Shifted copies added for each development image: the first 8 by one pixel, further ones by
    two. Of three axes the first or the last must be 1, 3 or 4 channels; others are refused."""


LOGISTIC = "logistic"
"""The candidate that `tune` itself describes."""


def _different_names(names: tuple[str, ...]) -> tuple[str, ...]:
    if LOGISTIC in names or len({*names}) < len(names):
        raise ValueError
    return names


@dataclass(frozen=True, slots=True, config=rules.CONFIG)
class TuneSettings:
    """The nested search for C."""

    folds: int = rules.integer(6, 3, 100)
    """Parts of the development set: K outer folds with K-1 inner folds each."""
    trials: int = rules.integer(12, 1, 10_000)
    """Values of C tried in each study. More of them go on with those that there are."""
    startup_trials: int | None = rules.integer(None, 1, 10_000, null=True)
    """How many of a study's first trials are spread over the range, before what they gave is looked
    at; null: two thirds of the trials with `curve`, at most 8, and 5 with `tpe`."""
    c_low: float = rules.number(1e-4, 1e-10, 1e10)
    """Lower end of the range of C, searched by logarithm."""
    c_high: float = rules.number(10.0, 1e-10, 1e10)
    """Upper end of the range of C."""
    metric: Metric = rules.choice("log_loss", Metric)
    """What the inner folds select by."""
    tol: float = rules.share(1e-4)
    """A fit has converged when no entry of its gradient is larger, as in scikit-learn."""
    max_iter: int = rules.integer(1000, 1, 1_000_000)
    """A fit stops after so many iterations."""
    multiclass: Multiclass = rules.choice("multinomial", Multiclass)
    """One softmax over all classes, or one-vs-rest sigmoids."""
    scale_floor: float = rules.number(0.16, 0, 1)
    """Least scale that a pixel is divided by, as a share of the range of all pixels: one that is
    hardly ever lit is not magnified without bound. 0 is standardisation as it stands in books. A
    table has none, for its columns have no range in common."""
    features: Features = rules.later(rules.choice("pixels", Features))
    """What the model is given: pixels, or what the filters below make of them."""
    candidates: Annotated[tuple[str, ...], AfterValidator(_different_names)] = rules.later(
        rules.parameter(
            (),
            "a list of names of entries of comparison/params.yaml, each once, none called logistic",
        )
    )
    """What each study chooses from beside this logistic regression, which is then the candidate
    `logistic`: the comparison's entries of these names, each with `tune.trials` sets of values,
    selected by `tune.metric`; what else an entry says of its tuning is not read."""
    search: Search = rules.choice("curve", Search)
    """Minima of the curve of the inner score over log C, Optuna's TPE on the same scale, or the
    reference report's random search, uniform in C."""


Frequency = Annotated[float, Field(ge=0.001, le=0.5, strict=True)]


def _square_root(power: float) -> float:
    if power not in (0.25, 0.5, 1.0):
        raise ValueError
    return power


@dataclass(frozen=True, slots=True, config=rules.CONFIG)
class FilterSettings:
    """The bank of `tune.features: filters`: what `foldwise.FilterBank` is made with.

    It makes 4 × angles × frequencies × grid² features of each channel of an image.
    """

    size: int = rules.integer(7, 2, 31)
    """Side of a filter, in pixels; with `(grid - 1) * step` no more than an image's smaller
    side."""
    angles: int = rules.integer(8, 1, 32)
    """Directions, evenly spread over half a turn."""
    frequencies: tuple[Frequency, ...] = rules.parameter(
        (0.12, 0.22), "a list of 1 to 8 numbers from 0.001 to 0.5", min_length=1, max_length=8
    )
    """Waves a pixel."""
    threshold: float = rules.number(0.3, 0, 10)
    """What a filter of length 1 must find in pixels of 0 to 1 before it counts."""
    step: int = rules.integer(1, 1, 16)
    """Filters are applied at every pixel, every second or every third one, and so on."""
    grid: int = rules.integer(4, 1, 16)
    """Windows along each side, under which what is found is added up."""
    window: float = rules.number(0.6, 0.2, 5)
    """A window's standard deviation, in cells of the grid."""
    power: Annotated[float, AfterValidator(_square_root)] = rules.parameter(
        0.25, "0.25, 0.5 or 1", strict=True
    )
    """Of each sum."""


@dataclass(frozen=True, slots=True, config=rules.CONFIG)
class EvaluateSettings:
    """The final model on the holdout."""

    bootstrap: int = rules.integer(2000, 50, 1_000_000)
    """Read no more: intervals need no draws. It stays, so that digests of parameters stay."""
    confidence: float = rules.share(0.95)
    """Confidence level of all intervals."""


@dataclass(frozen=True, slots=True, config=rules.CONFIG)
class ReportSettings:
    """What is told of a table's rows."""

    rows: bool = rules.parameter(default=False, rule="true or false", strict=True)
    """Whether rows of a table and rare values of its categories may stand in reports, MLflow and
    the registry: in pictures and the model's example; and whether a model that keeps training rows
    may be registered. Only `table` reads it: images are always shown."""


@dataclass(frozen=True, slots=True, config=rules.CONFIG)
class PromotionSettings:
    """What a challenger must show to become champion."""

    min_accuracy: float = rules.number(0.90, 0, 1)
    """Least holdout accuracy of a champion."""
    max_log_loss: float = rules.number(0.35, 0, 1000)
    """Largest holdout log-loss of a champion."""
    max_calibration_error: float = rules.number(0.03, 0, 1)
    """Largest calibration error of a champion."""
    accuracy_margin: float = rules.number(0.003, 0, 1)
    """How much holdout accuracy a challenger may lose against the champion."""
    alpha: float = rules.share(0.05)
    """Level of the tests against the champion: log-loss's is shared out over the comparisons made
    on one holdout, accuracy's is the same each time."""
    bootstrap: int = rules.integer(10_000, 50, 1_000_000)
    """Bootstrap draws of the paired test."""


@dataclass(frozen=True, slots=True, config=rules.CONFIG)
class Settings:
    """All that changes results."""

    seed: int = rules.integer(1, 0, 2**32 - 1)
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
        return not 0.02 <= round(self.place(value), 9) <= 0.98

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
_HUGE = 1e300
_NARROWEST = 1e-6


def is_range(low: float, high: float, *, is_log: bool = True, is_whole: bool = False) -> bool:
    """Whether there are numbers between, and a place in the range can be told as a number."""
    if not (0 if is_log else -_HUGE) < low < high < _HUGE or (low > 0 and high / low > _HUGE):
        return False
    return is_whole or high - low > _NARROWEST * max(abs(low), abs(high))


def load_settings(path: Path = Path("params.yaml")) -> Settings:
    """Read params.yaml as DVC does: YAML 1.2, no duplicate keys. A key left out has its default.

    Raises
    ------
    SettingsError
        The file can't be read, is another project's, a key is unknown, or a value breaks its rule:
        one line with the full key, the rule, the value and the remedy.
    """
    _check_ours(path)
    settings = rules.read_as(Settings, rules.read_yaml(path), prefix="", file=path)
    prepare, tune = settings.prepare, settings.tune
    if not is_range(tune.c_low, tune.c_high):
        raise SettingsError(
            f"tune.c_low must be below tune.c_high, by a millionth at least, got {tune.c_low:g}"
            f" and {tune.c_high:g}: edit {path}"
        )
    if prepare.limit is not None and prepare.limit < 2 * tune.folds:
        raise SettingsError(
            f"prepare.limit must be at least {2 * tune.folds}, two classes in each of"
            f" {tune.folds} folds, got {prepare.limit}: edit {path}"
        )
    if said := too_many(settings.filters, "filters"):
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
        A number breaks its rule: one line with its name, the rule and the number.
    """
    plain = {name: _plain(value) for name, value in given.items()}
    try:
        bank = rules.read_as(FilterSettings, plain, file="the FilterBank's parameters")
    except SettingsError as error:
        raise InputError(str(error)) from error
    if said := too_many(bank):
        raise InputError(said)
    return bank


def too_many(bank: FilterSettings, section: str = "") -> str:
    """That a bank makes more features than any search is for, in its section of a file."""
    made, dot = 4 * bank.angles * len(bank.frequencies) * bank.grid**2, "." if section else ""
    if made <= _MOST_FEATURES:
        return ""
    return (
        f"{section or 'a bank'} must make at most {_MOST_FEATURES:,} features, got {made:,}: lower"
        f" {section}{dot}grid, {section}{dot}angles or the number of {section}{dot}frequencies"
    )


def _plain(value: Any) -> Any:
    """Python's own numbers, where numpy's are given."""
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    return value.tolist() if hasattr(value, "tolist") else value


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
        if not key.startswith(tuple(idle)) and (key, value) != ("tune.candidates", [])
    }


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
        before = flattened(rules.read_as(Settings, given, prefix="", file=Path("params.yaml")))
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
    return {key: of for key, of in in_use(settings).items() if is_told(key, of)}


def is_told(key: str, value: Any) -> bool:
    """Whether a parameter counts in digests and keys: one that came later but for its default."""
    section, _, name = key.rpartition(".")
    kind = rules.fields_of(Settings)[section].annotation if section else Settings
    field = rules.fields_of(kind)[name]
    is_later = (field.json_schema_extra or {}).get("is_later")
    return not is_later or value != field.default


def _digest(parameters: Mapping[str, object]) -> str:
    canonical = json.dumps(parameters, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()
