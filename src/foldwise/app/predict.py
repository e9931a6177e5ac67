"""``foldwise predict``: a registered version's answers to the rows of a file, block by block."""

import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet
from numpy.typing import NDArray

from foldwise.app.blocks import blocks_of
from foldwise.app.commands import Project, in_use, open_project
from foldwise.app.display import Display
from foldwise.app.exits import say, tell
from foldwise.data.dataset import PREPARED, load, load_facts
from foldwise.errors import DataError, StoreError
from foldwise.files import replacing
from foldwise.ownership import check_new
from foldwise.registry.snapshot import Version, named
from foldwise.registry.stored_files import fetch_files
from foldwise.registry.stored_model import StoredModel
from foldwise.registry.verify import look_inside, predict_rows
from foldwise.report.wording import DIGITS, counted
from foldwise.search.trials import Progress
from foldwise.stats.scores import predicted_codes

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
    warnings = [answers.pixels.warning(usual)] if answers.pixels and usual else []
    if version != (champion := registry.champion):
        who = f"version {champion.number} is" if champion else "no version is yet"
        warnings.append(f"version {version.number} answered, which isn't the champion: {who}")
    tell("".join(f"foldwise: careful: {each}\n" for each in warnings if each), sys.stderr)


def _stored(project: Project, version: Version) -> StoredModel:
    with TemporaryDirectory(prefix="foldwise-") as folder:
        files = fetch_files(project.store, version, Path(folder))
        checks, stored = look_inside(version, files, project.root)
    if stored is None or any(check.verdict == "fail" for check in checks):
        raise StoreError(
            f"version {version.number} must be as it was registered to predict with it, and isn't:"
            f" see `foldwise verify {version.number}{named(project.root, version.name)}`"
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
