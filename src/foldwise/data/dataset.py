"""The data: two splits, each a folder of its own on the disk, checked whenever they are read."""

import hashlib
import json
import re
from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from foldwise.errors import DataError
from foldwise.files import (
    DocumentError,
    decode,
    encode,
    map_array,
    plain,
    read_bytes,
    replacing_folder,
)

PREPARED = Path("data/prepared")
Classes = tuple[int, ...] | tuple[str, ...]
SplitName = Literal["development", "holdout"]
Kind = Literal["number", "category"]
WHOLE = re.compile(r"0|-?[1-9][0-9]{0,17}")
"""A whole number as people write it: 007 is a name."""
_CHANNELS = {1, 3, 4}


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table: a number, or a category with the values that occur, ascending."""

    name: str
    levels: tuple[int, ...] | tuple[str, ...] | None = None

    @property
    def kind(self) -> Kind:
        """What it is."""
        return "number" if self.levels is None else "category"


@dataclass(frozen=True, slots=True, eq=False)
class Split:
    """Images or a table's rows, with their labels, of the development set or the holdout.

    Attributes
    ----------
    images : uint8 array (rows, features), or data frame
        Pixels 0-255; loaded ones are mapped from the disk, read-only as all arrays are. Or the
        table's columns: float64, NaN where a number is missing, and categories.
    labels : int64 array (rows,)
        Class codes: positions in the data's classes.
    origins : int64 array (rows,)
        The row each row was copied from; its own number where it is no copy.
    groups : int64 array (rows,) or None
        The first row of each row's group, whose rows must stay in one part; None where these are
        the origins' and no others.
    """

    images: Any
    labels: NDArray[np.int64]
    origins: NDArray[np.int64]
    groups: NDArray[np.int64] | None = None

    @property
    def is_original(self) -> NDArray[np.bool_]:
        """Which rows are no copies."""
        return np.asarray(self.origins == np.arange(len(self.origins)))


@dataclass(frozen=True, slots=True, eq=False)
class Dataset:
    """Both splits as a source gives them, before anything is left out or added.

    Both have rows of each class. Features are as many as the product of ``image_shape``.
    """

    classes: Classes
    image_shape: tuple[int, ...]
    development: Split
    holdout: Split


def picture_axes(image_shape: tuple[int, ...]) -> tuple[int, int] | None:
    """Which axes of an image run down and across; None where that can't be known.

    Two axes are these. Of three, the first or the last may be the channels: it has 1, 3 or 4
    entries, as the other has not.
    """
    if len(image_shape) == 2:
        return 0, 1
    if len(image_shape) == 3:
        is_first, is_last = (image_shape[axis] in _CHANNELS for axis in (0, 2))
        if is_first != is_last:
            return (1, 2) if is_first else (0, 1)
    return None


@dataclass(frozen=True, slots=True)
class TableInfo:
    """What a table's columns are, by name, in the file's order; no value of any is told.

    ``groups`` is the number of groups of the development set's rows, None if none were named.
    """

    columns: tuple[tuple[str, Kind], ...]
    groups: int | None = None


@dataclass(frozen=True, slots=True)
class DataInfo:
    """What the prepared data is, without its rows; a digest is `content_digest` of a split.

    ``development_duplicates`` is as in `SplitFacts`. A table has no image shape and may have no
    rows in the holdout.
    """

    name: str
    classes: Classes
    image_shape: tuple[int, ...]
    development_rows: int
    development_digest: str
    holdout_rows: int
    holdout_digest: str
    development_duplicates: int | None = None
    table: TableInfo | None = None

    @property
    def unit(self) -> str:
        """What a row is."""
        return "image" if self.table is None else "row"

    @property
    def duplicates(self) -> str:
        """How many development images repeat another, in a sentence; empty if nobody looked."""
        count = self.development_duplicates
        if not count:
            return "" if count is None else "No development image equals another."
        images = "image equals" if count == 1 else "images equal"
        return f"{count:,} development {images} an earlier one: equal images stay in one part."


@dataclass(frozen=True, slots=True)
class SplitFacts:
    """What a split's info.json holds: the facts of the data that concern this split.

    ``duplicates`` are the originals that equal an earlier one, pixel by pixel; None where nobody
    looked. ``groups`` counts those that a table names; images have no ``columns``. What bears no
    ``schema`` is of the first: were it written, all that was searched on the data would be stale.
    """

    name: str
    classes: Classes
    image_shape: tuple[int, ...]
    rows: int
    augmented: bool
    digest: str
    grouped: bool | None = None
    duplicates: int | None = None
    groups: int | None = None
    columns: tuple[Column, ...] | None = None
    schema: Literal[1] | None = None


def load_info(directory: Path = PREPARED) -> DataInfo:
    """Facts of both splits, read from their small info files only."""
    development, holdout = (load_facts(directory / name) for name in ("development", "holdout"))
    return DataInfo(
        name=development.name,
        classes=development.classes,
        image_shape=development.image_shape,
        development_rows=development.rows,
        development_digest=development.digest,
        holdout_rows=holdout.rows,
        holdout_digest=holdout.digest,
        development_duplicates=development.duplicates,
        table=None
        if development.columns is None
        else TableInfo(tuple((of.name, of.kind) for of in development.columns), development.groups),
    )


def load_facts(folder: Path) -> SplitFacts:
    """Facts of the split in this folder."""
    path = folder / "info.json"
    try:
        return decode(SplitFacts, read_bytes(path), tolerant=True)
    except FileNotFoundError as error:
        raise DataError(
            f"{path} must exist, and doesn't: run `dvc repro prepare`, or `dvc pull`"
        ) from error
    except (OSError, DocumentError) as error:
        raise _damaged(path, str(error)) from error


def load(split: SplitName, directory: Path = PREPARED) -> Split:
    """Map a split from the disk, its digest checked. Each use of the holdout spends some of it.

    Raises
    ------
    DataError
        A file is missing, no array of ours, or not what the digest was taken of.
    """
    folder = directory / split
    facts = load_facts(folder)
    images = _load_array(folder / ("images.npy" if facts.columns is None else "table.npy"))
    labels = np.array(_load_array(folder / "labels.npy"))
    origins = np.array(_load_array(folder / "origins.npy")) if facts.augmented else None
    groups = np.array(_load_array(folder / "groups.npy")) if facts.grouped else None
    digest = content_digest(facts, images, labels, origins=origins, groups=groups)
    if digest != facts.digest or len(labels) != facts.rows:
        raise _damaged(folder, f"its digest is {facts.digest[:12]}, got {digest[:12]}")
    if origins is None:
        origins = np.arange(len(labels), dtype=np.int64)
    for array in (labels, origins, groups):
        if array is not None:
            array.setflags(write=False)
    rows = images if facts.columns is None else _framed(images, facts.columns)
    return Split(rows, labels, origins, groups)


def replacing_data(directory: Path) -> AbstractContextManager[Path]:
    """Yield an empty folder to `write_split` to; whole, it takes the place of ``directory``."""
    busy = DataError(
        f"{directory} must be written by one process at a time, and another is writing it:"
        " wait until it ends"
    )
    return replacing_folder(directory, seal="info.json", busy=busy)


def write_split(
    folder: Path,
    blocks: Iterable[NDArray[np.uint8]],
    labels: NDArray[np.int64],
    *,
    origins: NDArray[np.int64] | None = None,
    keep_equal_together: bool = False,
    name: str,
    classes: Classes,
    image_shape: tuple[int, ...],
) -> SplitFacts:
    """Write one split's files and give its facts.

    Pixels come in ``blocks`` (some rows, features), so that never all of them need be in memory.
    There are no ``origins`` where no row is a copy. With ``keep_equal_together`` rows that are
    equal, pixel by pixel, are counted, and are a group.

    Raises
    ------
    DataError
        Pixels are no bytes.
    """
    folder.mkdir(parents=True)
    # Not through a memory map: on a full disk that ends in SIGBUS, where this raises OSError.
    shape = (len(labels), int(np.prod(image_shape)))
    with (folder / "images.npy").open("wb") as file:
        header = {"descr": "|u1", "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(file, header)
        for block in blocks:
            if block.dtype != np.uint8:  # the header says bytes: whatever came would be read so
                raise DataError(
                    f"images must be written as uint8, got {block.dtype}: let the source give"
                    " whole numbers from 0 to 255"
                )
            file.write(np.ascontiguousarray(block).reshape(-1).data)
    images = _load_array(folder / "images.npy")
    groups, duplicates = _equal_together(images, origins) if keep_equal_together else (None, None)
    facts = SplitFacts(name, classes, image_shape, len(labels), augmented=False, digest="")
    facts = replace(facts, duplicates=duplicates)
    return _finished(folder, facts, images, labels, origins=origins, groups=groups)


def write_table(
    folder: Path,
    frame: Any,
    labels: NDArray[np.int64],
    groups: NDArray[np.int64] | None,
    *,
    are_named: bool,
    name: str,
    classes: Classes,
) -> SplitFacts:
    """Write a split of a table: one matrix, in which a category is a number of its values.

    ``frame`` (rows, features) is as in `Split`, ``groups`` are whole numbers from 0; they are
    counted if the table names them.
    """
    folder.mkdir(parents=True)
    columns, matrix = _as_matrix(frame)
    groups = None if groups is None else joined(np.unique(groups, return_inverse=True)[1])
    np.save(folder / "table.npy", matrix)
    facts = SplitFacts(name, classes, (), len(labels), augmented=False, digest="", columns=columns)
    if are_named and groups is not None:
        facts = replace(facts, groups=len(np.unique(groups)))
    return _finished(folder, facts, matrix, labels, groups=groups)


def _finished(
    folder: Path,
    facts: SplitFacts,
    rows: NDArray[np.generic],
    labels: NDArray[np.int64],
    *,
    origins: NDArray[np.int64] | None = None,
    groups: NDArray[np.int64] | None = None,
) -> SplitFacts:
    """Write what stands beside the rows of a split, and its facts with their digest."""
    for name, array in (("labels", labels), ("origins", origins), ("groups", groups)):
        if array is not None:
            np.save(folder / f"{name}.npy", array)
    digest = content_digest(facts, rows, labels, origins=origins, groups=groups)
    are_grouped = None if groups is None else True
    facts = replace(facts, augmented=origins is not None, digest=digest, grouped=are_grouped)
    # What isn't known isn't written: the bytes of a holdout's facts are those of earlier versions.
    known = {name: of for name, of in plain(facts).items() if of is not None}
    (folder / "info.json").write_text(encode(known, indent=2) + "\n", encoding="utf-8")
    return facts


def _as_matrix(frame: Any) -> tuple[tuple[Column, ...], NDArray[np.float64]]:
    """The columns, and their cells as floats: of a category its place among the values."""
    columns, matrix = [], np.empty(frame.shape)
    for place, (name, cells) in enumerate(frame.items()):
        is_category = hasattr(cells.dtype, "categories")
        levels, values = _places(cells) if is_category else (None, cells)
        columns.append(Column(str(name), levels))
        matrix[:, place] = values
    return tuple(columns), matrix


def _places(column: Any) -> tuple[tuple[Any, ...], NDArray[np.float64]]:
    """A category's values, ascending, and each row's place among them, NaN where it has none."""
    cells = column.cat.remove_unused_categories().cat
    words = [str(value) for value in cells.categories]
    # As numbers, where all are, exactly so as floats: whoever reads CSV or JSON has them so.
    are_whole = all(WHOLE.fullmatch(word) and len(word) < 16 for word in words)
    values = [int(word) for word in words] if are_whole else words
    levels = tuple(sorted(values))
    place = {level: float(number) for number, level in enumerate(levels)}
    return levels, np.array([*map(place.get, values), np.nan])[cells.codes]


def _framed(matrix: NDArray[np.float64], columns: Sequence[Column]) -> Any:
    """The inverse of `_as_matrix`, without the values that don't occur."""
    import pandas as pd  # half a second that images save

    cells = {}
    for column, values in zip(columns, matrix.T, strict=True):
        if column.levels is None:
            cells[column.name] = np.array(values)
        else:
            codes = np.where(np.isnan(values), -1, values).astype(np.int64)
            cells[column.name] = pd.Categorical.from_codes(codes, categories=[*column.levels])
    return pd.DataFrame(cells, columns=[of.name for of in columns], index=range(len(matrix)))


