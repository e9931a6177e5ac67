"""From labels as they come to class codes; data that can't be learned from is refused."""

import re
from typing import Any

import numpy as np
from numpy.typing import NDArray

from foldwise.data.dataset import Classes
from foldwise.data.raw import Labels
from foldwise.errors import DataError

_INTEGER = re.compile(r"0|-?[1-9][0-9]{0,17}")


def code_labels(
    development: Labels, holdout: Labels
) -> tuple[Classes, NDArray[np.int64], NDArray[np.int64]]:
    """Sort the classes and replace each label by its class's position.

    Labels that all read as integers become integers: '10' then comes after '9'.

    Returns
    -------
    classes : tuple of int or of str
    development_codes, holdout_codes : int64 arrays

    Raises
    ------
    DataError
        There are fewer than two classes, or a class is missing in one of the splits.
    """
    development, holdout = _as_integers(development, holdout)
    classes, codes = np.unique(development, return_inverse=True)
    holdout_classes, holdout_codes = np.unique(holdout, return_inverse=True)
    if len(classes) < 2:
        raise DataError(
            f"the data must have at least two classes, got only {_shown(classes)}:"
            " choose data with more"
        )
    if not np.array_equal(classes, holdout_classes):
        missing = np.setxor1d(classes, holdout_classes)
        split = "holdout" if missing[0] in classes else "development set"
        raise DataError(
            f"each class must have rows in both splits, got none of {_shown(missing[:1])} in the"
            f" {split}: choose other data, or another prepare.holdout"
        )
    return tuple(classes.tolist()), codes.astype(np.int64), holdout_codes.astype(np.int64)


def _as_integers(development: Labels, holdout: Labels) -> tuple[Labels, Labels]:
    texts = {str(label) for label in np.union1d(development, holdout)}
    if all(_INTEGER.fullmatch(text) for text in texts):
        return development.astype(np.int64), holdout.astype(np.int64)
    return development.astype(np.str_), holdout.astype(np.str_)


def _shown(classes: NDArray[Any]) -> str:
    return ", ".join(repr(label) for label in classes.tolist()) or "none"
