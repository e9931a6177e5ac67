"""A version's files: written as MLflow serves them, digested, fetched, read without unpickling.

What is served takes numbers of any type and gives one answer; another width is an error. MLflow's
own schemas can't say both. One unnamed column per pixel drops what a wider image has too many, and
a tensor refuses every type but one. So the version has no input schema: scikit-learn counts the
pixels, which a server answers with 400, and a first step turns all numbers into the type that the
model computes in. The step bears the type's name: ``float64`` for the batched solver's models,
because their scaler would compute float32 with half the digits, ``float32`` for any other
classifier, because it was fitted on that.
"""

import hashlib
import math
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import FunctionTransformer

from foldwise.errors import StoreError
from foldwise.registry.evidence import Evidence, evidence_digest
from foldwise.registry.snapshot import Version
from foldwise.search.engines.batched import LinearClassifier
from foldwise.search.engines.estimator import FittedEstimator
from foldwise.search.engines.pipeline import from_pipeline
from foldwise.search.jobs import Classes, Model
from foldwise.store.faults import StoreRefused, store_faults
from foldwise.store.open import Store

EVIDENCE, CARD = "evidence.json", "card.md"
AUDIT = "audit"
"""Folder beside the model's files for copies of decisions, written after registration."""

_SKOPS = "model.skops"
_SERVED_WITH = ("scikit-learn", "skops", "numpy")  # MLflow adds itself
_MALFORMED = (ValueError, TypeError, KeyError, AttributeError, EOFError, BadZipFile)

# MLflow writes the latter into the stored folder whenever somebody loads the version by its name.
_ADDED_LATER = {AUDIT, "registered_model_meta"}

_TRUSTED = frozenset(
    {
        "sklearn.calibration._CalibratedClassifier",
        "sklearn.calibration._SigmoidCalibration",
        "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",
        "sklearn.tree._tree.Tree",
    }
)
"""Parts of scikit-learn's classifiers that skops doesn't trust by itself: numbers alone."""


@dataclass(frozen=True, slots=True)
class StoredModel:
    """What a version's files hold: the very pipeline that is served, and the model it computes.

    The evidence's digest is of the bytes that it was read from.
    """

    pipeline: Any
    model: Model
    evidence: Evidence
    evidence_digest: str

    @property
    def is_exact(self) -> bool:
        """Whether it computes in double precision, as its evidence was gathered."""
        return isinstance(self.model, LinearClassifier)


def as_served(model: Model, classes: Classes) -> Pipeline:
    """The estimator with the step before it that makes one type of what it is given."""
    estimator = model.estimator(classes)
    if isinstance(model, LinearClassifier):
        return Pipeline([("float64", _to("float64")), *estimator.steps])
    return Pipeline([("float32", _to("float32")), ("classifier", estimator)])


def _model_of(served: Pipeline) -> Model:
    """The inverse of `as_served`; ValueError where the first step does something else."""
    (name, step), rest = served.steps[0], served[1:]
    if name not in ("float64", "float32") or not isinstance(step, FunctionTransformer):
        raise ValueError(f"a first step that only makes float64 is expected, got {step!r}")
    if step.get_params() != _to(name).get_params():
        raise ValueError(f"a first step that only makes {name} is expected, got {step!r}")
    if name == "float64":
        return LinearClassifier(from_pipeline(rest))
    ((_, fitted),) = rest.steps
    if not (hasattr(fitted, "classes_") and hasattr(fitted, "predict_proba")):
        raise ValueError(
            f"a fitted classifier that gives probabilities is expected, got {fitted!r}"
        )
    return FittedEstimator(fitted)


def _to(kind: str) -> FunctionTransformer:
    # A numpy function, because skops trusts these: the plus sign, which changes nothing.
    return FunctionTransformer(np.positive, validate=True, kw_args={"dtype": kind})


def require_servable(model: Model, classes: Classes, example: NDArray[Any]) -> None:
    """Refuse a model that can't be registered, before anything is written.

    Raises
    ------
    StoreError
        It gives no probabilities, or holds a type that isn't trusted.
    """
    if not model.predict(example).are_probabilities:
        raise StoreError(
            "a registered model must give probabilities, got"
            f" {type(model.estimator(classes)).__name__}, which gives decision scores: set its"
            " parameter `probability`, or calibrate it (scikit-learn's CalibratedClassifierCV)"
        )
    if foreign := set(_unlisted_types(model, as_served(model, classes))) - _TRUSTED:
        raise StoreError(
            "a registered model must hold types alone that skops or foldwise trusts, got"
            f" {', '.join(sorted(foreign)[:3])}: choose another setting or classifier"
        )


def _unlisted_types(model: Model, served: Pipeline) -> list[str]:
    """The types in it that skops doesn't trust by itself."""
    import skops.io

    if isinstance(model, LinearClassifier):
        return []
    return list(skops.io.get_untrusted_types(data=skops.io.dumps(served)))


