"""The entries of comparison/params.yaml: a classifier and its search space each."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from foldwise.compare.dimensions import read_space
from foldwise.errors import SettingsError
from foldwise.search.study.spaces import Dimension
from foldwise.search.values import Values
from foldwise.settings import Metric
from foldwise.settings.reading import read_section, read_yaml
from foldwise.settings.rules import about, choice, integer, optional, shown, text

ENTRIES = Path("comparison/params.yaml")

_NAME = text(r"[a-z][a-z0-9_]{0,39}", "a name of lower-case letters, digits and underscores")


@dataclass(frozen=True, slots=True)
class Plan:
    """How an entry is tuned."""

    estimator: str = field(
        metadata=about(
            text(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)+", "a class's full name, as in sklearn.svm.SVC"),
            "A classifier with scikit-learn's interface.",
        )
    )
    title: str = field(
        default="",
        metadata=about(text(r"[^\n|]{0,60}", "text of at most 60 characters"), "As in tables."),
    )
    pixels: str = field(
        default="unit",
        metadata=about(
            choice("unit", "standard", "raw"),
            "What it is given: pixels from 0 to 1, pixels standardised by the mean and spread of "
            "the training rows, or pixels from 0 to 255.",
        ),
    )
    metric: Metric = field(
        default="accuracy",
        metadata=about(
            choice("accuracy", "precision", "recall", "f1", "roc_auc", "log_loss"),
            "What its study selects by.",
        ),
    )
    rows: int | None = field(
        default=10_000,
        metadata=about(
            optional(integer(2, 1_000_000_000)),
            "Tune on a stratified part of so many development rows; null takes all.",
        ),
    )
    trials: int = field(
        default=16, metadata=about(integer(1, 10_000), "How many sets of values are tried.")
    )
    startup_trials: int = field(
        default=6,
        metadata=about(integer(1, 10_000), "How many of them are drawn at random, first."),
    )


@dataclass(frozen=True, slots=True)
class Entry:
    """One classifier of the comparison.

    Attributes
    ----------
    name : str
        Its key in comparison/params.yaml.
    plan : Plan
    fixed : mapping
        Parameters of the estimator that are not searched.
    space : mapping
        The range or the choices of each that is.
    """

    name: str
    plan: Plan
    fixed: Values
    space: Mapping[str, Dimension]

    @property
    def title(self) -> str:
        """What people call it."""
        return self.plan.title or self.name.replace("_", " ")

    @property
    def digest(self) -> str:
        """SHA-256 (hexadecimal) of all that changes its result; its title does not."""
        story = {
            "name": self.name,
            "plan": asdict(replace(self.plan, title="")),
            "fixed": dict(self.fixed),
            "space": {name: asdict(dimension) for name, dimension in self.space.items()},
        }
        return hashlib.sha256(json.dumps(story, sort_keys=True).encode()).hexdigest()


def load_entries(path: Path = ENTRIES) -> dict[str, Entry]:
    """Read and check all entries, by name, in the file's order.

    Raises
    ------
    SettingsError
        The file can't be read, a key is unknown, or a value breaks its rule.
    """
    document = read_yaml(path)
    top = document if isinstance(document, dict) else {}
    models = top.get("models")
    if not isinstance(models, dict) or not models or len(top) > 1:
        raise SettingsError(
            f"{path} must hold one mapping, models, with an entry a classifier,"
            f" got {shown(document)}: edit it"
        )
    return {name: _entry(name, given, path) for name, given in models.items()}


def _entry(name: object, given: object, path: Path) -> Entry:
    if not isinstance(name, str) or not _NAME.holds(name):
        raise SettingsError(f"models must be called {_NAME.says}, got {shown(name)}: edit {path}")
    prefix = f"models.{name}"
    if not isinstance(given, dict) or "estimator" not in given:
        raise SettingsError(
            f"{prefix} must be a mapping with an estimator, got {shown(given)}: edit {path}"
        )
    plan = {key: value for key, value in given.items() if key not in {"fixed", "space"}}
    entry = Entry(
        name=name,
        plan=read_section(Plan, plan, prefix=f"{prefix}.", file=path),
        fixed=_read_fixed(given.get("fixed"), prefix=f"{prefix}.fixed", file=path),
        space=read_space(given.get("space"), prefix=f"{prefix}.space", file=path),
    )
    if twice := entry.fixed.keys() & entry.space.keys():
        raise SettingsError(
            f"{prefix} must fix a parameter or search it, got {min(twice)} in both: edit {path}"
        )
    return entry


def _read_fixed(given: object, *, prefix: str, file: Path) -> Values:
    given = {} if given is None else given
    if not isinstance(given, dict) or not all(
        isinstance(name, str) and isinstance(value, bool | int | float | str | None)
        for name, value in given.items()
    ):
        raise SettingsError(
            f"{prefix} must be a mapping of parameters to numbers, words, true, false or null,"
            f" got {shown(given)}: edit {file}"
        )
    return given
