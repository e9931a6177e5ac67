"""The folds: a stratified partition, copies with their originals, a nesting without leaks."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from foldwise.data.dataset import PREPARED, load
from foldwise.data.preparation import SHIFTS, prepare_data, shifted
from foldwise.errors import DataError
from foldwise.search.plan import RESERVE, Plan
from foldwise.settings import PrepareSettings, Settings


@given(seed=st.integers(0, 10_000), folds=st.integers(3, 8), rows=st.integers(80, 300))
def test_every_row_is_scored_in_exactly_one_part(seed: int, folds: int, rows: int) -> None:
    """Whatever the seed, the parts partition the rows, evenly in size and in every class."""
    labels = np.sort(np.random.default_rng(seed).integers(0, 3, rows))
    plan = Plan.stratified(labels, folds=folds, seed=seed)
    seen = np.concatenate([plan.scored_rows(part) for part in plan.parts])
    assert sorted(seen) == list(range(rows))
    sizes = np.array(
        [[np.sum(labels[p] == c) for c in range(3)] for p in map(plan.rows, plan.parts)]
    )
    assert np.ptp(sizes, axis=0).max() <= 1
    assert np.ptp(sizes.sum(axis=1)) <= 1


def test_the_seed_decides_the_parts() -> None:
    """One seed gives one partition, another another."""
    labels = np.arange(100) % 5
    one, same, other = (Plan.stratified(labels, folds=4, seed=s).part_of for s in (1, 1, 2))
    np.testing.assert_array_equal(one, same)
    assert (one != other).any()


@given(seed=st.integers(0, 1000))
def test_copies_share_their_originals_part(seed: int) -> None:
    """An augmented copy never lands where its original is not."""
    generator = np.random.default_rng(seed)
    originals = np.arange(60)
    origins = np.concatenate([originals, generator.integers(0, 60, 90)])
    labels = (originals % 3)[origins]
    plan = Plan.stratified(
        labels, folds=4, seed=seed, groups=origins, is_scored=origins == np.arange(len(origins))
    )
    np.testing.assert_array_equal(plan.part_of[0], plan.part_of[0, origins])


def test_copies_are_trained_on_and_never_scored() -> None:
    """Each original is scored once, as it is; the parts hold the copies besides."""
    origins = np.concatenate([np.arange(30), np.arange(30), np.arange(30)])
    plan = Plan.stratified(
        np.arange(90) % 3,
        folds=5,
        seed=0,
        groups=origins,
        is_scored=origins == np.arange(len(origins)),
    )
    scored = np.concatenate([plan.scored_rows(part) for part in plan.parts])
    assert sorted(scored) == list(range(30))
    assert sorted(np.concatenate([plan.rows(part) for part in plan.parts])) == list(range(90))


@pytest.mark.parametrize("augment", [1, 8, 11])
def test_prepared_copies_stay_in_the_part_of_their_original(tmp_path: Path, augment: int) -> None:
    """From the files that prepare writes: a copy's pixels are its original's, shifted."""
    prepare = PrepareSettings(source="digits", name="digits", limit=200, augment=augment)
    prepare_data(Settings(prepare=prepare), root=tmp_path)
    split = load("development", tmp_path / PREPARED)
    plan = Plan.stratified(
        split.labels, folds=4, seed=1, groups=split.origins, is_scored=split.is_original
    )
    assert plan.part_of.shape[1] == 200 * (augment + 1)
    images = split.images.reshape(-1, 8, 8)
    originals = {
        moved.tobytes(): plan.part_of[0, row]
        for row in np.flatnonzero(plan.is_scored)
        for shift in ((0, 0), *SHIFTS)
        for moved in shifted(images[row : row + 1], *shift)
    }
    found = [originals[image.tobytes()] for image in images]
    np.testing.assert_array_equal(found, plan.part_of[0])


@given(seed=st.integers(0, 10_000), folds=st.integers(3, 8), rows=st.integers(80, 300))
def test_rows_that_belong_to_none_are_dealt_class_by_class(
    seed: int, folds: int, rows: int
) -> None:
    """In turn, each class from where the last one ended: a partition lives on in its results."""
    labels = np.random.default_rng(seed).integers(0, 3, rows)
    shuffled = np.random.default_rng(seed).permutation(rows)
    dealt = shuffled[np.argsort(labels[shuffled], kind="stable")]
    expected = np.empty(rows, dtype=np.int64)
    expected[dealt] = np.arange(rows) % folds
    plan = Plan.stratified(labels, folds=folds, seed=seed)
    np.testing.assert_array_equal(plan.part_of[0], expected)


@given(seed=st.integers(0, 1000), folds=st.integers(3, 6))
def test_groups_never_part_and_single_rows_make_up_for_them(seed: int, folds: int) -> None:
    """Pairs and triples of one class, among as many single rows: parts differ by a row a class."""
    generator = np.random.default_rng(seed)
    groups = generator.permutation(np.concatenate([np.repeat(np.arange(20), 3), np.arange(20, 90)]))
    labels = groups % 3
    plan = Plan.stratified(labels, folds=folds, seed=seed, groups=groups)
    assert all(len(set(plan.part_of[0, groups == group])) == 1 for group in set(groups))
    sizes = np.array([np.bincount(labels[plan.rows(part)], minlength=3) for part in plan.parts])
    assert np.ptp(sizes, axis=0).max() <= 1


@pytest.mark.parametrize("seed", range(8))
def test_groups_of_several_classes_are_spread_as_evenly_as_they_allow(seed: int) -> None:
    """Patients of one to eight rows, each of its own mixture of classes: no part has much more."""
    generator = np.random.default_rng(seed)
    groups = np.repeat(np.arange(60), generator.integers(1, 9, 60))
    mixtures = generator.dirichlet([0.4, 0.4, 0.4], 60)
    labels = np.array([generator.choice(3, p=mixtures[group]) for group in groups])
    plan = Plan.stratified(labels, folds=5, seed=0, groups=groups)
    sizes = np.array([np.bincount(labels[plan.rows(part)], minlength=3) for part in plan.parts])
    assert np.ptp(sizes, axis=0).max() <= 3
    assert np.ptp(sizes.sum(axis=1)) <= 2


def test_a_class_whose_rows_belong_together_is_refused() -> None:
    """Three groups can't be in four parts, however many rows they have."""
    labels = np.array([0] * 10 + [1] * 9)
    groups = np.array([*range(10), *np.repeat([10, 11, 12], 3)])
    with pytest.raises(DataError, match=r"class 1 has 3, those that belong together counted once"):
        Plan.stratified(labels, folds=4, seed=0, groups=groups)
    Plan.stratified(labels, folds=3, seed=0, groups=groups)