def write_model(
    folder: Path,
    model: Model,
    evidence: Evidence,
    *,
    card: str,
    example: NDArray[np.uint8],
    ids: tuple[str, str],
) -> None:
    """Write a model's folder: MLflow's files, the evidence and the card.

    It needs scikit-learn, skops and mlflow to be served, and answers probabilities. The signature
    tells the answer alone, see the module; what goes in is told by the metadata, the example, which
    is a few raw rows, and the card. ``ids`` are MLflow's run and logged model, for its own file.
    """
    import mlflow.sklearn
    from mlflow.models import Model, ModelSignature
    from mlflow.types import ColSpec, Schema

    served = as_served(model, evidence.classes)
    mlflow.sklearn.save_model(
        served,
        str(folder),
        serialization_format="skops",
        skops_trusted_types=_unlisted_types(model, served) or None,
        signature=ModelSignature(outputs=Schema([ColSpec("double")] * len(evidence.classes))),
        input_example=example.astype(np.float64),
        pip_requirements=[f"{name}=={version(name)}" for name in _SERVED_WITH],
        pyfunc_predict_fn="predict_proba",
        metadata=_described(evidence),
        mlflow_model=Model(artifact_path="model", run_id=ids[0], model_id=ids[1]),
    )
    (folder / EVIDENCE).write_bytes(evidence.to_bytes())
    (folder / CARD).write_text(card, encoding="utf-8")


def _described(evidence: Evidence) -> dict[str, str]:
    shape = evidence.data.image_shape
    return {
        "input": f"rows of {math.prod(shape)} raw pixels, 0 to 255:"
        f" {' x '.join(map(str, shape))}, flattened row by row",
        "output": f"probabilities of {', '.join(map(str, evidence.classes))}, in this order",
    }


def files_digest(folder: Path) -> str:
    """SHA-256 (hexadecimal) over the names and contents of a model's files as registered."""
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder)
        if path.is_file() and name.parts[0] not in _ADDED_LATER:
            digest.update(name.as_posix().encode() + b"\0")
            digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()


def read_model(folder: Path) -> StoredModel:
    """Read a model's folder; every type in it is looked at before anything is constructed.

    Raises
    ------
    StoreError
        A file is missing or damaged, or the model isn't stored in skops format with scikit-learn's
        and numpy's own types alone. Nothing of it was run then.
    """
    from yaml import YAMLError

    with store_faults(f"reading the model's files in {folder}"):
        try:
            _check_description(folder)
            return _constructed(folder)
        except (*_MALFORMED, YAMLError) as error:
            raise StoreError(
                f"{folder} must hold a model as foldwise wrote it, reading gave {error!r}:"
                " don't load or serve this version"
            ) from error


def _check_description(folder: Path) -> None:
    """See that MLmodel, which says how the version is served, names nothing but the skops file."""
    from mlflow.models import Model

    flavors = Model.load(str(folder)).flavors
    stored, served = flavors["sklearn"], flavors["python_function"]
    described = (
        sorted(flavors),
        stored["serialization_format"],
        stored["pickled_model"],
        served["loader_module"],
        served["model_path"],
        stored.get("code") or served.get("code"),
    )
    plain = (["python_function", "sklearn"], "skops", _SKOPS, "mlflow.sklearn", _SKOPS, None)
    trusted = stored["skops_trusted_types"] or []
    if described != plain or not _TRUSTED.issuperset(trusted):
        raise StoreError(
            f"{folder}/MLmodel must describe a plain skops model, got {described}, trusting"
            f" {', '.join(map(str, trusted)) or 'nothing'}: don't load or serve this version"
        )


def _constructed(folder: Path) -> StoredModel:
    import skops.io

    needed = skops.io.get_untrusted_types(file=folder / _SKOPS)
    if foreign := [name for name in needed if name not in _TRUSTED]:
        raise StoreError(
            f"{folder}/{_SKOPS} must hold scikit-learn's and numpy's types alone, got"
            f" {', '.join(foreign[:3])}: don't load or serve this version"
        )
    stored = (folder / EVIDENCE).read_bytes()
    pipeline = skops.io.load(folder / _SKOPS, trusted=needed)
    evidence = Evidence.from_bytes(stored)
    return StoredModel(pipeline, _model_of(pipeline), evidence, evidence_digest(stored))


def fetch_files(store: Store, version: Version, folder: Path) -> Path:
    """Where the files that the registry serves for a version lie: in ``folder``, if it is a server.

    A local store's files are read in place.
    """
    import mlflow.artifacts

    with store.as_default(), store_faults(f"fetching version {version.number} of {version.name}"):
        place = store.client.get_model_version_download_uri(version.name, str(version.number))
        return Path(
            mlflow.artifacts.download_artifacts(
                artifact_uri=place, dst_path=str(folder) if store.is_server else None
            )
        )


def fetch_evidence(store: Store, version: Version) -> Evidence | None:
    """What a version's evidence says; None if it is lost or can't be read."""
    with TemporaryDirectory(prefix="foldwise-") as folder:
        try:
            stored = (fetch_files(store, version, Path(folder)) / EVIDENCE).read_bytes()
        except (StoreRefused, OSError):
            return None
    try:
        return Evidence.from_bytes(stored)
    except StoreError:
        return None
