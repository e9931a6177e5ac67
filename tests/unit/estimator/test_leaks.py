"""Columns made of the target are named; honest ones, however good, are not."""

import warnings
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_breast_cancer, load_digits, load_iris, load_wine
from sklearn.linear_model import Ridge
from sklearn.tree import DecisionTreeClassifier

from foldwise import NestedSearchCV
from foldwise.leaks import telling_columns
from tests.unit.estimator.table_cases import seeded

ROWS = 9_000
DRAWS = np.random.default_rng(0)
RARE = (np.arange(ROWS) % 100 == 0).astype(np.int64)
THREE = np.arange(ROWS) % 3
NOISE = DRAWS.normal(size=ROWS)


@pytest.mark.parametrize("load", [load_breast_cancer, load_digits, load_iris, load_wine])
def test_no_column_of_scikit_learns_data_tells_all(load: Any) -> None:
    """A petal's length tells one of three kinds of iris apart, not the other two."""
    assert telling_columns(*load(return_X_y=True)) == []


@pytest.mark.parametrize("classes", [2, 3, 4])
def test_no_column_of_an_honest_table_tells_all(classes: int) -> None:
    table = seeded(classes=classes)
    X = table.X.assign(name=[f"row {row}" for row in range(len(table.y))], group=table.groups)
    assert telling_columns(X, np.unique(table.y, return_inverse=True)[1]) == []


@pytest.mark.parametrize(
    ("cells", "labels"),
    [
        (RARE + 0.1 * np.tanh(NOISE), RARE),
        (-THREE - 0.4 * np.tanh(NOISE), THREE),
        (pd.Series(np.where(NOISE > 2, np.nan, THREE + 0.0)).astype("Float64").array, THREE),
        (pd.Categorical(np.array(["a", "b", "c"])[THREE]), THREE),
        (np.array(["no", "yes"])[RARE], RARE),
        ((5 * THREE) % 7, THREE),
        (np.where(RARE, np.nan, NOISE), RARE),
        ([None if each else "date" for each in RARE], RARE),
    ],
    ids=["number", "falling", "gaps", "category", "text", "codes", "missing", "missing text"],
)
def test_what_is_made_of_the_target_is_named(cells: Any, labels: Any) -> None:
    X = pd.DataFrame({"noise": NOISE, "leak": cells}, index=np.arange(ROWS) * 2)
    (found,) = telling_columns(X, labels)
    assert found[0] == "leak"
    assert 0.999 <= found[1] <= 1


@pytest.mark.parametrize(
    ("cells", "labels"),
    [
        (np.zeros(ROWS), (np.arange(ROWS) < 6).astype(np.int64)),
        (np.arange(ROWS).astype(str), RARE),
        (np.where(NOISE > 1, np.nan, THREE), THREE),
        (np.where(np.abs(NOISE) > 2.8, 1 - RARE, RARE), RARE),
    ],
    ids=["constant", "names", "mostly gaps", "wrong in one of 200"],
)
def test_what_tells_less_is_not(cells: Any, labels: Any) -> None:
    assert telling_columns(pd.DataFrame({"cells": cells}), labels) == []


@pytest.mark.parametrize("estimator", [None, DecisionTreeClassifier(random_state=0)])
def test_the_search_warns_once_and_the_remedy_helps(estimator: Any) -> None:
    table = seeded()
    X = table.X.select_dtypes("number").assign(leak=(table.y == "yes") * 1.0)
    searched = None if estimator is None else {"max_depth": [2]}
    search = NestedSearchCV(estimator, searched, cv=3, n_trials=1)
    told = "column 'leak' must not tell the classes apart .* in 100.00 % of cases: drop it, unless"
    with pytest.warns(UserWarning, match=told) as caught:
        search.fit(X, table.y)
    assert len(caught) == 1
    assert caught[0].filename == __file__
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        search.fit(X.drop(columns="leak"), table.y)


def test_a_regressors_columns_may_tell_all() -> None:
    y = np.arange(30.0)
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        NestedSearchCV(Ridge(), {"alpha": [1.0]}, cv=3, n_trials=1, scoring="r2").fit(y[:, None], y)


def test_small_tables_and_other_things_are_left_alone() -> None:
    few, rare = np.arange(18) // 9, np.array([0] * 30 + [1] * 4)
    assert telling_columns(few[:, None] * 1.0, few) == []
    assert telling_columns(rare[:, None] * 1.0, rare) == []
    assert telling_columns([[0.0]] * 15 + [[1.0]] * 15, np.repeat([0, 1], 15)) == []
    cells = pd.DataFrame({"lists": [[each] for each in range(30)]})
    assert telling_columns(cells, np.repeat([0, 1], 15)) == []
