"""A fitted estimator's digest: the same however it is stored, another if anything differs."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import skops.io
from sklearn.decomposition import PCA
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler, StandardScaler
from sklearn.svm import SVC
from sklearn.tree import DecisionTreeClassifier

from foldwise.search.engines.estimator import FittedEstimator
from tests.unit.solver.solver_cases import digits

IMAGES, LABELS = digits(300).images, digits(300).labels
IMAGES, LABELS = IMAGES[LABELS < 3], LABELS[LABELS < 3]
MAKERS: dict[str, Callable[[], Any]] = {
    "tree": lambda: DecisionTreeClassifier(random_state=1),
    "forest": lambda: RandomForestClassifier(4, random_state=1),
    "boosting": lambda: HistGradientBoostingClassifier(max_iter=2, random_state=1),
    "neighbours": KNeighborsClassifier,
    "neighbours in a k-d tree": lambda: KNeighborsClassifier(algorithm="kd_tree"),
    "neighbours in balls": lambda: KNeighborsClassifier(algorithm="ball_tree"),
    "SVM": SVC,
    "pipeline": lambda: make_pipeline(StandardScaler(), PCA(5), SVC(C=3.0)),
    "pipeline of a tree": lambda: make_pipeline(
        MinMaxScaler(), DecisionTreeClassifier(max_depth=3)
    ),
}


def fitted(name: str, seed: int = 0) -> Any:
    rows = np.random.default_rng(seed).permutation(len(LABELS))[:70]
    return MAKERS[name]().fit(IMAGES[rows].astype(np.float32), LABELS[rows])


def digest(estimator: Any) -> str:
    return FittedEstimator(estimator).digest(range(3))


@pytest.mark.parametrize("name", MAKERS)
def test_storing_and_predicting_leave_the_digest_and_other_rows_make_another(name: str) -> None:
    """Through skops and back; some estimators count what they are asked."""
    estimator = fitted(name)
    before = digest(estimator)
    stored = skops.io.dumps(estimator)
    again = skops.io.loads(stored, trusted=skops.io.get_untrusted_types(data=stored))
    assert digest(again) == before
    FittedEstimator(estimator).predict(IMAGES)
    assert digest(estimator) == before
    assert digest(fitted(name, seed=1)) != before


def test_one_split_a_bit_further_makes_another_digest() -> None:
    """In a tree, and in one of a forest's."""
    tree, forest = fitted("tree"), fitted("forest")
    for whole, part in ((tree, tree), (forest, forest.estimators_[2])):
        before = digest(whole)
        thresholds = part.tree_.threshold
        thresholds[0] = np.nextafter(thresholds[0], np.inf)
        assert digest(whole) != before


def test_other_parameters_make_another_digest() -> None:
    """What prediction depends on without having been learned: here how neighbours vote."""
    estimator = fitted("neighbours")
    before = digest(estimator)
    estimator.weights = "distance"
    assert digest(estimator) != before


def test_the_classes_are_part_of_it() -> None:
    model = FittedEstimator(fitted("tree"))
    assert model.digest(range(3)) != model.digest("abc")
