"""From an entry of the comparison to what is searched: its rows, and classifiers made of values."""

from collections.abc import Sequence
from dataclasses import asdict, replace
from importlib import import_module
from inspect import isclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import is_classifier
from sklearn.calibration import CalibratedClassifierCV
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import MaxAbsScaler, StandardScaler

from foldwise.data.dataset import Split
from foldwise.data.features import FilterBank
from foldwise.data.labels import stratified_rows
from foldwise.entries import ENTRIES, Entry
from foldwise.errors import DataError, SettingsError
from foldwise.search.engines.estimator import EstimatorEngine, FittedEstimator
from foldwise.search.jobs import Done, Job, Model, Task
from foldwise.search.plan import RESERVE, Plan
from foldwise.search.space import own_values
from foldwise.search.trials import Part, Values


class UnitScaler(MaxAbsScaler):  # type: ignore[misc]  # scikit-learn has no types
    """Divides by the largest pixel of the training rows: 255 for MNIST, 16 for the 8x8 digits.

    Distances between images keep their proportions; scaled pixel by pixel, a pixel that is
    hardly ever lit would count as much as one in the middle.
    """

    def fit(self, pixels: NDArray[np.float32], _labels: object = None) -> Self:
        """Find the largest pixel."""
        super().fit(pixels)
        self.scale_ = np.full(pixels.shape[1], max(pixels.max(), 1), dtype=np.float32)
        return self


class FlooredScaler(StandardScaler):  # type: ignore[misc]  # scikit-learn has no types
    """Standardises by no less than a share of the training rows' range, as the batched solver."""

    def __init__(self, floor: float = 0.0) -> None:
        super().__init__()
        self.floor = floor

    def fit(self, pixels: NDArray[np.float32], _labels: object = None) -> Self:
        """Find means and deviations."""
        super().fit(pixels)
        least = self.floor * float(pixels.max() - pixels.min())
        self.scale_ = np.maximum(np.sqrt(self.var_), least)
        self.scale_[self.scale_ == 0] = 1
        return self


def build(
    entry: Entry,
    values: Values,
    *,
    seed: int,
    shape: Sequence[int] = (),
    is_calibrated: bool = False,
) -> Pipeline:
    """The entry's pipeline for pixels 0-255: what it is given, then the estimator.

    ``seed`` is the estimator's ``random_state``, if it has one and the entry says nothing else;
    ``shape`` that of the images, which only filters need. One that gives decision scores alone
    ``is_calibrated`` on request: a sigmoid for each class, fitted to five parts of the rows.
    """
    kind = _class(entry)
    random = {"random_state": seed} if "random_state" in kind().get_params() else {}
    standard = FlooredScaler(entry.scale_floor) if entry.scale_floor else StandardScaler()
    seen = {
        "standard": [standard],
        "unit": [UnitScaler()],
        "raw": ["passthrough"],
        "filters": [FilterBank(shape, **asdict(entry.filters)), standard],
    }
    classifier = kind(**{**random, **entry.fixed, **values})
    if is_calibrated and not hasattr(classifier, "predict_proba"):
        classifier = CalibratedClassifierCV(classifier, ensemble=False)
    return make_pipeline(*seen[entry.pixels], classifier)


def candidate_model(engine: EstimatorEngine, best: Values) -> FittedEstimator:
    """The model of a candidate's values on all rows, made again: ready to be served."""
    task = Task(Job.of(frozenset(), own_values(best)), (), keep="model")
    (done,) = engine.run([task])
    assert isinstance(done, Done)  # noqa: S101 - of one task
    return ready(done.model)


def ready(model: Model | None) -> FittedEstimator:
    """A model of the estimator engine's that says the same and can be served without us."""
    assert isinstance(model, FittedEstimator)  # noqa: S101 - the engine's only kind
    return FittedEstimator(servable(model.fitted))


def servable(fitted: Pipeline) -> Pipeline:
    """The same pipeline, of scikit-learn's own steps alone: serving it needs none of ours."""
    return Pipeline([stock for name, step in fitted.steps for stock in _stock(name, step)])


def _stock(name: str, step: Any) -> list[tuple[str, Any]]:
    if isinstance(step, FilterBank):
        return step.stock()
    if isinstance(step, UnitScaler | FlooredScaler):
        # With what ours has found, scikit-learn's own computes the same.
        found = {name: of for name, of in vars(step).items() if name != "floor"}
        (stock,) = type(step).__bases__
        step = stock()
        vars(step).update(found)
    return [(name, step)]


def check_buildable(entry: Entry) -> None:
    """Refuse an entry whose estimator isn't there, isn't a classifier, or lacks what is asked."""
    key, kind = f"models.{entry.name}", _class(entry)
    known = kind().get_params()
    for name in (*entry.fixed, *entry.space):
        if name not in known:
            raise SettingsError(
                f"{key} must name parameters of {kind.__name__} ({', '.join(sorted(known))}),"
                f" got {name}: edit {ENTRIES}"
            )
    pipeline = build(entry, {}, seed=0)
    if hasattr(pipeline, "predict_proba"):
        return
    if not hasattr(pipeline, "decision_function"):
        raise SettingsError(
            f"{key}.estimator must give probabilities or decision scores, got"
            f" {entry.estimator}, which gives neither: choose another in {ENTRIES}"
        )
    for name, is_asked in {
        "metric": entry.metric == "log_loss",
        "register": entry.register,
    }.items():
        if is_asked:
            got = "log_loss" if name == "metric" else "true"
            raise SettingsError(
                f"{key}.{name} must not be {got}, because {kind.__name__} gives no probabilities,"
                f" got {got}: edit {ENTRIES}"
            )


def _class(entry: Entry) -> Any:
    module, _, name = entry.estimator.rpartition(".")
    try:
        kind = getattr(import_module(module), name)
    except (ImportError, AttributeError) as error:
        raise SettingsError(
            f"models.{entry.name}.estimator must be an installed class, got"
            f" {entry.estimator} ({error}): correct it in {ENTRIES}, or install it"
        ) from error
    try:
        is_ready = isclass(kind) and hasattr(kind, "get_params") and is_classifier(kind())
    except TypeError:  # it can't be made without arguments
        is_ready = False
    if not is_ready:
        raise SettingsError(
            f"models.{entry.name}.estimator must be a classifier with scikit-learn's interface"
            f" that needs no other estimator, got {entry.estimator}: correct it in {ENTRIES}"
        )
    return kind


def sampled(plan: Plan, development: Split, entry: Entry, *, seed: int) -> Plan:
    """The plan with all rows in reserve but the entry's: as many from each part, stratified.

    Shifted copies are in reserve, too: only the final model sees them. So few rows that a part
    would lack a class are refused.
    """
    originals = int(plan.is_scored.sum())
    wanted = originals if entry.rows is None else min(entry.rows, originals)
    part_of = np.full_like(plan.part_of, RESERVE)
    for part in range(plan.folds):
        pool = plan.scored_rows(Part(0, part))
        quota = min(len(pool), wanted // plan.folds + (part < wanted % plan.folds))
        try:
            drawn = stratified_rows(development.labels[pool], limit=quota, seed=seed)
        except DataError as error:
            raise DataError(
                f"models.{entry.name}.rows must leave rows of every class in every part,"
                f" got {entry.rows}: raise it in {ENTRIES}"
            ) from error
        part_of[0, pool[drawn]] = part
    return replace(plan, part_of=part_of, has_outer=entry.outer)
