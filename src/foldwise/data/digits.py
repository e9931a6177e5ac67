"""scikit-learn's own 8x8 digits: small real data for a run in seconds, without any file."""

import numpy as np

from foldwise.data.raw import RawData, split_last_rows

_HOLDOUT = 297


def read_digits(*, holdout: int | None) -> RawData:
    """Read the 1,797 digits; pixels are 0 to 16. The last 297 are the holdout by default."""
    from sklearn.datasets import load_digits  # a second and 100 MB that other sources save

    digits = load_digits()
    return split_last_rows(
        digits.data.astype(np.uint8),
        digits.target.astype(np.int64),
        image_shape=(8, 8),
        holdout=_HOLDOUT if holdout is None else holdout,
    )
