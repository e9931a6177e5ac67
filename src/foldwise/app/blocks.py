"""A file's rows as a model takes them, block by block, and why some don't fit."""

import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from foldwise.data.cells import as_truths, floats, is_number
from foldwise.data.idx import read_idx
from foldwise.data.table_file import open_table
from foldwise.errors import DataError
from foldwise.files import read_bytes
from foldwise.registry.stored_model import StoredModel

_BLOCK_ROWS = 2048
_WHITE = 255
_SHOWN = 3


@dataclass(frozen=True, slots=True, eq=False)
class Block:
    """Some rows of a file: what each is called, what the model takes, and why some don't fit.

    ``values`` are an array (rows, pixels) or a data frame; ``faults`` go by place in the block.
    """

    names: Sequence[object]
    values: Any
    faults: Mapping[int, str] = field(default_factory=dict)

    def fitting(self) -> tuple[list[object], Any]:
        """The rows that fit."""
        fits = np.array([row not in self.faults for row in range(len(self.names))])
        names = [name for name, does_fit in zip(self.names, fits, strict=True) if does_fit]
        return names, self.values[fits]


def blocks_of(file: Path, stored: StoredModel) -> tuple[int, Iterator[Block]]:
    """How many rows a file has, at most, and the blocks of them, if it is what the model takes."""
    shape, is_table = stored.evidence.data.image_shape, stored.evidence.data.table is not None
    if file.is_dir() and not is_table:
        return _of_folder(file, shape)
    if not file.is_file():
        kinds = "a CSV or Parquet file" if is_table else "CSV, Parquet, IDX or a folder of PNGs"
        got = f"{file}, {'a folder' if file.is_dir() else 'which is not there'}"
        raise DataError(f"what is to be predicted must be {kinds}, got {got}: name another")
    if not is_table:
        with file.open("rb") as stream:
            if stream.read(2) in (b"\0\0", b"\x1f\x8b"):
                return _of_idx(file, shape)
    return _of_table(file, stored)


def _of_idx(file: Path, shape: tuple[int, ...]) -> tuple[int, Iterator[Block]]:
    images, _ = read_idx(file, "images")
    if images.shape[1:] != shape:
        raise _other_shape(f"images of {_by(images.shape[1:])}", file, shape)
    flat = images.reshape(len(images), -1)
    return len(flat), (Block(part, flat[part]) for part in _parts(len(flat)))


def _of_folder(folder: Path, shape: tuple[int, ...]) -> tuple[int, Iterator[Block]]:
    files = sorted(each for each in folder.iterdir() if each.suffix.lower() == ".png")
    if not files:
        raise DataError(f"{folder} must hold PNG files, got none: name another folder or a file")
    parts = _parts(len(files))
    return len(files), (_pictures([files[row] for row in part], shape) for part in parts)


def _parts(rows: int) -> Iterator[range]:
    return (range(rows)[at : at + _BLOCK_ROWS] for at in range(0, rows, _BLOCK_ROWS))


def _pictures(files: Sequence[Path], shape: tuple[int, ...]) -> Block:
    from PIL import Image, UnidentifiedImageError

    values, faults = np.zeros((len(files), prod(shape)), np.uint8), {}
    for place, file in enumerate(files):
        try:
            with Image.open(io.BytesIO(read_bytes(file))) as picture:
                is_grey = len(shape) == 2
                pixels = np.asarray(picture.convert("L" if is_grey else "RGB"))
        except (OSError, UnidentifiedImageError, ValueError) as error:
            faults[place] = f"no PNG that can be read ({' '.join(str(error).split())[:80]})"
            continue
        if pixels.shape == shape:
            values[place] = pixels.reshape(-1)
        else:
            faults[place] = f"an image of {_by(pixels.shape)} where {_by(shape)} belongs"
    return Block([file.name for file in files], values, faults)


def _of_table(file: Path, stored: StoredModel) -> tuple[int, Iterator[Block]]:
    table, shape = open_table(file), stored.evidence.data.image_shape
    kinds = _kinds(stored)
    names = list(kinds) or list(table.names)
    if lacking := [repr(name) for name in names if name not in table.names]:
        more = f" and {len(lacking) - _SHOWN} more" * (len(lacking) > _SHOWN)
        raise DataError(
            f"{file} must have the columns that the model takes, lacks"
            f" {', '.join(lacking[:_SHOWN])}{more}: add them, with empty cells if need be"
        )
    if not kinds and len(names) != prod(shape):
        raise _other_shape(f"{len(names)} columns", file, shape)

    def blocks() -> Iterator[Block]:
        done = 0
        for batch in table.batches(names):
            for at in range(0, len(batch), _BLOCK_ROWS):
                part = batch.slice(at, _BLOCK_ROWS)
                numbers = range(done, done + len(part))
                yield _row_block(numbers, part, kinds)
                done += len(part)

    return table.most_rows, blocks()


def _kinds(stored: StoredModel) -> dict[str, bool]:
    """Whether each column that a table's model takes is a number; empty for pixels."""
    table = stored.evidence.data.table
    if table is None:
        return {}
    named = {
        name for part, _, of in stored.pipeline.steps[0][1].transformers_ for name in of
        if part == "named"
    }  # fmt: skip
    return {name: name not in named for name, _ in table.columns}


def _row_block(numbers: range, batch: pa.RecordBatch, kinds: Mapping[str, bool]) -> Block:
    columns: dict[str, Any] = {}
    faults: dict[int, str] = {}
    for name, cells in zip(batch.schema.names, batch.columns, strict=True):
        if not kinds.get(name, True):
            words = cells.cast(pa.string())
            columns[name] = pc.utf8_trim_whitespace(words).to_numpy(zero_copy_only=False)
            continue
        columns[name] = values = _numbers(cells, name, faults)
        outside = np.isinf(values) if kinds else ~((values >= 0) & (values <= _WHITE))
        for row in np.flatnonzero(outside):
            got = "nothing" if np.isnan(values[row]) else f"{values[row]:g}"
            rule = "a finite number" if kinds else "a pixel, 0 to 255,"
            faults.setdefault(int(row), f"{got} where {rule} belongs, in column {name!r}")
    if not kinds:
        return Block(numbers, np.column_stack([*columns.values()]), faults)
    return Block(numbers, pd.DataFrame(columns), faults)


def _numbers(cells: pa.Array, name: str, faults: dict[int, str]) -> NDArray[np.float64]:
    values = floats(cells)
    if values is not None:
        return values
    words = [(word or "").strip() for word in cells.cast(pa.string()).to_pylist()]
    if (truths := as_truths([*filter(None, words)])) is not None:
        told = iter(truths)
        return np.array([next(told) if word else np.nan for word in words])
    for row, word in enumerate(words):
        if word and not is_number(word):
            faults.setdefault(row, f"{word[:30]!r} where a number belongs, in column {name!r}")
    given = (np.nan if row in faults or not word else float(word) for row, word in enumerate(words))
    return np.fromiter(given, np.float64, len(words))


def _other_shape(got: str, file: Path, shape: tuple[int, ...]) -> DataError:
    return DataError(
        f"{file} must hold images of {_by(shape)}, {prod(shape)} pixels each, got {got}:"
        " name another file, or another version with --by"
    )


def _by(shape: tuple[int, ...]) -> str:
    return " x ".join(map(str, shape))
