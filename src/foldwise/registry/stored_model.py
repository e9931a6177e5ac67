"""A version's model: written as MLflow serves it, and read without unpickling.

What is served takes numbers of any type and gives one answer; another width is an error. MLflow's
own schemas can't say both. One unnamed column per pixel drops what a wider image has too many, and
a tensor refuses every type but one. So the version has no input schema: scikit-learn counts the
pixels, which a server answers with 400, and a first step turns all numbers into the type that the
model computes in. The step bears the type's name: ``float64`` for the batched solver's models,
because their scaler would compute float32 with half the digits, ``float32`` for any other
classifier, because it was fitted on that.

A table's columns go by their names, in any order, with whole numbers and missing values: of the
columns, too, a schema would refuse some. So a ColumnTransformer comes before that step, which
answers a missing column with 400.
"""

import json
import math
import re
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import numpy as np

from foldwise.errors import StoreError
from foldwise.files import BROKEN_ZIP, check_growth, read_bytes
from foldwise.registry import stored_files
from foldwise.registry.evidence import Evidence
from foldwise.registry.snapshot import Version
from foldwise.search.engines.batched import LinearClassifier
from foldwise.search.jobs import Classes, Model
from foldwise.store.faults import StoreRefused, store_faults
from foldwise.store.open import Store

if TYPE_CHECKING:
    from sklearn.pipeline import Pipeline
    from sklearn.preprocessing import FunctionTransformer

_MALFORMED = (*BROKEN_ZIP, ArithmeticError, AttributeError, LookupError, MemoryError, TypeError)
_PINNED = re.compile(r"([\w-]+)==\d[\w.+!-]*")
_TOOL = re.compile(r"(python|pip|setuptools|wheel)(?:[<=]=?\d[\w.]*)?")
_VARYING = {
    *("mlflow_version", "python", "python_version", "sklearn_version", "utc_time_created"),
    *("model_id", "model_size_bytes", "model_uuid", "run_id"),
}

_ALLOWED: dict[str, Any] = {
    "artifact_path": "model",
    "flavors": {
        "python_function": {
            "env": {"conda": "conda.yaml", "virtualenv": "python_env.yaml"},
            "loader_module": stored_files.LOADER,
            "model_path": stored_files.SKOPS,
            "predict_fn": stored_files.PREDICT,
        },
        "sklearn": {"pickled_model": stored_files.SKOPS, "serialization_format": "skops"},
    },
    "is_signature_from_type_hint": False,
    "saved_input_example_info": {
        "artifact_path": "input_example.json",
        "serving_input_path": "serving_input_example.json",
        "type": "ndarray",
    },
    "type_hint_from_example": False,
    "conda": {"channels": ["conda-forge"], "name": "mlflow-env"},
    "virtualenv": {
        "build_dependencies": ["pip", "setuptools", "wheel"],
        "dependencies": ["-r requirements.txt"],
    },
}
"""What ``MLmodel``, conda.yaml and python_env.yaml say of every version, see `_plain`."""

_OF_FRAME = {
    **_ALLOWED["saved_input_example_info"],
    "type": "dataframe",
    "pandas_orient": "split",
}

_TRUSTED = frozenset(
    {
        "numpy.clip",
        "numpy.dot",
        "numpy.dtype",
        "numpy.reshape",
        "numpy.take",
        "scipy.sparse._csr.csr_array",
        "sklearn.calibration._CalibratedClassifier",
        "sklearn.calibration._SigmoidCalibration",
        "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",
        "sklearn.tree._tree.Tree",
    }
)
"""Parts of models that skops doesn't trust by itself: numbers, their types, functions of them."""


@dataclass(frozen=True, slots=True)
class StoredModel:
    """What a version's files hold: the very pipeline that is served, and the model it computes."""

    pipeline: Any
    model: Model
    evidence: Evidence

    @property
    def is_exact(self) -> bool:
        """Whether it computes in double precision, as its evidence was gathered."""
        return isinstance(self.model, LinearClassifier)


def as_served(model: Model, classes: Classes) -> "Pipeline":
    """The estimator with the step before it that makes one type of what it is given."""
    from sklearn.pipeline import Pipeline  # with scikit-learn: two seconds

    estimator = model.estimator(classes)
    if isinstance(model, LinearClassifier):
        columns, steps = _columns_first(estimator)
        return Pipeline([*columns, ("float64", _to("float64")), *steps])
    return Pipeline([("float32", _to("float32")), ("classifier", estimator)])


