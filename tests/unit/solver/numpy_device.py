"""Numpy as a device: the lines that a GPU runs, run here; or the GPU itself, where one is."""

import os
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import solve_triangular

from foldwise.search.engines.gpu import found
from foldwise.search.engines.scoring import Cores


class NumpyDevice(Cores):
    """Half precision as a device has it: values rounded to it, sums in single precision."""

    room = 1 << 40

    def array(self, values: NDArray[Any]) -> NDArray[Any]:
        return np.array(values)

    def host(self, values: NDArray[Any]) -> NDArray[Any]:
        return values.copy()

    def zeros(self, shape: tuple[int, ...], dtype: Any) -> NDArray[Any]:
        return np.zeros(shape, dtype)

    def product(self, left: NDArray[Any], right: NDArray[Any]) -> NDArray[Any]:
        if left.dtype == np.float16:
            left, right = left.astype(np.float32), right.astype(np.float32)
        return np.asarray(left @ right)

    def solve(self, upper: NDArray[Any], right: NDArray[Any], *, transposed: bool) -> NDArray[Any]:
        pairs = zip(upper, right, strict=True)
        return np.stack([solve_triangular(*pair, trans=int(transposed)) for pair in pairs])

    def link(self, *_: Any) -> None:
        return None

    def record(self, step: Callable[[], None]) -> Callable[[], None]:
        def quietly() -> None:
            # What masks leave out may be anything.
            with np.errstate(all="ignore"):
                step()

        return quietly


def device_at_hand() -> Any:
    """What engines' tests compute on: numpy, or the GPU that FOLDWISE_DEVICE=cuda asks for."""
    return found(os.environ.get("FOLDWISE_DEVICE", "cpu")) or NumpyDevice()
