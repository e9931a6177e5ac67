"""Whether images look as those that a model learned from, or divided, or inverted."""

import numpy as np
import pytest
from numpy.typing import NDArray

from foldwise.app.predict import Pixels

INK = np.zeros((50, 10), np.uint8)
INK[:, 0], INK[:, 1] = 255, 90
USUAL = Pixels.of(INK)


@pytest.mark.parametrize(
    ("images", "word"),
    [
        (INK, ""),
        (INK[:1] // 2, ""),
        (INK / 255, "divided"),
        (255 - INK, "inverted"),
    ],
    ids=["as usual", "fainter", "divided", "inverted"],
)
def test_what_went_wrong_before_is_told(images: NDArray[np.generic], word: str) -> None:
    """Judged by the development set's range and mean."""
    warning = Pixels.of(images).warning(USUAL)
    assert word in warning
    assert bool(warning) == bool(word)


def test_images_that_are_half_ink_look_inverted_to_nobody() -> None:
    """Their mean is near its mirror image."""
    grey = np.tile(np.array([0, 255, 120], np.uint8), (4, 1))
    assert Pixels.of(255 - grey).warning(Pixels.of(grey)) == ""


def test_a_development_set_of_zeros_and_ones_was_not_divided() -> None:
    """Its own range is what counts."""
    bits = np.array([[0, 1, 0, 0]])
    assert Pixels.of(bits).warning(Pixels.of(bits)) == ""
