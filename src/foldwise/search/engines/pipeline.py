"""The batched solver's model as a stock scikit-learn Pipeline: serving it needs no foldwise."""

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import issparse
from sklearn.linear_model import LogisticRegression
from sklearn.multiclass import OneVsRestClassifier
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import LabelBinarizer, StandardScaler

from foldwise.search.jobs import Classes
from foldwise.solver.linear import LinearModel, Multiclass

Steps = Sequence[tuple[str, Any]]


def to_pipeline(model: LinearModel, classes: Classes, *, before: Steps = ()) -> Pipeline:
    """Make the fitted ``Pipeline(StandardScaler, classifier)`` that computes what ``model`` does.

    The classifier is a LogisticRegression, or for one-vs-rest with three classes and more a
    OneVsRestClassifier of LogisticRegressions. Only what a fit would have learned and prediction
    needs is set: the rows' number and variances, which the model doesn't know, stay unset.

    Parameters
    ----------
    classes : ints or strings (classes,)
        What ``predict`` answers, in the order of the class codes.
    before : sequence of (name, fitted step)
        What the model's features come from.
    """
    labels = np.asarray(classes)
    is_one = len(model.coefficients) == 1 or model.multiclass == "multinomial"
    classifier = (
        _learned(LogisticRegression(C=model.C), model, labels)
        if is_one
        else _one_vs_rest(model, labels)
    )
    scaler = _scaler(StandardScaler(), model)
    return Pipeline([*before, ("scaler", scaler), ("classifier", classifier)])


def as_fitted(pipeline: Pipeline, model: LinearModel, classes: Classes) -> Pipeline:
    """The pipeline of a StandardScaler and a LogisticRegression, as if it had been fitted."""
    _scaler(pipeline[0], model)
    _learned(pipeline[1], model, np.asarray(classes))
    return pipeline


def from_pipeline(pipeline: Pipeline) -> LinearModel:
    """Read the numbers back out of a pipeline made by :func:`to_pipeline`.

    Two classes come back as ``multinomial``, because both kinds are the same sigmoid there.

    Raises
    ------
    ValueError
        The pipeline is not of that form.
    """
    steps = tuple(type(step) for _, step in pipeline.steps)
    if steps not in ((StandardScaler, LogisticRegression), (StandardScaler, OneVsRestClassifier)):
        names = ", ".join(kind.__name__ for kind in steps)
        raise ValueError(f"a StandardScaler and a linear classifier are expected, got {names}")
    scaler, classifier = pipeline[0], pipeline[1]
    multiclass: Multiclass = "multinomial"
    members = [classifier]
    if isinstance(classifier, OneVsRestClassifier):
        multiclass, members = "ovr", classifier.estimators_
    _check_function(scaler, members)
    return LinearModel(
        C=float(members[0].C),
        multiclass=multiclass,
        mean=scaler.mean_,
        scale=scaler.scale_,
        coefficients=np.concatenate([member.coef_ for member in members]),
        intercepts=np.concatenate([member.intercept_ for member in members]),
    )


def linear_model(estimator: Any) -> LinearModel | None:
    """The numbers of a fitted estimator that computes what a linear model does; None of others."""
    try:
        return from_pipeline(estimator)
    except (ValueError, AttributeError):
        return None


def _check_function(scaler: StandardScaler, members: Sequence[Any]) -> None:
    """The numbers are all that there is only if nothing is switched off and no link is another."""
    if not (scaler.with_mean and scaler.with_std):
        raise ValueError("a StandardScaler of mean and deviation is expected, got one of less")
    kinds = {type(member) for member in members}
    if kinds != {LogisticRegression}:
        names = ", ".join(sorted(kind.__name__ for kind in kinds))
        raise ValueError(f"logistic regressions are expected, got {names}")


def content_digest(model: LinearModel, classes: Classes, *, before: Steps = ()) -> str:
    """SHA-256 (hexadecimal) of the function that a model computes.

    Over the link, the classes, and the means, scales, coefficients and intercepts as
    little-endian float64. Two fits that compute the same have the same digest, however they
    were stored; C, which only led there, isn't in it. The steps ``before`` are, if there are any.
    """
    link = "sigmoid" if len(model.coefficients) == 1 else model.multiclass
    head = {"link": link, "classes": list(classes), "features": len(model.mean)}
    digest = hashlib.sha256(json.dumps(head, sort_keys=True).encode())
    for numbers in (model.mean, model.scale, model.coefficients, model.intercepts):
        # Adding zero turns -0.0, which computes the same, into 0.0.
        digest.update(np.ascontiguousarray(numbers + 0.0, dtype="<f8").tobytes())
    return content_of(before, digest) if before else digest.hexdigest()


