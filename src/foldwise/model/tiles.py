"""How many neighbouring columns of a product are summed alike, wherever they stand in it.

A fit's bits must not depend on its neighbours, but the kernels of a BLAS library may sum columns
differently by their place: OpenBLAS's for AVX2 treat columns 0-5 and 6-11 of every twelve in two
ways, those for AVX-512 treat all alike. Whole tiles are safe, but ten columns filled up to twelve
cost a sixth of all work; so the width of a tile is found by trying, once per process.
"""

from collections.abc import Iterator
from functools import cache

import numpy as np
from numpy.typing import NDArray

SMALL_PRODUCT = 1_100_000
"""Multiplications. Below a million OpenBLAS has other kernels, which sum differently."""

_WIDTHS = (1, 2, 4, 6, 8, 12, 24)
_SHAPES = ((500, 397), (477, 718), (512, 97), (37, 65))


@cache
def tile_width(dtype: np.dtype[np.floating]) -> int:
    """Columns that must be kept together in products of this type; the most tried if none is safe.

    Call it with the BLAS library set to one thread.
    """
    return next((width for width in _WIDTHS if _is_safe(width, dtype)), _WIDTHS[-1])


def _is_safe(width: int, dtype: np.dtype[np.floating]) -> bool:
    """Whether equal tiles come out equal, wherever they stand and however many there are."""
    generator = np.random.default_rng(0)
    for rows, inner in _SHAPES:
        pixels = generator.integers(0, 256, (rows, inner)).astype(dtype)
        weights = generator.normal(size=(width, inner)).astype(dtype)
        residuals = generator.normal(size=(width, rows)).astype(dtype)
        seen = set()
        for tiles in _counts(width * rows * inner):
            scores = np.tile(weights, (tiles, 1)) @ pixels.T
            gradient = np.tile(residuals, (tiles, 1)) @ pixels
            seen |= _distinct(scores.reshape(tiles, -1)) | _distinct(gradient.reshape(tiles, -1))
            if len(seen) > 2:  # one for the scores, one for the gradient
                return False
    return True


def _counts(work_of_one: int) -> Iterator[int]:
    """Numbers of tiles to try: from the fewest whose product isn't small, all remainders."""
    fewest = -(-SMALL_PRODUCT // work_of_one)
    yield from range(fewest, fewest + 24)
    yield fewest + 101


def _distinct(tiles: NDArray[np.floating]) -> set[bytes]:
    return {tiles[0].tobytes()} | {
        tile.tobytes() for tile in tiles[(tiles != tiles[0]).any(axis=1)]
    }
