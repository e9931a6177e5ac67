"""Writing the prepared data: all of it beside the old first, then into its place."""

import fcntl
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from foldwise.atomic import flush
from foldwise.data.dataset import Classes, SplitInfo, info_text
from foldwise.data.digest import content_digest
from foldwise.errors import DataError
from foldwise.ownership import check_output

Blocks = Callable[[], Iterator[NDArray[np.uint8]]]


@dataclass(frozen=True, slots=True, eq=False)
class Draft:
    """A split still to be written: its pixels come by the block, in row order.

    ``origins`` is None where no row is a copy. ``blocks()`` gives uint8 arrays (some rows,
    features), len(labels) rows in all.
    """

    blocks: Blocks
    labels: NDArray[np.int64]
    origins: NDArray[np.int64] | None
    image_shape: tuple[int, ...]


@contextmanager
def staged(directory: Path) -> Iterator[Path]:
    """Yield an empty folder to write; its files take their places in ``directory`` at the end.

    If the block raises, ``directory`` stays as it was. The info files go last, and hold the
    digest of the rest: a kill between two renames leaves data that `load_split` refuses.

    Raises
    ------
    DataError
        Another process is writing in the same place.
    OutputError
        A link leads elsewhere.
    """
    stage = directory.with_name(f".{directory.name}.partial")
    check_output(directory)
    check_output(stage)
    directory.parent.mkdir(parents=True, exist_ok=True)
    with _lock(directory):
        shutil.rmtree(stage, ignore_errors=True)
        stage.mkdir()
        try:
            yield stage
            _move(stage, directory)
        finally:
            shutil.rmtree(stage, ignore_errors=True)


def write_split(folder: Path, draft: Draft, *, name: str, classes: Classes) -> SplitInfo:
    """Write one split's files, each flushed to the disk, and give its facts."""
    folder.mkdir(parents=True)
    rows = len(draft.labels)
    with (folder / "images.npy").open("wb") as file:
        _write_images(file, draft.blocks(), shape=(rows, int(np.prod(draft.image_shape))))
    np.save(folder / "labels.npy", draft.labels)
    if draft.origins is not None:
        np.save(folder / "origins.npy", draft.origins)
    images = np.load(folder / "images.npy", mmap_mode="r", allow_pickle=False)
    digest = content_digest(
        images, draft.labels, draft.origins, classes=classes, image_shape=draft.image_shape
    )
    augmented = draft.origins is not None
    info = SplitInfo(name, classes, draft.image_shape, rows, augmented, digest)
    (folder / "info.json").write_text(info_text(info), encoding="utf-8")
    for path in folder.iterdir():
        flush(path)
    return info


def _write_images(
    file: BinaryIO, blocks: Iterator[NDArray[np.uint8]], *, shape: tuple[int, int]
) -> None:
    # Not through a memory map: on a full disk that ends in SIGBUS, where this raises OSError.
    header = {"descr": "|u1", "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(file, header)
    for block in blocks:
        if block.dtype != np.uint8:  # the header says bytes: whatever came would be read as such
            raise DataError(
                f"images must be written as uint8, got {block.dtype}: let the source give whole"
                " numbers from 0 to 255"
            )
        file.write(np.ascontiguousarray(block).reshape(-1).data)


def _move(stage: Path, directory: Path) -> None:
    for source in sorted(stage.iterdir()):
        target = directory / source.name
        target.mkdir(parents=True, exist_ok=True)
        kept = {path.name for path in source.iterdir()}
        for path in target.iterdir():
            if path.name not in kept:
                path.unlink()
        for name in sorted(kept, key=lambda name: (name == "info.json", name)):
            (source / name).replace(target / name)
        flush(target)


@contextmanager
def _lock(directory: Path) -> Iterator[None]:
    # The parent folder itself is locked: it needs no file of its own and is never removed.
    descriptor = os.open(directory.parent, os.O_RDONLY | os.O_CLOEXEC)
    try:
        _take(descriptor, directory)
        yield
    finally:
        os.close(descriptor)


def _take(descriptor: int, directory: Path) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise DataError(
            f"{directory} must be written by one process at a time, and another is writing it:"
            " wait until it ends"
        ) from error
