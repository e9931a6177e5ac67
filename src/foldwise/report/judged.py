"""Images with what a model made of them: who was taken for whom, and how surely."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from foldwise.model.scores import confusion, predicted_codes
from foldwise.report.wording import brief, percent


@dataclass(frozen=True, slots=True)
class Confusion:
    """A pair of classes that was confused: ``share`` is of the actual class's rows."""

    actual: int
    predicted: int
    rows: int
    share: float


@dataclass(frozen=True, slots=True, eq=False)
class Judged:
    """Images, their labels and predicted probabilities.

    Attributes
    ----------
    images : uint8 array (rows, features)
    labels : int64 array (rows,)
        Class codes.
    probabilities : float64 array (rows, classes)
    classes : str, one a class
    shape : tuple of int
        Of one image.
    """

    images: NDArray[np.uint8]
    labels: NDArray[np.int64]
    probabilities: NDArray[np.float64]
    classes: Sequence[str]
    shape: tuple[int, ...]

    def mistakes(self) -> NDArray[np.int64]:
        """Row numbers of the wrong predictions, the most confident first."""
        confidence = self.probabilities.max(axis=1)
        wrong = np.flatnonzero(predicted_codes(self.probabilities) != self.labels)
        return wrong[np.argsort(-confidence[wrong], kind="stable")]

    def mistakes_of(self, pair: Confusion) -> NDArray[np.int64]:
        """Row numbers of one pair's wrong predictions, the most confident first."""
        rows = self.mistakes()
        predicted = predicted_codes(self.probabilities)[rows]
        return np.asarray(rows[(self.labels[rows] == pair.actual) & (predicted == pair.predicted)])

    def confusions(self, count: int) -> tuple[Confusion, ...]:
        """The ``count`` commonest confusions, the commonest first."""
        counts = confusion(self.probabilities, self.labels)
        totals = counts.sum(axis=1)
        pairs = [(row, column) for row, column in np.argwhere(counts > 0) if row != column]
        pairs.sort(key=lambda pair: -counts[pair])
        return tuple(
            Confusion(int(a), int(p), int(counts[a, p]), float(counts[a, p] / totals[a]))
            for a, p in pairs[:count]
        )

    def verdict(self, row: int) -> str:
        """Actual class, predicted class and its probability: ``4 → 9 (98.1 %)``.

        Names too long for one line are put on lines of their own.
        """
        code = int(self.probabilities[row].argmax())
        actual, predicted = brief(self.classes[self.labels[row]]), brief(self.classes[code])
        sure = percent(float(self.probabilities[row, code]))
        if max(map(len, self.classes)) > 3:
            return f"{actual}\n→ {predicted}\n{sure}"
        return f"{actual} → {predicted} ({sure})"
