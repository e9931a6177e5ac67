"""Data as a source gives it, before labels are coded and anything is left out or added."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from foldwise.errors import DataError

Labels = NDArray[np.int64] | NDArray[np.str_]


@dataclass(frozen=True, slots=True, eq=False)
class RawSplit:
    """Images (rows, features) uint8 and their labels (rows,), integers or text."""

    images: NDArray[np.uint8]
    labels: Labels


@dataclass(frozen=True, slots=True, eq=False)
class RawData:
    """Both splits of a source; one image has ``image_shape``."""

    image_shape: tuple[int, ...]
    development: RawSplit
    holdout: RawSplit


def split_last_rows(
    images: NDArray[np.uint8], labels: Labels, *, image_shape: tuple[int, ...], holdout: int
) -> RawData:
    """Take the last ``holdout`` rows for the holdout and those before for development.

    Raises
    ------
    DataError
        No row would be left for development.
    """
    first = len(labels) - holdout
    if first < 1:
        raise DataError(
            f"the data must have more rows than the holdout's {holdout:,}, got {len(labels):,}:"
            " set prepare.holdout in params.yaml"
        )
    return RawData(
        image_shape,
        RawSplit(images[:first], labels[:first]),
        RawSplit(images[first:], labels[first:]),
    )
