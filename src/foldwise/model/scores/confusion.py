"""Who was taken for whom: predicted classes, the confusion matrix, and ratios of its counts."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


def predicted_codes(probabilities: NDArray[np.float64]) -> NDArray[np.int64]:
    """Most probable class of each row of probabilities (rows, classes); the first one if tied."""
    return np.asarray(probabilities.argmax(axis=1), dtype=np.int64)


def confusion(probabilities: NDArray[np.float64], labels: NDArray[np.int64]) -> NDArray[np.int64]:
    """Rows counted by true (first axis) and predicted class: an array (classes, classes)."""
    classes = probabilities.shape[1]
    cells = np.asarray(labels, dtype=np.int64) * classes + predicted_codes(probabilities)
    return np.bincount(cells, minlength=classes * classes).reshape(classes, classes)


@dataclass(frozen=True, slots=True, eq=False)
class ClassCounts:
    """What precision, recall and F1 are made of, counted per class.

    The arrays end in an axis of classes; axes before it are separate cases (bootstrap draws).
    Counts may be weighted.

    Attributes
    ----------
    hits : rows of the class that were predicted as it
    true : rows of the class
    predicted : rows predicted as it
    """

    hits: NDArray[np.float64]
    true: NDArray[np.float64]
    predicted: NDArray[np.float64]

    @classmethod
    def of(cls, counts: NDArray[np.int64]) -> "ClassCounts":
        """Counts of a confusion matrix."""
        whole = counts.astype(np.float64)
        return cls(np.diagonal(whole).copy(), whole.sum(axis=1), whole.sum(axis=0))

    @property
    def precision(self) -> NDArray[np.float64]:
        """Share of the rows predicted as the class that are of it; 0 if there are none."""
        return _ratio(self.hits, self.predicted)

    @property
    def recall(self) -> NDArray[np.float64]:
        """Share of the class's rows that were predicted as it; 0 if there are none."""
        return _ratio(self.hits, self.true)

    @property
    def f1(self) -> NDArray[np.float64]:
        """Harmonic mean of precision and recall; 0 if the class neither occurs nor is predicted."""
        return _ratio(2 * self.hits, self.true + self.predicted)

    @property
    def accuracy(self) -> NDArray[np.float64]:
        """Share of all rows that were predicted right."""
        return np.asarray(self.hits.sum(axis=-1) / self.true.sum(axis=-1))

    def macro(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Unweighted mean of per-class values over the classes that occur or are predicted.

        As scikit-learn's ``average="macro"``.
        """
        counted = self.true + self.predicted > 0
        return np.asarray((values * counted).sum(axis=-1) / counted.sum(axis=-1))


def _ratio(part: NDArray[np.float64], whole: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.divide(part, whole, out=np.zeros_like(part), where=whole > 0)
