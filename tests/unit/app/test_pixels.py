"""Whether images look as a model knows them, or divided, or inverted; features of them."""

import numpy as np
import pytest
from numpy.typing import NDArray
from threadpoolctl import threadpool_info, threadpool_limits

from foldwise import FilterBank
from foldwise.app.predict import Pixels
from foldwise.app.workspace import transformed
from foldwise.errors import SettingsError

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


def test_images_in_which_filters_find_nothing_at_all_are_refused() -> None:
    """With how bright they are; the remedy is taken at its word."""
    images = np.random.default_rng(1).integers(0, 17, (9, 64)).astype(np.uint8)
    numbers: dict[str, int] = {"size": 3, "grid": 2}
    with pytest.raises(SettingsError, match=r"0\.3 is by none of 9 images, .* 16 of 255: lower it"):
        transformed(FilterBank((8, 8), **numbers), images)
    assert transformed(FilterBank((8, 8), threshold=0.01, **numbers), images).any()


def test_features_are_made_with_one_blas_thread_in_each_of_ours() -> None:
    """With two, products as small as a tile's take three times as long."""
    seen: list[int] = []

    class Bank(FilterBank):  # type: ignore[misc]
        def transform(self, X: NDArray[np.uint8]) -> NDArray[np.uint8]:
            told = threadpool_info()
            seen.extend(each["num_threads"] for each in told if each["user_api"] == "blas")
            return X

    images = np.arange(8, dtype=np.uint8).reshape(2, 4)
    with threadpool_limits(2, user_api="blas"):
        assert transformed(Bank(), images).tolist() == images.tolist()
    assert {*seen} == {1}
