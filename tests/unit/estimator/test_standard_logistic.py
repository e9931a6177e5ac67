"""The default estimator against scikit-learn's imputer, encoder, scaler and logistic regression."""

from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.datasets import load_breast_cancer, load_digits, load_iris, load_wine
from sklearn.linear_model import LogisticRegression
from sklearn.tree import DecisionTreeClassifier

from foldwise import NestedSearchCV, StandardLogistic
from foldwise.errors import InputError, MissingError
from foldwise.logistic import Rows
from foldwise.solver import fits
from foldwise.solver.objective import Tiling
from tests.unit.estimator.table_cases import by_scikit_learn, seeded, slope

DAYS = [date(2026, 1, day) for day in (1, 2, 3, 4)]
# The largest entry of a gradient is below 1e-4, and the penalty's curvature is 1 / (C n).
CLOSE = 5e-3


@pytest.mark.parametrize("load", [load_breast_cancer, load_digits, load_iris, load_wine])
@pytest.mark.parametrize("class_weight", [None, "balanced"])
def test_on_scikit_learns_data_it_says_what_scikit_learn_does(load: Any, class_weight: Any) -> None:
    """To the tolerance that its own fits stop by."""
    X, y = load(return_X_y=True, as_frame=True)
    model = StandardLogistic(C=0.5, class_weight=class_weight).fit(X, y)
    assert slope(model, X, y.to_numpy()) < 1e-4


