"""``foldwise predict``: a registered version's answers to the rows of a file, block by block.

A block holds rows as the model takes them, and why some don't fit.
"""

import io
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import chain
from math import prod
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet
from numpy.typing import NDArray

from foldwise.app.commands import Project, in_use, open_project
from foldwise.app.display import Display
from foldwise.app.exits import say, tell
from foldwise.data.cells import as_truths, floats, is_number
from foldwise.data.dataset import PREPARED, load, load_facts
from foldwise.data.idx import read_idx
from foldwise.data.table_file import open_table
from foldwise.errors import DataError, StoreError
from foldwise.files import read_bytes, replacing
from foldwise.ownership import check_new
from foldwise.registry.snapshot import Version
from foldwise.registry.stored_files import fetch_files
from foldwise.registry.stored_model import StoredModel
from foldwise.registry.verify import look_inside, predict_rows
from foldwise.report.wording import DIGITS, counted
from foldwise.search.trials import Progress
from foldwise.stats.scores import predicted_codes

_BLOCK_ROWS = 2048
_WHITE = 255
_SHOWN = 3
_SIDES = 0.2
"""Of the development set's range: a mean so near to its mirror image says nothing."""


@dataclass(frozen=True, slots=True)
class Pixels:
    """What pixels are like, all rows together."""

    low: float
    high: float
    mean: float

    @classmethod
    def of(cls, images: NDArray[Any]) -> "Pixels":
        """Look at images (rows, pixels)."""
        return cls(float(images.min()), float(images.max()), float(images.mean()))

    def warning(self, usual: "Pixels") -> str:
        """What images like these look as if they had gone through, beside the usual ones."""
        if self.high <= 1 < usual.mean:
            return (
                f"no pixel is above {self.high:g}, the development set's reach {usual.high:g}:"
                " they look divided; give them as they were"
            )
        mirrored = usual.low + usual.high - usual.mean
        is_nearer = abs(self.mean - mirrored) < abs(self.mean - usual.mean)
        if is_nearer and abs(mirrored - usual.mean) > _SIDES * (usual.high - usual.low):
            return (
                f"pixels are {self.mean:.0f} on average, the development set's {usual.mean:.0f}:"
                f" they look inverted; take each from {usual.low + usual.high:g}"
            )
        return ""


def predict(
    file: Path, *, output: Path, which: str | None, model: str | None, keeps_errors: bool
) -> None:
    """Write a version's predictions of all rows of a file, whole or not at all."""
    answered = check_new(output)
    kept = output.with_name(f"{output.name}.errors.csv")
    left_out = check_new(kept) if keeps_errors else kept
    project = open_project(model, writes=False)
    registry = project.registry()
    version = registry.find(which or in_use(registry))
    stored = _stored(project, version)
    answers = Answers(stored, file, keeps_errors=keeps_errors)
    with Display.of("predict") as display, replacing(answered) as place:
        _write(place, answers.frames(display), is_parquet=output.suffix in (".parquet", ".pq"))
    rows = counted(answers.rows, "row")
    told = [f"{output}: {rows} by version {version.number} of {version.name}"]
    if answers.left_out:
        with replacing(left_out) as place:
            pd.DataFrame(answers.left_out, columns=["row", "reason"]).to_csv(place, index=False)
        told += [f"{kept}: {counted(len(answers.left_out), 'row')} left out, and why"]
    say(*told)
    usual = _usual(project, version)
    if answers.pixels and usual and (warning := answers.pixels.warning(usual)):
        tell(f"foldwise: careful: {warning}\n", sys.stderr)


def _stored(project: Project, version: Version) -> StoredModel:
    with TemporaryDirectory(prefix="foldwise-") as folder:
        files = fetch_files(project.store, version, Path(folder))
        checks, stored = look_inside(version, files, project.root)
    if stored is None or any(check.verdict == "fail" for check in checks):
        raise StoreError(
            f"version {version.number} must be as it was registered to predict with it, and isn't:"
            f" see `foldwise verify {version.number}`"
        )
    return stored


