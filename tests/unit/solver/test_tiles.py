"""Whole tiles of columns are summed alike wherever they stand: the solver's sameness needs it."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from threadpoolctl import threadpool_limits

from foldwise.solver.objective import SMALL_PRODUCT, tiling


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@settings(max_examples=60, deadline=None)
@given(
    shape=st.tuples(st.integers(10, 520), st.integers(20, 720)),
    more=st.integers(0, 40),
    place=st.floats(0, 1),
)
def test_a_tile_has_the_same_bits_in_any_company(
    dtype: type[np.floating], shape: tuple[int, int], more: int, place: float
) -> None:
    """One tile among random others, at any place of a product of any size, comes out the same."""
    rows, inner = shape
    generator = np.random.default_rng(rows * inner)
    with threadpool_limits(limits=1, user_api="blas"):
        width, whole = tiling(np.dtype(dtype))
        step = whole // width
        fewest = -(-SMALL_PRODUCT // (whole * rows * inner)) * step
        pixels = generator.integers(0, 256, (rows, inner)).astype(dtype)
        tile = generator.normal(size=(width, inner)).astype(dtype)
        alone = np.tile(tile, (fewest, 1)) @ pixels.T
        tiles = generator.normal(size=(fewest + more * step, width, inner)).astype(dtype)
        tiles[at := int(place * (len(tiles) - 1))] = tile
        together = tiles.reshape(-1, inner) @ pixels.T
    np.testing.assert_array_equal(together.reshape(len(tiles), width, -1)[at], alone[:width])
