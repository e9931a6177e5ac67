"""What a fitted pipeline says of images: probabilities, or decision scores where it has none."""

from collections.abc import Iterator
from concurrent.futures import Executor
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from foldwise.stats.scores import Scores, score

_BLOCK_ROWS = 1000


@dataclass(frozen=True, slots=True, eq=False)
class Predictions:
    """One value a row and class, the largest being the predicted class's.

    Attributes
    ----------
    values : float64 array (rows, classes)
    are_probabilities : bool
        If not, they are decision scores: they rank rows, but have no log-loss and no calibration.
    """

    values: NDArray[np.float64]
    are_probabilities: bool

    def scored(self, labels: NDArray[np.int64]) -> Scores:
        """The six metrics; the log-loss is NaN for decision scores."""
        scores = score(self.values, labels)
        return scores if self.are_probabilities else replace(scores, log_loss=float("nan"))


def predict(fitted: Any, images: NDArray[np.uint8]) -> Predictions:
    """Predict raw images (rows, features) by a fitted pipeline."""
    pixels = images.astype(np.float32)
    if hasattr(fitted, "predict_proba"):
        return Predictions(
            np.asarray(fitted.predict_proba(pixels), np.float64), are_probabilities=True
        )
    scores = np.asarray(fitted.decision_function(pixels), np.float64)
    if scores.ndim == 1:  # two classes: one score, of the second against the first
        scores = np.column_stack([-scores, scores])
    return Predictions(scores, are_probabilities=False)


def predict_in_blocks(
    fitted: Any, images: NDArray[np.uint8], pool: Executor
) -> Iterator[Predictions]:
    """Predict blocks of rows side by side, and give them in their order."""
    starts = range(0, len(images), _BLOCK_ROWS)
    blocks = (images[start : start + _BLOCK_ROWS] for start in starts)
    yield from pool.map(lambda block: predict(fitted, block), blocks)


def joined(blocks: list[Predictions]) -> Predictions:
    """Blocks as one."""
    values = np.concatenate([block.values for block in blocks])
    return Predictions(values, blocks[0].are_probabilities)
