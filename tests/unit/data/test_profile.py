"""The profile's numbers are those of the pixels, in a file that never changes by itself."""

from pathlib import Path

import numpy as np
import pytest

from foldwise.data.dataset import Classes, write_split
from foldwise.data.preparation import data_profile, profile_text

IMAGES = np.random.default_rng(3).integers(0, 256, (9000, 4), dtype=np.uint8)
IMAGES[:, 1] = np.arange(9000) // 8999
IMAGES[:, 2] = 9
IMAGES[:, 3] = 255 - IMAGES[:, 1]
LABELS = np.arange(9000) % 3


@pytest.fixture
def prepared(tmp_path: Path) -> Path:
    """A development set with copies and more rows than one block, and a small holdout."""
    origins = np.arange(9000) % 4500
    classes: Classes = (0, 1, 2)
    for name, rows, copied in (("development", 9000, origins), ("holdout", 6, None)):
        write_split(
            tmp_path / name,
            [IMAGES[:rows]],
            LABELS[:rows],
            origins=copied,
            name="toy",
            classes=classes,
            image_shape=(2, 2),
        )
    return tmp_path


def test_the_numbers_are_those_of_the_pixels(prepared: Path) -> None:
    """Mean and spread as numpy takes them; constant pixels and classes counted."""
    profile = data_profile(prepared)
    assert profile["development_pixel_mean"] == pytest.approx(IMAGES.mean(), abs=1e-6)
    assert profile["development_pixel_spread"] == pytest.approx(IMAGES.std(), abs=1e-6)
    assert profile["development_constant_pixels"] == 1
    assert profile["development_rows"] == 9000
    assert profile["development_originals"] == 4500
    assert [profile[f"development_class_{n}"] for n in range(3)] == [3000, 3000, 3000]
    assert profile["holdout_rows"] == profile["holdout_originals"] == 6
    assert (profile["features"], profile["image_shape"], profile["classes"]) == (4, "2x2", 3)


def test_the_profile_is_flat_and_always_the_same(prepared: Path) -> None:
    """`dvc metrics diff` compares plain numbers and words; a second run gives the same bytes."""
    profile = data_profile(prepared)
    assert all(isinstance(value, int | float | str) for value in profile.values())
    assert profile_text(profile) == profile_text(data_profile(prepared))