@pytest.mark.parametrize("load", [load_breast_cancer, load_digits, load_wine])
def test_a_large_table_is_solved_to_the_tolerance_too(
    load: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In single precision, if the machine's tiles are narrow."""
    monkeypatch.setattr(fits, "SINGLE_FROM", 0)
    X, y = load(return_X_y=True, as_frame=True)
    model = StandardLogistic(C=0.5).fit(X, y)
    assert slope(model, X, y.to_numpy()) < 1.01e-4


@pytest.mark.parametrize("given", [{}, {"class_weight": {"no": 3e30}}, {"sample_weight": 1e30}])
def test_weights_of_somebodys_own_may_be_of_any_size(
    given: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A large table with them is solved in double precision."""
    monkeypatch.setattr(fits, "SINGLE_FROM", 0)
    monkeypatch.setattr(fits, "tiling", lambda _: Tiling(1, 1))
    table, logistic = seeded(classes=2), StandardLogistic(class_weight=given.get("class_weight"))
    weights = np.full(len(table.y), given["sample_weight"]) if "sample_weight" in given else None
    rows = Rows.of(logistic, (table.X, table.y, weights), indicators=False)
    _, options = rows.arranged(logistic, [np.arange(len(table.y))])
    assert options.double == bool(given)
    logistic.fit(table.X, table.y, weights)
    assert np.isfinite(logistic.predict_proba(table.X)).all()


@pytest.mark.parametrize(
    ("indicators", "classes", "class_weight"),
    [
        (False, 2, None),
        (True, 2, "balanced"),
        (False, 2, {"no": 3.0}),
        (False, 4, "balanced"),
        (True, 4, None),
        (True, 4, {"no": 3.0}),
    ],
)
def test_gaps_and_categories_are_what_scikit_learn_makes_of_them(
    indicators: Any, classes: int, class_weight: Any
) -> None:
    """Also of rows that it hasn't seen, with a category that no training row has."""
    table = seeded(classes=classes)
    seen = (table.X["kind"] != "rare") & (np.arange(len(table.y)) % 3 > 0)
    ours = StandardLogistic(C=0.3, indicators=indicators, class_weight=class_weight)
    theirs = by_scikit_learn(C=0.3, indicators=indicators, class_weight=class_weight, tol=1e-8)
    for each in (ours, theirs):
        each.fit(table.X[seen], table.y[seen])
    assert (table.X["kind"] == "rare").any()
    expected = theirs.predict_proba(table.X)
    np.testing.assert_allclose(ours.predict_proba(table.X), expected, atol=CLOSE)


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=30)
def test_a_weight_counts_a_row_so_often(seed: int) -> None:
    """In means, deviations and losses: 0 leaves it out, 2 is the row twice."""
    table = seeded(seed, rows=60)
    weights = np.random.default_rng(seed).integers(0, 3, 60)
    weights[np.unique(table.y, return_index=True)[1]] = 1
    weighted = StandardLogistic().fit(table.X, table.y, sample_weight=weights)
    often = np.repeat(np.arange(60), weights)
    repeated = StandardLogistic().fit(table.X.iloc[often], table.y[often])
    np.testing.assert_allclose(
        weighted.predict_proba(table.X), repeated.predict_proba(table.X), atol=CLOSE
    )


def test_a_large_mean_takes_no_digits() -> None:
    """Seconds since 1970, of a few minutes, are told apart as well as minutes are."""
    draws = np.random.default_rng(0)
    minutes = draws.normal(size=(200, 1))
    y = minutes[:, 0] + draws.normal(size=200) > 0
    told = [StandardLogistic().fit(X, y).predict_proba(X) for X in (minutes, minutes * 60 + 1.7e9)]
    np.testing.assert_allclose(told[0], told[1], atol=1e-6)


@pytest.mark.parametrize(
    "convert",
    [
        lambda X: X.convert_dtypes(),
        lambda X: X.astype({"whole": "float32"}),
        lambda X: X.astype({"whole": bool}).astype({"whole": "Int8"}),
    ],
)
def test_numbers_of_any_type_are_taken(convert: Any) -> None:
    """Nullable ones too, whose gaps are NA."""
    table = seeded()
    X = table.X.drop(columns=["colour", "kind"])
    converted = convert(X)
    expected = StandardLogistic().fit(converted.astype(np.float64), table.y)
    found = StandardLogistic().fit(converted, table.y)
    np.testing.assert_array_equal(found.coef_, expected.coef_)


@pytest.mark.parametrize("kind", ["bool", "uint8", "int8", "int64", "uint64", "float16", "float32"])
def test_arrays_of_any_numeric_type_are_taken(kind: str) -> None:
    """As what they are in float64."""
    X = np.random.default_rng(0).integers(0, 2, size=(40, 3)).astype(kind)
    y = np.arange(40) % 2
    told = [StandardLogistic().fit(each, y).predict_proba(each) for each in (X, X.astype(float))]
    np.testing.assert_array_equal(*told)


def test_arrow_tables_are_taken() -> None:
    """Dictionaries are categories."""
    pyarrow = pytest.importorskip("pyarrow")
    table = seeded()
    arrow = pyarrow.Table.from_pandas(table.X, preserve_index=False)
    expected = StandardLogistic().fit(table.X, table.y).predict_proba(table.X)
    np.testing.assert_array_equal(
        StandardLogistic().fit(arrow, table.y).predict_proba(arrow), expected
    )


@pytest.mark.parametrize(
    ("cells", "told"),
    [
        (["1", "2", "three", "4"], r"row 0 has text, '1': convert it to a number, or the column"),
        (np.array([1.0, 2.0, np.inf, 4.0]), r"row 2 has an infinite number, 'inf': put a number"),
        (pd.to_datetime(["2026-01-01"] * 4), r"row 0 has a date, '2026-01-01 00:00:00': convert"),
        ([1.0, None, "x", 2.0], r"row 2 has text, 'x'"),
        (pd.Series([1.0, 10**400, 3.0, 4.0], dtype=object), r"row 1 has an infinite number, '10"),
        (DAYS, r"row 0 has a date, '2026-01-01': convert"),
        (pd.period_range("2026-01-01", periods=4), r"row 0 has a date, '2026-01-01': convert"),
        ([1.0, {"low": 2}, 3.0, 4.0], r"row 1 has no number, .* make a column of each number"),
        ([1.0, None, 3.0, [4.0]], r"row 3 has no number, '\[4.0\]'"),
        ([1.0, 2.0, 3j, 4.0], r"row 0 has a complex number, '\(1\+0j\)': make two columns"),
        (pd.Series([1.0, 2.0, 3j, 4], dtype=object), r"row 2 has a complex number, '3j'"),
    ],
)
def test_what_is_no_number_is_refused_by_column_and_row(cells: Any, told: str) -> None:
    X = pd.DataFrame({"good": [1.0, 2.0, 3.0, 4.0], "bad": cells})
    with pytest.raises(InputError, match=f"column 'bad' must hold finite numbers .*{told}"):
        StandardLogistic().fit(X, [0, 1, 0, 1])


@pytest.mark.parametrize(
    ("cells", "kind", "told"),
    [
        ([None, *DAYS[1:]], "timestamp[ns][pyarrow]", "row 1 has a date, '2026"),
        ([timedelta(1)] * 4, "duration[ns][pyarrow]", "row 0 has a date, '1 day"),
        (DAYS, "date32[pyarrow]", "row 0 has a date, '2026-01-01': convert"),
    ],
)
def test_dates_of_arrows_types_are_refused(cells: Any, kind: str, told: str) -> None:
    pytest.importorskip("pyarrow")  # without it pandas has no such types
    X = pd.DataFrame({"good": [1.0, 2.0, 3.0, 4.0], "bad": pd.Series(cells, dtype=kind)})
    with pytest.raises(InputError, match=f"column 'bad' must hold finite numbers .*{told}"):
        StandardLogistic().fit(X, [0, 1, 0, 1])


def test_an_arrow_table_with_a_column_of_dates_is_refused() -> None:
    arrow = pytest.importorskip("pyarrow").table({"good": [1.0, 2.0, 3.0, 4.0], "bad": DAYS})
    with pytest.raises(InputError, match=r"column 'bad' .* row 0 has a date, '2026-01-01'"):
        StandardLogistic().fit(arrow, [0, 1, 0, 1])


def test_decimals_and_what_is_missing_in_any_way_are_numbers() -> None:
    """Of any type: a column of missing dates holds no date."""
    cells = pd.DataFrame({
        "decimal": [Decimal(1), None, pd.NA, Decimal("2.5")],
        "never": pd.Series([pd.NaT] * 4, dtype="datetime64[ns]"),
    })  # fmt: skip
    numbers = pd.DataFrame({"decimal": [1.0, np.nan, np.nan, 2.5], "never": [np.nan] * 4})
    with pytest.warns(UserWarning, match="column 'never' has no value"):
        found, expected = (StandardLogistic().fit(X, [0, 1, 0, 1]) for X in (cells, numbers))
    np.testing.assert_array_equal(found.coef_, expected.coef_)


def test_the_remedies_for_text_and_infinities_help() -> None:
    X = pd.DataFrame({"word": ["a", "b", "a", "b"], "number": [1.0, np.inf, 3.0, 4.0]})
    mended = X.astype({"word": "category"}).replace(np.inf, np.nan)
    assert StandardLogistic().fit(mended, [0, 1, 0, 1]).predict(mended).tolist() == [0, 1, 0, 1]


def test_a_class_weight_of_no_class_is_refused() -> None:
    with pytest.raises(InputError, match=r"must name classes of y, got maybe: name some of 0, 1"):
        StandardLogistic(class_weight={"maybe": 2}).fit([[1.0], [2.0]], [0, 1])


@pytest.mark.parametrize("weights", [(-1, 1), (np.nan, 1), (np.inf, 1), (0, 0)])
def test_a_class_weight_that_counts_no_rows_is_refused(weights: tuple[float, float]) -> None:
    """Alone and in a search. A class may count nothing, but not all of them."""
    asked, told = dict(enumerate(weights)), "class_weight must be numbers from 0 on, .*: 1 is a"
    X, y = np.arange(12.0)[:, np.newaxis], [0, 1] * 6
    model = StandardLogistic(class_weight=asked)
    for each in (model, NestedSearchCV(model, cv=3, n_trials=1)):
        with pytest.raises(InputError, match=told):
            each.fit(X, y)


@pytest.mark.parametrize("strength", [0, -1.0, np.nan, "1", None])
def test_a_strength_that_is_none_is_refused(strength: Any) -> None:
    with pytest.raises(InputError, match=r"C must be a number above 0, got .*: raise it"):
        StandardLogistic(C=strength).fit([[1.0], [2.0]], [0, 1])


@pytest.mark.filterwarnings("ignore:X does not have valid feature names")
def test_an_array_is_what_the_frame_that_it_comes_from_is() -> None:
    """Also where a category has values that are missing."""
    sites = pd.Categorical(["a", None, "a", "b"])
    X = pd.DataFrame({"number": [1.0, 2.0, 3.0, 4.0], "site": sites})
    model = StandardLogistic().fit(X, [0, 1, 0, 1])
    np.testing.assert_array_equal(model.predict_proba(X.to_numpy()), model.predict_proba(X))


def test_a_single_class_is_named_as_it_was_given() -> None:
    with pytest.raises(InputError, match="got one class, 7: there"):
        StandardLogistic().fit([[1.0], [2.0]], [7, 7])


class Frame:
    """A table of another library, which pandas can be made of."""

    def __init__(self, table: pd.DataFrame) -> None:
        self.table, self.shape = table, table.shape

    def to_pandas(self) -> pd.DataFrame:
        return self.table


def test_whatever_pandas_can_be_made_of_is_taken() -> None:
    table = seeded()
    expected = StandardLogistic().fit(table.X, table.y)
    found = StandardLogistic().fit(Frame(table.X), table.y)
    np.testing.assert_array_equal(
        found.predict_proba(Frame(table.X)), expected.predict_proba(table.X)
    )


class BareFrame(Frame):
    """One of polars', where pyarrow isn't installed."""

    __module__ = "polars.dataframe.frame"

    def __len__(self) -> int:
        return len(self.table)

    def __getitem__(self, rows: Any) -> Any:
        return self.table.iloc[rows]

    def to_pandas(self) -> pd.DataFrame:
        raise ModuleNotFoundError("No module named 'pyarrow'", name="pyarrow")


class LazyFrame:
    """A table that isn't there yet, as polars has them."""

    def collect(self) -> Frame:
        return Frame(seeded().X)


@pytest.mark.parametrize(
    "model",
    [
        StandardLogistic(),
        NestedSearchCV(cv=3, n_trials=1),
        NestedSearchCV(DecisionTreeClassifier(), {"max_depth": [1]}, cv=3, n_trials=1),
    ],
    ids=["model", "search", "given"],
)
def test_what_a_table_of_polars_needs_is_one_line(model: Any) -> None:
    """A lazy one is to be collected, which helps."""
    table = seeded()
    with pytest.raises(MissingError, match=r"polars needs pyarrow, .*`\S+ -m pip install pyarrow`"):
        model.fit(BareFrame(table.X), table.y)
    with pytest.raises(InputError, match=r"in memory, got a LazyFrame: collect\(\) it first"):
        model.fit(LazyFrame(), table.y)
    assert StandardLogistic().fit(LazyFrame().collect(), table.y).classes_.size == 2


def test_no_number_is_divided_by_less_than_the_floor() -> None:
    """A share of the column's range among rows that count; categories are taken as they are."""
    table = seeded()
    seldom = (np.arange(len(table.y)) == 7) * 5.0
    X = table.X[["number 0", "whole", "kind"]].assign(seldom=seldom).fillna({"number 0": 0.0})
    weights = np.where(np.arange(len(table.y)) == 9, 0.0, 1.0)
    X.loc[9, "whole"] = 1e6
    counted = X[weights > 0]
    numbers = counted.drop(columns="kind")
    spread = np.maximum(numbers.std(ddof=0), 0.2 * (numbers.max() - numbers.min()))
    assert spread["seldom"] == 1.0 > 3 * numbers["seldom"].std()
    kinds = pd.get_dummies(X["kind"].astype(object))
    scaled = ((X.drop(columns="kind") - numbers.mean()) / spread).join(kinds)
    theirs = LogisticRegression(C=0.5, tol=1e-8, max_iter=10_000)
    theirs.fit(scaled[weights > 0], table.y[weights > 0])
    ours = StandardLogistic(C=0.5, scale_floor=0.2).fit(X, table.y, sample_weight=weights)
    np.testing.assert_allclose(
        ours.predict_proba(counted), theirs.predict_proba(scaled[weights > 0]), atol=CLOSE
    )


def test_a_floor_that_is_no_share_is_refused() -> None:
    with pytest.raises(InputError, match=r"scale_floor must be a share .*, got 1.5: give 0 for"):
        StandardLogistic(scale_floor=1.5).fit([[1.0], [2.0]], [0, 1])
