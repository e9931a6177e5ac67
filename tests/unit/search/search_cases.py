"""A small nested search on digits, and a book that forgets."""

import os

from foldwise.search.engines.batched import LocalEngine
from foldwise.search.nested import Book, NestedSearch, Shelf
from foldwise.search.plan import FoldPlan
from foldwise.search.space import SearchSpace
from foldwise.search.trials import Event, Progress, Tracing, Trial
from foldwise.solver.fits import SolverOptions
from foldwise.solver.layout import Layout
from foldwise.solver.paths import Path
from tests.unit.solver.solver_cases import digits

SPACE = SearchSpace(low=1e-4, high=10.0, sampler="tpe", startup=3, seed=5, metric="log_loss")


class Memory:
    """A book in memory."""

    def __init__(self, trials: tuple[Trial, ...] = ()) -> None:
        self.trials = list(trials)
        self.added = 0

    def completed(self, study: str) -> tuple[Trial, ...]:
        found = [trial for trial in self.trials if trial.study == study]
        return tuple(sorted(found, key=lambda trial: trial.number))

    def add(self, trial: Trial) -> None:
        self.added += 1
        self.trials.append(trial)


class MemoryShelf:
    """A shelf in memory."""

    def __init__(self) -> None:
        self.paths: dict[frozenset[int], Path] = {}

    def find(self, left_out: frozenset[int]) -> Path | None:
        return self.paths.get(left_out)

    def keep(self, path: Path) -> None:
        self.paths[path.left_out] = path


def nested_search(
    book: Book,
    *,
    rows: int = 300,
    folds: int = 3,
    trials: int = 5,
    space: SearchSpace = SPACE,
    seed: int = 5,
    shelf: Shelf | None = None,
) -> NestedSearch:
    """A search of seconds."""
    case = digits(rows)
    plan = FoldPlan.stratified(case.labels, folds=folds, seed=seed)
    layout = Layout.build(case.images, case.labels, plan.parts, classes=case.classes)
    threads = os.cpu_count() or 1
    engine = LocalEngine(layout, SolverOptions(threads=threads))
    return NestedSearch(
        case.images, case.labels, plan, space, trials, engine, book, shelf or MemoryShelf(), threads
    )


def told(search: NestedSearch) -> list[Event]:
    """All that a search says but its progress."""
    return [event for event in search.run() if not isinstance(event, Progress | Tracing)]


def a_trial() -> Trial:
    """The first trial that a search tells."""
    return next(event for event in nested_search(Memory()).run() if isinstance(event, Trial))
