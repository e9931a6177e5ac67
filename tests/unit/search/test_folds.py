"""The folds: a stratified partition, copies with their originals, a nesting without leaks."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from foldwise.data.augment import SHIFTS, shifted
from foldwise.data.dataset import PREPARED, load
from foldwise.data.preparation import prepare_data
from foldwise.errors import DataError
from foldwise.search.plan import FoldPlan
from foldwise.settings import PrepareSettings, Settings


@given(seed=st.integers(0, 10_000), folds=st.integers(3, 8), rows=st.integers(80, 300))
def test_every_row_is_scored_in_exactly_one_part(seed: int, folds: int, rows: int) -> None:
    """Whatever the seed, the parts partition the rows, evenly in size and in every class."""
    labels = np.sort(np.random.default_rng(seed).integers(0, 3, rows))
    plan = FoldPlan.stratified(labels, folds=folds, seed=seed)
    seen = np.concatenate([plan.scored_rows(part) for part in range(folds)])
    assert sorted(seen) == list(range(rows))
    sizes = np.array([[np.sum(labels[p] == c) for c in range(3)] for p in plan.parts])
    assert np.ptp(sizes, axis=0).max() <= 1
    assert np.ptp(sizes.sum(axis=1)) <= 1


def test_the_seed_decides_the_parts() -> None:
    """One seed gives one partition, another another."""
    labels = np.arange(100) % 5
    one, same, other = (FoldPlan.stratified(labels, folds=4, seed=s).part_of for s in (1, 1, 2))
    np.testing.assert_array_equal(one, same)
    assert (one != other).any()


@given(seed=st.integers(0, 1000))
def test_copies_share_their_originals_part(seed: int) -> None:
    """An augmented copy never lands where its original is not."""
    generator = np.random.default_rng(seed)
    originals = np.arange(60)
    origins = np.concatenate([originals, generator.integers(0, 60, 90)])
    labels = (originals % 3)[origins]
    plan = FoldPlan.stratified(labels, folds=4, seed=seed, origins=origins)
    np.testing.assert_array_equal(plan.part_of, plan.part_of[origins])


def test_copies_are_trained_on_and_never_scored() -> None:
    """Each original is scored once, as it is; the parts hold the copies besides."""
    origins = np.concatenate([np.arange(30), np.arange(30), np.arange(30)])
    plan = FoldPlan.stratified(np.arange(90) % 3, folds=5, seed=0, origins=origins)
    scored = np.concatenate([plan.scored_rows(part) for part in range(5)])
    assert sorted(scored) == list(range(30))
    assert sorted(np.concatenate(plan.parts)) == list(range(90))


@pytest.mark.parametrize("augment", [1, 8, 11])
def test_prepared_copies_stay_in_the_part_of_their_original(tmp_path: Path, augment: int) -> None:
    """From the files that prepare writes: a copy's pixels are its original's, shifted."""
    prepare = PrepareSettings(source="digits", name="digits", limit=200, augment=augment)
    prepare_data(Settings(prepare=prepare), root=tmp_path)
    split = load("development", tmp_path / PREPARED)
    plan = FoldPlan.stratified(split.labels, folds=4, seed=1, origins=split.origins)
    assert len(plan.part_of) == 200 * (augment + 1)
    images = split.images.reshape(-1, 8, 8)
    originals = {
        moved.tobytes(): plan.part_of[row]
        for row in np.flatnonzero(plan.is_original)
        for shift in ((0, 0), *SHIFTS)
        for moved in shifted(images[row : row + 1], *shift)
    }
    found = [originals[image.tobytes()] for image in images]
    np.testing.assert_array_equal(found, plan.part_of)


def test_a_class_smaller_than_the_folds_is_refused() -> None:
    """The message names rule, value and remedy."""
    labels = np.array([0] * 10 + [1] * 3)
    with pytest.raises(DataError, match=r"tune.folds = 4 images, class number 1 has 3: lower"):
        FoldPlan.stratified(labels, folds=4, seed=0)


def test_the_nesting_leaves_out_outer_and_inner_part() -> None:
    """Study o's inner fold i leaves out {o, i} and scores i; the final study leaves out {i}."""
    plan = FoldPlan.stratified(np.arange(60) % 3, folds=4, seed=0)
    *outer, final = plan.studies
    for o, study in enumerate(outer):
        assert study.refit == {o}
        assert {(p.left_out, p.scored) for p in study.inner} == {
            (frozenset({o, i}), i) for i in range(4) if i != o
        }
    assert final.refit == frozenset()
    assert {(p.left_out, p.scored) for p in final.inner} == {(frozenset({i}), i) for i in range(4)}
