"""From a source to prepared data on the disk: read, check, thin out, augment, describe."""

import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, get_args

import numpy as np
from numpy.typing import NDArray

from foldwise.data.dataset import (
    PREPARED,
    Classes,
    DataInfo,
    Dataset,
    SplitName,
    load,
    load_facts,
    load_info,
    picture_axes,
    replacing_data,
    write_split,
    write_table,
)
from foldwise.data.labels import code_labels, stratified_rows
from foldwise.data.sources import check_read, read_source
from foldwise.errors import DataError
from foldwise.files import check_writable, replacing
from foldwise.settings import Settings

if TYPE_CHECKING:
    from foldwise.data.table import Table

PROFILE = Path("reports/data.json")
_BLOCK = 8192
_NEAR = [(y, x) for y in (-1, 0, 1) for x in (-1, 0, 1) if (y, x) != (0, 0)]
_FAR = [(y, x) for y in range(-2, 3) for x in range(-2, 3) if max(abs(y), abs(x)) == 2]
SHIFTS = (*_NEAR, *_FAR)
"""Downwards and rightwards, in pixels: the 8 neighbours, then the 16 next."""


def prepare_data(
    settings: Settings,
    *,
    root: Path = Path(),
    home: Path | None = None,
    tell: Callable[[str], object] = str,
) -> DataInfo:
    """Read the source and write ``data/prepared`` and ``reports/data.json`` below ``root``.

    What is fetched is kept in ``home``, by default there, too. What is odd about a table ``tell``
    is told, a line each. Everything is read, checked and written beside first: if anything fails,
    what an earlier run left stays as it was.

    Raises
    ------
    DataError, SettingsError
        The data can't be had, breaks its format, can't be learned from, or not in the size asked.
    """
    prepare, seed = settings.prepare, settings.seed
    check_writable(root / PROFILE, folders=[root / PREPARED])
    if prepare.source == "table":
        return _prepare_table(settings, root, tell)
    data = read_source(prepare, root=root, home=home)
    images, labels = data.development.images, data.development.labels
    rows = _drawn(data, settings)
    shifts = draw_shifts(len(rows), copies=prepare.augment, seed=seed)
    times = prepare.augment + 1
    about: dict[str, Any] = {
        "name": prepare.name,
        "classes": data.classes,
        "image_shape": data.image_shape,
    }
    with replacing_data(root / PREPARED) as stage, replacing(root / PROFILE) as profile:
        write_split(
            stage / "development",
            blocks_with_copies(images, rows, shifts, image_shape=data.image_shape),
            np.tile(labels[rows], times),
            origins=np.tile(np.arange(len(rows)), times) if prepare.augment else None,
            keep_equal_together=True,
            **about,
        )
        write_split(stage / "holdout", [data.holdout.images], data.holdout.labels, **about)
        profile.write_text(profile_text(data_profile(stage)), encoding="utf-8")
    return load_info(root / PREPARED)


def check_data(settings: Settings, *, root: Path = Path()) -> None:
    """Refuse what `prepare_data` would; nothing is written, and data at OpenML aren't read.

    Raises
    ------
    DataError, SettingsError
        As `prepare_data` does.
    """
    prepare = settings.prepare
    check_writable(root / PROFILE, folders=[root / PREPARED])
    if prepare.source == "table":
        _split(settings, root, str)
        return
    check_read(prepare)
    if prepare.source != "openml":
        _drawn(read_source(prepare, root=root), settings)


def _drawn(data: Dataset, settings: Settings) -> NDArray[np.int64]:
    """Rows of the development images that prepare.limit leaves, which can be augmented as asked."""
    prepare, labels = settings.prepare, data.development.labels
    rows = np.arange(len(labels))
    if prepare.limit is not None:
        rows = stratified_rows(labels, limit=prepare.limit, seed=settings.seed)
    if prepare.augment:
        check_augmentable(data.image_shape, copies=prepare.augment)
    return rows


def _prepare_table(settings: Settings, root: Path, tell: Callable[[str], object]) -> DataInfo:
    parts = _split(settings, root, tell)
    groups = parts.groups
    with replacing_data(root / PREPARED) as stage, replacing(root / PROFILE) as profile:
        for split, (rows, labels) in parts.splits.items():
            write_table(
                stage / split,
                parts.table.frame.iloc[rows],
                labels,
                None if groups is None else groups[rows],
                are_named=parts.table.groups is not None,
                name=settings.prepare.name,
                classes=parts.classes,
            )
        told = data_profile(stage) | {"columns": parts.table.profile()}
        profile.write_text(profile_text(told), encoding="utf-8")
    return load_info(root / PREPARED)


class _Parts(NamedTuple):
    """A table, its groups of rows, its classes, and each split's rows and their classes' codes."""

    table: "Table"
    groups: NDArray[np.int64] | None
    classes: Classes
    splits: dict[SplitName, tuple[NDArray[np.int64], NDArray[np.int64]]]