def _model_of(served: "Pipeline") -> Model:
    """The inverse of `as_served`; ValueError where the first step does something else."""
    from sklearn.pipeline import Pipeline
    from sklearn.preprocessing import FunctionTransformer

    from foldwise.search.engines.estimator import FittedEstimator
    from foldwise.search.engines.pipeline import StockFeatures, from_pipeline

    columns, ((name, step), *others) = _columns_first(served)
    rest = Pipeline(others)
    if name not in ("float64", "float32") or not isinstance(step, FunctionTransformer):
        raise ValueError(f"a first step that only makes float64 is expected, got {step!r}")
    if step.get_params() != _to(name).get_params():
        raise ValueError(f"a first step that only makes {name} is expected, got {step!r}")
    if name == "float64":
        front, linear = [*columns, *others[:-2]], rest[-2:]
        features = StockFeatures(Pipeline(front)) if front else None
        return LinearClassifier(from_pipeline(linear), features)
    ((_, fitted),) = (*columns, *others)
    if not (hasattr(fitted, "classes_") and hasattr(fitted, "predict_proba")):
        raise ValueError(
            f"a fitted classifier that gives probabilities is expected, got {fitted!r}"
        )
    return FittedEstimator(fitted)


def _columns_first(pipeline: "Pipeline") -> tuple[list[Any], list[Any]]:
    """What takes a table's columns, if the pipeline begins with it, and the other steps."""
    from sklearn.compose import ColumnTransformer

    is_table = isinstance(pipeline.steps[0][1], ColumnTransformer)
    return pipeline.steps[:is_table], pipeline.steps[is_table:]


def _to(kind: str) -> "FunctionTransformer":
    from sklearn.preprocessing import FunctionTransformer

    # A numpy function, because skops trusts these: the plus sign, which changes nothing.
    return FunctionTransformer(np.positive, validate=True, kw_args={"dtype": kind})


_ROWS = {"_fit_X", "support_vectors_", "X_train_", "X_fit_", "X_"}
"""Where scikit-learn's neighbours, support vectors, processes and propagations keep rows."""


def _keeps_rows(value: Any) -> bool:
    if isinstance(value, list | tuple):
        return any(map(_keeps_rows, value))
    if not type(value).__module__.startswith("sklearn") or not hasattr(value, "__dict__"):
        return False
    own = vars(value)
    return not _ROWS.isdisjoint(own) or any(map(_keeps_rows, own.values()))


def require_servable(
    model: Model, classes: Classes, example: Any, *, may_keep_rows: bool = True
) -> None:
    """Refuse a model that can't be registered, before anything is written.

    It must give probabilities, and hold neither a type that isn't trusted nor rows that it may not
    keep.
    """
    if not may_keep_rows and _keeps_rows(model.estimator(classes)):
        raise StoreError(
            "a registered model must not keep a table's rows unless report.rows is true, and"
            " neighbours, kernels and support vectors are rows: choose another classifier, or set"
            " report.rows to true in params.yaml"
        )
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


def _unlisted_types(model: Model, served: "Pipeline") -> list[str]:
    """The types in it that skops doesn't trust by itself."""
    if isinstance(model, LinearClassifier) and model.features is None:
        return []
    import skops.io  # with all of scikit-learn: a second

    return list(skops.io.get_untrusted_types(data=skops.io.dumps(served)))


@contextmanager
def _environment_known() -> Iterator[None]:
    """Let MLflow read no list of all files of all packages, most of a second, meanwhile.

    It would look whether the requirements are those installed, which `stored_files.required` says.
    """
    from mlflow.utils import requirements_utils

    told, name = vars(requirements_utils), "_MODULES_TO_PACKAGES"
    known = told.get(name)
    told[name] = known or {}
    try:
        yield
    finally:
        told[name] = known


