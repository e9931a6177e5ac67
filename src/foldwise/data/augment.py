"""Copies of images shifted by a pixel or two, as the classic infinite MNIST had them."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from foldwise.data.dataset import picture_axes
from foldwise.errors import DataError

_NEAR = [(y, x) for y in (-1, 0, 1) for x in (-1, 0, 1) if (y, x) != (0, 0)]
_FAR = [(y, x) for y in range(-2, 3) for x in range(-2, 3) if max(abs(y), abs(x)) == 2]
SHIFTS = (*_NEAR, *_FAR)
"""Downwards and rightwards, in pixels: the 8 neighbours, then the 16 next."""
_BLOCK = 8192


def check_augmentable(image_shape: tuple[int, ...], *, copies: int) -> None:
    """Refuse images that can't be shifted by the pixels that so many copies need.

    Their axes down and across must be known, and each must be longer than the shift.
    """
    reach = 1 if copies <= len(_NEAR) else 2
    axes = picture_axes(image_shape)
    if axes is None or min(image_shape[axis] for axis in axes) <= reach:
        raise DataError(
            f"prepare.augment must be 0 for images that can't be shifted by {reach},"
            f" got {copies} and images of shape {image_shape}: set it to 0"
        )


def draw_shifts(rows: int, *, copies: int, seed: int) -> NDArray[np.uint8]:
    """Draw for each row which shifts its copies get, none twice: uint8 places in `SHIFTS`.

    Of the array (rows, copies) the first 8 columns are near ones, in any order.
    """
    generator = np.random.default_rng((seed, 2))
    near = np.tile(np.arange(len(_NEAR), dtype=np.uint8), (rows, 1))
    generator.permuted(near, axis=1, out=near)
    if copies <= len(_NEAR):
        return near[:, :copies]
    far = np.tile(np.arange(len(_NEAR), len(SHIFTS), dtype=np.uint8), (rows, 1))
    generator.permuted(far, axis=1, out=far)
    return np.hstack([near, far[:, : copies - len(_NEAR)]])


def shifted(images: NDArray[np.uint8], down: int, right: int) -> NDArray[np.uint8]:
    """Shift images (rows, height, width, ...); what moves out is lost, what comes in is 0."""
    height, width = images.shape[1:3]
    result = np.zeros_like(images)
    result[:, max(down, 0) : height + min(down, 0), max(right, 0) : width + min(right, 0)] = images[
        :, max(-down, 0) : height - max(down, 0), max(-right, 0) : width - max(right, 0)
    ]
    return result


def blocks_with_copies(
    images: NDArray[np.uint8],
    rows: NDArray[np.int64],
    shifts: NDArray[np.uint8],
    *,
    image_shape: tuple[int, ...],
) -> Iterator[NDArray[np.uint8]]:
    """Give these rows of images (all rows, features), then the first copy of each, and so on.

    ``shifts`` (rows, copies) are as `draw_shifts` gives them. There are blocks of at most 8,192
    rows, never more than one in memory.
    """
    down, across = picture_axes(image_shape) or (0, 1)
    for copy in range(shifts.shape[1] + 1):
        for start in range(0, len(rows), _BLOCK):
            block = images[rows[start : start + _BLOCK]]
            if copy:
                choice = shifts[start : start + _BLOCK, copy - 1]
                # The same rows, seen as (rows, height, width, ...).
                seen = np.moveaxis(block.reshape(-1, *image_shape), (down + 1, across + 1), (1, 2))
                for position in np.unique(choice):
                    seen[choice == position] = shifted(seen[choice == position], *SHIFTS[position])
            yield block
