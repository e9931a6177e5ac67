"""From a fitted scikit-learn estimator back to the model that it came from."""

from typing import Any

from foldwise.search.engines.batched import LinearClassifier
from foldwise.search.engines.estimator import FittedEstimator
from foldwise.search.engines.pipeline import linear_model
from foldwise.search.jobs import Model


def model_of(estimator: Any) -> Model:
    """The model whose ``estimator`` this is: the batched solver's numbers, or the thing itself."""
    numbers = linear_model(estimator)
    return FittedEstimator(estimator) if numbers is None else LinearClassifier(numbers)