def _split(settings: Settings, root: Path, tell: Callable[[str], object]) -> _Parts:
    """Read the table, tell what is odd about it, which may be why it is refused, and divide it."""
    # pandas: images do without
    from foldwise.data.table import kept_together, read_table, split_table

    prepare, seed = settings.prepare, settings.seed
    table = read_table(prepare, root=root)
    for note in table.notes:
        tell(note)
    groups, _ = kept_together(table)
    development, holdout = split_table(table, prepare.holdout, seed=seed)
    held = holdout if len(holdout) else development
    remedy = f"write it like others in {prepare.path}, leave its rows out, or add some"
    targets = table.target[development], table.target[held]
    classes, codes, held_codes = code_labels(*targets, remedy=remedy)
    if prepare.limit is not None:
        drawn = stratified_rows(codes, limit=prepare.limit, seed=seed)
        development, codes = development[drawn], codes[drawn]
    return _Parts(
        table,
        groups,
        classes,
        {"development": (development, codes), "holdout": (holdout, held_codes[: len(holdout)])},
    )


def data_profile(directory: Path) -> dict[str, Any]:
    """Describe both splits of prepared data, whose digests are checked.

    There are ``name``, ``classes``, ``features``, ``image_shape``, and for each split
    ``<split>_rows``, ``<split>_originals`` (rows that are no copies), of the development set
    ``development_duplicates`` (originals that equal an earlier one), ``<split>_class_<class>``
    (rows of the class), ``<split>_pixel_mean`` and ``<split>_pixel_spread`` (standard deviation;
    both on the scale 0-255), ``<split>_constant_pixels`` (features with one value throughout) and
    ``<split>_digest``. Of a table, nothing of pixels, and ``<split>_groups`` if it names any.
    """
    facts = load_facts(directory / "development")
    profile: dict[str, int | float | str] = {"name": facts.name, "classes": len(facts.classes)}
    if facts.columns is None:
        profile["features"] = int(np.prod(facts.image_shape))
        profile["image_shape"] = "x".join(str(side) for side in facts.image_shape)
    else:
        profile["features"] = len(facts.columns)
    for name in get_args(SplitName):
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


def check_augmentable(image_shape: tuple[int, ...], *, copies: int) -> None:
    """Refuse images that can't be shifted by the pixels that so many copies need.

    Their axes down and across must be known, and each must be longer than the shift.
    """
    reach = 1 if copies <= len(_NEAR) else 2
    axes = picture_axes(image_shape)
    if axes is None or min(image_shape[axis] for axis in axes) <= reach:
        raise DataError(
            f"prepare.augment must be 0 for images that can't be shifted by {reach},"
            f" got {copies} and images of shape {image_shape}: set it to 0"
        )


def draw_shifts(rows: int, *, copies: int, seed: int) -> NDArray[np.uint8]:
    """Draw for each row which shifts its copies get, none twice: uint8 places in `SHIFTS`.

    Of the array (rows, copies) the first 8 columns are near ones, in any order.
    """
    generator = np.random.default_rng((seed, 2))
    near = np.tile(np.arange(len(_NEAR), dtype=np.uint8), (rows, 1))
    generator.permuted(near, axis=1, out=near)
    if copies <= len(_NEAR):
        return near[:, :copies]
    far = np.tile(np.arange(len(_NEAR), len(SHIFTS), dtype=np.uint8), (rows, 1))
    generator.permuted(far, axis=1, out=far)
    return np.hstack([near, far[:, : copies - len(_NEAR)]])


def shifted(images: NDArray[np.uint8], down: int, right: int) -> NDArray[np.uint8]:
    """Shift images (rows, height, width, ...); what moves out is lost, what comes in is 0."""
    height, width = images.shape[1:3]
    result = np.zeros_like(images)
    result[:, max(down, 0) : height + min(down, 0), max(right, 0) : width + min(right, 0)] = images[
        :, max(-down, 0) : height - max(down, 0), max(-right, 0) : width - max(right, 0)
    ]
    return result


def blocks_with_copies(
    images: NDArray[np.uint8],
    rows: NDArray[np.int64],
    shifts: NDArray[np.uint8],
    *,
    image_shape: tuple[int, ...],
) -> Iterator[NDArray[np.uint8]]:
    """Give these rows of images (all rows, features), then the first copy of each, and so on.

    ``shifts`` (rows, copies) are as `draw_shifts` gives them. There are blocks of at most 8,192
    rows, never more than one in memory.
    """
    down, across = picture_axes(image_shape) or (0, 1)
    for copy in range(shifts.shape[1] + 1):
        for start in range(0, len(rows), _BLOCK):
            block = images[rows[start : start + _BLOCK]]
            if copy:
                choice = shifts[start : start + _BLOCK, copy - 1]
                # The same rows, seen as (rows, height, width, ...).
                seen = np.moveaxis(block.reshape(-1, *image_shape), (down + 1, across + 1), (1, 2))
                for position in np.unique(choice):
                    seen[choice == position] = shifted(seen[choice == position], *SHIFTS[position])
            yield block
