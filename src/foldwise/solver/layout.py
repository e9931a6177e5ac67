"""Pixels arranged so that a product touches only what is lit.

Most images leave most border pixels dark, and a dark pixel adds nothing to a product (it is
standardised algebraically, not in the data). So a part's columns are ranked from the commonest to
the rarest lit pixel, its rows are sorted by the rarest pixel they light, and a block of
neighbouring rows needs only a *prefix* of the columns: on MNIST about 390 of 784.
Column 0 holds ones, for the intercept.

Each part has an order of its own, of its own rows. One of all rows would let the rows that a fit
leaves out decide in which order it sums those that it trains on, and so its last digits.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from foldwise.errors import DataError

BLOCK_ROWS = 512
LANES = 4
"""Blocks of a part are dealt to this many lanes, each summed by itself, whatever the threads."""


@dataclass(frozen=True, slots=True, eq=False)
class Block:
    """Rows of one part: ``pixels`` uint8 (rows, prefix), ones in column 0; ``labels`` (rows,)."""

    pixels: NDArray[np.uint8]
    labels: NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class PartMoments:
    """Of one part: rows, sums of pixels and of squares (features,), least and largest pixel."""

    rows: int
    total: NDArray[np.float64]
    squares: NDArray[np.float64]
    low: int
    high: int


@dataclass(frozen=True, slots=True, eq=False)
class Layout:
    """The development set, ready for the solver.

    Attributes
    ----------
    lanes : per part, per lane, the blocks
    moments : one per part
    columns : int arrays, one per part
        The weight that each column of the part's blocks is multiplied by: 0 for the ones, 1 + pixel
        for the others. Pixels dark in the whole part have no column.
    features, classes : int
        Sizes of the original problem.
    """

    lanes: tuple[tuple[tuple[Block, ...], ...], ...]
    moments: tuple[PartMoments, ...]
    columns: tuple[NDArray[np.int64], ...]
    features: int
    classes: int

    @property
    def parts(self) -> int:
        """Number of parts."""
        return len(self.lanes)

    @property
    def width(self) -> int:
        """Weights of an output: the intercept's and one for each pixel."""
        return self.features + 1

    @property
    def outputs(self) -> int:
        """Outputs of one fit; two classes need one."""
        return 1 if self.classes == 2 else self.classes

    @property
    def smallest_block(self) -> int:
        """Entries of the smallest block."""
        return min(block.pixels.size for part in self.lanes for lane in part for block in lane)

    @classmethod
    def build(
        cls,
        images: NDArray[np.uint8],
        labels: NDArray[np.int64],
        parts: Sequence[NDArray[np.int64]],
        *,
        classes: int,
    ) -> "Layout":
        """Arrange ``images`` (rows, features) by ``parts``, each an array of row numbers.

        Raises
        ------
        DataError
            The images are not bytes.
        """
        require_bytes(images)
        moments = tuple(_moments(images, rows) for rows in parts)
        ranked = [rank_by_peeling(images, rows) for rows in parts]
        lanes = tuple(_lanes(images, labels, *part) for part in zip(parts, ranked, strict=True))
        columns = tuple(np.concatenate([[0], 1 + pixels]) for pixels in ranked)
        return cls(lanes, moments, columns, images.shape[1], classes)

    def standardisation(
        self, left_out: frozenset[int]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64], int]:
        """Mean (features,), standard deviation (features,) and count of the rows not left out.

        Constant pixels have standard deviation 0. From exact integer sums, so that the order
        of the rows doesn't matter.
        """
        used = self._used(left_out)
        rows = sum(moments.rows for moments in used)
        mean = np.sum([moments.total for moments in used], axis=0) / rows
        variance = np.sum([moments.squares for moments in used], axis=0) / rows - mean**2
        constant = variance <= 1e-9 * np.maximum(mean, 1.0) ** 2
        return mean, np.sqrt(np.where(constant, 0.0, variance)), rows

    def pixel_range(self, left_out: frozenset[int]) -> int:
        """The largest pixel of the rows not left out less the smallest."""
        used = self._used(left_out)
        return max(each.high for each in used) - min(each.low for each in used)

    def _used(self, left_out: frozenset[int]) -> list[PartMoments]:
        return [self.moments[part] for part in range(self.parts) if part not in left_out]