def _equal_together(
    images: NDArray[np.uint8], origins: NDArray[np.int64] | None
) -> tuple[NDArray[np.int64] | None, int]:
    """Groups of equal rows and of copies, if there are others than the copies'; the duplicates."""
    own = np.arange(len(images))
    copied = own if origins is None else origins
    equal = equal_rows(images)
    groups = joined(copied, equal)
    originals = equal[copied == own]
    duplicates = len(originals) - len(np.unique(originals))
    return (None if np.array_equal(groups, copied) else groups), duplicates


def equal_rows(images: NDArray[np.generic]) -> NDArray[np.int64]:
    """For each row (rows, features), the first one that equals it in every feature."""
    first: dict[bytes, int] = {}
    digests = (hashlib.blake2b(row.tobytes(), digest_size=20).digest() for row in images)
    return np.array([first.setdefault(digest, row) for row, digest in enumerate(digests)])


def joined(*partitions: NDArray[np.int64]) -> NDArray[np.int64]:
    """The least groups that keep together what any of these keeps together.

    Each partition (rows,) has a row's group, by any numbers from 0: what it was copied from, a
    patient. Of each row's group its first row is given (rows,).
    """
    groups = np.arange(len(partitions[0]))
    while True:
        before = groups
        for numbers in partitions:
            first = np.full(numbers.max(initial=-1) + 1, len(numbers))
            np.minimum.at(first, numbers, groups)
            groups = first[numbers]
        if np.array_equal(groups, before):
            return groups


