"""Labels as class codes, rows by class; data that can't be learned from is refused."""

import re
from collections.abc import Iterable
from typing import Any
from unicodedata import normalize

import numpy as np
from numpy.typing import NDArray

from foldwise.data.dataset import WHOLE, Classes, Dataset, Split
from foldwise.errors import DataError, InputError

Labels = NDArray[np.int64] | NDArray[np.str_]
_OTHER_DATA = "choose data whose splits have rows of every class"
TWO_WAYS = "in two of Unicode's spellings, which look alike,"
WRITE_ONE_WAY = "spell it in one way, in NFC and with nothing invisible, everywhere"
_UNSEEN = re.compile(
    "[\x00-\x08\x0e-\x1b\x7f-\x84\x86-\x9f\xad\u034f\u061c\u115f\u1160\u17b4\u17b5"
    "\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f\u3164\ufe00-\ufe0f\ufeff"
    "\uffa0\ufff0-\ufffb\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff]"
)
"""Control characters, and what Unicode calls ignorable by default."""


def make_dataset(
    image_shape: tuple[int, ...],
    development: tuple[NDArray[np.uint8], Labels],
    holdout: tuple[NDArray[np.uint8], Labels],
    *,
    remedy: str = _OTHER_DATA,
) -> Dataset:
    """Put together what a source gives: images (rows, features) and labels as they come.

    They are coded as by `code_labels`. ``remedy`` is what to do where a split lacks a class.
    """
    classes, *codes = code_labels(development[1], holdout[1], remedy=remedy)
    rows = [np.arange(len(labels), dtype=np.int64) for labels in codes]
    return Dataset(
        classes,
        image_shape,
        Split(development[0], codes[0], rows[0]),
        Split(holdout[0], codes[1], rows[1]),
    )


def code_labels(
    development: Labels, holdout: Labels, *, remedy: str = _OTHER_DATA
) -> tuple[Classes, NDArray[np.int64], NDArray[np.int64]]:
    """Sort the classes and replace each label by its class's position.

    Labels that all read as integers become integers: '10' then comes after '9'.

    Raises
    ------
    DataError
        There are fewer than two classes, or a class is missing in one of the splits.
    """
    texts = {str(label) for label in np.union1d(development, holdout)}
    kind: Any = np.int64 if all(WHOLE.fullmatch(text) for text in texts) else np.str_
    classes, codes = np.unique(development.astype(kind), return_inverse=True)
    holdout_classes, holdout_codes = np.unique(holdout.astype(kind), return_inverse=True)
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
            f" {split}: {remedy}"
        )
    return tuple(classes.tolist()), codes.astype(np.int64), holdout_codes.astype(np.int64)


def sight(word: str) -> str:
    """A word as people see it: in Unicode's normal form, spaces alike, and nothing invisible."""
    return " ".join(normalize("NFC", _UNSEEN.sub("", word)).split())


def alike(words: Iterable[str]) -> tuple[int, int] | None:
    """The places of the first two different words that nobody can tell apart by sight."""
    seen: dict[str, tuple[int, str]] = {}
    for place, word in enumerate(words):
        first, known = seen.setdefault(sight(word), (place, word))
        if known != word:
            return first, place
    return None


def require_one_spelling(values: Iterable[object], what: str) -> None:
    """Refuse words that nobody can tell apart by sight; ``what`` they are of begins the line."""
    words = [value for value in values if isinstance(value, str)]
    if places := alike(words):
        first, second = (ascii(words[place][:30]) for place in places)
        raise InputError(
            f"{what} must be told apart by sight, got {first} and {second}: {WRITE_ONE_WAY}"
        )


def _shown(classes: NDArray[Any]) -> str:
    return ", ".join(repr(label) for label in classes.tolist()) or "none"


def stratified_rows(labels: NDArray[np.int64], *, limit: int, seed: int) -> NDArray[np.int64]:
    """Choose ``limit`` rows, ascending, so that classes keep their proportions.

    Each class gets the whole part of its share; the rows left go to the largest fractions, ties
    to the first class (Hamilton's method). Within a class, rows are drawn without replacement.
    ``labels`` (rows,) are class codes from 0, none unused.

    Raises
    ------
    DataError
        There are fewer rows, or so few are asked for that a class would vanish.
    """
    if limit > len(labels):
        raise DataError(
            f"prepare.limit must be at most the development set's {len(labels):,} rows,"
            f" got {limit:,}: lower it, or null takes all"
        )
    counts = np.bincount(labels)
    quotas, fraction = np.divmod(limit * counts, counts.sum())
    quotas[np.argsort(-fraction, kind="stable")[: limit - quotas.sum()]] += 1
    if quotas.min() == 0:
        enough = -(-len(labels) // int(counts.min()))
        raise DataError(
            f"prepare.limit must leave rows of every class, got {limit:,}, which leaves none of"
            f" the smallest: {enough:,} would be enough"
        )
    generator = np.random.default_rng((seed, 1))
    chosen = [
        generator.choice(np.flatnonzero(labels == code), size=quota, replace=False)
        for code, quota in enumerate(quotas)
    ]
    return np.sort(np.concatenate(chosen))
