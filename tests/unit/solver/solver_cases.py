"""Small real and made-up data for the solver's tests, and scikit-learn's word on them."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.multiclass import OneVsRestClassifier
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from foldwise.solver.layout import Layout


@dataclass(frozen=True)
class Case:
    """A data set dealt to ``folds`` parts."""

    name: str
    images: NDArray[np.uint8]
    labels: NDArray[np.int64]
    folds: int = 4

    @property
    def classes(self) -> int:
        return int(self.labels.max()) + 1

    @property
    def parts(self) -> list[NDArray[np.int64]]:
        return [np.arange(part, len(self.labels), self.folds) for part in range(self.folds)]

    def layout(self) -> Layout:
        return Layout.build(self.images, self.labels, self.parts, classes=self.classes)

    def training_rows(self, left_out: frozenset[int]) -> NDArray[np.int64]:
        used = [rows for part, rows in enumerate(self.parts) if part not in left_out]
        return np.sort(np.concatenate(used))


def digits(rows: int = 600) -> Case:
    data = load_digits()
    return Case("digits", data.data[:rows].astype(np.uint8), data.target[:rows].astype(np.int64))


def two_digits() -> Case:
    data = load_digits()
    chosen = data.target < 2
    return Case(
        "two digits", data.data[chosen].astype(np.uint8), data.target[chosen].astype(np.int64)
    )


def sparse_noise() -> Case:
    """Three classes, pixels of all brightnesses, some always dark, one constant, one rare."""
    generator = np.random.default_rng(7)
    labels = generator.integers(0, 3, 300)
    centres = generator.integers(0, 200, (3, 20))
    images = np.clip(centres[labels] + generator.normal(0, 60, (300, 20)), 0, 255)
    images[generator.random(images.shape) < 0.4] = 0
    images[:, 4] = 0
    images[:, 5] = 17
    images[:, 6] = 0
    images[::97, 6] = 9
    return Case("sparse noise", images.astype(np.uint8), labels)


CASES = [digits(), two_digits(), sparse_noise()]


def reference(
    case: Case,
    left_out: frozenset[int],
    *,
    C: float,
    multiclass: str,
    tol: float,
    scale: NDArray[np.float64] | None = None,
) -> Pipeline:
    """Scikit-learn's fit on the same rows, standardised by this scale where one is given."""
    model = LogisticRegression(C=C, tol=tol, max_iter=20_000)
    rows = case.training_rows(left_out)
    ovr = multiclass == "ovr" and case.classes > 2
    images = case.images[rows].astype(np.float64)
    scaler = StandardScaler().fit(images)
    scaler.scale_ = scaler.scale_ if scale is None else scale
    classifier = OneVsRestClassifier(model) if ovr else model
    return make_pipeline(scaler, classifier.fit(scaler.transform(images), case.labels[rows]))
