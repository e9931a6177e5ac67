"""The rows an entry is tuned on: equal, stratified shares of the main job's parts."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from foldwise.compare.sample import draw_sample
from foldwise.data.dataset import Split
from foldwise.errors import DataError
from foldwise.search.plan import FoldPlan
from tests.unit.compare.entry_cases import FOLDS, make_entry, make_sample, make_split

SPLIT = make_split()


@given(rows=st.integers(60, 700), seed=st.integers(0, 50))
def test_every_part_gives_as_many_rows_and_as_many_of_each_class(rows: int, seed: int) -> None:
    """Parts differ by a row at most, and classes within them by the rounding of their share."""
    plan = FoldPlan.stratified(SPLIT.labels, folds=FOLDS, seed=seed)
    sample = draw_sample(SPLIT, plan, make_entry(rows=rows), seed=seed)
    wanted = min(rows, len(SPLIT.labels))
    assert len(sample.labels) == wanted
    assert np.ptp(np.bincount(sample.part_of, minlength=FOLDS)) <= 1
    share = np.bincount(SPLIT.labels) / len(SPLIT.labels) * wanted / FOLDS
    for part in range(FOLDS):
        counts = np.bincount(sample.labels[sample.part_of == part], minlength=10)
        assert np.abs(counts - share).max() <= 2


def test_a_row_lies_in_the_part_it_lies_in_for_the_main_job() -> None:
    """Told by its pixels: the plan's part of each sampled image."""
    plan = FoldPlan.stratified(SPLIT.labels, folds=FOLDS, seed=3)
    sample = draw_sample(SPLIT, plan, make_entry(), seed=3)
    part_of = {
        image.tobytes(): part for image, part in zip(SPLIT.images, plan.part_of, strict=True)
    }
    assert len(part_of) == len(SPLIT.labels)
    found = [part_of[image.astype(np.uint8).tobytes()] for image in sample.images]
    np.testing.assert_array_equal(found, sample.part_of)


def test_null_takes_all_rows() -> None:
    """And nothing is drawn."""
    assert len(make_sample(make_entry(rows=None)).labels) == len(SPLIT.labels)


def test_shifted_copies_are_left_out() -> None:
    """A sample of copies would hold fewer images than it says."""
    rows = len(SPLIT.labels)
    copied = Split(
        np.concatenate([SPLIT.images, np.full_like(SPLIT.images, 99)]),
        np.tile(SPLIT.labels, 2),
        np.tile(np.arange(rows), 2),
    )
    sample = make_sample(make_entry(rows=None), copied)
    assert len(sample.labels) == rows
    assert sample.images.max() <= 16


def test_too_few_rows_are_refused_by_the_entrys_own_key() -> None:
    """A part without a class can't be scored."""
    with pytest.raises(DataError, match=r"models\.tree\.rows .* got 20"):
        make_sample(make_entry(rows=20))
