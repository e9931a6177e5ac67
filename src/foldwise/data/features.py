"""Features of images that nothing is learned for: how much of each oriented filter lies where.

An image is filtered by small Gabor filters, sines under a bell in several directions. What exceeds
a threshold, light on dark and dark on light apart, is added up under overlapping windows, and a
root of each sum is rounded to a byte:

    feature = round((P max(W x - threshold, 0)) ** power),  power = 1, 1/2 or 1/4

``W`` and ``P`` are sparse matrices of whole numbers (``P`` times a power of two) that follow from
the image's shape alone, so that no image can know another. With pixels of 0 to 255 every sum of
``W x`` stays below 2^24 and every one of ``P`` below 2^53, the first in single, the second in
double precision exact in any order: a feature is the same byte in any batch and on any machine.

What computes them are parts of scikit-learn and numpy (:meth:`FilterBank.stock`). They cut each
image into tiles, which all are multiplied by the same small dense matrix, and take a few filters at
a time, so that the many responses are never there together.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import product
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array, eye_array, kron, vstack
from sklearn import config_context
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.pipeline import FeatureUnion, Pipeline
from sklearn.preprocessing import FunctionTransformer, MinMaxScaler
from sklearn.utils.validation import validate_data

_LEVELS = 1024
"""A filter of length 1 has coefficients that are multiples of 1 / 1024."""
_PEAK = 31
"""A window's weights are multiples of 1 / 31 of its peak, so that it ends somewhere."""
_BRIGHTEST = 255
_ROOTS = {1.0: 0, 0.5: 1, 0.25: 2}
"""How many square roots each power is: the one root that every machine rounds alike."""
_NO_LIMIT = 1e300
_BLOCK_ROWS = 256
_TILE = 12
"""At most so many places along a tile's side: what it needs of the image lies in the cache."""
_TOGETHER = 2048
"""Responses of an image that are there together, unless one filter has more."""
_SINGLE = 2**24
"""Whole numbers below are exact in single precision."""

Sides = tuple[int, ...]


