"""From a source to prepared data on the disk: read, check, thin out, augment, describe."""

from pathlib import Path

import numpy as np

from foldwise.data.augment import blocks_with_copies, check_augmentable, draw_shifts
from foldwise.data.dataset import PREPARED, DataInfo, load_info, replacing_data, write_split
from foldwise.data.labels import stratified_rows
from foldwise.data.profile import data_profile, profile_text
from foldwise.data.sources import read_source
from foldwise.files import replacing
from foldwise.settings import Settings

PROFILE = Path("reports/data.json")


def prepare_data(settings: Settings, *, root: Path = Path()) -> DataInfo:
    """Read the source and write ``data/prepared`` and ``reports/data.json`` below ``root``.

    Everything is read, checked and written beside first: if anything fails, what an earlier run
    left stays as it was.

    Raises
    ------
    DataError, SettingsError
        The data can't be had, breaks its format, can't be learned from, or not in the size asked.
    """
    prepare, seed = settings.prepare, settings.seed
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
