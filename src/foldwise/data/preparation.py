"""From a source to prepared data on the disk: read, check, thin out, augment, describe."""

from collections.abc import Callable
from pathlib import Path

import numpy as np

from foldwise.data.augment import blocks_with_copies, check_augmentable, draw_shifts
from foldwise.data.dataset import (
    PREPARED,
    DataInfo,
    load_info,
    replacing_data,
    write_split,
    write_table,
)
from foldwise.data.labels import code_labels, stratified_rows
from foldwise.data.profile import data_profile, profile_text
from foldwise.data.sources import read_source
from foldwise.files import check_writable, replacing
from foldwise.settings import Settings

PROFILE = Path("reports/data.json")


def prepare_data(
    settings: Settings, *, root: Path = Path(), tell: Callable[[str], object] = str
) -> DataInfo:
    """Read the source and write ``data/prepared`` and ``reports/data.json`` below ``root``.

    What is odd about a table ``tell`` is told, a line each. Everything is read, checked and written
    beside first: if anything fails, what an earlier run left stays as it was.

    Raises
    ------
    DataError, SettingsError
        The data can't be had, breaks its format, can't be learned from, or not in the size asked.
    """
    prepare, seed = settings.prepare, settings.seed
    check_writable(root / PROFILE, folders=[root / PREPARED])
    if prepare.source == "table":
        _prepare_table(settings, root, tell)
        return load_info(root / PREPARED)
    data = read_source(prepare, root=root)
    images, labels = data.development.images, data.development.labels
    rows = np.arange(len(labels))
    if prepare.limit is not None:
        rows = stratified_rows(labels, limit=prepare.limit, seed=seed)
    if prepare.augment:
        check_augmentable(data.image_shape, copies=prepare.augment)
    shifts = draw_shifts(len(rows), copies=prepare.augment, seed=seed)
    times = prepare.augment + 1
    with replacing_data(root / PREPARED) as stage, replacing(root / PROFILE) as profile:
        write_split(
            stage / "development",
            blocks_with_copies(images, rows, shifts, image_shape=data.image_shape),
            np.tile(labels[rows], times),
            origins=np.tile(np.arange(len(rows)), times) if prepare.augment else None,
            keep_equal_together=True,
            name=prepare.name,
            classes=data.classes,
            image_shape=data.image_shape,
        )
        write_split(
            stage / "holdout",
            [data.holdout.images],
            data.holdout.labels,
            name=prepare.name,
            classes=data.classes,
            image_shape=data.image_shape,
        )
        profile.write_text(profile_text(data_profile(stage)), encoding="utf-8")
    return load_info(root / PREPARED)


def _prepare_table(settings: Settings, root: Path, tell: Callable[[str], object]) -> None:
    from foldwise.data.holdout import kept_together, split_table  # pandas: images do without
    from foldwise.data.table import read_table

    prepare, seed = settings.prepare, settings.seed
    table = read_table(prepare, root=root)
    for note in table.notes:
        tell(note)
    groups, _ = kept_together(table)
    development, holdout = split_table(table, prepare.holdout, seed=seed)
    held = holdout if len(holdout) else development
    classes, codes, held_codes = code_labels(table.target[development], table.target[held])
    if prepare.limit is not None:
        drawn = stratified_rows(codes, limit=prepare.limit, seed=seed)
        development, codes = development[drawn], codes[drawn]
    splits = {
        "development": (development, codes),
        "holdout": (holdout, held_codes[: len(holdout)]),
    }
    with replacing_data(root / PREPARED) as stage, replacing(root / PROFILE) as profile:
        for split, (rows, labels) in splits.items():
            write_table(
                stage / split,
                table.frame.iloc[rows],
                labels,
                None if groups is None else groups[rows],
                are_named=table.groups is not None,
                name=prepare.name,
                classes=classes,
            )
        told = data_profile(stage) | {"columns": table.profile()}
        profile.write_text(profile_text(told), encoding="utf-8")