@dataclass(frozen=True, slots=True, eq=False)
class StockFeatures:
    """Features that scikit-learn's own steps make, as they are read back from a stored model."""

    pipeline: Pipeline

    def transform(self, X: Any) -> NDArray[Any]:
        """Features (rows, features) of raw images (rows, pixels), or of a table's rows."""
        rows = X if hasattr(X, "iloc") else X.astype(np.float64)
        return np.asarray(self.pipeline.transform(rows))

    def stock(self, _mean: object = None) -> list[tuple[str, Any]]:
        """The steps, whose gaps are filled."""
        return list(self.pipeline.steps)


def _scaler(scaler: StandardScaler, model: LinearModel) -> StandardScaler:
    scaler.mean_ = np.array(model.mean)
    scaler.scale_ = np.array(model.scale)
    scaler.n_features_in_ = len(model.mean)
    return scaler


def _learned(
    classifier: LogisticRegression,
    model: LinearModel,
    labels: NDArray[np.generic],
    rows: slice = slice(None),
) -> LogisticRegression:
    classifier.classes_ = labels
    classifier.coef_ = np.array(model.coefficients[rows])
    classifier.intercept_ = np.array(model.intercepts[rows])
    classifier.n_features_in_ = len(model.mean)
    return classifier


def _one_vs_rest(model: LinearModel, labels: NDArray[np.generic]) -> OneVsRestClassifier:
    classifier = OneVsRestClassifier(LogisticRegression(C=model.C))
    classifier.label_binarizer_ = LabelBinarizer(sparse_output=True).fit(labels)
    classifier.classes_ = labels
    classifier.estimators_ = [
        _learned(LogisticRegression(C=model.C), model, np.array([0, 1]), slice(row, row + 1))
        for row in range(len(labels))
    ]
    classifier.n_features_in_ = len(model.mean)
    return classifier


def content_of(value: Any, digest: Any = None) -> str:
    """SHA-256 (hexadecimal) of a value: arrays, numbers, words, estimators, lists of them.

    ``digest`` is one that has seen something before.
    """
    digest = digest or hashlib.sha256()
    for piece in pieces(value):
        digest.update(piece)
    return str(digest.hexdigest())


def pieces(value: Any) -> Iterator[bytes]:
    """What makes a fitted estimator what it is, the same however it was stored."""
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, str | bytes | bool | int | float | None):
        yield repr(value).encode()
    elif isinstance(value, np.ndarray) and value.dtype != object:
        yield from _of_array(value)
    elif isinstance(value, Mapping | set | frozenset | Sequence | np.ndarray):
        yield b"("
        for member in _members(value):
            yield from pieces(member)
            yield b","
        yield b")"
    else:
        yield from _of_object(value)


def _of_array(array: NDArray[Any]) -> Iterator[bytes]:
    if array.dtype.names:
        for name in array.dtype.names:  # field by field: the bytes between them are anybody's
            yield from _of_array(array[name])
    else:
        yield f"{array.dtype.str}{array.shape}".encode()
        yield np.ascontiguousarray(array).tobytes()


def _members(values: Any) -> Iterable[Any]:
    if isinstance(values, Mapping):
        return (item for key in sorted(values, key=repr) for item in (key, values[key]))
    return sorted(values, key=repr) if isinstance(values, set | frozenset) else values


def _of_object(value: Any) -> Iterator[bytes]:
    if isinstance(value, type) or (callable(value) and hasattr(value, "__qualname__")):
        yield f"{value.__module__}.{value.__qualname__}".encode()
        return
    yield type(value).__qualname__.encode()
    if hasattr(value, "get_arrays"):  # a tree of neighbours, whose state counts its queries
        state = value.get_arrays()
    else:
        state = value.tocsr().__dict__ if issparse(value) else value.__getstate__()
    # A date or a ufunc has none, and says in its text alone which one it is; of others the text
    # says where in memory they lie.
    if state is None and " at 0x" not in repr(value):
        state = repr(value)
    if isinstance(state, dict):
        passing = ("_sklearn_version", "_has_")  # the latter: what a sparse matrix knows of itself
        state = {name: of for name, of in state.items() if not name.startswith(passing)}
    yield from pieces(state)
