"""Rows arranged for products: of images, so that a product touches only the pixels that are lit.

Most images leave most border pixels dark, and a dark pixel adds nothing to a product (it is
standardised algebraically, not in the data). So a part's columns are ranked from the commonest to
the rarest lit pixel, its rows are sorted by the rarest pixel they light, and a block of
neighbouring rows needs only a *prefix* of the columns: on MNIST about 390 of 784.
Column 0 holds ones, for the intercept.

Each part has an order of its own, of its own rows. One of all rows would let the rows that a fit
leaves out decide in which order it sums those that it trains on, and so its last digits.

A table of floats keeps all its columns. A missing value is a zero in its place and a one in a
column of its own, the *gap* column, which takes what the fit's mean is worth there.

A large table is held in single precision, where products take half the time. Each part's columns
are then standardised by the part's own rows, or a large mean would leave no digits: weights for raw
values are put into the part's terms and slopes back, in double precision.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from foldwise.errors import DataError
from foldwise.solver.linear import Bytes, Flags, Floats, Ints, Real

BLOCK_ROWS = 512
LANES = 4
"""Blocks of a part are dealt to this many lanes, each summed by itself, whatever the threads."""


@dataclass(frozen=True, slots=True, eq=False)
class Block:
    """Rows of one part: ``pixels`` (rows, prefix), ones in column 0; ``labels`` (rows,).

    ``weights`` (rows,) says how much each row's loss counts; without them all count alike.
    """

    pixels: NDArray[Any]
    labels: Ints
    weights: Floats | None = None


@dataclass(frozen=True, slots=True, eq=False)
class PartMoments:
    """Of one part: rows, sums of pixels and of squares (features,), least and largest pixel.

    A table's sums are weighted, the squares about the part's own mean, least and largest value each
    column's (features,) in rows that have a weight; ``present`` (features,) is the weight of the
    values that aren't missing, ``by_class`` (classes,) that of the rows.
    """

    rows: int
    total: Floats
    squares: Floats
    low: int | Floats = 0
    high: int | Floats = 0
    present: Floats = field(default_factory=lambda: np.zeros(0))
    by_class: Floats = field(default_factory=lambda: np.zeros(0))


ClassWeight = Literal["balanced"] | Floats | None
"""How much each class's losses count: inversely to its weight in the fit's rows, or so much."""

Standard = tuple[Floats, Floats, int]

Unit = tuple[Floats, Floats]
"""Mean and deviation (features,) of a part's own rows; 0 and 1 of a category."""


