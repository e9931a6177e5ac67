"""From an entry and values to a scikit-learn pipeline, not yet fitted."""

from importlib import import_module
from inspect import isclass
from typing import Any

from sklearn.base import is_classifier
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from foldwise.compare.scaling import UnitScaler
from foldwise.errors import SettingsError
from foldwise.search.trials import Values
from foldwise.settings import ENTRIES, Entry


def build(entry: Entry, values: Values, *, seed: int) -> Pipeline:
    """The entry's pipeline for pixels 0-255: what it is given, then the estimator.

    ``seed`` is the estimator's ``random_state``, if it has one and the entry says nothing else.
    """
    kind = _class(entry)
    random = {"random_state": seed} if "random_state" in kind().get_params() else {}
    return make_pipeline(_scaling(entry.pixels), kind(**{**random, **entry.fixed, **values}))


def check_buildable(entry: Entry) -> None:
    """Refuse an entry whose estimator isn't there, isn't a classifier, or lacks a parameter.

    Raises
    ------
    SettingsError
    """
    key = f"models.{entry.name}"
    kind = _class(entry)
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
    if entry.metric == "log_loss":
        raise SettingsError(
            f"{key}.metric must not be log_loss, because {kind.__name__} gives no probabilities,"
            f" got log_loss: edit {ENTRIES}"
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
    if not isclass(kind) or not hasattr(kind, "get_params") or not _is_ready_classifier(kind):
        raise SettingsError(
            f"models.{entry.name}.estimator must be a classifier with scikit-learn's interface"
            f" that needs no other estimator, got {entry.estimator}: correct it in {ENTRIES}"
        )
    return kind


def _is_ready_classifier(kind: Any) -> bool:
    try:
        return bool(is_classifier(kind()))
    except TypeError:  # it can't be made without arguments
        return False


def _scaling(pixels: str) -> Any:
    if pixels == "standard":
        return StandardScaler()
    return UnitScaler() if pixels == "unit" else "passthrough"
