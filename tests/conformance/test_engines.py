"""The engines of this machine: the batched solver, and any classifier of scikit-learn's."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import loguniform
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC
from sklearn.tree import DecisionTreeClassifier

from foldwise import NestedSearchCV
from foldwise.asked import Asked
from foldwise.search.engines.batched import BatchedEngine, LocalBackend, Repeats
from foldwise.search.engines.estimator import EstimatorEngine, Kinds
from foldwise.search.engines.gpu import DeviceBackend
from foldwise.search.jobs import Engine
from foldwise.search.plan import Plan
from foldwise.search.trials import Part, Values
from foldwise.solver.fits import SolverOptions
from foldwise.solver.layout import Layout
from foldwise.solver.newton import is_small
from tests.conformance.engine_cases import EngineCases, Given
from tests.unit.solver.numpy_device import device_at_hand
from tests.unit.solver.solver_cases import digits

CASE = digits(240)
PLAN = Plan.stratified(CASE.labels, folds=3, seed=3)
STRENGTHS: tuple[Values, ...] = ({"C": 0.01}, {"C": 0.3})


def batched(X: NDArray[np.uint8], options: SolverOptions) -> BatchedEngine:
    """The batched engine of this machine for the cases' rows."""
    backend = LocalBackend(arranged(X), options)
    return BatchedEngine(X, CASE.labels, PLAN, backend, 1e-3, 1.0, threads=options.threads)


def arranged(X: NDArray[np.uint8]) -> Layout:
    """The rows by the parts of the cases' plan."""
    parts = [PLAN.rows(part) for part in PLAN.parts]
    return Layout.build(X, CASE.labels, parts, classes=CASE.classes)


class TestBatched(EngineCases):
    """Softmax and one against the rest, on one thread and on three."""

    @pytest.fixture(scope="class", params=[("multinomial", 1), ("ovr", 3)], ids=str)
    @classmethod
    def given(cls, request: pytest.FixtureRequest) -> Given:
        multiclass, threads = request.param
        options = SolverOptions(multiclass=multiclass, threads=threads)
        return Given(
            lambda X: batched(X, options), CASE.images, CASE.labels, range(10), PLAN, STRENGTHS
        )


class TestDevice(EngineCases):
    """The batched engine whose fits and scores are a device's."""

    @pytest.fixture(scope="class")
    @classmethod
    def given(cls) -> Given:
        return Given(
            on_device, CASE.images, CASE.labels, range(10), PLAN, STRENGTHS, rounding=1e-12
        )

    def test_what_computed_a_fit_is_told_with_it(self, given: Given) -> None:
        for done in given.whole.values():
            assert done.facts["device"] == device_at_hand().name


def on_device(X: NDArray[np.uint8]) -> BatchedEngine:
    """The engine on a device, on a short path and roughly: conformance is not accuracy."""
    backend = DeviceBackend(arranged(X), SolverOptions(tol=1e-3), device_at_hand())
    scored = [PLAN.scored_rows(part) for part in PLAN.parts]
    scorer = backend.scorer([(X[rows], CASE.labels[rows]) for rows in scored])
    return BatchedEngine(X, CASE.labels, PLAN, backend, 1e-2, 0.3, scorer=scorer)


class TestTable(EngineCases):
    """A table of floats, whose columns have any mean and scale, of two partitions."""

    @pytest.fixture(scope="class")
    @classmethod
    def given(cls) -> Given:
        X = np.random.default_rng(2).normal(size=(240, 64)) + 0.3 * CASE.images.astype(np.float64)
        X = X * np.geomspace(0.01, 10, 64)
        plans = [Plan.stratified(CASE.labels, folds=3, seed=3 + each) for each in range(2)]
        part_of = np.concatenate([plan.part_of for plan in plans])
        plan = Plan(part_of, np.ones(240, dtype=bool))
        return Given(lambda X: of_table(X, plan), X, CASE.labels, range(10), plan, STRENGTHS)


