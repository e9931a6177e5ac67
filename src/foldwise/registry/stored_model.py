"""A registered model's files: how they are written, read back and served.

The pipeline as it is served: numbers of any type, the same answer; another width, an error.

MLflow's own schemas can't say both. One unnamed column per pixel drops what a wider image has too
many, and a tensor refuses every type but one. So the version has no input schema: scikit-learn
counts the pixels, which a server answers with 400, and a first step makes float64 of all numbers,
because the scaler would compute float32 with half the digits.

A version's files: written as MLflow serves them, digested, read without unpickling.
"""

import hashlib
import math
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import FunctionTransformer

from foldwise.errors import StoreError
from foldwise.registry.evidence import Evidence
from foldwise.search.engines.estimator import model_of
from foldwise.search.jobs import Model
from foldwise.store.faults import store_faults

_STEP = "float64"


def as_served(pipeline: Pipeline) -> Pipeline:
    """The pipeline with the step before it that makes a float64 array of what it is given."""
    return Pipeline([(_STEP, _to_float64()), *pipeline.steps])


def without_conversion(served: Pipeline) -> Pipeline:
    """The inverse of `as_served`.

    Raises
    ------
    ValueError
        The first step does something else.
    """
    name, step = served.steps[0]
    expected = _to_float64().get_params()
    if (name, type(step)) != (_STEP, FunctionTransformer) or step.get_params() != expected:
        raise ValueError(f"a first step that only makes float64 is expected, got {step!r}")
    return served[1:]


def _to_float64() -> FunctionTransformer:
    # A numpy function, because skops trusts these: the plus sign, which changes nothing.
    return FunctionTransformer(np.positive, validate=True, kw_args={"dtype": "float64"})


EVIDENCE, CARD = "evidence.json", "card.md"
AUDIT = "audit"
"""Folder beside the model's files for copies of audit records, written after registration."""

_SKOPS = "model.skops"
_SERVED_WITH = ("scikit-learn", "skops", "numpy")  # MLflow adds itself

_MALFORMED = (ValueError, TypeError, KeyError, AttributeError, EOFError, BadZipFile)

# MLflow writes the latter into the stored folder whenever somebody loads the version by its name.
_ADDED_LATER = {AUDIT, "registered_model_meta"}


@dataclass(frozen=True, slots=True)
class StoredModel:
    """What a version's files hold.

    Attributes
    ----------
    pipeline : scikit-learn Pipeline
        The very object that is served.
    model : Model
        What it computes.
    evidence : Evidence
    """

    pipeline: Any
    model: Model
    evidence: Evidence


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
    tells the answer alone, see the module; what goes in is told by the metadata, the example and
    the card.

    Parameters
    ----------
    folder : Path
        Doesn't exist yet.
    model, evidence, card
    example : uint8 array (rows, features)
        A few raw images, stored as the input example.
    ids : tuple of str
        MLflow's run and logged model, for its own file.
    """
    import mlflow.sklearn
    from mlflow.models import Model, ModelSignature
    from mlflow.types import ColSpec, Schema

    mlflow.sklearn.save_model(
        as_served(model.estimator(evidence.classes)),
        str(folder),
        serialization_format="skops",
        signature=ModelSignature(outputs=Schema([ColSpec("double")] * len(evidence.classes))),
        input_example=example.astype(np.float64),
        pip_requirements=[f"{name}=={version(name)}" for name in _SERVED_WITH],
        pyfunc_predict_fn="predict_proba",
        metadata=_described(evidence),
        mlflow_model=Model(artifact_path="model", run_id=ids[0], model_id=ids[1]),
    )
    (folder / EVIDENCE).write_text(evidence.to_json(), encoding="utf-8")
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
        stored["skops_trusted_types"],
        served["loader_module"],
        served["model_path"],
        stored.get("code") or served.get("code"),
    )
    plain = (["python_function", "sklearn"], "skops", _SKOPS, None, "mlflow.sklearn", _SKOPS, None)
    if described != plain:
        raise StoreError(
            f"{folder}/MLmodel must describe a plain skops model, got {described}:"
            " don't load or serve this version"
        )


def _constructed(folder: Path) -> StoredModel:
    import skops.io

    if foreign := skops.io.get_untrusted_types(file=folder / _SKOPS):
        raise StoreError(
            f"{folder}/{_SKOPS} must hold scikit-learn's and numpy's types alone, got"
            f" {', '.join(foreign[:3])}: don't load or serve this version"
        )
    evidence = Evidence.from_json((folder / EVIDENCE).read_text(encoding="utf-8"))
    pipeline = skops.io.load(folder / _SKOPS, trusted=[])
    return StoredModel(pipeline, model_of(without_conversion(pipeline)), evidence)
