"""A fitted linear classifier as plain numbers: what the solver gives and everything else uses."""

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

Real = NDArray[np.floating]
Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Flags = NDArray[np.bool_]
Bytes = NDArray[np.uint8]
Multiclass = Literal["multinomial", "ovr"]
Status = Literal["converged", "stalled", "exhausted"]

_BLOCK_ROWS = 512


@dataclass(frozen=True, slots=True, eq=False)
class LinearModel:
    """Standardisation and coefficients of one fit, for raw pixels 0-255.

    ``decision = ((x - mean) / scale) @ coefficients.T + intercepts``; probabilities are the
    softmax of it (multinomial) or normalised sigmoids (one-vs-rest). Two classes: one row of
    coefficients and the sigmoid, as scikit-learn has it.

    Attributes
    ----------
    C : float
        Inverse regularisation strength, in scikit-learn's sense.
    mean, scale : float64 arrays (features,)
        Of the fit's own training rows; a constant pixel has scale 1.
    coefficients : float64 array (classes, features), or (1, features) for two classes
        For standardised pixels.
    intercepts : float64 array (classes,), or (1,)
    """

    C: float
    multiclass: Multiclass
    mean: Floats
    scale: Floats
    coefficients: Floats
    intercepts: Floats


@dataclass(frozen=True, slots=True)
class FitOutcome:
    """How one fit ended.

    Attributes
    ----------
    status : converged, stalled (line search at the limit of the precision) or exhausted (max_iter)
    iterations : int
    evaluations : float
        Passes over the fit's training rows, partial passes counted by their share.
    objective : float
        Mean loss plus penalty at the end.
    """

    status: Status
    iterations: int
    evaluations: float
    objective: float


@dataclass(frozen=True, slots=True, eq=False)
class Fit:
    """One finished fit: which parts it left out, the model, how it ended, and on which device.

    Without a ``device`` it was made by processor cores.
    """

    left_out: frozenset[int]
    model: LinearModel
    outcome: FitOutcome
    device: str | None = None


def decision_scores(model: LinearModel, images: NDArray[Any], rows: Ints | None = None) -> Floats:
    """Linear scores (rows, classes or 1) of raw images (rows, features), in float64.

    Of all, or those with these numbers. Images are converted a block at a time, so that
    memory-mapped ones need not fit in memory. What is missing (NaN) stands for the mean of the
    fit's training rows.
    """
    weights = model.coefficients / model.scale
    offset = model.intercepts - weights @ model.mean
    count = len(images) if rows is None else len(rows)
    scores = np.empty((count, len(weights)))
    for start in range(0, count, _BLOCK_ROWS):
        chosen = slice(start, start + _BLOCK_ROWS)
        block = images[chosen if rows is None else rows[chosen]].astype(np.float64, order="C")
        if images.dtype.kind == "f":
            # Where few are missing, half the time of a masked copy.
            missing = np.flatnonzero(np.isnan(block))
            block.reshape(-1)[missing] = model.mean[missing % images.shape[1]]
        scores[chosen] = block @ weights.T + offset
    return scores


def probabilities(model: LinearModel, images: NDArray[Any], rows: Ints | None = None) -> Floats:
    """Class probabilities (rows, classes) of raw images (rows, features), in float64.

    Of all, or those with these numbers. As scikit-learn's ``predict_proba``: softmax, or for
    one-vs-rest sigmoids divided by their sum (all 0 where none is above 0), or for two classes the
    sigmoid and its complement. Where rounding has made probabilities equal, that of the class which
    has the largest score is the next larger number: so the largest is always what ``predict``
    answers.
    """
    scores = decision_scores(model, images, rows)
    if scores.shape[1] == 1:
        positive = _sigmoid(scores[:, 0])
        shares = np.column_stack([1.0 - positive, positive])
        return with_largest(shares, (scores[:, 0] > 0).astype(np.int64))
    decided = scores.argmax(axis=1)
    if model.multiclass == "ovr":
        shares = _sigmoid(scores)
    else:
        shares = np.exp(scores - scores.max(axis=1, keepdims=True))
    total = shares.sum(axis=1, keepdims=True)
    np.divide(shares, total, out=shares, where=total > 0)
    return with_largest(shares, decided)


def with_largest(shares: Floats, decided: Ints) -> Floats:
    """Let each row's largest share (rows, classes) be that of the class decided on (rows,).

    Those that aren't become the next number after the largest; ``shares`` itself is changed.
    """
    apart = np.flatnonzero(shares.argmax(axis=1) != decided)
    shares[apart, decided[apart]] = np.nextafter(shares[apart].max(axis=1), np.inf)
    return shares


def _sigmoid(scores: Floats) -> Floats:
    return np.asarray(np.exp(-np.logaddexp(0.0, -scores)))
