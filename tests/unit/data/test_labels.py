"""Labels become codes of sorted classes, the same in both splits."""

import numpy as np
import pytest
from numpy.typing import NDArray

from foldwise.data.labels import code_labels
from foldwise.errors import DataError


def texts(*labels: str) -> NDArray[np.str_]:
    """Make an array of text labels."""
    return np.array(labels, dtype=np.str_)


def test_codes_are_positions_in_the_sorted_classes() -> None:
    """Decoding gives the labels back."""
    development, holdout = texts("b", "c", "a", "b"), texts("a", "c", "b")
    classes, codes, holdout_codes = code_labels(development, holdout)
    assert classes == ("a", "b", "c")
    assert codes.tolist() == [1, 2, 0, 1]
    assert holdout_codes.tolist() == [0, 2, 1]
    assert codes.dtype == holdout_codes.dtype == np.int64


def test_text_that_reads_as_integers_becomes_integers() -> None:
    """10 sorts after 9, and a gap or a negative class is no harm."""
    classes, codes, _ = code_labels(texts("10", "9", "-1"), texts("9", "10", "-1"))
    assert classes == (-1, 9, 10)
    assert all(type(label) is int for label in classes)
    assert codes.tolist() == [2, 1, 0]


@pytest.mark.parametrize("odd", ["07", "1.0", "1" * 19, "+1", "-0", "a"])
def test_one_label_that_is_no_plain_integer_keeps_all_as_text(odd: str) -> None:
    """07 and 7 stay two classes."""
    classes, _, _ = code_labels(texts("7", odd), texts(odd, "7"))
    assert set(classes) == {"7", odd}


def test_integer_labels_stay_integers() -> None:
    """IDX files hold bytes."""
    classes, codes, _ = code_labels(np.array([5, 3]), np.array([3, 5]))
    assert classes == (3, 5)
    assert codes.tolist() == [1, 0]


def test_one_class_is_refused() -> None:
    """There is nothing to tell apart."""
    with pytest.raises(DataError, match="at least two classes, got only 4"):
        code_labels(np.array([4, 4]), np.array([4]))


def test_a_class_that_one_split_lacks_is_named() -> None:
    """It could not be scored, or not be learned."""
    with pytest.raises(DataError, match="both splits, got none of 2 in the holdout"):
        code_labels(np.array([1, 2, 3]), np.array([1, 3]))
    with pytest.raises(DataError, match="both splits, got none of 'z' in the development set"):
        code_labels(texts("a", "b"), texts("a", "b", "z"))