def _usual(project: Project, version: Version) -> Pixels | None:
    """The development set's pixels, if it is the one that the version was made of."""
    with suppress(DataError):
        folder = project.root / PREPARED
        facts = load_facts(folder / "development")
        if facts.columns is None and facts.digest == version.tags.get("development_digest"):
            return Pixels.of(load("development", folder).images)
    return None


class Answers:
    """What a model says of a file, block by block; counts rows, looks at pixels, keeps faults."""

    def __init__(self, stored: StoredModel, file: Path, *, keeps_errors: bool) -> None:
        self.left_out: list[tuple[object, str]] = []
        self.pixels: Pixels | None = None
        self.rows = 0
        self._stored, self._file, self._keeps_errors = stored, file, keeps_errors

    def frames(self, display: Display) -> Iterator[pd.DataFrame]:
        """The rows that fit with what is predicted for each; first none, which names columns."""
        total, blocks = blocks_of(self._file, self._stored)
        yield self._frame([], np.empty((0, len(self._stored.evidence.classes))))
        done = 0
        for block in blocks:
            faults = [(block.names[row], why) for row, why in sorted(block.faults.items())]
            if faults and not self._keeps_errors:
                raise self._refused(*faults[0])
            self.left_out += faults
            names, values = block.fitting()
            if names:
                self._look(values, len(names))
                yield self._frame(names, predict_rows(self._stored, values))
            done = min(total, done + len(block.names))
            display.show(Progress(done, total, "rows"))

    def _frame(self, names: list[object], found: NDArray[np.float64]) -> pd.DataFrame:
        classes = [str(each) for each in self._stored.evidence.classes]
        name, kind = ("file", "string") if self._file.is_dir() else ("row", "int64")
        predicted = [classes[code] for code in predicted_codes(found)]
        told = {
            name: pd.array(names, dtype=kind),
            "predicted": pd.array(predicted, dtype="string"),
        }
        shares = {f"p_{of}": found[:, code] for code, of in enumerate(classes)}
        return pd.DataFrame(told | shares)

    def _look(self, values: Any, rows: int) -> None:
        if isinstance(values, np.ndarray):
            new, old = Pixels.of(values), self.pixels or Pixels.of(values)
            mean = (self.rows * old.mean + rows * new.mean) / (self.rows + rows)
            self.pixels = Pixels(min(old.low, new.low), max(old.high, new.high), mean)
        self.rows += rows

    def _refused(self, name: object, why: str) -> DataError:
        row = name if self._file.is_dir() else f"row {name}, counted from 0,"
        return DataError(
            f"{self._file}: {row} must fit the model, got {why}: mend it, or let `--errors keep`"
            " write such rows to a file of their own"
        )


def _write(place: Path, frames: Iterator[pd.DataFrame], *, is_parquet: bool) -> None:
    """Write frames below one another, as they come; the first is empty."""
    first = next(frames)
    if is_parquet:
        schema = pa.Schema.from_pandas(first, preserve_index=False)
        with pyarrow.parquet.ParquetWriter(place, schema) as writer:
            for frame in frames:
                writer.write_table(pa.Table.from_pandas(frame, schema, preserve_index=False))
        return
    with place.open("w", encoding="utf-8", newline="") as stream:
        for frame in chain([first], frames):
            frame.to_csv(stream, index=False, header=frame is first, float_format=f"%.{DIGITS}f")


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
        rows = [row for row in range(len(self.names)) if row not in self.faults]
        values = self.values if isinstance(self.values, np.ndarray) else self.values.iloc
        return [self.names[row] for row in rows], values[rows]


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
    parts = (range(len(flat))[at : at + _BLOCK_ROWS] for at in range(0, len(flat), _BLOCK_ROWS))
    return len(flat), (Block(part, flat[part.start : part.stop]) for part in parts)


def _of_folder(folder: Path, shape: tuple[int, ...]) -> tuple[int, Iterator[Block]]:
    files = sorted(each for each in folder.iterdir() if each.suffix.lower() == ".png")
    if not files:
        raise DataError(f"{folder} must hold PNG files, got none: name another folder or a file")
    starts = range(0, len(files), _BLOCK_ROWS)
    return len(files), (_pictures(files[at : at + _BLOCK_ROWS], shape) for at in starts)


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
