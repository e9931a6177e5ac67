"""Small nested searches on digits, by the batched solver and by scikit-learn."""

import os
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from foldwise.search.engines.batched import BatchedEngine, LocalBackend, PathShelf
from foldwise.search.engines.estimator import EstimatorEngine
from foldwise.search.nested import Book, MemoryBook, NestedSearch
from foldwise.search.plan import RESERVE, Plan
from foldwise.search.space import Space
from foldwise.search.trials import Event, Progress, SearchResult, Trial, Values
from foldwise.settings import Between
from foldwise.solver.fits import SolverOptions
from foldwise.solver.layout import Layout
from tests.unit.solver.solver_cases import Case, digits

LOW, HIGH = 1e-4, 10.0
SPACE = Space({"C": Between(LOW, HIGH, is_log=True)}, "tpe", startup=3, seed=5, metric="log_loss")


@dataclass(slots=True)
class Memory(MemoryBook):
    """A book in memory that counts what was added."""

    added: int = field(default=0, init=False)

    def add(self, trial: Trial) -> None:
        self.added += 1
        self.trials.append(trial)


def nested_search(
    book: Book,
    *,
    rows: int = 300,
    folds: int = 3,
    trials: int = 5,
    space: Space = SPACE,
    seed: int = 5,
    shelf: PathShelf | None = None,
    case: Case | None = None,
) -> NestedSearch:
    """A search of seconds by the batched engine, on the first digits unless told otherwise."""
    case = case or digits(rows)
    plan = Plan.stratified(case.labels, folds=folds, seed=seed)
    searched = space.ranges["C"]
    engine = BatchedEngine(
        images=case.images,
        labels=case.labels,
        plan=plan,
        backend=LocalBackend(_layout(plan, case), SolverOptions(threads=_threads())),
        low=searched.low,
        high=searched.high,
        shelf=shelf or PathShelf(),
        threads=_threads(),
    )
    return NestedSearch(case.labels, plan, space, trials, engine, book)


def layout_of(plan: Plan, rows: int = 300) -> Layout:
    """The first digits, arranged by the plan's parts."""
    return _layout(plan, digits(rows))


def _layout(plan: Plan, case: Case) -> Layout:
    parts = [plan.rows(part) for part in plan.parts]
    return Layout.build(case.images, case.labels, parts, classes=case.classes)


def estimator_search(
    build: Callable[[Values], Any],
    space: Space,
    book: Book,
    *,
    trials: int = 5,
    threads: int = 2,
    reserve: int = 0,
    has_outer: bool = True,
) -> NestedSearch:
    """A search over values of what ``build`` makes; the last ``reserve`` of 240 rows lie aside."""
    case = digits(240)
    plan = with_reserve(Plan.stratified(case.labels, folds=3, seed=3), reserve)
    plan = replace(plan, has_outer=has_outer)
    engine = EstimatorEngine(case.images, case.labels, range(10), plan, build, threads)
    return NestedSearch(case.labels, plan, space, trials, engine, book)


def with_reserve(plan: Plan, reserve: int) -> Plan:
    """The plan with its last rows in no part."""
    part_of = plan.part_of.copy()
    part_of[:, part_of.shape[1] - reserve :] = RESERVE
    return replace(plan, part_of=part_of)


def told(search: NestedSearch) -> list[Event]:
    """All that a search says but its progress."""
    return [event for event in search.run() if not isinstance(event, Progress)]


def finished(search: NestedSearch) -> SearchResult:
    """What a search ends with."""
    result = told(search)[-1]
    assert isinstance(result, SearchResult)
    return result


def a_trial() -> Trial:
    """The first trial that a search tells."""
    return next(event for event in nested_search(Memory()).run() if isinstance(event, Trial))


def untimed(trial: Trial) -> Trial:
    """A trial without the seconds that its fits took."""
    return replace(
        trial,
        inner=tuple(
            replace(fold, facts={name: of for name, of in fold.facts.items() if name != "seconds"})
            for fold in trial.inner
        ),
    )


def _threads() -> int:
    return os.cpu_count() or 1
