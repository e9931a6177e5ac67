"""Predictions to score: probabilities and labels of many shapes, with and without ties."""

import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray

Predictions = tuple[NDArray[np.float64], NDArray[np.int64]]


def draw_predictions(seed: int, *, rows: int, classes: int, coarse: bool = False) -> Predictions:
    """Softmax probabilities that know something of the labels; ``coarse`` ones have many ties."""
    draws = np.random.default_rng(seed)
    labels = draws.integers(0, classes, rows)
    scores = draws.normal(size=(rows, classes))
    scores[np.arange(rows), labels] += 1.5
    if coarse:
        scores = np.round(scores)
    weights = np.exp(scores)
    return weights / weights.sum(axis=1, keepdims=True), labels


@st.composite
def predictions(draw: st.DrawFn, *, least_classes: int = 2) -> Predictions:
    """Probabilities and labels in which every class occurs."""
    classes = draw(st.integers(least_classes, 6))
    rows = draw(st.integers(2 * classes, 80))
    seed, coarse = draw(st.integers(0, 2**32 - 1)), draw(st.booleans())
    found, labels = draw_predictions(seed, rows=rows, classes=classes, coarse=coarse)
    labels[:classes] = np.arange(classes)
    return found, labels