def of_table(X: NDArray[np.float64], plan: Plan) -> Engine:
    """The batched engine for floats, one a partition."""
    options = SolverOptions(double=True, threads=2)
    engines = []
    for repeat in range(len(plan.part_of)):
        parts = [plan.rows(Part(repeat, fold)) for fold in range(plan.folds)]
        backend = LocalBackend(Layout.of_table(X, CASE.labels, parts, classes=10), options)
        engines.append(
            BatchedEngine(X, CASE.labels, plan, backend, 1e-3, 1.0, threads=2, repeat=repeat)
        )
    return Repeats(engines)


class TestNotebookTable(EngineCases):
    """Small tables as `NestedSearchCV` has them fitted and scored, also in a large one's precision.

    Two classes take Newton's steps, and the scores of many fits are computed at once.
    """

    @pytest.fixture(scope="class", params=[(2, False), (10, True)], ids=str)
    @classmethod
    def given(cls, request: pytest.FixtureRequest) -> Iterator[Given]:
        classes, is_single = request.param
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("foldwise.solver.fits.pays_in_single", lambda *_: is_single)
            yield cls.given_for(classes, is_single=is_single)

    @staticmethod
    def given_for(classes: int, *, is_single: bool) -> Given:
        X = np.random.default_rng(2).normal(size=(240, 64)) + 0.3 * CASE.images.astype(np.float64)
        y = CASE.labels % classes
        search = NestedSearchCV(param_distributions={"C": loguniform(1e-3, 1)}, cv=3)
        asked = Asked.of(search, (X, y, None, None))
        backend = asked.engine.backend  # type: ignore[attr-defined]  # it is batched
        assert (is_small(backend.layout), backend.options.double) == (classes == 2, not is_single)
        return Given(
            lambda X: Asked.of(search, (X, y, None, None)).engine,
            X, asked.labels, range(classes), asked.plan, STRENGTHS, rounding=1e-12,
        )  # fmt: skip


class EstimatorCases(EngineCases):
    """Fits of a scikit-learn classifier."""

    tried: tuple[Values, ...]
    threads = 3

    @classmethod
    def build(cls, values: Values) -> Any:
        raise NotImplementedError

    @pytest.fixture(scope="class")
    @classmethod
    def given(cls) -> Given:
        names = tuple("abcdefghij")
        return Given(
            lambda X: EstimatorEngine(X, CASE.labels, names, PLAN, cls.build, cls.threads),
            CASE.images,
            CASE.labels,
            names,
            PLAN,
            cls.tried,
        )


class TestPipeline(EstimatorCases):
    """A pipeline that the batched solver could have made, too."""

    tried = STRENGTHS

    @classmethod
    def build(cls, values: Values) -> Any:
        return make_pipeline(StandardScaler(), LogisticRegression(**values))


class TestTree(EstimatorCases):
    """Probabilities with many ties, one fit at a time."""

    threads = 1
    tried = ({"max_depth": 2, "criterion": "gini"}, {"max_depth": None, "criterion": "entropy"})

    @classmethod
    def build(cls, values: Values) -> Any:
        return DecisionTreeClassifier(random_state=1, **values)


class TestKinds(EngineCases):
    """An engine for each kind of model, which knows its own values alone."""

    @pytest.fixture(scope="class")
    @classmethod
    def given(cls) -> Given:
        classes = list(range(10))
        tried: tuple[Values, ...] = (
            {"candidate": "logistic", "logistic.C": 0.01},
            {"candidate": "tree", "tree.max_depth": 3},
        )

        def tree(values: Values) -> Any:
            return DecisionTreeClassifier(random_state=1, **values)

        def made(X: NDArray[np.uint8]) -> Engine:
            trees = EstimatorEngine(X, CASE.labels, classes, PLAN, tree, 2)
            return Kinds({"logistic": batched(X, SolverOptions(threads=2)), "tree": trees})

        return Given(made, CASE.images, CASE.labels, classes, PLAN, tried)


class TestSvm(EstimatorCases):
    """Decision scores and no probabilities."""

    tried = ({"C": 0.01, "gamma": 0.001}, {"C": 3.0, "gamma": 0.001})

    @classmethod
    def build(cls, values: Values) -> Any:
        return SVC(break_ties=True, **values)