def content_digest(
    facts: SplitFacts,
    rows: NDArray[np.generic],
    labels: NDArray[np.int64],
    *,
    origins: NDArray[np.int64] | None,
    groups: NDArray[np.int64] | None,
) -> str:
    """SHA-256 (hexadecimal) of everything in a split that could change a result.

    The arrays' shapes and types, the image shape and the classes enter as one line of JSON, then
    the arrays' bytes follow, so that no two different splits give the same bytes.
    """
    arrays = [array for array in (rows, labels, origins, groups) if array is not None]
    head = {
        "arrays": [[list(array.shape), array.dtype.str] for array in arrays],
        "classes": list(facts.classes),
        "image_shape": list(facts.image_shape),
        **({} if groups is None else {"grouped": True}),
        **({} if facts.columns is None else {"columns": plain(facts.columns)}),
    }
    digest = hashlib.sha256(json.dumps(head, sort_keys=True).encode() + b"\n")
    for array in arrays:
        digest.update(np.ascontiguousarray(array).reshape(-1).data)
    return digest.hexdigest()


def _load_array(path: Path) -> NDArray[Any]:
    try:
        return map_array(path)
    except (OSError, DocumentError) as error:
        raise _damaged(path, f"reading gave {error!r}") from error


def _damaged(path: Path, got: str) -> DataError:
    return DataError(f"{path} must be as prepare wrote it, but {got}: run `dvc repro -f prepare`")
