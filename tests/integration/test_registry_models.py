"""Any classifier that gives probabilities can be registered, verified and judged."""

import math
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import importlib_metadata
import numpy as np
import pytest
from mlflow.utils import requirements_utils
from scipy.sparse import csr_array
from sklearn.calibration import CalibratedClassifierCV
from sklearn.datasets import load_digits
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer, MinMaxScaler, StandardScaler
from sklearn.random_projection import SparseRandomProjection
from sklearn.svm import SVC, LinearSVC
from sklearn.tree import DecisionTreeClassifier

from foldwise.data.dataset import DataInfo
from foldwise.data.features import FilterBank
from foldwise.errors import StoreError
from foldwise.registry.champion import promote
from foldwise.registry.evidence import Evidence, labels_digest
from foldwise.registry.registration import Submission, register
from foldwise.registry.snapshot import Snapshot
from foldwise.registry.stored_model import as_served, read_model, require_servable, write_model
from foldwise.registry.verify import Holdout, verify
from foldwise.runs.lineage import library_versions
from foldwise.search.engines.batched import LinearClassifier
from foldwise.search.engines.estimator import FittedEstimator
from foldwise.search.engines.pipeline import StockFeatures, from_pipeline
from foldwise.search.jobs import Model
from foldwise.search.trials import FitCounts
from foldwise.settings import Between, PromotionSettings, Settings
from foldwise.stats.scores import calibration_error, score
from foldwise.store.open import Store

CLASSES = tuple(range(10))
IMAGES, LABELS = load_digits(return_X_y=True)
IMAGES, ROWS = IMAGES.astype(np.uint8), 1000
HOLDOUT = Holdout("h" * 64, IMAGES[ROWS:], LABELS[ROWS:].astype(np.int64))
DATA = DataInfo("digits", CLASSES, (8, 8), ROWS, "d" * 64, len(HOLDOUT.labels), "h" * 64)
SETTINGS = Settings(
    promotion=PromotionSettings(
        min_accuracy=0.5, max_log_loss=9, max_calibration_error=1.0, bootstrap=200
    )
)


def fitted(classifier: Any) -> FittedEstimator:
    return FittedEstimator(classifier.fit(IMAGES[:ROWS].astype(np.float32), LABELS[:ROWS]))


@cache
def linear(C: float = 5e-4) -> LinearClassifier:
    """A model that is held back so much that a forest can do better."""
    pipeline = make_pipeline(StandardScaler(), LogisticRegression(C=C))
    return LinearClassifier(from_pipeline(pipeline.fit(IMAGES[:ROWS], LABELS[:ROWS])))


@cache
def filtering(threshold: float = 0.01) -> LinearClassifier:
    """A model that looks through filters; digits are darker than their threshold is meant for."""
    bank = FilterBank((8, 8), size=3, grid=2, threshold=threshold).fit(IMAGES)
    pipeline = make_pipeline(StandardScaler(), LogisticRegression(C=0.05, max_iter=300))
    trained = pipeline.fit(bank.transform(IMAGES[:ROWS]), LABELS[:ROWS])
    return LinearClassifier(from_pipeline(trained), bank)


def evidence_of(model: Model) -> Evidence:
    predicted = model.predict(HOLDOUT.images).values
    scores = score(predicted, HOLDOUT.labels)
    return Evidence(
        data=DATA,
        shared_rows=0,
        parameters_digest="f" * 64,
        metric="log_loss",
        space={"depth": Between(1, 30, is_log=False)},
        chosen=({"depth": 12},) * 4,
        fits=FitCounts(30, 30, 0, 0, 0),
        final_status="",
        outer=tuple({**scores, "log_loss": scores["log_loss"] + step} for step in (-0.1, 0, 0.1)),
        holdout=scores,
        calibration_error=calibration_error(predicted, HOLDOUT.labels),
        labels_digest=labels_digest(predicted),
    )


def submission(store: Store, model: Model) -> Submission:
    run = store.client.create_run(store.experiment("digits"))
    return Submission(
        run.info.run_id, library_versions(), model, {}, evidence_of(model), "A card.", IMAGES[:2]
    )


