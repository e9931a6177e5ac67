"""Whatever the table, its holdout keeps groups whole and has each class's share."""

from typing import Any

import numpy as np
import pandas as pd
from hypothesis import given
from hypothesis import strategies as st

from foldwise.data.table import Table, kept_together, split_table


def table(rows: int = 200, *, seed: int = 0, **given_fields: Any) -> Table:
    """Give a table of numbers in which no two rows are equal."""
    generator = np.random.default_rng(seed)
    frame = pd.DataFrame({"a": generator.normal(size=rows), "b": generator.integers(0, 9, rows)})
    fields = {"frame": frame, "target": generator.integers(0, 3, rows), "groups": None}
    return Table(**({"marks": None} | fields | given_fields))


@st.composite
def grouped(draw: st.DrawFn) -> Table:
    """Draw groups of any sizes over rows of any classes, some of the rows equal."""
    rows, groups = draw(st.integers(2, 60)), draw(st.integers(1, 30))
    generator = np.random.default_rng(draw(st.integers(0, 1000)))
    cells = generator.integers(0, draw(st.integers(1, 60)), rows)
    frame = pd.DataFrame({"a": cells * 1.5, "b": np.arange(rows) * draw(st.sampled_from([0, 1]))})
    target = generator.integers(0, draw(st.integers(1, 4)), rows)
    return Table(frame, target, generator.integers(0, groups, rows), None)


@given(grouped(), st.floats(0.05, 0.9), st.integers(0, 5))
def test_no_group_is_in_both_splits(drawn: Table, share: float, seed: int) -> None:
    """The splits partition the rows, ascending, and groups and rows kept together are whole."""
    development, holdout = split_table(drawn, share, seed=seed)
    assert sorted([*development, *holdout]) == list(range(len(drawn.target)))
    assert (np.diff(development) > 0).all()
    assert (np.diff(holdout) > 0).all()
    groups, _ = kept_together(drawn)
    for of in (drawn.groups, groups):
        if of is not None:
            assert not set(of[development]) & set(of[holdout])


def test_each_class_has_its_share_of_the_holdout() -> None:
    """To one row, where rows are single; a rare class has at least one."""
    classes = np.repeat([0, 1, 2], [120, 70, 2])
    _, holdout = split_table(table(192, target=classes), 0.25, seed=3)
    assert np.bincount(classes[holdout]).tolist() == [30, 18, 1]


def test_large_groups_are_made_up_for_by_single_rows() -> None:
    """Half of the rows lie in groups, and shares are still those asked for."""
    groups = np.concatenate([np.repeat(np.arange(10), 10), np.arange(10, 110)])
    one = table(groups=groups)
    _, holdout = split_table(one, None, seed=1)
    shares = np.bincount(one.target[holdout]) / np.bincount(one.target)
    assert np.abs(shares - 0.2).max() < 0.02


def test_groups_are_held_out_whatever_their_size() -> None:
    """Of groups of 2 to 9 rows each size has its share, which an order by size would not give."""
    groups = np.repeat(np.arange(400), np.arange(400) % 8 + 2)
    one = table(len(groups), groups=groups)
    held = np.concatenate([np.unique(groups[split_table(one, 0.2, seed=n)[1]]) for n in range(20)])
    shares = np.bincount(held % 8) / (20 * 50)
    assert np.abs(shares - 0.2).max() < 0.06, shares


def test_the_seed_decides_and_nothing_else() -> None:
    """The same seed gives the same rows, another one others."""
    one = table()
    assert np.array_equal(split_table(one, 0.2, seed=1)[1], split_table(one, 0.2, seed=1)[1])
    assert not np.array_equal(split_table(one, 0.2, seed=1)[1], split_table(one, 0.2, seed=2)[1])


def test_marks_decide_where_there_are_some() -> None:
    """And none is no holdout."""
    marks = np.arange(200) >= 150
    development, holdout = split_table(table(marks=marks), None, seed=1)
    assert (len(development), holdout.tolist()) == (150, list(range(150, 200)))
    development, holdout = split_table(table(), "none", seed=1)
    assert (len(development), len(holdout)) == (200, 0)


def test_rows_that_repeat_are_kept_together_and_counted() -> None:
    """A copy is equal in all features, gaps too, whatever its class."""
    one = table()
    frame = pd.concat([one.frame, one.frame.iloc[[4, 4, 7]]], ignore_index=True)
    frame.loc[[7, 202], "a"] = np.nan
    copied = table(203, frame=frame)
    groups, repeated = kept_together(copied)
    assert groups is not None
    assert repeated == 3
    assert groups[[200, 201, 202]].tolist() == [4, 4, 7]
    assert kept_together(one) == (None, 0)


def test_rows_that_are_equal_by_chance_are_counted_alone() -> None:
    """Three columns of two values have eight rows at most: nobody copied them."""
    cells = np.random.default_rng(1).integers(0, 2, (200, 3))
    groups, repeated = kept_together(table(frame=pd.DataFrame(cells, columns=[*"abc"])))
    assert groups is None
    assert repeated == 192
