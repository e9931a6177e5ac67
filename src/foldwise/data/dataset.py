"""The prepared data on disk: two splits, each an own folder, checked whenever they are read."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from foldwise.data.digest import content_digest
from foldwise.errors import DataError

PREPARED = Path("data/prepared")
Classes = tuple[int, ...] | tuple[str, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Split:
    """Images and labels of the development set or the holdout; all arrays are read-only.

    Attributes
    ----------
    images : uint8 array (rows, features)
        Pixels 0-255, mapped from the disk.
    labels : int64 array (rows,)
        Class codes: positions in ``SplitInfo.classes``.
    origins : int64 array (rows,)
        The row each row was copied from; its own number where it is no copy. Rows of one origin
        must stay in one part.
    """

    images: NDArray[np.uint8]
    labels: NDArray[np.int64]
    origins: NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class SplitInfo:
    """What one split is, without its pixels.

    Attributes
    ----------
    name : str
        The data's name.
    classes : tuple of int or of str
        Sorted; both splits have the same.
    image_shape : tuple of int
        Such as (28, 28); its product is the number of features.
    rows : int
    augmented : bool
        Whether some rows are shifted copies.
    digest : str
        `content_digest` of the split, SHA-256 in hexadecimal.
    """

    name: str
    classes: Classes
    image_shape: tuple[int, ...]
    rows: int
    augmented: bool
    digest: str


@dataclass(frozen=True, slots=True)
class DataInfo:
    """What the whole prepared data is: the facts of both splits."""

    name: str
    classes: Classes
    image_shape: tuple[int, ...]
    development_rows: int
    development_digest: str
    holdout_rows: int
    holdout_digest: str


def load_info(directory: Path = PREPARED) -> DataInfo:
    """Facts of both splits, read from their small info files only."""
    development, holdout = load_development_info(directory), load_holdout_info(directory)
    return DataInfo(
        name=development.name,
        classes=development.classes,
        image_shape=development.image_shape,
        development_rows=development.rows,
        development_digest=development.digest,
        holdout_rows=holdout.rows,
        holdout_digest=holdout.digest,
    )


def load_development_info(directory: Path = PREPARED) -> SplitInfo:
    """Facts of the development set; touches nothing of the holdout."""
    return _load_info(directory / "development")


def load_holdout_info(directory: Path = PREPARED) -> SplitInfo:
    """Facts of the holdout, without its pixels and labels."""
    return _load_info(directory / "holdout")


def load_development(directory: Path = PREPARED) -> Split:
    """Map the development set from the disk, its digest checked.

    Raises
    ------
    DataError
        A file is missing, no array of ours, or not what the digest was taken of.
    """
    return load_split(directory / "development")


def load_holdout(directory: Path = PREPARED) -> Split:
    """Map the holdout from the disk, its digest checked. Each use spends some of it.

    Raises
    ------
    DataError
        A file is missing, no array of ours, or not what the digest was taken of.
    """
    return load_split(directory / "holdout")


def load_split(folder: Path) -> Split:
    """Map one split's folder from the disk, its digest checked."""
    info = _load_info(folder)
    images = _load_array(folder / "images.npy")
    labels = np.array(_load_array(folder / "labels.npy"))
    origins = np.array(_load_array(folder / "origins.npy")) if info.augmented else None
    digest = content_digest(
        images, labels, origins, classes=info.classes, image_shape=info.image_shape
    )
    if digest != info.digest or len(labels) != info.rows:
        raise _damaged(folder, f"its digest is {info.digest[:12]}, got {digest[:12]}")
    if origins is None:
        origins = np.arange(len(labels), dtype=np.int64)
    for array in (labels, origins):
        array.setflags(write=False)
    return Split(images, labels, origins)


def info_text(info: SplitInfo) -> str:
    """Write a split's facts as its info.json has them."""
    return json.dumps(asdict(info), indent=2, sort_keys=True) + "\n"


def _load_info(folder: Path) -> SplitInfo:
    path = folder / "info.json"
    try:
        facts = json.loads(path.read_text(encoding="utf-8"))
        facts["classes"] = tuple(facts["classes"])
        facts["image_shape"] = tuple(facts["image_shape"])
        return SplitInfo(**facts)
    except FileNotFoundError as error:
        raise DataError(
            f"{path} must exist, and doesn't: run `dvc repro prepare`, or `dvc pull`"
        ) from error
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise _damaged(path, f"reading gave {error!r}") from error


def _load_array(path: Path) -> NDArray[Any]:
    # Mapped, so that a header can't ask for more than the file holds.
    try:
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, OverflowError, EOFError) as error:
        raise _damaged(path, f"reading gave {error!r}") from error
    if not isinstance(array, np.ndarray):
        raise _damaged(path, "it is no array")
    return array


def _damaged(path: Path, got: str) -> DataError:
    return DataError(f"{path} must be as prepare wrote it, but {got}: run `dvc repro -f prepare`")
