"""The data profile: a few flat numbers, good for comparing two versions of the data."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from foldwise.data.dataset import SplitName, load, load_facts

_BLOCK = 8192


def data_profile(directory: Path) -> dict[str, Any]:
    """Describe both splits of prepared data.

    Parameters
    ----------
    directory : Path
        As `load` takes it; digests are checked.

    Returns
    -------
    dict
        ``name``, ``classes``, ``features``, ``image_shape``, and for each split
        ``<split>_rows``, ``<split>_originals`` (rows that are no copies), of the development set
        ``development_duplicates`` (originals that equal an earlier one),
        ``<split>_class_<class>`` (rows of the class), ``<split>_pixel_mean`` and
        ``<split>_pixel_spread`` (standard deviation; both on the scale 0-255),
        ``<split>_constant_pixels`` (features with one value throughout) and
        ``<split>_digest``. Of a table, nothing of pixels, and ``<split>_groups`` if it names any.
    """
    facts = load_facts(directory / "development")
    profile: dict[str, int | float | str] = {"name": facts.name, "classes": len(facts.classes)}
    if facts.columns is None:
        profile["features"] = int(np.prod(facts.image_shape))
        profile["image_shape"] = "x".join(str(side) for side in facts.image_shape)
    else:
        profile["features"] = len(facts.columns)
    names: tuple[SplitName, ...] = ("development", "holdout")
    for name in names:
        for key, value in _split_profile(directory, name).items():
            profile[f"{name}_{key}"] = value
    return profile


def profile_text(profile: Mapping[str, Any]) -> str:
    """Write a profile as reports/data.json has it."""
    return json.dumps(profile, indent=2, ensure_ascii=False) + "\n"


def _split_profile(directory: Path, name: SplitName) -> dict[str, int | float | str]:
    split, facts = load(name, directory), load_facts(directory / name)
    counts = np.bincount(split.labels, minlength=len(facts.classes))
    known = {"duplicates": facts.duplicates, "groups": facts.groups}
    return {
        "rows": facts.rows,
        **({} if facts.columns else {"originals": int(split.is_original.sum())}),
        **{name: of for name, of in known.items() if of is not None},
        **{f"class_{one}": int(count) for one, count in zip(facts.classes, counts, strict=True)},
        **({} if facts.columns else _pixel_profile(split.images)),
        "digest": facts.digest,
    }


def _pixel_profile(images: NDArray[np.uint8]) -> dict[str, int | float]:
    """Mean and spread of all pixels, and the count of constant ones; sums are exact integers."""
    histogram = np.zeros(256, dtype=np.int64)
    low, high = images[0].copy(), images[0].copy()
    for start in range(0, len(images), _BLOCK):
        block = images[start : start + _BLOCK]
        histogram += np.bincount(block.reshape(-1), minlength=256)
        np.minimum(low, block.min(axis=0), out=low)
        np.maximum(high, block.max(axis=0), out=high)
    values = np.arange(256)
    mean = int(histogram @ values) / images.size
    spread = (int(histogram @ values**2) / images.size - mean**2) ** 0.5
    return {
        "pixel_mean": round(mean, 6),
        "pixel_spread": round(spread, 6),
        "constant_pixels": int(np.sum(low == high)),
    }
