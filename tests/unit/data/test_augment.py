"""Copies are their originals, shifted, each in another way."""

import numpy as np
import pytest

from foldwise.data.preparation import (
    SHIFTS,
    blocks_with_copies,
    check_augmentable,
    draw_shifts,
    shifted,
)
from foldwise.errors import DataError
from tests.idx_files import toy_images

SHAPE = (5, 4)


@pytest.mark.parametrize("shape", [SHAPE, (5, 4, 3)])
@pytest.mark.parametrize(("down", "right"), SHIFTS)
def test_a_shift_moves_each_pixel_and_fills_with_zero(
    shape: tuple[int, ...], down: int, right: int
) -> None:
    """Pixel (y, x) comes from (y - down, x - right); from outside comes 0."""
    images = toy_images(2, shape=shape)
    result = shifted(images, down, right)
    for y in range(5):
        for x in range(4):
            inside = 0 <= y - down < 5 and 0 <= x - right < 4
            expected = images[:, y - down, x - right] if inside else np.zeros_like(images[:, 0, 0])
            assert np.array_equal(result[:, y, x], expected)


def test_the_first_eight_shifts_are_by_one_pixel_and_all_differ() -> None:
    """None is by zero, so that no copy equals its original."""
    assert len(set(SHIFTS)) == 24
    assert {max(abs(y), abs(x)) for y, x in SHIFTS[:8]} == {1}
    assert {max(abs(y), abs(x)) for y, x in SHIFTS[8:]} == {2}


@pytest.mark.parametrize("copies", [0, 1, 5, 8, 9, 24])
def test_no_row_gets_a_shift_twice_and_near_ones_come_first(copies: int) -> None:
    """With up to eight copies, all are by one pixel."""
    shifts = draw_shifts(200, copies=copies, seed=3)
    assert shifts.shape == (200, copies)
    assert all(len(set(row)) == copies for row in shifts.tolist())
    assert (shifts[:, :8] < 8).all()
    assert (shifts[:, 8:] >= 8).all()


def test_the_seed_decides_the_shifts() -> None:
    """And rows differ among themselves."""
    first = draw_shifts(50, copies=3, seed=1)
    assert np.array_equal(first, draw_shifts(50, copies=3, seed=1))
    assert not np.array_equal(first, draw_shifts(50, copies=3, seed=2))
    assert len({tuple(row) for row in first.tolist()}) > 10
    far = draw_shifts(50, copies=11, seed=1)[:, 8:]
    assert len({tuple(row) for row in far.tolist()}) > 10


def test_originals_come_first_then_one_copy_of_each() -> None:
    """Across block borders, copy k of row i is row i shifted by its own k-th shift."""
    images = toy_images(20_000).reshape(20_000, 20)
    rows = np.arange(1, 20_000, 2)
    shifts = draw_shifts(len(rows), copies=2, seed=1)
    blocks = list(blocks_with_copies(images, rows, shifts, image_shape=SHAPE))
    assert max(len(block) for block in blocks) <= 8192
    result = np.concatenate(blocks).reshape(3, len(rows), *SHAPE)
    originals = images[rows].reshape(-1, *SHAPE)
    assert np.array_equal(result[0], originals)
    for copy in range(2):
        for row in (0, 1, 8191, 8192, 9999):
            expected = shifted(originals[row : row + 1], *SHIFTS[shifts[row, copy]])[0]
            assert np.array_equal(result[copy + 1, row], expected)


def test_channels_that_come_first_are_never_shifted_along() -> None:
    """A colour image stored channel by channel gets the copies that it would get pixel by pixel."""
    last = toy_images(9, shape=(5, 6, 3))
    first = np.moveaxis(last, 3, 1)
    shifts = draw_shifts(9, copies=4, seed=1)
    told = [
        np.concatenate(
            list(
                blocks_with_copies(
                    images.reshape(9, -1), np.arange(9), shifts, image_shape=images.shape[1:]
                )
            )
        ).reshape(-1, *images.shape[1:])
        for images in (first, last)
    ]
    assert np.array_equal(np.moveaxis(told[0], 1, 3), told[1])


@pytest.mark.parametrize("shape", [(8, 8, 2), (3, 8, 3), (2, 8, 8), (4, 4, 4), (2, 2, 8, 8)])
def test_images_whose_axes_are_not_known_are_refused(shape: tuple[int, ...]) -> None:
    """Which is the height can only be guessed."""
    with pytest.raises(DataError, match=r"prepare\.augment must be 0 for images that can't be"):
        check_augmentable(shape, copies=1)


@pytest.mark.parametrize(
    ("shape", "copies"), [((784,), 1), ((1, 9), 1), ((9, 1), 1), ((2, 9), 9), ((9, 2, 3), 9)]
)
def test_images_too_small_to_shift_are_refused(shape: tuple[int, ...], copies: int) -> None:
    """One dimension, or a side that the shift would empty."""
    with pytest.raises(DataError, match=r"prepare\.augment must be 0 for images that can't be"):
        check_augmentable(shape, copies=copies)


@pytest.mark.parametrize(("shape", "copies"), [((2, 2), 8), ((3, 3), 24), ((9, 9, 3), 24)])
def test_images_large_enough_are_taken(shape: tuple[int, ...], copies: int) -> None:
    """A side must be longer than the shift."""
    check_augmentable(shape, copies=copies)
