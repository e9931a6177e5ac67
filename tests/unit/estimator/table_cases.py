"""Tables as people have them: groups, gaps and categories, from a seed."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.compose import make_column_selector, make_column_transformer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import make_scorer
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.utils.class_weight import compute_sample_weight

from foldwise import StandardLogistic


@dataclass(frozen=True)
class Table:
    """A data frame, its target and the rows' groups."""

    X: pd.DataFrame
    y: NDArray[Any]
    groups: NDArray[np.int64]


def seeded(seed: int = 1, *, rows: int = 240, classes: int = 2) -> Table:
    """Numbers of all scales, a tenth of them missing, a column that is constant, two categories."""
    draws = np.random.default_rng(seed)
    groups = draws.integers(0, rows // 4, rows)
    labels = (draws.normal(size=rows // 4)[groups] + draws.normal(size=rows)).argsort().argsort()
    y = labels * classes // rows
    numbers = draws.normal(size=(rows, 5)) + np.outer(y, [1, 0.5, 0, -1, 0.2])
    numbers = numbers * [1, 1e-6, 1e4, 10, 1] + [0, 0, 1e6, -5, 3]
    numbers[draws.random(numbers.shape) < 0.1] = np.nan
    X = pd.DataFrame(numbers, columns=[f"number {each}" for each in range(5)])
    X["constant"] = 7.0
    X["whole"] = draws.integers(0, 9, rows)
    X["colour"] = pd.Categorical(
        np.array(["blue", "green", "red"])[(y + draws.integers(0, 2, rows)) % 3]
    )
    rare = np.where(draws.random(rows) < 0.02, "rare", np.where(draws.random(rows) < 0.5, "a", "b"))
    X["kind"] = pd.Categorical(rare)
    return Table(X, np.array(["no", "yes", "perhaps", "often"])[y], groups)


def by_scikit_learn(*, indicators: bool = False, **logistic: Any) -> Pipeline:
    """The same estimator in scikit-learn's own parts."""
    numbers = make_pipeline(SimpleImputer(add_indicator=indicators), StandardScaler())
    columns = make_column_transformer(
        (numbers, make_column_selector(dtype_include=["number", "bool"])),
        (OneHotEncoder(handle_unknown="ignore"), make_column_selector(dtype_include="category")),
    )
    return make_pipeline(columns, LogisticRegression(max_iter=10_000, **logistic))


def balanced(y: NDArray[Any], answers: NDArray[Any]) -> float:
    """Mean recall, a hundred times as fast as balanced_accuracy: a threshold asks for hundreds."""
    return float(np.mean([np.mean(answers[y == each] == each) for each in np.unique(y)]))


BALANCED = make_scorer(balanced)


def slope(model: StandardLogistic, X: pd.DataFrame, y: NDArray[Any]) -> float:
    """Largest entry of the gradient of scikit-learn's objective, on what its own parts make of X.

    It is what scikit-learn's fits stop by.
    """
    encoder = by_scikit_learn(indicators=model.indicators)[0].fit(X)
    weights = compute_sample_weight(model.class_weight, y)
    residual = model.predict_proba(X) - (y[:, np.newaxis] == model.classes_)
    residual = (weights[:, np.newaxis] * residual)[:, -len(model.coef_) :]
    of_weights = residual.T @ encoder.transform(X) + model.coef_ / model.C
    return float(max(abs(of_weights).max(), abs(residual.sum(axis=0)).max()) / weights.sum())