def decide(store: Store, which: int) -> str:
    return promote(
        store, "digits-classifier", str(which), holdout=HOLDOUT, settings=SETTINGS
    ).decision


def test_to_write_a_model_not_every_package_is_looked_into(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """MLflow would read the lists of all their files; whoever saves his own model has it do so."""
    monkeypatch.setattr(requirements_utils, "_MODULES_TO_PACKAGES", None)
    monkeypatch.setattr(importlib_metadata, "packages_distributions", lambda: pytest.fail("looked"))
    model = linear()
    told: dict[str, Any] = {"card": "A card.", "example": IMAGES[:2], "ids": ("a" * 32, "b" * 32)}
    write_model(tmp_path / "model", model, evidence_of(model), **told)
    assert read_model(tmp_path / "model").model.digest(CLASSES) == model.digest(CLASSES)
    assert requirements_utils._MODULES_TO_PACKAGES is None


def test_a_tree_and_a_forest_are_judged_against_a_linear_champion(store: Store) -> None:
    """Registered, verified and compared row by row: the tree is refused, the forest promoted."""
    tree = fitted(DecisionTreeClassifier(max_depth=12, random_state=0))
    forest = fitted(RandomForestClassifier(40, random_state=0))
    for model in (linear(), tree, forest):
        version = register(store, submission(store, model))
        verification = verify(store, version, HOLDOUT, SETTINGS)
        assert verification.holds, verification.checks
        assert version.content == model.digest(CLASSES)
    assert [decide(store, number) for number in (1, 2, 3)] == ["promoted", "refused", "promoted"]
    snapshot = Snapshot.read(store, "digits-classifier")
    assert snapshot.held == {"champion": 3, "previous_champion": 1}
    refused = snapshot.decisions[1]
    assert {check.name: check.verdict for check in refused.checks}[
        "log-loss against champion"
    ] == "fail"


@pytest.mark.parametrize(
    "classifier",
    [
        KNeighborsClassifier(5),
        make_pipeline(MinMaxScaler(), SVC(probability=True, random_state=0)),
        RandomForestClassifier(5, random_state=0),
        HistGradientBoostingClassifier(max_iter=2, max_leaf_nodes=4),
        CalibratedClassifierCV(LinearSVC(max_iter=50), cv=2),
        make_pipeline(StandardScaler(), LogisticRegression(C=0.05, max_iter=20)),
    ],
    ids=lambda classifier: type(classifier).__name__,
)
@pytest.mark.filterwarnings("ignore")
def test_what_is_read_back_is_the_model_that_was_written(classifier: Any, tmp_path: Path) -> None:
    """The same digest, and the same answers to numbers of any type."""
    model = fitted(classifier)
    require_servable(model, CLASSES, IMAGES[:2])
    evidence = evidence_of(model)
    folder = tmp_path / "model"
    write_model(folder, model, evidence, card="", example=IMAGES[:2], ids=("r", "m"))
    stored = read_model(folder)
    assert stored.model.digest(CLASSES) == model.digest(CLASSES)
    expected = model.predict(HOLDOUT.images[:99]).values
    for kind in (np.uint8, np.float64):
        found = stored.pipeline.predict_proba(HOLDOUT.images[:99].astype(kind))
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-6)


def test_filters_are_stored_as_scikit_learn_s_own_steps(tmp_path: Path) -> None:
    """No class of ours, no code beside the model; the same answers to the last digit but one."""
    model = filtering()
    folder = tmp_path / "model"
    write_model(folder, model, evidence_of(model), card="", example=IMAGES[:2], ids=("r", "m"))
    stored = read_model(folder)
    assert stored.is_exact
    assert stored.model.digest(CLASSES) == model.digest(CLASSES)
    expected = model.predict(HOLDOUT.images).values
    np.testing.assert_allclose(stored.model.predict(HOLDOUT.images).values, expected, atol=1e-12)
    for kind in (np.uint8, np.float32, np.float64):
        found = stored.pipeline.predict_proba(HOLDOUT.images.astype(kind))
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-12)
    assert not (folder / "code").exists()
    modules = {type(step).__module__.split(".")[0] for _, step in stored.pipeline.steps}
    assert modules == {"sklearn"}


