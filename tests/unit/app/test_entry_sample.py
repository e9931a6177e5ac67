"""The rows an entry is tuned on: equal, stratified shares of the main job's parts."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from foldwise.data.dataset import Split
from foldwise.errors import DataError
from foldwise.search.plan import RESERVE, Plan
from tests.unit.app.entry_cases import FOLDS, SEED, make_entry, make_parts, make_split

SPLIT = make_split()


@given(rows=st.integers(60, 700), seed=st.integers(0, 50))
def test_every_part_gives_as_many_rows_and_as_many_of_each_class(rows: int, seed: int) -> None:
    """Parts differ by a row at most, and classes within them by the rounding of their share."""
    plan = make_parts(make_entry(rows=rows), SPLIT, seed=seed)
    wanted = min(rows, len(SPLIT.labels))
    sizes = [len(plan.rows(part)) for part in plan.parts]
    assert sum(sizes) == wanted
    assert len(sizes) == FOLDS
    assert max(sizes) - min(sizes) <= 1
    share = np.bincount(SPLIT.labels) / len(SPLIT.labels) * wanted / FOLDS
    for part in plan.parts:
        counts = np.bincount(SPLIT.labels[plan.rows(part)], minlength=10)
        assert np.abs(counts - share).max() <= 2
        np.testing.assert_array_equal(plan.scored_rows(part), plan.rows(part))


def test_a_row_lies_in_the_part_it_lies_in_for_the_main_job() -> None:
    """Or in none: then only the final model sees it, which sees every row."""
    whole = Plan.stratified(SPLIT.labels, folds=FOLDS, seed=SEED)
    plan = make_parts(make_entry(), SPLIT)
    drawn = plan.part_of[0] != RESERVE
    assert drawn.sum() == 240
    np.testing.assert_array_equal(plan.part_of[0, drawn], whole.part_of[0, drawn])
    assert len(plan.training_rows(frozenset())) == len(SPLIT.labels)
    for part in plan.parts:
        seen = plan.training_rows(frozenset({part}))
        assert drawn[seen].all()
        assert not np.isin(plan.rows(part), seen).any()


def test_null_takes_all_rows() -> None:
    """And nothing is drawn."""
    assert (make_parts(make_entry(rows=None)).part_of != RESERVE).all()


def test_shifted_copies_are_left_out() -> None:
    """A sample of copies would hold fewer images than it says."""
    rows = len(SPLIT.labels)
    copied = Split(
        np.concatenate([SPLIT.images, np.full_like(SPLIT.images, 99)]),
        np.tile(SPLIT.labels, 2),
        np.tile(np.arange(rows), 2),
    )
    plan = make_parts(make_entry(rows=None), copied)
    assert (plan.part_of[0, :rows] != RESERVE).all()
    assert (plan.part_of[0, rows:] == RESERVE).all()


def test_too_few_rows_are_refused_by_the_entrys_own_key() -> None:
    """A part without a class can't be scored."""
    with pytest.raises(DataError, match=r"models\.tree\.rows .* got 20"):
        make_parts(make_entry(rows=20))