@dataclass(frozen=True, slots=True, eq=False)
class Table:
    """What a layout of floats knows that one of pixels needs not.

    Attributes
    ----------
    is_scaled : bool array (features,)
        Standardised, as numbers are; the others, 0 or 1 for a category, are taken as they are.
    gaps : int array (gaps,)
        Features with missing values: each has a weight behind all others, for its gap columns.
    is_weighted : bool
        Whether rows have weights.
    class_weight : "balanced", float array (classes,) or None
    units : one per part, or None
        What each part's values are standardised by, if they are held in single precision.
    """

    is_scaled: Flags
    gaps: Ints
    is_weighted: bool = False
    class_weight: ClassWeight = None
    units: tuple[Unit, ...] | None = None


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
    table : Table or None
        What a table of floats has besides.
    known : dict
        What fits have found out about training sets, because a search asks for each many times.
    squares : dict
        Of each part the sums of products of its pixels (features, features), once they are found.
    """

    lanes: tuple[tuple[tuple[Block, ...], ...], ...]
    moments: tuple[PartMoments, ...]
    columns: tuple[Ints, ...]
    features: int
    classes: int
    table: "Table | None" = None
    known: dict[tuple[frozenset[int], float], Any] = field(
        default_factory=dict, init=False, repr=False
    )
    squares: dict[int, Floats] = field(default_factory=dict, init=False, repr=False)

    def __reduce__(self) -> tuple[Any, ...]:
        """Whoever it is sent to finds the rest again."""
        given = (each.name for each in fields(self) if each.init)
        return type(self), tuple(getattr(self, name) for name in given)

    @property
    def parts(self) -> int:
        """Number of parts."""
        return len(self.lanes)

    @property
    def width(self) -> int:
        """Coefficients of an output: the intercept's and one for each pixel."""
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
    def build(cls, images: Bytes, labels: Ints, parts: Sequence[Ints], *, classes: int) -> "Layout":
        """Arrange ``images`` (rows, features), bytes, by ``parts``, arrays of row numbers.

        Raises
        ------
        DataError
            The images are of another type.
        """
        if images.dtype != np.uint8:  # kept as bytes, 0.7 would become 0 without a word
            raise DataError(
                f"images must be uint8, whole numbers from 0 to 255, got {images.dtype}: scale and"
                " round them to that range, then hand in images.astype(numpy.uint8)"
            )
        moments = tuple(_moments(images, rows) for rows in parts)
        ranked = [
            rank_by_peeling(images, rows, of.total > 0)
            for rows, of in zip(parts, moments, strict=True)
        ]
        lanes = tuple(_lanes(images, labels, *part) for part in zip(parts, ranked, strict=True))
        columns = tuple(np.concatenate([[0], 1 + pixels]) for pixels in ranked)
        return cls(lanes, moments, columns, images.shape[1], classes)

    @classmethod
    def of_table(
        cls,
        X: Real,
        labels: Ints,
        parts: Sequence[Ints],
        *,
        classes: int,
        is_scaled: Flags | None = None,
        weights: Floats | None = None,
        class_weight: ClassWeight = None,
        is_single: bool = False,
    ) -> "Layout":
        """Arrange floats ``X`` (rows, features), NaN where a value is missing, by ``parts``.

        A row counts as often as its ``weights`` (rows,) say: in means, deviations and losses. With
        ``is_single`` there are none, and products are of single precision.
        """
        features = X.shape[1]
        scaled = np.ones(features, dtype=bool) if is_scaled is None else is_scaled
        gaps = np.flatnonzero([np.isnan(column).any() for column in X.T])
        counted = np.ones(len(X)) if weights is None else weights
        moments = tuple(
            _table_moments(X, labels, rows, weights=counted, classes=classes) for rows in parts
        )
        units = tuple(_unit(each, scaled) for each in moments) if is_single else None
        table = Table(scaled, gaps, weights is not None, class_weight, units)
        gaps_of = [np.flatnonzero(np.isnan(X[rows][:, gaps]).any(axis=0)) for rows in parts]
        lanes = tuple(
            _table_lanes(
                X,
                labels,
                rows,
                gaps=gaps[gaps_of[part]],
                weights=weights,
                unit=None if units is None else units[part],
            )
            for part, rows in enumerate(parts)
        )
        every = np.arange(1 + features)
        columns = tuple(np.concatenate([every, 1 + features + own]) for own in gaps_of)
        return cls(lanes, moments, columns, features, classes, table)

    def weights_of(self, part: int, weights: Real) -> Real:
        """Weights (fits, outputs, all) of raw values as a part's columns are multiplied by them."""
        taken = weights[:, :, self.columns[part]]
        if (terms := self._terms(part)) is None:
            return taken
        mean, scale, values, gaps = terms
        taken[..., 0] += weights[..., values] @ mean
        taken[..., self.width :] -= weights[..., 1 + gaps] * mean[gaps]
        taken[..., values] *= scale
        return taken.astype(np.float32)

    def slopes_of(self, part: int, slopes: Real) -> Real:
        """The slopes in raw values' weights of a part's columns, from those in its own terms."""
        if (terms := self._terms(part)) is None:
            return slopes
        mean, scale, values, gaps = terms
        raw = slopes.astype(np.float64)
        raw[..., values] = raw[..., values] * scale + raw[..., :1] * mean
        raw[..., 1 + gaps] -= raw[..., self.width :] * mean[gaps]
        return raw

    def raw(self, part: int, block: Block) -> NDArray[Any]:
        """A block's columns, with values as they were given."""
        if (terms := self._terms(part)) is None:
            return block.pixels
        mean, scale, values, gaps = terms
        raw = block.pixels.astype(np.float64)
        raw[:, values] = raw[:, values] * scale + mean
        raw[:, 1 + gaps] -= raw[:, self.width :] * mean[gaps]
        return raw

    def _terms(self, part: int) -> tuple[*Unit, slice, Ints] | None:
        """A part's unit, and its columns of values and features with gaps; None if it has none."""
        if self.table is None or self.table.units is None:
            return None
        mean, scale = self.table.units[part]
        gaps = self.table.gaps[self.columns[part][self.width :] - self.width]
        return mean, scale, slice(1, self.width), gaps

    def standardisation(self, left_out: frozenset[int]) -> Standard:
        """Mean (features,), standard deviation (features,) and count of the rows not left out.

        Constant pixels have standard deviation 0. From exact integer sums, so that the order
        of the rows doesn't matter. In a table a missing value is taken for the mean; columns that
        aren't scaled have mean 0 and deviation 1.
        """
        used = self.used(left_out)
        rows = sum(moments.rows for moments in used)
        if self.table is not None:
            mean, variance = _pooled(used)
            # As scikit-learn's StandardScaler tells a constant column from rounding.
            rounding = np.finfo(np.float64).eps * rows
            constant = variance <= rounding * variance + (rounding * mean) ** 2
            scaled = self.table.is_scaled
            spread = np.where(scaled, np.sqrt(np.where(constant, 0.0, variance)), 1.0)
            return np.where(scaled, mean, 0.0), spread, rows
        mean = np.sum([moments.total for moments in used], axis=0) / rows
        variance = np.sum([moments.squares for moments in used], axis=0) / rows - mean**2
        constant = variance <= 1e-9 * np.maximum(mean, 1.0) ** 2
        return mean, np.sqrt(np.where(constant, 0.0, variance)), rows

    def value_range(self, left_out: frozenset[int]) -> Any:
        """The largest pixel of the rows not left out less the smallest; a table's by column."""
        used = self.used(left_out)
        low = np.array([each.low for each in used]).min(axis=0)
        return np.maximum(0, np.array([each.high for each in used]).max(axis=0) - low)

    def used(self, left_out: frozenset[int]) -> list[PartMoments]:
        """The moments of the parts not left out."""
        return [self.moments[part] for part in range(self.parts) if part not in left_out]


