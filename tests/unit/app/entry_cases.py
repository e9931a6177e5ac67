"""Entries for tests, and a part of the digits with three parts."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from foldwise.app.compare import entry_space
from foldwise.app.entries import build, sampled
from foldwise.data.dataset import Split
from foldwise.entries import Entry, load_entries
from foldwise.files import Value
from foldwise.search.engines.estimator import EstimatorEngine
from foldwise.search.nested import Book, NestedSearch
from foldwise.search.plan import Plan as Parts
from foldwise.settings import Between, Dimension
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


def make_parts(entry: Entry, split: Split | None = None, *, seed: int = SEED) -> Parts:
    """The plan that the entry is tuned by."""
    split = split or make_split()
    whole = Parts.stratified(
        split.labels, folds=FOLDS, seed=seed, groups=split.origins, is_scored=split.is_original
    )
    return sampled(whole, split, entry, seed=seed)


def entry_search(
    entry: Entry, book: Book, *, split: Split | None = None, threads: int = 2
) -> NestedSearch:
    """The entry's search of the digits: a final study on its rows, the others in reserve."""
    split, told = split or make_split(), entry
    parts = make_parts(entry, split)
    engine = EstimatorEngine(
        X=split.images,
        labels=split.labels,
        classes=range(10),
        plan=parts,
        build=lambda values: build(entry, values, seed=SEED),
        threads=threads,
    )
    return NestedSearch(split.labels, parts, entry_space(told, SEED), told.trials, engine, book)