def test_a_class_smaller_than_the_folds_is_refused() -> None:
    """The message names rule, value and remedy."""
    labels = np.array([0] * 10 + [1] * 3)
    with pytest.raises(DataError, match=r"tune.folds = 4 rows, class 'left' has 3: lower"):
        Plan.stratified(labels, folds=4, seed=0, classes=("up", "left"))


def test_the_nesting_leaves_out_outer_and_inner_part() -> None:
    """Study o's inner fold i leaves out {o, i} and scores i; the final study leaves out {i}."""
    plan = Plan.stratified(np.arange(60) % 3, folds=4, seed=0)
    *outer, final = plan.studies
    assert [study.study.part for study in outer] == list(plan.parts)
    for o, study in zip(plan.parts, outer, strict=True):
        assert study.refit == {o}
        assert {(study.left_out(p), p) for p in study.inner} == {
            (frozenset({o, i}), i) for i in plan.parts if i != o
        }
    assert final.study.is_final
    assert final.refit == frozenset()
    assert {(final.left_out(p), p) for p in final.inner} == {
        (frozenset({i}), i) for i in plan.parts
    }


def test_studies_of_several_partitions_keep_to_their_own() -> None:
    """No inner fold of one partition leaves out, or scores, a part of another one."""
    labels = np.arange(60) % 3
    part_of = np.concatenate([Plan.stratified(labels, folds=3, seed=s).part_of for s in (0, 1)])
    plan = Plan(part_of, np.ones(60, dtype=bool))
    *outer, final = plan.studies
    assert [str(each.study) for each in outer] == [
        *("outer-0", "outer-1", "outer-2"),
        *("outer-1.0", "outer-1.1", "outer-1.2"),
    ]
    for each in outer:
        (part,) = each.refit
        assert {p.repeat for fold in each.inner for p in each.left_out(fold)} == {part.repeat}
    assert set(final.inner) == set(plan.parts)


@given(seed=st.integers(0, 1000))
def test_training_rows_are_all_rows_but_those_left_out_and_the_reserve(seed: int) -> None:
    """Rows in reserve are seen by the model that leaves nothing out, and by no other."""
    part_of = np.random.default_rng(seed).integers(RESERVE, 4, (1, 80))
    part_of[0, :5] = range(RESERVE, 4)
    plan = Plan(part_of, np.ones(80, dtype=bool), has_outer=False)
    reserve = np.flatnonzero(part_of[0] == RESERVE)
    for each in plan.studies:
        for fold in each.inner:
            out = np.concatenate([plan.rows(part) for part in each.left_out(fold)])
            rows = plan.training_rows(each.left_out(fold))
            assert sorted([*rows, *out, *reserve]) == list(range(80))
    assert list(plan.training_rows(frozenset())) == list(range(80))
    assert [each.study.is_final for each in plan.studies] == [True]
