"""Numpy as a device: the lines that a GPU runs, run here."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import solve_triangular


class NumpyDevice:
    """Half precision as a device has it: values rounded to it, sums in single precision."""

    xp = np
    name = "numpy"
    room = 1 << 40

    def array(self, values: NDArray[Any]) -> NDArray[Any]:
        return np.array(values)

    def host(self, values: NDArray[Any]) -> NDArray[Any]:
        return values.copy()

    def zeros(self, shape: tuple[int, ...], dtype: Any) -> NDArray[Any]:
        return np.zeros(shape, dtype)

    def cast(self, values: NDArray[Any], dtype: Any) -> NDArray[Any]:
        return values.astype(dtype)

    def product(self, left: NDArray[Any], right: NDArray[Any]) -> NDArray[Any]:
        if left.dtype == np.float16:
            left, right = left.astype(np.float32), right.astype(np.float32)
        return np.asarray(left @ right)

    def solve(self, upper: NDArray[Any], right: NDArray[Any], *, transposed: bool) -> NDArray[Any]:
        pairs = zip(upper, right, strict=True)
        return np.stack([solve_triangular(*pair, trans=int(transposed)) for pair in pairs])

    def places(self, values: NDArray[Any]) -> NDArray[Any]:
        rows = values.reshape(-1, values.shape[-1])
        ranked = zip(np.sort(rows, axis=1), rows, strict=True)
        sides = [[of.searchsorted(row, side) for side in ("left", "right")] for of, row in ranked]
        return np.stack(sides, axis=1).reshape(2, *values.shape)

    def link(self, *_: Any) -> None:
        return None

    def record(self, step: Callable[[], None]) -> Callable[[], None]:
        def quietly() -> None:
            # What masks leave out may be anything.
            with np.errstate(all="ignore"):
                step()

        return quietly
