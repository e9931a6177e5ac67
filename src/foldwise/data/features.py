"""Features of images that nothing is learned for: how much of each oriented filter lies where.

An image is filtered by small Gabor filters, sines under a bell in several directions. What exceeds
a threshold, light on dark and dark on light apart, is added up under overlapping windows, and a
root of each sum is rounded to a byte:

    feature = round((P max(W x - threshold, 0)) ** power),  power = 1, 1/2 or 1/4

``W`` and ``P`` are matrices of whole numbers (``P`` times a power of two) that follow from
the image's shape alone, so that no image can know another. With pixels of 0 to 255 every sum of
``W x`` stays below 2^24 and every one of ``P`` below 2^53, the first in single, the second in
double precision exact in any order: a feature is the same byte in any batch and on any machine.

What computes them are parts of scikit-learn and numpy (:meth:`FilterBank.stock`). They cut each
image into tiles, which all are multiplied by the same small dense matrix, and take a few filters at
a time, so that the many responses are never there together.
"""

import math
from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass
from functools import cached_property, lru_cache
from itertools import product
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array
from sklearn import config_context
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.pipeline import FeatureUnion, Pipeline
from sklearn.preprocessing import FunctionTransformer, MinMaxScaler
from sklearn.utils.validation import validate_data

from foldwise.errors import InputError
from foldwise.settings import FilterSettings, bank_settings
from foldwise.threads import one_blas_thread

_LEVELS = 1024
"""A filter of length 1 has coefficients that are multiples of 1 / 1024."""
_PEAK = 31
"""A window's weights are multiples of 1 / 31 of its peak, so that it ends somewhere."""
_BRIGHTEST = 255
_ROOTS = {1.0: 0, 0.5: 1, 0.25: 2}
"""How many square roots each power is: the one root that every machine rounds alike."""
_NO_LIMIT = 1e300
_BLOCK_BYTES = 2**24
"""What is there of the images that are taken at a time."""
_TILE = 12
"""At most so many places along a tile's side: what it needs of the image lies in the cache."""
_TOGETHER = 2048
"""Responses of an image that are there together, unless one filter has more."""

Sides = tuple[int, ...]


