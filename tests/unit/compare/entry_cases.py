"""Entries for tests, and a part of the digits with three parts."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from foldwise.compare.sample import Sample, draw_sample
from foldwise.data.dataset import Split
from foldwise.search.plan import FoldPlan
from foldwise.search.trials import ValuesTrial
from foldwise.settings import Between, Dimension, Entry, Value, load_entries
from tests.unit.solver.solver_cases import digits

SHIPPED = Path(__file__).parents[3] / "comparison" / "params.yaml"
SEED = 3
FOLDS = 3


def shipped_entries() -> dict[str, Entry]:
    """The entries that the project comes with."""
    return load_entries(SHIPPED)


def make_entry(
    estimator: str = "sklearn.tree.DecisionTreeClassifier",
    *,
    fixed: dict[str, Value] | None = None,
    space: Mapping[str, Dimension] | None = None,
    **plan: object,
) -> Entry:
    """An entry of moments."""
    return Entry(
        name="tree",
        estimator=estimator,
        **{"rows": 240, "trials": 4, "startup_trials": 2} | plan,  # type: ignore[arg-type]
        fixed=fixed or {},
        space=space or {"max_depth": Between(1, 9, is_log=False)},
    )


def make_split(rows: int = 600) -> Split:
    """The first digits, none of them a copy."""
    case = digits(rows)
    return Split(case.images, case.labels, np.arange(rows))


def make_sample(entry: Entry, split: Split | None = None) -> Sample:
    """The entry's rows of the digits."""
    split = split or make_split()
    plan = FoldPlan.stratified(split.labels, folds=FOLDS, seed=SEED, origins=split.origins)
    return draw_sample(split, plan, entry, seed=SEED)


class Memory:
    """A book in memory."""

    def __init__(self, *trials: ValuesTrial) -> None:
        self.trials = list(trials)

    def completed(self, study: str) -> tuple[ValuesTrial, ...]:
        return tuple(trial for trial in self.trials if trial.study == study)

    def add(self, trial: ValuesTrial) -> None:
        self.trials.append(trial)
