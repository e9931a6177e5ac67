"""polars' own tables, where polars is installed: in `make soak`, as it takes 180 MB of disk."""

from datetime import date, datetime, time, timedelta
from importlib.util import find_spec
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.tree import DecisionTreeClassifier

from foldwise import NestedSearchCV, StandardLogistic
from foldwise.errors import InputError, MissingError

pl: Any = pytest.importorskip("polars", reason="polars is in no lock: it takes 180 MB")
HAS_ARROW = find_spec("pyarrow") is not None
needs_arrow = pytest.mark.skipif(not HAS_ARROW, reason="polars needs pyarrow")

ROWS = 60
DRAWS = np.random.default_rng(0)
Y = np.where(np.arange(ROWS) % 2, "yes", "no")
NUMBERS = DRAWS.normal(size=ROWS) + (Y == "yes")
WORDS = [None if row % 9 == 0 else "cab"[row % 3] for row in range(ROWS)]
TREE = DecisionTreeClassifier(random_state=0)


def table(**more: Any) -> Any:
    """Numbers, half of whole numbers and flags missing, categories of both kinds."""
    gaps = [None if row % 7 == 0 else row % 5 for row in range(ROWS)]
    return pl.DataFrame(
        {
            "number": NUMBERS,
            "half": pl.Series(NUMBERS[::-1].tolist(), dtype=pl.Float32),
            "whole": pl.Series(gaps, dtype=pl.UInt8),
            "flag": [None if of is None else of > 2 for of in gaps],
            "word": pl.Series(WORDS, dtype=pl.Categorical),
            "level": pl.Series(WORDS, dtype=pl.Enum(["c", "b", "a", "never"])),
            **more,
        }
    )


def of_pandas() -> pd.DataFrame:
    """The same rows."""
    gaps = np.array([np.nan if row % 7 == 0 else row % 5 for row in range(ROWS)])
    return pd.DataFrame(
        {
            "number": NUMBERS,
            "half": NUMBERS[::-1].astype(np.float32),
            "whole": gaps,
            "flag": np.where(np.isnan(gaps), np.nan, gaps > 2),
            "word": pd.Categorical(WORDS, categories=["b", "c", "a"]),
            "level": pd.Categorical(WORDS, categories=["c", "b", "a", "never"]),
        }
    )


@needs_arrow
@pytest.mark.parametrize("kind", [None, "Categorical", "Enum"])
def test_polars_frames_are_what_the_same_frames_of_pandas_are(kind: str | None) -> None:
    """Alone and in a search, with a target, groups and weights as polars' series."""
    kinds = {None: pl.String, "Categorical": pl.Categorical, "Enum": pl.Enum(["no", "yes"])}
    y = pl.Series(Y.tolist(), dtype=kinds[kind])
    groups = pl.Series([f"group {row // 2}" for row in range(ROWS)])
    weights = pl.Series([1.0 + row % 3 for row in range(ROWS)])
    model = StandardLogistic().fit(table(), y, sample_weight=weights)
    expected = StandardLogistic().fit(of_pandas(), Y, sample_weight=weights.to_numpy())
    named = dict(zip(expected.encoded_names_, expected.coef_[0], strict=True))
    assert dict(zip(model.encoded_names_, model.coef_[0], strict=True)) == pytest.approx(named)
    assert model.score(table(), y) == expected.score(of_pandas(), Y)
    search = NestedSearchCV(cv=3, n_trials=2).fit(table(), y, groups=groups)
    theirs = NestedSearchCV(cv=3, n_trials=2).fit(of_pandas(), Y, groups=groups.to_list())
    assert search.n_groups_ == theirs.n_groups_ == ROWS // 2
    pd.testing.assert_frame_equal(search.outer_predictions_, theirs.outer_predictions_)
    assert (search.predict(table()) == theirs.predict(of_pandas())).all()


@needs_arrow
def test_an_estimator_that_is_given_gets_the_frame_of_polars_itself() -> None:
    """Which is searched, alone and as a candidate, with workers too."""

    class Typed(DecisionTreeClassifier):  # type: ignore[misc]  # has no types
        def fit(self, X: Any, y: Any) -> Any:
            assert isinstance(X, pl.DataFrame)
            return super().fit(X, y)

    X, asked = table().select(["number", "half"]), {"max_depth": [1, 2]}
    search = NestedSearchCV(Typed(random_state=0), asked, cv=3, n_trials=2, error_score="raise")
    expected = NestedSearchCV(TREE, asked, cv=3, n_trials=2, n_jobs=2)
    expected.fit(of_pandas()[["number", "half"]], Y)
    found = search.fit(X, pl.Series(Y.tolist())).outer_predictions_
    pd.testing.assert_frame_equal(found, expected.outer_predictions_)
    candidates = {"own": (StandardLogistic(), {}), "tree": (TREE, asked)}
    chosen = NestedSearchCV(candidates, cv=3, n_trials=2).fit(X, Y)
    assert set(chosen.selected_) <= {"own", "tree"}


@needs_arrow
@pytest.mark.parametrize(
    ("cells", "told"),
    [
        (["a"] * ROWS, "row 0 has text, 'a': convert it to a number, or the column to .* category"),
        ([None, *[date(2026, 1, 2)] * (ROWS - 1)], "row 1 has a date, '2026-01-02"),
        ([datetime(2026, 1, 2)] * ROWS, "row 0 has a date, '2026-01-02"),  # noqa: DTZ001
        ([time(1, 2)] * ROWS, "row 0 has a date, '01:02:00'"),
        ([timedelta(1)] * ROWS, "row 0 has a date, '1 days"),
        ([[1, 2]] * ROWS, "row 0 has no number"),
        ([{"a": 1}] * ROWS, "row 0 has no number"),
        ([1.0, np.inf] * (ROWS // 2), "row 1 has an infinite number"),
    ],
)
def test_what_is_no_number_is_refused_by_column_and_row(cells: list[Any], told: str) -> None:
    for model in (StandardLogistic(), NestedSearchCV(cv=3, n_trials=1)):
        with pytest.raises(InputError, match=f"column 'bad' must hold finite numbers .*{told}"):
            model.fit(table(bad=cells), Y)


@needs_arrow
def test_a_type_that_pyarrow_lacks_is_one_line_and_cast_it_is_taken() -> None:
    X = table(bad=pl.Series(range(ROWS), dtype=pl.Int128))
    told = "column 'bad' must have a type that pyarrow has, .*: cast it to 64 bits, or leave it out"
    for model in (StandardLogistic(), NestedSearchCV(TREE, {"max_depth": [1]}, cv=3, n_trials=1)):
        with pytest.raises(InputError, match=told):
            model.fit(X, Y)
    StandardLogistic().fit(X.with_columns(pl.col("bad").cast(pl.Int64)), Y)


@needs_arrow
def test_a_target_with_a_gap_and_a_lazy_frame_are_one_line() -> None:
    with pytest.raises(InputError, match="y must have a value for each row, row 0 has none"):
        StandardLogistic().fit(table(), pl.Series([None, *Y[1:].tolist()]))
    with pytest.raises(InputError, match=r"in memory, got a LazyFrame: collect\(\) it first"):
        NestedSearchCV(cv=3, n_trials=1).fit(table().lazy(), Y)


@pytest.mark.skipif(HAS_ARROW, reason="pyarrow is installed")
def test_without_pyarrow_what_polars_needs_is_one_line() -> None:
    for model in (StandardLogistic(), NestedSearchCV(cv=3, n_trials=1)):
        with pytest.raises(MissingError, match=r"polars needs pyarrow, .* -m pip install pyarrow`"):
            model.fit(table(), Y)
