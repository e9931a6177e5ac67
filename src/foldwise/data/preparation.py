"""From a source to prepared data on the disk: read, check, thin out, augment, describe."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from foldwise.atomic import replacing
from foldwise.data.augment import blocks_with_copies, check_augmentable, draw_shifts
from foldwise.data.dataset import PREPARED, DataInfo, load_info
from foldwise.data.labels import code_labels
from foldwise.data.profile import data_profile, profile_text
from foldwise.data.raw import RawData, RawSplit
from foldwise.data.sampling import stratified_rows
from foldwise.data.saving import Draft, staged, write_split
from foldwise.data.sources import read_source
from foldwise.settings import PrepareSettings, Settings

PROFILE = Path("reports/data.json")


def prepare_data(settings: Settings, *, root: Path = Path()) -> DataInfo:
    """Read the source and write ``data/prepared`` and ``reports/data.json`` below ``root``.

    Everything is read, checked and written beside first: if anything fails, what an earlier run
    left stays as it was.

    Raises
    ------
    DataError
        The data can't be had, breaks its format, can't be learned from, or not in the size asked.
    """
    prepare = settings.prepare
    raw = read_source(prepare, root=root)
    classes, codes, holdout_codes = code_labels(raw.development.labels, raw.holdout.labels)
    development = _development(raw, codes, prepare, seed=settings.seed)
    holdout = _holdout(raw.holdout, holdout_codes, raw.image_shape)
    with staged(root / PREPARED) as stage, replacing(root / PROFILE) as profile:
        write_split(stage / "development", development, name=prepare.name, classes=classes)
        write_split(stage / "holdout", holdout, name=prepare.name, classes=classes)
        profile.write_text(profile_text(data_profile(stage)), encoding="utf-8")
    return load_info(root / PREPARED)


def _development(
    raw: RawData, codes: NDArray[np.int64], prepare: PrepareSettings, *, seed: int
) -> Draft:
    rows = np.arange(len(codes))
    if prepare.limit is not None:
        rows = stratified_rows(codes, limit=prepare.limit, seed=seed)
    if prepare.augment:
        check_augmentable(raw.image_shape, copies=prepare.augment)
    shifts = draw_shifts(len(rows), copies=prepare.augment, seed=seed)

    def blocks() -> Iterator[NDArray[np.uint8]]:
        images = raw.development.images
        return blocks_with_copies(images, rows, shifts, image_shape=raw.image_shape)

    times = prepare.augment + 1
    origins = np.tile(np.arange(len(rows)), times) if prepare.augment else None
    return Draft(blocks, np.tile(codes[rows], times), origins, raw.image_shape)


def _holdout(split: RawSplit, codes: NDArray[np.int64], image_shape: tuple[int, ...]) -> Draft:
    return Draft(lambda: iter([split.images]), codes, None, image_shape)
