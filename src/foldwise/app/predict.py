"""``foldwise predict``: a registered version's answers to the rows of a file, block by block."""

import csv
import io
import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet
from numpy.typing import NDArray

from foldwise.app.commands import Project, in_use, open_project
from foldwise.app.display import Display
from foldwise.app.exits import say, tell
from foldwise.app.rows import Block, blocks_of
from foldwise.data.dataset import PREPARED, load, load_facts
from foldwise.errors import DataError, StoreError
from foldwise.files import replacing
from foldwise.registry.snapshot import Version
from foldwise.registry.stored_files import fetch_files
from foldwise.registry.stored_model import StoredModel
from foldwise.registry.verify import look_inside, predict_rows
from foldwise.report.wording import DIGITS, counted
from foldwise.search.trials import Progress
from foldwise.stats.scores import predicted_codes

LeftOut = list[tuple[object, str]]
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
    """Write a version's predictions of all rows of a file, whole or not at all.

    Parameters
    ----------
    file : Path
        A table or pixels as CSV or Parquet, images as IDX, or a folder of PNG files.
    output : Path
        CSV, or Parquet if its name ends so: row or file, predicted class, ``p_<class>`` for each.
    which : str or None
        Alias or number; None takes the champion, or the challenger if there is none.
    keeps_errors : bool
        Whether a row that doesn't fit goes to ``<output>.errors.csv`` with the reason, or ends it.

    Raises
    ------
    DataError
        The file can't be read, or a row of it doesn't fit.
    StoreError
        The version's files are not those that were registered.
    """
    project = open_project(model, writes=False)
    registry = project.registry()
    version = registry.find(which or in_use(registry))
    stored = _stored(project, version)
    total, blocks = blocks_of(file, stored)
    answers = Answers(stored, file, keeps_errors=keeps_errors)
    with Display.of("predict") as display, replacing(output) as place:
        _write(place, answers.to(_shown(blocks, total, display)), answers, output.suffix)
    kept = output.with_name(f"{output.name}.errors.csv")
    if answers.left_out:
        with replacing(kept) as place:
            place.write_text(_csv([("row", "reason"), *answers.left_out]), encoding="utf-8")
    left_out = counted(len(answers.left_out), "row")
    say(
        f"{output}: {counted(answers.rows, 'row')} by version {version.number} of {version.name}",
        f"{kept}: {left_out} left out, and why" if answers.left_out else "",
    )
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


def _shown(blocks: Iterator[Block], total: int, display: Display) -> Iterator[Block]:
    done = 0
    for block in blocks:
        yield block
        done += len(block.names)
        display.show(Progress(min(done, total), total, "rows"))


class Answers:
    """What a model says of the blocks of a file; counts the rows, looks at pixels, keeps faults."""

    def __init__(self, stored: StoredModel, file: Path, *, keeps_errors: bool) -> None:
        self.classes = [str(each) for each in stored.evidence.classes]
        self.head = ["file" if file.is_dir() else "row", "predicted"]
        self.head += [f"p_{each}" for each in self.classes]
        self.left_out: LeftOut = []
        self.pixels: Pixels | None = None
        self.rows = 0
        self._stored, self._file, self._keeps_errors = stored, file, keeps_errors

    def to(self, blocks: Iterator[Block]) -> Iterator[tuple[list[object], NDArray[np.float64]]]:
        """The names of rows that fit, and their probabilities (rows, classes), block by block."""
        for block in blocks:
            faults = [(block.names[row], why) for row, why in sorted(block.faults.items())]
            if faults and not self._keeps_errors:
                raise self._refused(*faults[0])
            self.left_out += faults
            names, values = block.fitting()
            if names:
                self._look(values, len(names))
                yield names, predict_rows(self._stored, values)

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


def _write(
    place: Path,
    answers: Iterator[tuple[list[object], NDArray[np.float64]]],
    told: Answers,
    suffix: str,
) -> None:
    """Write the answers as they come."""
    if suffix not in (".parquet", ".pq"):
        with place.open("w", encoding="utf-8", newline="") as stream:
            stream.write(_csv([told.head]))
            for names, found in answers:
                predicted = [told.classes[code] for code in predicted_codes(found)]
                shares = [[f"{of:.{DIGITS}f}" for of in row] for row in found.tolist()]
                rows = zip(names, predicted, shares, strict=True)
                stream.write(_csv([[name, label, *row] for name, label, row in rows]))
        return
    kinds = [pa.string() if told.head[0] == "file" else pa.int64(), pa.string()]
    kinds += [pa.float64()] * len(told.classes)
    schema = pa.schema(list(zip(told.head, kinds, strict=True)))
    with pyarrow.parquet.ParquetWriter(place, schema) as writer:
        for names, found in answers:
            predicted = [told.classes[code] for code in predicted_codes(found)]
            writer.write_table(pa.table([names, predicted, *found.T], schema=schema))


def _csv(rows: Any) -> str:
    stream = io.StringIO()
    csv.writer(stream, lineterminator="\n").writerows(rows)
    return stream.getvalue()