@dataclass(frozen=True, eq=False)
class _Maps:
    """The formula's matrices, of any channel: filters (filters, pixels), windows (windows, places).

    ``image`` is (height, width, channels), ``places`` (rows, columns) are where filters of ``size``
    are applied; ``threshold`` is in the units of their responses.
    """

    image: Sides
    size: Sides
    step: int
    places: Sides
    filters: NDArray[np.float64]
    windows: NDArray[np.float64]
    threshold: float

    @property
    def kinds(self) -> Sides:
        """How many signs, channels, filters and windows the features are of."""
        return 2, self.image[2], len(self.filters), len(self.windows)

    @cached_property
    def stock(self) -> tuple[tuple[str, Any], ...]:
        """Fitted steps from pixels to the windows' sums above the threshold.

        By ``max(x - t, 0) = max(x, t) - t``, so that the many responses are passed over once. Few,
        and hardly nested: each asks all those within it what they are, for every image.
        """
        seen, few = self._seen(self._tiles), self._few
        _, channels, filters, windows = self.kinds
        sums = self._windows_of(few)
        least = {"a_min": self.threshold, "a_max": None, "dtype": "float64"}
        above = FunctionTransformer(np.clip, kw_args=least)
        banks = [
            [_times(self._filters_of(start, few)), _rows_of(len(sums)), above, _times(sums)]
            for start in range(0, filters, few)
        ]
        made = np.arange(math.prod(self.kinds)).reshape(channels, len(banks), 2, few * windows)
        floor = np.resize(self.windows.sum(axis=1) * self.threshold, made.size)
        return (
            ("floats", _floats(math.prod(self.image))),
            ("tiles", _take(seen.ravel())),
            ("a_tile_a_row", _rows_of(seen.shape[2])),
            ("sums", _side_by_side(banks)),
            ("an_image_a_row", _rows_of(made.size)),
            ("light_first", _take(made.transpose(2, 0, 1, 3).ravel())),
            ("floor", _minus(floor)),
        )

    @cached_property
    def block(self) -> int:
        """How many images are to be taken at a time."""
        tiles, pixels = self._seen(self._tiles).shape[1:]
        # A tile's pixels in single precision, then responses in both, then sums, twice over.
        of_tile = 4 * pixels + 24 * self._few * math.prod(_sides(self._tiles[0]))
        of_one = tiles * self.image[2] * of_tile + 24 * math.prod(self.kinds)
        return int(max(1, _BLOCK_BYTES // of_one))

    @property
    def patches(self) -> NDArray[np.intp]:
        """The pixels (channels, places, pixels) that filters see at each place."""
        rows, columns = ([slice(at, at + 1) for at in range(along)] for along in self.places)
        return self._seen([*product(rows, columns)])

    @property
    def _few(self) -> int:
        """Filters of all channels that are taken at once."""
        filters, of_one = len(self.filters), 2 * self.image[2] * math.prod(self.places)
        even = (n for n in range(1, filters + 1) if filters % n == 0)
        return max((n for n in even if n * of_one <= _TOGETHER), default=1)

    @cached_property
    def _tiles(self) -> list[tuple[slice, slice]]:
        """Places (rows, columns), cut into tiles of one size; the last ones may overlap others."""
        along = []
        for count in self.places:
            side = -(-count // -(-count // _TILE))
            ends = [min(start + side, count) for start in range(0, count, side)]
            along.append([slice(end - side, end) for end in ends])
        rows, columns = along
        return [*product(rows, columns)]

    def _seen(self, tiles: Sequence[tuple[slice, slice]]) -> NDArray[np.intp]:
        """The pixels (channels, tiles, pixels) that each tile's filters see."""
        pixels = np.arange(math.prod(self.image)).reshape(self.image)
        spans = (
            [
                slice(at.start * self.step, (at.stop - 1) * self.step + side)
                for at, side in zip(tile, self.size, strict=True)
            ]
            for tile in tiles
        )
        seen = [pixels[rows, columns].reshape(-1, self.image[2]) for rows, columns in spans]
        return np.stack(seen).transpose(2, 0, 1)

    def _filters_of(self, start: int, few: int) -> NDArray[np.float32]:
        """A few filters (pixels, responses) of any tile, dense, because little of it is zero.

        Twice: what is dark on light is light on dark of the filters turned round.
        """
        rows, columns = _sides(self._tiles[0])
        height, width = (
            (n - 1) * self.step + side for n, side in zip((rows, columns), self.size, strict=True)
        )
        light = np.zeros((height, width, few, rows, columns), np.float32)
        own = self.filters[start : start + few].T.reshape(*self.size, few)
        for row, column in product(range(rows), range(columns)):
            top, left = row * self.step, column * self.step
            light[top : top + self.size[0], left : left + self.size[1], :, row, column] = own
        flat = light.reshape(height * width, -1)
        return np.hstack([flat, -flat])

    def _windows_of(self, few: int) -> NDArray[np.float64]:
        """The windows (responses, sums) of any few filters; what tiles share counts once."""
        of_each = np.arange(few * math.prod(self.places)).reshape(few, *self.places)
        places = np.array([of_each[:, rows, columns].ravel() for rows, columns in self._tiles])
        dense = np.kron(np.eye(few), self.windows)[:, places.ravel()].T
        again = np.setdiff1d(
            np.arange(places.size), np.unique(places.ravel(), return_index=True)[1]
        )
        dense[again] = 0
        both = np.zeros((len(places), 2, places.shape[1], 2, dense.shape[1]))
        for sign in range(2):
            both[:, sign, :, sign] = dense.reshape(*places.shape, -1)
        return both.reshape(2 * places.size, -1)


@dataclass(eq=False, repr=False)
class FilterBank(TransformerMixin, BaseEstimator):  # type: ignore[misc]  # scikit-learn has no types
    """Turn rows of pixels into bytes that tell which directions lie where in each image.

    Pixels are 0 to 255. Of pixels divided by 255 nothing exceeds the threshold: multiply them.

    Stateless: nothing is learned, and `transform` needs no `fit`. The channels of an image are
    filtered each by itself. A channel has ``4 * angles * len(frequencies) * grid ** 2`` features:
    there are two phases, and what is light on dark counts apart from what is dark on light.

    Parameters
    ----------
    shape : sequence of int, optional
        Of an image: height, width and, if there are several, channels. Rows are images flattened
        in this order. To be given for every image: the columns don't tell it, and without it, as
        scikit-learn's conventions want it possible, they are a strip of n x 1, on which filters
        and grid have the width 1 and no more than its length.
    size : int
        Side of a filter, in pixels.
    angles : int
        Directions, evenly spread over half a turn.
    frequencies : sequence of float
        Waves a pixel.
    threshold : float
        What a filter of length 1 must find in pixels of 0 to 1 before it counts: less than the
        most that any can find.
    step : int
        Filters are applied at every pixel, every second or every third one, and so on.
    grid : int
        Windows along each side.
    window : float
        Standard deviation of a window, in cells of the grid.
    power : {1.0, 0.5, 0.25}
        Of each window's sum.

    Examples
    --------
    >>> import numpy as np
    >>> from foldwise import FilterBank
    >>> FilterBank((28, 28)).fit_transform(np.zeros((1, 784), np.uint8)).shape
    (1, 1024)
    """

    shape: Sequence[int] | None = None
    _: KW_ONLY
    size: int = 7
    angles: int = 8
    frequencies: Sequence[float] = (0.12, 0.22)
    threshold: float = 0.3
    step: int = 1
    grid: int = 4
    window: float = 0.6
    power: float = 0.25

    def fit(self, X: Any, y: object = None) -> Self:
        """See that the bank fits the images; nothing is learned.

        Raises
        ------
        InputError
            A number breaks the rule that it has in params.yaml, filters or grid are too large for
            the images, no image can exceed the threshold, or rows are not of their shape.
        """
        del y
        self._maps(validate_data(self, X).shape[1])
        return self

    def transform(self, X: Any) -> NDArray[np.uint8]:
        """Features (rows, features) of pixels (rows, pixels), 0 to 255, refused as by `fit`."""
        X = validate_data(self, X, reset=False)
        maps, steps = self._maps(X.shape[1]), Pipeline(self._steps(X.shape[1]))
        features = np.empty((len(X), math.prod(maps.kinds)), np.uint8)
        for start in range(0, len(X), maps.block):
            rows = slice(start, start + maps.block)
            with config_context(transform_output="default", assume_finite=True), one_blas_thread():
                features[rows] = np.minimum(steps.transform(X[rows]), _BRIGHTEST)
        return features

    def get_feature_names_out(self, input_features: object = None) -> NDArray[np.object_]:
        """A name a feature, such as ``light_channel0_filter12_window5``."""
        del input_features
        _, *kinds = self._maps(getattr(self, "n_features_in_", None)).kinds
        return np.array(
            [
                f"{sign}_channel{channel}_filter{number}_window{window}"
                for sign, channel, number, window in product(("light", "dark"), *map(range, kinds))
            ],
            dtype=object,
        )

    def words(self) -> str:
        """What the features are, for people."""
        count = len(self.get_feature_names_out())
        waves = " and ".join(f"{frequency:g}" for frequency in self.frequencies)
        return (
            f"filter features, {count:,} of each image ({self.size} × {self.size} filters of"
            f" {self.angles} directions, {waves} waves a pixel, a {self.grid} × {self.grid} grid)"
        )

    def stock(self, _mean: object = None) -> list[tuple[str, Any]]:
        """Fitted steps of scikit-learn's own that make the same numbers, of a bank with a shape."""
        return self._steps(None)

    def evidence(self, X: NDArray[Any], weights: NDArray[np.float64]) -> NDArray[np.float64]:
        """What each pixel adds to the score ``weights @ features``, beyond a dark image's.

        Of pixels (rows, pixels), 0 to 255, and weights (features,) it gives float64 (rows, pixels).

        What a feature adds, but for its rounding, is shared out over the responses under its
        window by their part of the sum, and a response's share over the pixels that raise it,
        each by its part of what they all raise it by. So an image's evidence adds up to its score,
        and none is larger than the features that it comes from. A root's slope, in place of its
        value, would grow without bound where a sum is small. (The rule z+ of Montavon et al.,
        Explaining nonlinear classification decisions with deep Taylor decomposition, 2017.)
        """
        power, maps = self._numbers.power, self._maps(X.shape[1])
        light, dark = weights.reshape(maps.kinds).swapaxes(2, 3)
        patches, evidence = maps.patches, np.empty(X.shape)
        ends = np.arange(patches.size + 1)
        by_pixel = csr_array(
            (np.ones(patches.size), patches.ravel(), ends), (patches.size, X.shape[1])
        )
        for row, image in enumerate(X):
            seen = image[patches].astype(np.float64)
            shares = np.zeros_like(seen)
            for filters, own in ((maps.filters, light), (-maps.filters, dark)):
                excess = np.maximum(seen @ filters.T - maps.threshold, 0)
                sums = maps.windows @ excess  # (channels, windows, filters)
                added = excess * (maps.windows.T @ (own * _quotient(sums**power, sums)))
                raising = np.maximum(filters, 0)
                shares += _quotient(added, seen @ raising.T) @ raising
            evidence[row] = image * (shares.ravel() @ by_pixel)
        return evidence

    def __sklearn_tags__(self) -> Any:
        """Say that it is used without a fit."""
        tags = super().__sklearn_tags__()
        tags.requires_fit = False
        tags.transformer_tags.preserves_dtype = []
        return tags

    @property
    def _numbers(self) -> FilterSettings:
        return bank_settings({k: of for k, of in self.get_params().items() if k != "shape"})

    def _steps(self, pixels: int | None) -> list[tuple[str, Any]]:
        roots = range(_ROOTS[self._numbers.power])
        rooted = ((f"root_{n}", FunctionTransformer(np.sqrt)) for n in roots)
        return [*self._maps(pixels).stock, *rooted, ("rounded", FunctionTransformer(np.rint))]

    def _maps(self, pixels: int | None) -> _Maps:
        return _maps(*self._sides(pixels), self._numbers)

    def _sides(self, pixels: int | None) -> tuple[Sides, Sides, Sides]:
        """Image (height, width, channels), filter and grid (along both), if they fit."""
        numbers = self._numbers
        if self.shape is None:
            length = pixels or 1
            size = min(numbers.size, length)
            grid = min(numbers.grid, -(-(length - size + 1) // numbers.step))
            return (length, 1, 1), (size, 1), (grid, 1)
        sides = np.asarray(self.shape).tolist()
        is_shape = isinstance(sides, list) and len(sides) in (2, 3)
        if not is_shape or not all(type(side) is int and side > 0 for side in sides):
            raise InputError(
                "shape must be two or three whole numbers above 0, height, width and, if there are"
                f" several, channels of an image, got {self.shape}: an image without colours is"
                " (height, width)"
            )
        image = (*sides, 1)[:3]
        if pixels not in (None, math.prod(image)):
            raise InputError(
                f"X has {pixels} features, but FilterBank is expecting {math.prod(image)} features"
                f" as input: height, width and channels of {self.shape}"
            )
        side, reach = min(image[:2]), numbers.size + (numbers.grid - 1) * numbers.step
        if reach > side:
            grid = min(numbers.grid, max(1, side - 1))
            size = min(numbers.size, side - grid + 1)
            remedy = f"step 1 with grid {grid} and size {size} does" if side > 1 else "nothing does"
            raise InputError(
                f"size + (grid - 1) * step must be at most {side}, the smaller side of the images,"
                f" got {reach}: {remedy}"
            )
        return image, (numbers.size, numbers.size), (numbers.grid, numbers.grid)


@lru_cache(maxsize=4)
def _maps(image: Sides, size: Sides, grid: Sides, numbers: FilterSettings) -> _Maps:
    kernels = np.rint(_LEVELS * _kernels(size, numbers.angles, numbers.frequencies))
    places = tuple(
        (all_of - part) // numbers.step + 1 for all_of, part in zip(image[:2], size, strict=True)
    )
    window = numbers.window
    bells = (_bells(along, n, window) for along, n in zip(places, grid, strict=True))
    down, across = (np.rint(_PEAK * bell) for bell in bells)
    cells = np.asarray(np.kron(down, across), np.float64)
    least = _LEVELS * _BRIGHTEST * numbers.threshold
    found = np.abs(kernels).sum(axis=1).max() / 2 / _LEVELS
    if image[1] > 1 and numbers.threshold >= found:
        raise InputError(
            f"threshold must be below {found:.3g}, the most that these filters find in any image,"
            f" got {numbers.threshold:g}: lower it, its default is {FilterSettings().threshold:g}"
        )
    brightest = _BRIGHTEST * np.maximum(kernels, 0).sum(axis=1).max() * cells.sum(axis=1).max()
    # Half of that is more than any waves give, whose dark half counts apart.
    # A power of two, so that the products stay exact.
    most = _BRIGHTEST ** (1 / numbers.power)
    unit = 2.0 ** -math.ceil(math.log2(max(brightest, 1) / 2 / most))
    return _Maps(image, size, numbers.step, places, kernels, unit * cells, float(np.rint(least)))


def _kernels(size: Sides, angles: int, frequencies: Sequence[float]) -> NDArray[np.float64]:
    """Gabor filters (filters, pixels) without mean, of length 1; a frequency's angles together."""
    y, x = np.meshgrid(*(np.arange(side) - (side - 1) / 2 for side in size), indexing="ij")
    bell = np.exp(-8 * (x**2 + y**2) / max(size) ** 2)  # standard deviation: a quarter of the size
    kernels = []
    for frequency, angle, phase in product(frequencies, range(angles), (0, np.pi / 2)):
        along = x * np.cos(np.pi * angle / angles) + y * np.sin(np.pi * angle / angles)
        wave = bell * np.cos(2 * np.pi * frequency * along + phase)
        even = wave - bell * (wave.sum() / bell.sum())
        kernels.append(even.ravel() / max(float(np.linalg.norm(even)), 1e-9))
    return np.array(kernels)


def _bells(places: int, count: int, window: float) -> NDArray[np.float64]:
    """Windows (count, places) that overlap, evenly spread over the places; their peak is 1."""
    cell = places / count
    centers = (np.arange(count) + 0.5) * cell - 0.5
    return np.asarray(
        np.exp(-(((np.arange(places) - centers[:, None]) / (window * cell)) ** 2) / 2)
    )


def _floats(pixels: int) -> FunctionTransformer:
    """Numbers of any type in single precision; it counts the pixels."""
    step = FunctionTransformer(np.positive, validate=True, kw_args={"dtype": "float32"})
    return step.fit(np.zeros((1, pixels)))


def _take(columns: NDArray[np.intp]) -> FunctionTransformer:
    return FunctionTransformer(np.take, kw_args={"indices": columns, "axis": 1})


def _rows_of(length: int) -> FunctionTransformer:
    return FunctionTransformer(np.reshape, kw_args={"shape": (-1, length)})


def _side_by_side(several: Sequence[Sequence[Any]]) -> FeatureUnion:
    """What several sequences of steps make of the same."""
    named = ([(str(n), step) for n, step in enumerate(steps)] for steps in several)
    return FeatureUnion([(str(n), Pipeline(steps)) for n, steps in enumerate(named)])


def _times(matrix: NDArray[Any]) -> FunctionTransformer:
    return FunctionTransformer(np.dot, kw_args={"b": matrix})


def _minus(floor: NDArray[np.float64]) -> MinMaxScaler:
    """scikit-learn's own difference, at least 0: pixels needn't be whole numbers."""
    minus = MinMaxScaler((0, _NO_LIMIT), clip=True)
    minus.scale_, minus.min_ = np.ones(len(floor)), -floor
    minus.n_features_in_ = len(floor)
    return minus


def _sides(tile: tuple[slice, slice]) -> tuple[int, int]:
    rows, columns = tile
    return rows.stop - rows.start, columns.stop - columns.start


def _quotient(above: NDArray[np.float64], below: NDArray[np.float64]) -> NDArray[np.float64]:
    """0 where there is nothing to share."""
    return np.divide(above, below, out=np.zeros_like(above), where=below > 0)
