"""A table on the disk, and its rows as a model takes them."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from foldwise.data.columns import RARE, Columns, told_names, typical
from foldwise.data.dataset import load, load_facts, load_info, write_table
from foldwise.errors import DataError
from foldwise.search.engines.batched import LinearClassifier
from foldwise.search.engines.pipeline import StockFeatures, from_pipeline
from foldwise.solver.linear import LinearModel


def make_frame(rows: int = 60) -> pd.DataFrame:
    """A category of words before a number, one of whole numbers, and gaps in all."""
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(
        {
            "town": pd.Categorical(rng.choice(["b", "a"], rows)),
            "age": rng.normal(50, 10, rows),
            "ward": pd.Categorical(rng.choice(["10", "9"], rows)),
            "level": rng.normal(size=rows),
        }
    )
    return frame.mask(rng.random(frame.shape) < 0.1)


LABELS = np.arange(60) % 2
GROUPS = np.arange(60) // 3 + 5


def write_both(folder: Path, frame: pd.DataFrame) -> None:
    for split in ("development", "holdout"):
        write_table(
            folder / split, frame, LABELS, GROUPS, are_named=True, name="t", classes=("no", "yes")
        )


def make_model(frame: pd.DataFrame) -> LinearClassifier:
    """A linear model of a frame with coefficients of its own for each encoded column."""
    encoder = Columns.ranked(frame)
    encoded = encoder.transform(frame)
    rng, width = np.random.default_rng(1), encoded.shape[1]
    is_scaled = encoder.is_scaled
    mean = np.where(is_scaled, np.nanmean(encoded, axis=0), 0.0)
    scale = np.where(is_scaled, np.nanstd(encoded, axis=0), 1.0)
    numbers = LinearModel(1.0, "multinomial", mean, scale, rng.normal(size=(1, width)), np.ones(1))
    return LinearClassifier(numbers, encoder)


def test_a_table_comes_back_as_it_was_written(tmp_path: Path) -> None:
    """Numbers to the bit, gaps, categories; those written as whole numbers are numbers."""
    frame = make_frame()
    write_both(tmp_path, frame)
    split = load("development", tmp_path)
    expected = frame.assign(
        ward=pd.Categorical(frame["ward"].map({"10": 10, "9": 9}), categories=[9, 10])
    )
    pd.testing.assert_frame_equal(split.images, expected, check_categorical=False)
    assert split.images["ward"].cat.categories.tolist() == [9, 10]
    np.testing.assert_array_equal(split.labels, LABELS)
    assert split.groups is not None
    np.testing.assert_array_equal(split.groups, np.arange(60) // 3 * 3)


def test_what_is_known_of_a_table_names_columns_and_no_value(tmp_path: Path) -> None:
    write_both(tmp_path, make_frame())
    info = load_info(tmp_path)
    assert info.table is not None
    assert dict(info.table.columns) == {
        "town": "category", "age": "number", "ward": "category", "level": "number"
    }  # fmt: skip
    assert (info.table.groups, info.unit, info.holdout_rows) == (20, "row", 60)


def test_a_changed_cell_is_noticed(tmp_path: Path) -> None:
    write_both(tmp_path, make_frame())
    matrix = np.load(tmp_path / "holdout" / "table.npy")
    matrix[3, 1] = 0.5
    np.save(tmp_path / "holdout" / "table.npy", matrix)
    with pytest.raises(DataError, match="run `dvc repro -f prepare`"):
        load("holdout", tmp_path)


def test_a_renamed_category_or_column_is_another_digest(tmp_path: Path) -> None:
    """Though the matrix is the same."""
    frames = [make_frame(), make_frame().rename(columns={"age": "years"})]
    frames.append(make_frame().assign(town=make_frame()["town"].cat.rename_categories({"a": "A"})))
    for number, frame in enumerate(frames):
        write_both(tmp_path / str(number), frame)
    digests = {load_facts(tmp_path / str(n) / "holdout").digest for n in range(len(frames))}
    assert len(digests) == len(frames)


@pytest.mark.parametrize(
    "change",
    [
        lambda frame: frame,
        lambda frame: frame[["level", "ward", "age", "town"]].assign(more=1),
        lambda frame: frame.astype(object).where(frame.notna(), None),
        lambda frame: frame.astype({"age": "float64"}).round(),
        lambda frame: frame.iloc[:1].assign(age=[50], level=[None], town=[None], ward=[None]),
        lambda frame: frame.assign(town="elsewhere", ward=99),
    ],
    ids=["as it is", "another order", "objects", "whole", "nulls", "unknown"],
)
def test_scikit_learn_s_own_steps_answer_as_the_solver_does(change: Any) -> None:
    """Whatever JSON makes of the rows: to 1e-9, and to the same digest."""
    frame = make_frame().assign(ward=pd.Categorical(make_frame()["ward"].astype(float)))
    frame["ward"] = frame["ward"].cat.rename_categories([9, 10])
    model = make_model(frame)
    served = model.estimator(("no", "yes"))
    given = change(frame)
    np.testing.assert_allclose(
        served.predict_proba(given), model.predict(given).values, rtol=0, atol=1e-9
    )
    stored = LinearClassifier(from_pipeline(served[-2:]), StockFeatures(served[:-2]))
    assert stored.digest(("no", "yes")) == model.digest(("no", "yes"))


def test_the_steps_refuse_a_frame_that_lacks_a_column() -> None:
    frame = make_frame()
    served = make_model(frame).estimator(("no", "yes"))
    with pytest.raises(ValueError, match="columns are missing"):
        served.predict_proba(frame.drop(columns="age"))


def test_rare_values_are_named_only_if_asked() -> None:
    """Fewer rows than `RARE` have them; that a value is missing tells nobody's name."""
    town = ["often"] * 40 + ["seldom"] * (RARE - 1) + [None] * 2
    frame = pd.DataFrame({"town": pd.Categorical(town), "age": 1.0})
    encoder = Columns.ranked(frame)
    told = told_names(encoder, frame, shows_rare=False)
    assert told == ("age", "town: often", "town: a rare value", "town: missing")
    assert told_names(encoder, frame, shows_rare=True)[2] == "town: seldom"
    numbered = frame.set_axis([7, 8], axis=1)
    told = told_names(Columns.of(numbered), numbered, shows_rare=False)
    assert told == ("7: often", "7: a rare value", "7: missing", "8")


def test_a_typical_row_has_means_and_common_values() -> None:
    """None of them a cell of the table, but for values that many rows have."""
    frame = pd.DataFrame(
        {
            "age": [1.0, 2.0, 6.0] * 10,
            "id": pd.Categorical(range(30)),
            "town": pd.Categorical(["a"] * 30),
        }
    )
    (row,) = typical(frame).to_dict("records")
    assert row == {"age": 3.0, "id": None, "town": "a"}