@dataclass(frozen=True, eq=False)
class _Maps:
    """The formula's matrices: filters (responses, pixels), windows (half the features, responses).

    ``threshold`` is in the units of the filters' responses, whose places are those of ``responses``
    (channels, filters, rows, columns).
    """

    image: Sides
    size: Sides
    step: int
    responses: Sides
    filters: csr_array
    windows: csr_array
    threshold: float

    @property
    def floor(self) -> NDArray[np.float64]:
        """What a window adds up to where nothing exceeds the threshold."""
        return np.asarray(self.windows.sum(axis=1) * self.threshold)

    def sums(self, found: NDArray[np.float64]) -> list[NDArray[np.float64]]:
        """What exceeds the threshold, light and dark, under each window.

        By ``max(x - t, 0) = max(x, t) - t``, so that the many responses are passed over once.
        """
        light = np.maximum(found, self.threshold) @ self.windows.T - self.floor
        dark = np.minimum(found, -self.threshold) @ -self.windows.T - self.floor
        return [np.maximum(light, 0), np.maximum(dark, 0)]  # pixels needn't be whole numbers

    @cached_property
    def stock(self) -> tuple[tuple[str, Any], ...]:
        """Fitted steps from pixels to the windows' sums above the threshold.

        Few, and hardly nested: each asks all those within it what they are, for every image.
        """
        channels, filters, *places = self.responses
        even = [n for n in range(1, filters + 1) if filters % n == 0]
        few = max((n for n in even if 2 * n * math.prod(places) <= _TOGETHER), default=1)
        windows = self._windows_of(few)
        least = {"a_min": self.threshold, "a_max": None, "dtype": "float64"}
        above = FunctionTransformer(np.clip, kw_args=least)
        banks = [
            [_times(self._filters_of(start, few)), _rows_of(len(windows)), above, _times(windows)]
            for start in range(0, filters, few)
        ]
        of_channels = [[*self._cut(channel), _side_by_side(banks)] for channel in range(channels)]
        sums = of_channels[0] if channels == 1 else [_side_by_side(of_channels)]
        features = np.arange(2 * self.windows.shape[0]).reshape(channels, len(banks), 2, -1)
        return (
            ("floats", _floats(self.filters.shape[1], self._kind)),
            *((f"sums_{n}", step) for n, step in enumerate(sums)),
            ("light_first", _take(features.transpose(2, 0, 1, 3).ravel())),
            ("floor", _minus(np.tile(self.floor, 2))),
        )

    @property
    def _kind(self) -> str:
        """The type that holds whatever a filter adds up to."""
        most = _BRIGHTEST * abs(self.filters).sum(axis=1).max()
        return "float32" if most < _SINGLE else "float64"

    @cached_property
    def _tiles(self) -> list[tuple[slice, slice]]:
        """Places (rows, columns), cut into tiles of one size; the last ones may overlap others."""
        along = []
        for count in self.responses[2:]:
            side = -(-count // -(-count // _TILE))
            ends = [min(start + side, count) for start in range(0, count, side)]
            along.append([slice(end - side, end) for end in ends])
        rows, columns = along
        return [*product(rows, columns)]

    def _seen(self, channel: int) -> NDArray[np.intp]:
        """The pixels (tiles, pixels) that each tile's filters see."""
        pixels = np.arange(math.prod(self.image)).reshape(self.image)[..., channel]
        spans = (
            [
                slice(at.start * self.step, (at.stop - 1) * self.step + side)
                for at, side in zip(tile, self.size, strict=True)
            ]
            for tile in self._tiles
        )
        return np.array([pixels[rows, columns].ravel() for rows, columns in spans])

    def _places(self, start: int, few: int) -> NDArray[np.intp]:
        """Where a few filters' responses (tiles, responses) stand among those of a channel."""
        places = np.arange(self.filters.shape[0]).reshape(self.responses)[0, start : start + few]
        return np.array([places[:, rows, columns].ravel() for rows, columns in self._tiles])

    def _filters_of(self, start: int, few: int) -> NDArray[Any]:
        """A few filters (pixels, responses) of any tile, dense, because little of it is zero.

        Twice: what is dark on light is light on dark of the filters turned round.
        """
        own, pixels = self._places(start, few)[0], self._seen(0)[0]
        light = self.filters[own][:, pixels].toarray().T
        return np.ascontiguousarray(np.hstack([light, -light]), self._kind)

    def _windows_of(self, few: int) -> NDArray[np.float64]:
        """The windows (responses, sums) of any few filters; what tiles share counts once."""
        places = self._places(0, few)
        sums = few * self.windows.shape[0] // math.prod(self.responses[:2])
        dense = self.windows[:sums][:, places.ravel()].toarray().T
        again = np.setdiff1d(
            np.arange(places.size), np.unique(places.ravel(), return_index=True)[1]
        )
        dense[again] = 0
        both = np.zeros((len(places), 2, places.shape[1], 2, sums))
        for sign in range(2):
            both[:, sign, :, sign] = dense.reshape(*places.shape, sums)
        return both.reshape(2 * places.size, 2 * sums)

    def _cut(self, channel: int) -> tuple[FunctionTransformer, FunctionTransformer]:
        """A channel's tiles, a row each."""
        seen = self._seen(channel)
        return _take(seen.ravel()), _rows_of(seen.shape[1])


class FilterBank(TransformerMixin, BaseEstimator):  # type: ignore[misc]  # scikit-learn has no types
    """Turn rows of pixels into bytes that tell which directions lie where in each image.

    Stateless: nothing is learned, and `transform` needs no `fit`. The channels of an image are
    filtered each by itself. A channel has ``4 * angles * len(frequencies) * grid ** 2`` features:
    there are two phases, and what is light on dark counts apart from what is dark on light.

    Parameters
    ----------
    shape : sequence of int, optional
        Of an image: height, width and, if there are several, channels. Rows are images flattened
        in this order. Without it, columns are a strip of n x 1, on which filters and grid have
        the width 1 and no more than its length.
    size : int
        Side of a filter, in pixels.
    angles : int
        Directions, evenly spread over half a turn.
    frequencies : sequence of float
        Waves a pixel.
    threshold : float
        What a filter of length 1 must find in pixels of 0 to 1 before it counts.
    step : int
        Filters are applied at every so-manieth pixel.
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

    def __init__(  # noqa: PLR0913 - scikit-learn has every parameter named
        self,
        shape: Sequence[int] | None = None,
        *,
        size: int = 7,
        angles: int = 8,
        frequencies: Sequence[float] = (0.12, 0.22),
        threshold: float = 0.3,
        step: int = 1,
        grid: int = 4,
        window: float = 0.6,
        power: float = 0.25,
    ) -> None:
        self.shape = shape
        self.size = size
        self.angles = angles
        self.frequencies = frequencies
        self.threshold = threshold
        self.step = step
        self.grid = grid
        self.window = window
        self.power = power

    def fit(self, X: Any, y: object = None) -> Self:
        """See that the bank fits the images; nothing is learned.

        Raises
        ------
        ValueError
            Filters or grid are too large for the images, or rows are not of their shape.
        """
        del y
        self._maps(validate_data(self, X).shape[1])
        return self

    def transform(self, X: Any) -> NDArray[np.uint8]:
        """Features (rows, features) of pixels (rows, pixels), 0 to 255.

        Raises
        ------
        ValueError
            As for `fit`.
        """
        X = validate_data(self, X, reset=False)
        steps = Pipeline(self._steps(X.shape[1]))
        with config_context(transform_output="default", assume_finite=True):
            blocks = [
                np.minimum(steps.transform(X[start : start + _BLOCK_ROWS]), _BRIGHTEST)
                for start in range(0, len(X), _BLOCK_ROWS)
            ]
        return np.concatenate(blocks, dtype=np.uint8, casting="unsafe")

    def get_feature_names_out(self, input_features: object = None) -> NDArray[np.object_]:
        """A name a feature, such as ``light_channel0_filter12_window5``."""
        del input_features
        (*_, channels), _, grid = self._sides(getattr(self, "n_features_in_", None))
        places = range(channels), range(self._filters), range(math.prod(grid))
        return np.array(
            [
                f"{sign}_channel{channel}_filter{number}_window{window}"
                for sign, channel, number, window in product(("light", "dark"), *places)
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
        """What each pixel adds to the score ``weights @ features``: its slope times the pixel.

        The rounding to bytes is left out of the slope.

        Parameters
        ----------
        X : array (rows, pixels)
        weights : float64 array (features,)

        Returns
        -------
        float64 array (rows, pixels)
        """
        maps = self._maps(X.shape[1])
        found = X.astype(np.float64) @ maps.filters.T
        slopes = np.zeros_like(found)
        own, signs = np.split(weights, 2), (1, -1)
        for sign, weight, sums in zip(signs, own, maps.sums(found), strict=True):
            # Below 1 a root is too steep to tell anything.
            of_sums = weight * self.power * np.maximum(sums, 1) ** (self.power - 1)
            slopes += sign * (sign * found > maps.threshold) * (of_sums @ maps.windows)
        return np.asarray((slopes @ maps.filters) * X)

    def __sklearn_tags__(self) -> Any:
        """Say that it is used without a fit."""
        tags = super().__sklearn_tags__()
        tags.requires_fit = False
        tags.transformer_tags.preserves_dtype = []
        return tags

    @property
    def _filters(self) -> int:
        return 2 * self.angles * len(self.frequencies)

    def _steps(self, pixels: int | None) -> list[tuple[str, Any]]:
        roots = [(f"root_{n}", FunctionTransformer(np.sqrt)) for n in range(_ROOTS[self.power])]
        rounded = ("rounded", FunctionTransformer(np.rint))
        return [*self._maps(pixels).stock, *roots, rounded]

    def _maps(self, pixels: int | None) -> _Maps:
        numbers = self.angles, tuple(self.frequencies), self.threshold, self.window, self.power
        return _maps(*self._sides(pixels), self.step, *numbers)

    def _sides(self, pixels: int | None) -> tuple[Sides, Sides, Sides]:
        """Image (height, width, channels), filter and grid (along both), if they fit."""
        if self.power not in _ROOTS:
            raise ValueError(f"power must be one of {[*_ROOTS]}, got {self.power}")
        if self.shape is None:
            length = pixels or 1
            size = min(self.size, length)
            grid = min(self.grid, -(-(length - size + 1) // self.step))
            return (length, 1, 1), (size, 1), (grid, 1)
        image = (*map(int, self.shape), 1, 1)[: max(3, len(self.shape))]
        if len(image) > 3 or pixels not in (None, math.prod(image)):
            raise ValueError(
                f"X has {pixels} features, but FilterBank is expecting {math.prod(image)} features"
                f" as input: height, width and channels of {self.shape}"
            )
        side, reach = min(image[:2]), self.size + (self.grid - 1) * self.step
        if reach > side:
            grid = min(self.grid, max(1, side - 1))
            size = min(self.size, side - grid + 1)
            remedy = f"step 1 with grid {grid} and size {size} does" if side > 1 else "nothing does"
            raise ValueError(
                f"size + (grid - 1) * step must be at most {side}, the smaller side of the images,"
                f" got {reach}: {remedy}"
            )
        return image, (self.size, self.size), (self.grid, self.grid)


@lru_cache(maxsize=4)
def _maps(  # noqa: PLR0913, PLR0917 - all that the matrices follow from
    image: Sides,
    size: Sides,
    grid: Sides,
    step: int,
    angles: int,
    frequencies: tuple[float, ...],
    threshold: float,
    window: float,
    power: float,
) -> _Maps:
    height, width, channels = image
    kernels = np.rint(_LEVELS * _kernels(size, angles, frequencies))
    rows, columns = (
        np.arange(0, height - size[0] + 1, step),
        np.arange(0, width - size[1] + 1, step),
    )
    corners = np.add.outer(rows * width, columns).ravel()
    taps = np.add.outer(np.arange(size[0]) * width, np.arange(size[1])).ravel()
    seen = np.add.outer(corners, taps).astype(np.int32)
    shape = (len(kernels), *seen.shape)
    coefficients = np.broadcast_to(kernels[:, None], shape).ravel()
    ends = np.arange(0, coefficients.size + 1, len(taps))
    filters = vstack(
        [
            csr_array(
                (coefficients, np.broadcast_to(seen * channels + channel, shape).ravel(), ends),
                shape=(len(ends) - 1, math.prod(image)),
            )
            for channel in range(channels)
        ],
        format="csr",
    )
    bells = (_bells(len(at), n, window) for at, n in zip((rows, columns), grid, strict=True))
    cells = np.kron(*(np.rint(_PEAK * bell) for bell in bells))
    least = _LEVELS * _BRIGHTEST * threshold
    brightest = _BRIGHTEST * np.maximum(kernels, 0).sum(axis=1).max() * cells.sum(axis=1).max()
    # Half of that is more than any waves give, whose dark half counts apart.
    # A power of two, so that the products stay exact.
    unit = 2.0 ** -math.ceil(math.log2(max(brightest, 1) / 2 / _BRIGHTEST ** (1 / power)))
    windows = kron(eye_array(channels * len(kernels)), csr_array(unit * cells), format="csr")
    responses = channels, len(kernels), len(rows), len(columns)
    return _Maps(image, size, step, responses, filters, windows, float(np.rint(least)))


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


def _floats(pixels: int, kind: str) -> FunctionTransformer:
    """Numbers of any type as floats; it counts the pixels."""
    step = FunctionTransformer(np.positive, validate=True, kw_args={"dtype": kind})
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
