"""A stratified part keeps order and proportions."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from foldwise.data.labels import stratified_rows
from foldwise.errors import DataError


@settings(max_examples=60, deadline=None)
@given(
    counts=st.lists(st.integers(1, 60), min_size=2, max_size=6),
    share=st.floats(0, 1),
    seed=st.integers(0, 2**32 - 1),
)
def test_classes_keep_their_share_or_the_limit_is_refused(
    counts: list[int], share: float, seed: int
) -> None:
    """Each class's count is its share rounded up or down, and the rows stay in order."""
    labels = np.random.default_rng(seed).permutation(np.repeat(np.arange(len(counts)), counts))
    limit = 1 + int(share * (len(labels) - 1))
    exact = np.array(counts) * limit / len(labels)
    try:
        rows = stratified_rows(labels, limit=limit, seed=seed)
    except DataError:
        assert exact.min() < 1
        return
    assert len(rows) == limit
    assert (np.diff(rows) > 0).all()
    got = np.bincount(labels[rows], minlength=len(counts))
    assert (np.abs(got - exact) < 1).all()
    assert got.min() > 0


def test_the_seed_decides_which_rows() -> None:
    """The same seed gives the same rows, another one others."""
    labels = np.arange(300) % 3
    first = stratified_rows(labels, limit=90, seed=1)
    assert np.array_equal(first, stratified_rows(labels, limit=90, seed=1))
    assert not np.array_equal(first, stratified_rows(labels, limit=90, seed=2))


def test_the_full_count_takes_every_row() -> None:
    """Nothing is lost to rounding."""
    assert np.array_equal(stratified_rows(np.arange(10) % 3, limit=10, seed=1), np.arange(10))


def test_more_rows_than_there_are_is_refused() -> None:
    """Silently taking fewer would not be what was asked."""
    with pytest.raises(DataError, match="at most the development set's 10 rows, got 11"):
        stratified_rows(np.arange(10) % 2, limit=11, seed=1)


def test_the_remedy_of_a_limit_too_low_works() -> None:
    """The error names a limit that leaves every class."""
    labels = np.repeat([0, 1], [995, 5])
    with pytest.raises(DataError, match=r"got 9, which leaves none of the smallest: 200 would be"):
        stratified_rows(labels, limit=9, seed=1)
    assert 1 in labels[stratified_rows(labels, limit=200, seed=1)]
