"""Whether probabilities can be taken at their word: the reliability table and its summary."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from foldwise.model.scores.confusion import predicted_codes


@dataclass(frozen=True, slots=True)
class ReliabilityBin:
    """The rows whose confidence, the probability of the predicted class, lies in (low, high].

    ``confidence`` is their mean confidence, ``accuracy`` the share predicted right.
    """

    low: float
    high: float
    rows: int
    confidence: float
    accuracy: float


def reliability(
    probabilities: NDArray[np.float64], labels: NDArray[np.int64], bins: int = 15
) -> tuple[ReliabilityBin, ...]:
    """Confidence against accuracy in ``bins`` equal slices of [0, 1]; empty ones are left out."""
    confidence = probabilities.max(axis=1)
    right = predicted_codes(probabilities) == labels
    slices = np.clip(np.ceil(confidence * bins).astype(np.int64) - 1, 0, bins - 1)
    rows = np.bincount(slices, minlength=bins)
    stated = np.bincount(slices, weights=confidence, minlength=bins)
    found = np.bincount(slices, weights=right, minlength=bins)
    return tuple(
        ReliabilityBin(
            low=index / bins,
            high=(index + 1) / bins,
            rows=int(rows[index]),
            confidence=float(stated[index] / rows[index]),
            accuracy=float(found[index] / rows[index]),
        )
        for index in np.flatnonzero(rows)
    )


def calibration_error(
    probabilities: NDArray[np.float64], labels: NDArray[np.int64], bins: int = 15
) -> float:
    """Expected calibration error of the predicted class, the mean of |accuracy - confidence|.

    Each row counts with the difference of its slice in :func:`reliability` (Guo et al., 2017, "On
    calibration of modern neural networks"). Depends on ``bins``, and is above 0 by chance alone.
    """
    table = reliability(probabilities, labels, bins)
    return sum(each.rows * abs(each.accuracy - each.confidence) for each in table) / len(labels)