def require_bytes(images: NDArray[np.generic]) -> None:
    """Refuse pixels of any type but uint8: kept as bytes, 0.7 would become 0 without a word.

    Raises
    ------
    DataError
        The images are of another type.
    """
    if images.dtype != np.uint8:
        raise DataError(
            f"images must be uint8, whole numbers from 0 to 255, got {images.dtype}: scale and"
            " round them to that range, then hand in images.astype(numpy.uint8)"
        )


def rank_by_peeling(
    images: NDArray[np.uint8], rows: NDArray[np.int64], *, sample: int = 20_000
) -> NDArray[np.int64]:
    """Order the pixels that some of the rows light, so that prefixes of sorted rows are short.

    From behind: take the pixel that the fewest remaining rows light, set those rows aside, go on.
    Judged on at most ``sample`` evenly spaced rows; pixels dark in those keep a place at the end
    unless they are dark in all rows.

    Returns
    -------
    int array (lit pixels,), commonest first.
    """
    lit = images[rows[:: max(1, len(rows) // sample)]] != 0
    remaining = np.ones(len(lit), dtype=bool)
    counts = lit.sum(axis=0)
    peeled = np.zeros(images.shape[1], dtype=bool)
    backwards = []
    for _ in range(images.shape[1]):
        pixel = int(np.argmin(np.where(peeled, len(lit) + 1, counts)))
        peeled[pixel] = True
        backwards.append(pixel)
        aside = remaining & lit[:, pixel]
        counts = counts - lit[aside].sum(axis=0)
        remaining &= ~aside
    dark = _dark_pixels(images, rows)
    return np.array([pixel for pixel in reversed(backwards) if not dark[pixel]], dtype=np.int64)


def _dark_pixels(images: NDArray[np.uint8], rows: NDArray[np.int64]) -> NDArray[np.bool_]:
    dark = np.ones(images.shape[1], dtype=bool)
    for start in range(0, len(rows), 8 * BLOCK_ROWS):
        dark &= ~np.any(images[rows[start : start + 8 * BLOCK_ROWS]], axis=0)
    return dark


def _moments(images: NDArray[np.uint8], rows: NDArray[np.int64]) -> PartMoments:
    total = np.zeros(images.shape[1])
    squares = np.zeros(images.shape[1])
    extremes = []
    for start in range(0, len(rows), 4 * BLOCK_ROWS):
        pixels = images[rows[start : start + 4 * BLOCK_ROWS]].astype(np.float64)
        total += pixels.sum(axis=0)
        squares += np.einsum("ij,ij->j", pixels, pixels)
        extremes += [int(pixels.min()), int(pixels.max())]
    return PartMoments(len(rows), total, squares, min(extremes), max(extremes))


def _lanes(
    images: NDArray[np.uint8],
    labels: NDArray[np.int64],
    rows: NDArray[np.int64],
    columns: NDArray[np.int64],
) -> tuple[tuple[Block, ...], ...]:
    prefix = _prefixes(images, rows, columns)
    order = np.argsort(prefix, kind="stable")
    lanes: list[list[Block]] = [[] for _ in range(LANES)]
    for index, chosen in enumerate(np.array_split(order, -(-len(rows) // BLOCK_ROWS))):
        width = int(prefix[chosen[-1]]) + 1
        pixels = np.ones((len(chosen), width), dtype=np.uint8)
        pixels[:, 1:] = images[rows[chosen]][:, columns[: width - 1]]
        lanes[index % LANES].append(Block(pixels, labels[rows[chosen]]))
    return tuple(tuple(lane) for lane in lanes)


def _prefixes(
    images: NDArray[np.uint8], rows: NDArray[np.int64], columns: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Column of the last pixel that each row lights; 0 for a dark row."""
    position = np.zeros(images.shape[1], dtype=np.int64)
    position[columns] = np.arange(1, len(columns) + 1)
    prefix = np.empty(len(rows), dtype=np.int64)
    for start in range(0, len(rows), BLOCK_ROWS):
        lit = images[rows[start : start + BLOCK_ROWS]] != 0
        prefix[start : start + BLOCK_ROWS] = np.where(lit, position, 0).max(axis=1)
    return prefix