def _pooled(used: Sequence[PartMoments]) -> tuple[Floats, Floats]:
    """Mean of the values present, and variance of all with the mean in each gap.

    Squares are pooled about the parts' own means (Chan, Golub and LeVeque, 1979), so that a large
    mean takes no digits from the variance.
    """
    present = np.array([each.present for each in used])
    totals = np.array([each.total for each in used])
    mean = _over(totals.sum(axis=0), present.sum(axis=0))
    between = (present * (_over(totals, present) - mean) ** 2).sum(axis=0)
    squares = np.sum([each.squares for each in used], axis=0) + between
    return mean, squares / sum(float(each.by_class.sum()) for each in used)


def _table_moments(
    X: Real, labels: Ints, rows: Ints, *, weights: Floats, classes: int
) -> PartMoments:
    values = X[rows].astype(np.float64, copy=False)
    own = weights[rows, np.newaxis] * ~np.isnan(values)
    low = np.where(own > 0, values, np.inf).min(axis=0)
    high = np.where(own > 0, values, -np.inf).max(axis=0)
    values = np.where(np.isnan(values), 0.0, values)
    present, total = own.sum(axis=0), (own * values).sum(axis=0)
    values -= _over(total, present)
    squares = (own * values**2).sum(axis=0)
    by_class = np.bincount(labels[rows], weights[rows], classes).astype(np.float64)
    return PartMoments(len(rows), total, squares, low, high, present=present, by_class=by_class)


