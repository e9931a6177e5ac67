"""Several partitions in one search: a plain loop of scikit-learn comes to the same."""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pytest
from sklearn.metrics import accuracy_score
from sklearn.tree import DecisionTreeClassifier

from foldwise.errors import SearchError
from foldwise.files import Value
from foldwise.search.engines.batched import BatchedEngine, LocalBackend
from foldwise.search.engines.estimator import EstimatorEngine
from foldwise.search.nested import NestedSearch
from foldwise.search.plan import Plan
from foldwise.search.space import Space
from foldwise.search.trials import Part, SearchResult, Study
from foldwise.settings import OneOf
from foldwise.solver.fits import SolverOptions
from tests.unit.search.search_cases import finished, layout_of
from tests.unit.solver.solver_cases import digits

CASE = digits(200)
FOLDS = 3
SPACE = Space({"max_depth": OneOf((2, 5, None))}, "tpe", 2, 1, "accuracy")


@pytest.fixture(scope="module")
def plan() -> Plan:
    """Two partitions of the same rows."""
    both = [Plan.stratified(CASE.labels, folds=FOLDS, seed=seed).part_of for seed in (1, 2)]
    return Plan(np.concatenate(both), np.ones(len(CASE.labels), dtype=bool))


@pytest.fixture(scope="module")
def result(plan: Plan) -> SearchResult:
    engine = EstimatorEngine(CASE.images, CASE.labels, range(10), plan, _build, threads=2)
    return finished(NestedSearch(CASE.labels, plan, SPACE, 4, engine))


def test_inner_means_are_those_of_a_plain_loop(plan: Plan, result: SearchResult) -> None:
    """An outer study's inner folds are of its own partition; the final one's are of both."""
    for trial in result.trials:
        outer = trial.study.part
        inner = [part for part in plan.parts if outer is None or _is_inner(part, outer)]
        scores = [_accuracy(plan, part, trial.values, outer=outer) for part in inner]
        assert [fold.part for fold in trial.inner] == inner
        assert [fold.scores["accuracy"] for fold in trial.inner] == pytest.approx(scores)


def test_outer_estimates_are_those_of_a_plain_loop(plan: Plan, result: SearchResult) -> None:
    """Each part of each partition is scored once, at its own study's best values."""
    assert [fold.part for fold in result.outer] == [Part(r, f) for r in (0, 1) for f in range(3)]
    for fold in result.outer:
        trials = result.study_trials(Study(fold.part))
        means = [np.mean([each.scores["accuracy"] for each in trial.inner]) for trial in trials]
        assert fold.best == trials[int(np.argmax(means))]
        expected = _accuracy(plan, fold.part, fold.best.values)
        assert fold.scores["accuracy"] == pytest.approx(expected)


def test_the_batched_engine_refuses_what_it_would_take_for_one_partition(plan: Plan) -> None:
    """It knows parts by their fold alone."""
    first = replace(plan, part_of=plan.part_of[:1].copy())
    backend = LocalBackend(layout_of(first, 200), SolverOptions())
    with pytest.raises(SearchError, match="must have one partition, got 2"):
        BatchedEngine(CASE.images, CASE.labels, plan, backend, 1e-3, 1.0)


def _build(values: Mapping[str, Value]) -> DecisionTreeClassifier:
    return DecisionTreeClassifier(random_state=1, **values)


def _is_inner(part: Part, outer: Part) -> bool:
    return part.repeat == outer.repeat and part != outer


def _accuracy(
    plan: Plan, scored: Part, values: Mapping[str, Value], *, outer: Part | None = None
) -> float:
    """Trained on the partition's other parts, scored on one."""
    part_of = plan.part_of[scored.repeat]
    trained = ~np.isin(part_of, [part.fold for part in (scored, outer) if part is not None])
    model = _build(values).fit(CASE.images[trained].astype(np.float32), CASE.labels[trained])
    rows = part_of == scored.fold
    return float(accuracy_score(CASE.labels[rows], model.predict(CASE.images[rows])))