def test_filters_registered_as_sparse_products_are_still_read(tmp_path: Path) -> None:
    """Versions from before the dense tiles hold other stock parts, and answer as they did."""
    product = SparseRandomProjection(12)
    product.components_ = csr_array(np.random.default_rng(1).integers(-3, 4, (12, 64)) * 1.0)
    product.n_features_in_ = 64
    clip = FunctionTransformer(np.clip, kw_args={"a_min": 9.0, "a_max": None})
    features = StockFeatures(Pipeline([("filters", product), ("clip", clip)]))
    trained = make_pipeline(StandardScaler(), LogisticRegression(C=0.05, max_iter=300)).fit(
        features.transform(IMAGES[:ROWS]), LABELS[:ROWS]
    )
    model, folder = LinearClassifier(from_pipeline(trained), features), tmp_path / "model"
    write_model(folder, model, evidence_of(model), card="", example=IMAGES[:2], ids=("r", "m"))
    stored = read_model(folder).model
    assert stored.digest(CLASSES) == model.digest(CLASSES)
    expected = model.predict(HOLDOUT.images).values
    np.testing.assert_allclose(stored.predict(HOLDOUT.images).values, expected, atol=1e-12)


@pytest.mark.parametrize("shape", [(20, 24), (9, 11, 3)])
def test_through_filters_images_of_any_shape_are_served(shape: tuple[int, ...]) -> None:
    """Others than squares, and in colours: the same answers, and another size is refused."""
    images = np.random.default_rng(1).integers(0, 256, (200, math.prod(shape)), dtype=np.uint8)
    bank = FilterBank(shape, size=5, grid=2, angles=2)
    trained = make_pipeline(StandardScaler(), LogisticRegression(C=0.01, max_iter=300))
    trained.fit(bank.transform(images), LABELS[:200])
    model = LinearClassifier(from_pipeline(trained), bank)
    served, expected = as_served(model, CLASSES), model.predict(images).values
    np.testing.assert_allclose(served.predict_proba(images), expected, rtol=0, atol=1e-12)
    with pytest.raises(ValueError, match=f"is expecting {images.shape[1]} features"):
        served.predict_proba(images[:, :-1])


def test_other_filters_are_another_model() -> None:
    """The digest is of all that is computed, not of the coefficients alone."""
    model = filtering()
    others = (model.features, filtering(threshold=0.02).features, None)
    digests = {LinearClassifier(model.numbers, each).digest(CLASSES) for each in others}
    assert len(digests) == 3


def test_a_filter_model_is_judged_against_one_of_pixels(store: Store) -> None:
    """On the same raw holdout, in the same registered model."""
    for model in (linear(), filtering()):
        version = register(store, submission(store, model))
        verification = verify(store, version, HOLDOUT, SETTINGS)
        assert verification.holds, verification.checks
    assert [decide(store, number) for number in (1, 2)] == ["promoted", "promoted"]


def test_a_model_without_probabilities_is_refused_before_anything_is_written(store: Store) -> None:
    """In one line with the remedy."""
    handed_in = submission(store, linear())
    scoring = replace(handed_in, model=fitted(LinearSVC(max_iter=20)))
    with pytest.raises(StoreError, match=r"must give probabilities, got LinearSVC.*calibrate it"):
        register(store, scoring)
    assert Snapshot.read(store, handed_in.name).tags == {}
    assert store.client.search_logged_models([store.experiment("digits")]) == []


def test_a_type_that_is_not_trusted_is_refused_before_anything_is_written(store: Store) -> None:
    """What could not be read back safely isn't stored."""
    handed_in = submission(store, linear())
    foreign = replace(handed_in, model=fitted(KNeighborsClassifier(3, algorithm="kd_tree")))
    with pytest.raises(StoreError, match=r"must hold types alone.*got sklearn\.metrics"):
        register(store, foreign)
    assert store.client.search_logged_models([store.experiment("digits")]) == []