@_environment_known()
def write_model(
    folder: Path, model: Model, evidence: Evidence, *, card: str, example: Any, ids: tuple[str, str]
) -> None:
    """Write a model's folder: MLflow's files, the evidence and the card.

    It needs scikit-learn, skops and mlflow to be served, and answers probabilities. The signature
    tells the answer alone, whose columns bear the classes' names, see the module; what goes in is
    told by the metadata, the example, which is a few images or a made-up row of a table, and the
    card. ``ids`` are MLflow's run and logged
    model, for its own file.
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
        signature=ModelSignature(
            outputs=Schema([ColSpec("double", str(each)) for each in evidence.classes])
        ),
        input_example=example if evidence.data.table else example.astype(np.float64),
        pip_requirements=stored_files.required(),
        pyfunc_predict_fn=stored_files.PREDICT,
        metadata=_described(evidence),
        mlflow_model=Model(artifact_path="model", run_id=ids[0], model_id=ids[1]),
    )
    (folder / stored_files.EVIDENCE).write_bytes(evidence.to_bytes())
    (folder / stored_files.CARD).write_text(card, encoding="utf-8")


def _described(evidence: Evidence) -> dict[str, str]:
    shape, table = evidence.data.image_shape, evidence.data.table
    told = (
        f"rows of {math.prod(shape)} raw pixels, 0 to 255:"
        f" {' x '.join(map(str, shape))}, flattened row by row; neither divided nor inverted, as"
        " in the files that it learned from"
    )
    if table is not None:
        named = ", ".join(f"{name} ({kind})" for name, kind in table.columns)
        told = f"a table's columns by name, in any order, missing values as null: {named}"
    return {
        "input": told,
        "output": f"probabilities of {', '.join(map(str, evidence.classes))}, in this order",
        "classes": json.dumps(evidence.classes, ensure_ascii=False),
    }


def read_model(folder: Path) -> StoredModel:
    """Read a model's folder; every type in it is looked at before anything is constructed.

    Raises
    ------
    StoreRefused
        A file is missing or damaged, or the model isn't stored in skops format with scikit-learn's
        and numpy's own types alone. Nothing of it was run then.
    """
    import skops.io

    with store_faults(f"reading the model's files in {folder}"):
        try:
            evidence = Evidence.from_bytes((folder / stored_files.EVIDENCE).read_bytes())
            _check_description(folder, evidence)
            file = folder / stored_files.SKOPS
            with zipfile.ZipFile(file) as archive:
                check_growth(archive, file.stat().st_size)
            needed = skops.io.get_untrusted_types(file=file)
            if foreign := [name for name in needed if name not in _TRUSTED]:
                raise StoreRefused(
                    f"{file} must hold scikit-learn's and numpy's types alone, got"
                    f" {', '.join(foreign[:3])}: don't load or serve this version"
                )
            pipeline = skops.io.load(file, trusted=needed)
            return StoredModel(pipeline, _model_of(pipeline), evidence)
        except _MALFORMED as error:
            raise StoreRefused(
                f"{folder} must hold a model as foldwise wrote it, reading gave {error!r:.200}:"
                " don't load or serve this version"
            ) from error


def _check_description(folder: Path, evidence: Evidence) -> None:
    """See that the files which say how a version is served say what `write_model` made them say."""
    told = _described_in(folder)
    needs = told["requirements"]
    allowed = {**_ALLOWED, "signature": told.get("signature"), "requirements": needs}
    if evidence.data.table is not None:
        allowed["saved_input_example_info"] = _OF_FRAME
    allowed["conda"] = {**_ALLOWED["conda"], "dependencies": ["python", "pip", {"pip": needs}]}
    pinned = {match[1] for match in map(_PINNED.fullmatch, needs) if match}
    wrong = {name: told.get(name) for name in allowed | told if told.get(name) != allowed.get(name)}
    if told.get("signature") not in _signatures(evidence.classes):
        wrong["signature"] = told.get("signature")
    if len(needs) != len(stored_files.SERVED_WITH) or pinned != set(stored_files.SERVED_WITH):
        wrong["requirements"] = needs
    if evidence.served not in ({}, stored_files.serving(sorted(needs))):
        wrong["requirements, as evidence has them"] = needs
    if wrong:
        raise StoreRefused(
            f"{folder}/MLmodel must describe a plain skops model, got {str(wrong)[:300]}:"
            " don't load or serve this version"
        )


def _signatures(classes: Classes) -> list[dict[str, str]]:
    """What a version may say of its answers: whose each is, and until 0.3 only how many."""
    named = [{"type": "double", "name": str(each), "required": True} for each in classes]
    unnamed = [{"type": "double", "required": True}] * len(classes)
    return [{"outputs": json.dumps(of)} for of in (named, unnamed)]


def _described_in(folder: Path) -> dict[str, Any]:
    told: dict[str, Any] = _plain(stored_files.read_yaml(folder / "MLmodel"))
    for name, file in (("conda", "conda.yaml"), ("virtualenv", "python_env.yaml")):
        told[name] = _plain(stored_files.read_yaml(folder / file))
    return told | {"requirements": (folder / "requirements.txt").read_text().split()}


def _plain(said: Any) -> Any:
    """Without what another writing, machine or release says otherwise: versions, ids, words."""
    if isinstance(said, dict):
        return {name: _plain(of) for name, of in said.items() if not _varies(name, of)}
    if isinstance(said, list):
        return [_plain(each) for each in said]
    match = _TOOL.fullmatch(said) if isinstance(said, str) else None
    return match[1] if match else said


def _varies(name: object, said: object) -> bool:
    if name == "metadata" and isinstance(said, dict):
        return all(isinstance(text, str) for pair in said.items() for text in pair)
    if name == "skops_trusted_types" and isinstance(said, list):
        return _TRUSTED.issuperset(map(str, said))
    return said is None or (name in _VARYING and isinstance(said, str | int))


def fetch_evidence(store: Store, version: Version) -> Evidence | None:
    """What a version's evidence says; None if it is lost or can't be read."""
    with TemporaryDirectory(prefix="foldwise-") as folder:
        try:
            files = stored_files.fetch_files(store, version, Path(folder))
            stored = read_bytes(files / stored_files.EVIDENCE)
        except (StoreRefused, OSError):
            return None
    try:
        return Evidence.from_bytes(stored)
    except StoreError:
        return None
