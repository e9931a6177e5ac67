"""A classifier that names classes and no scores."""

from typing import Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClassifierMixin


class Silent(ClassifierMixin, BaseEstimator):  # type: ignore[misc]  # scikit-learn has no types
    def __init__(self, C: float = 1.0) -> None:
        self.C = C

    def fit(self, _images: NDArray[np.float32], _labels: NDArray[np.float32]) -> Self:
        return self

    def predict(self, images: NDArray[np.float32]) -> NDArray[np.float64]:
        return np.zeros(len(images))
