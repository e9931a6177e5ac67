"""Features of images that nothing is learned for: how much of each oriented filter lies where.

An image is filtered by small Gabor filters, sines under a bell in several directions. What exceeds
a threshold, light on dark and dark on light apart, is added up under overlapping windows, and a
root of each sum is rounded to a byte:

    feature = round((P max(W x - threshold, 0)) ** power),  power = 1, 1/2 or 1/4

``W`` and ``P`` are sparse matrices of whole numbers (``P`` times a power of two) that follow from
the image's shape alone, so that no image can know another. With pixels of 0 to 255 every sum stays
below 2^53: it is exact in any order, and a feature is the same byte in any batch, on any machine,
and from whatever computes the formula, such as scikit-learn's own parts (:meth:`FilterBank.stock`).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import product
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array, eye_array, kron, vstack
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.pipeline import FeatureUnion, Pipeline
from sklearn.preprocessing import FunctionTransformer, MinMaxScaler
from sklearn.random_projection import SparseRandomProjection
from sklearn.utils.validation import validate_data

_LEVELS = 1024
"""A filter of length 1 has coefficients that are multiples of 1 / 1024."""
_PEAK = 31
"""A window's weights are multiples of 1 / 31 of its peak, so that it ends somewhere."""
_BRIGHTEST = 255
_ROOTS = {1.0: 0, 0.5: 1, 0.25: 2}
"""How many square roots each power is: the one root that every machine rounds alike."""
_NO_LIMIT = 1e300
_BLOCK_ROWS = 64

Sides = tuple[int, ...]


@dataclass(frozen=True, slots=True, eq=False)
class _Maps:
    """The formula's matrices: filters (responses, pixels), windows (half the features, responses).

    ``threshold`` is in the units of the filters' responses.
    """

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
        maps = self._maps(X.shape[1])
        features = np.empty((len(X), 2 * maps.windows.shape[0]), dtype=np.uint8)
        for start in range(0, len(X), _BLOCK_ROWS):
            found = X[start : start + _BLOCK_ROWS].astype(np.float64) @ maps.filters.T
            roots = np.hstack(maps.sums(found))
            for _ in range(_ROOTS[self.power]):
                roots = np.sqrt(roots)
            features[start : start + _BLOCK_ROWS] = np.minimum(np.rint(roots), _BRIGHTEST)
        return features

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

    def stock(self) -> list[tuple[str, Any]]:
        """Fitted steps of scikit-learn's own that make the same of rows of float64 (a `shape`d)."""
        maps = self._maps(None)
        light, dark = _clip(maps.threshold, None), _clip(None, -maps.threshold)
        signs = [
            ("light", Pipeline([("clip", light), ("windows", _linear(maps.windows))])),
            ("dark", Pipeline([("clip", dark), ("windows", _linear(-maps.windows))])),
        ]
        roots = [(f"root_{n}", FunctionTransformer(np.sqrt)) for n in range(_ROOTS[self.power])]
        return [
            ("filters", _linear(maps.filters)),
            ("signs", FeatureUnion(signs)),
            ("floor", _minus(np.tile(maps.floor, 2))),
            *roots,
            ("rounded", FunctionTransformer(np.rint)),
        ]

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
    return _Maps(filters, windows, float(np.rint(least)))


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


def _linear(matrix: csr_array) -> SparseRandomProjection:
    """scikit-learn's own product with a sparse matrix, which need not be random."""
    product_with = SparseRandomProjection(matrix.shape[0])
    product_with.components_ = matrix
    product_with.n_features_in_ = matrix.shape[1]
    return product_with


def _clip(low: float | None, high: float | None) -> FunctionTransformer:
    return FunctionTransformer(np.clip, kw_args={"a_min": low, "a_max": high})


def _minus(floor: NDArray[np.float64]) -> MinMaxScaler:
    """scikit-learn's own difference, at least 0: pixels needn't be whole numbers."""
    minus = MinMaxScaler((0, _NO_LIMIT), clip=True)
    minus.scale_, minus.min_ = np.ones(len(floor)), -floor
    minus.n_features_in_ = len(floor)
    return minus
