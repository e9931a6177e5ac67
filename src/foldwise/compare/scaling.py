"""Pixels from 0 to 1: one division for all of them, unlike scikit-learn's scalers."""

from typing import Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, TransformerMixin

Pixels = NDArray[np.float32]


class UnitScaler(TransformerMixin, BaseEstimator):  # type: ignore[misc]  # scikit-learn has no types
    """Divides by the largest pixel of the training rows: 255 for MNIST, 16 for the 8x8 digits.

    Distances between images keep their proportions; scaled pixel by pixel, a pixel that is
    hardly ever lit would count as much as one in the middle.
    """

    def fit(self, pixels: Pixels, _labels: object = None) -> Self:
        """Find the largest pixel."""
        self.largest_ = max(float(pixels.max()), 1.0)
        return self

    def transform(self, pixels: Pixels) -> Pixels:
        """Divide by it."""
        return pixels / np.float32(self.largest_)