def _unit(moments: PartMoments, is_scaled: Flags) -> Unit:
    mean, variance = (_over(of, moments.present) for of in (moments.total, moments.squares))
    spread = np.sqrt(np.where(is_scaled & (variance > 0), variance, 1.0))
    return np.where(is_scaled, mean, 0.0), spread


def _over(part: Floats, whole: Floats) -> Floats:
    """``part / whole``, 0 where there is nothing."""
    return np.divide(part, whole, out=np.zeros_like(part), where=whole > 0)


def _table_lanes(
    X: Real, labels: Ints, rows: Ints, *, gaps: Ints, weights: Floats | None, unit: Unit | None
) -> tuple[tuple[Block, ...], ...]:
    lanes: list[list[Block]] = [[] for _ in range(LANES)]
    for index, chosen in enumerate(np.array_split(rows, -(-len(rows) // BLOCK_ROWS))):
        values = X[chosen] if unit is None else (X[chosen] - unit[0]) / unit[1]
        missing = np.isnan(values)
        dtype = X.dtype if unit is None else np.float32
        columns = np.ones((len(chosen), 1 + X.shape[1] + len(gaps)), dtype=dtype)
        columns[:, 1 : 1 + X.shape[1]] = np.where(missing, 0, values)
        columns[:, 1 + X.shape[1] :] = missing[:, gaps]
        own = None if weights is None else weights[chosen]
        lanes[index % LANES].append(Block(columns, labels[chosen], own))
    return tuple(tuple(lane) for lane in lanes)


def rank_by_peeling(images: Bytes, rows: Ints, is_lit: Flags, *, sample: int = 20_000) -> Ints:
    """Order the pixels that some of the rows light, so that prefixes of sorted rows are short.

    From behind: take the pixel that the fewest remaining rows light, set those rows aside, go on.
    Judged on at most ``sample`` evenly spaced rows; pixels dark in those keep a place at the end
    if ``is_lit`` (pixels,) says that another row lights them.

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
    return np.array([pixel for pixel in reversed(backwards) if is_lit[pixel]], dtype=np.int64)


def _moments(images: Bytes, rows: Ints) -> PartMoments:
    total = np.zeros(images.shape[1])
    squares = np.zeros(images.shape[1])
    extremes = []
    for start in range(0, len(rows), 4 * BLOCK_ROWS):
        pixels = images[rows[start : start + 4 * BLOCK_ROWS]].astype(np.float64)
        total += pixels.sum(axis=0)
        squares += np.einsum("ij,ij->j", pixels, pixels)
        extremes += [int(pixels.min()), int(pixels.max())]
    return PartMoments(len(rows), total, squares, min(extremes), max(extremes))


def _lanes(images: Bytes, labels: Ints, rows: Ints, columns: Ints) -> tuple[tuple[Block, ...], ...]:
    prefix = _prefixes(images, rows, columns)
    order = np.argsort(prefix, kind="stable")
    lanes: list[list[Block]] = [[] for _ in range(LANES)]
    for index, chosen in enumerate(np.array_split(order, -(-len(rows) // BLOCK_ROWS))):
        width = int(prefix[chosen[-1]]) + 1
        pixels = np.ones((len(chosen), width), dtype=np.uint8)
        pixels[:, 1:] = images[rows[chosen]][:, columns[: width - 1]]
        lanes[index % LANES].append(Block(pixels, labels[rows[chosen]]))
    return tuple(tuple(lane) for lane in lanes)


def _prefixes(images: Bytes, rows: Ints, columns: Ints) -> Ints:
    """Column of the last pixel that each row lights; 0 for a dark row."""
    position = np.zeros(images.shape[1], dtype=np.int64)
    position[columns] = np.arange(1, len(columns) + 1)
    prefix = np.empty(len(rows), dtype=np.int64)
    for start in range(0, len(rows), BLOCK_ROWS):
        lit = images[rows[start : start + BLOCK_ROWS]] != 0
        prefix[start : start + BLOCK_ROWS] = np.where(lit, position, 0).max(axis=1)
    return prefix
