"""A table: its numbers and categories, each row's class and group, and which are the holdout."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from foldwise.data.cells import AMONG_NUMBERS, Column, Fault, Words, as_numbers, look_of
from foldwise.data.dataset import joined
from foldwise.data.labels import Labels
from foldwise.data.sources import check_read
from foldwise.data.table_file import TableFile, open_table
from foldwise.errors import DataError, SettingsError
from foldwise.settings import Holdout, PrepareSettings, is_day

_MOST_CLASSES = 1000
_SHARE = 0.2
Rows = NDArray[np.int64]
_MARKS = {"1": 1, "true": 1, "yes": 1, "holdout": 1, "test": 1} | {
    "0": 0, "false": 0, "no": 0, "development": 0, "train": 0
}  # fmt: skip


_WHOLE = {
    "column": "mark whole groups",
    "date": "leave out the earlier rows of such groups",
    "file": "leave such groups out of one of the files",
}
"""By what marks the holdout: how no group stands on both sides."""


@dataclass(frozen=True, slots=True, eq=False)
class Table:
    """Rows of a table, and of each which class it has and where it belongs.

    ``frame`` (rows, features) is in the file's order: numbers as float64, NaN where missing, and
    categories; ``target`` (rows,) has classes as the table has them. Rows of one number in
    ``groups`` (rows,), if one was named, belong together; ``marks`` (rows,) are the rows that a
    column, a date or a second file makes the holdout, if one does. ``notes`` are for whoever
    prepares it.
    """

    frame: pd.DataFrame
    target: Labels
    groups: NDArray[np.int64] | None
    marks: NDArray[np.bool_] | None
    notes: tuple[str, ...] = ()

    def profile(self) -> list[dict[str, str | int | float]]:
        """Of each feature: name, kind, share of missing cells, and how many categories.

        Neither values nor rows: what a table says of single people stays in it.
        """
        told = []
        for name, cells in self.frame.items():
            one: dict[str, str | int | float] = {"name": str(name), "kind": "number"}
            if isinstance(cells.dtype, pd.CategoricalDtype):
                one |= {"kind": "category", "categories": int(cells.nunique())}
            told.append(one | {"missing": round(float(cells.isna().mean()), 6)})
        return told


def read_table(settings: PrepareSettings, *, root: Path) -> Table:
    """Read the table that the parameters name, whose source is ``table``, in the project's folder.

    Raises
    ------
    SettingsError
        A parameter doesn't go with a table, or one column has two parts to play.
    DataError
        The table can't be read or learned from: one line with file, column, row and remedy.
    """
    check_read(settings)
    files = [open_table(root / settings.path)]
    second = _of(settings, "file")
    if second is not None:
        files.append(_like(files[0], open_table(root / second)))
    parts = _parts(settings, files[0])
    rows = _Rows(tuple(files))
    rows.read(
        {
            name: Column(name, "word" if name in parts else kind, is_text=files[0].is_text)
            for name, kind in ((name, settings.columns.get(name)) for name in files[0].names)
            if kind != "drop" and parts.get(name) != "drop"
        }
    )
    frame, target = rows.features(parts), rows.classes(settings.target or "")
    marks = rows.marks(settings)
    groups = None if settings.group is None else rows.groups(settings, marks)
    return Table(frame, target, groups, marks, tuple(note for file in files for note in file.notes))


def _of(settings: PrepareSettings, key: str) -> str | None:
    """What `prepare.holdout` says of a column, a date or a file."""
    holdout = settings.holdout
    return holdout.get(key) if isinstance(holdout, Mapping) else None


def _parts(settings: PrepareSettings, file: TableFile) -> dict[str, str]:
    """The columns that are no features, and the parameter that says so."""
    if settings.target is None:
        raise SettingsError(
            "prepare.target must name the table's column of classes, got null: it has"
            f" {', '.join(map(repr, file.names)):.200}; name one of them in params.yaml"
        )
    named = [("target", settings.target), ("group", settings.group)]
    named += [(f"holdout.{key}", _of(settings, key)) for key in ("column", "date")]
    named += [("drop", name) for name in settings.drop]
    parts: dict[str, str] = {}
    for key, name in [*named, *(("columns", name) for name in settings.columns)]:
        if name is None:
            continue
        file.require(name, f"prepare.{key}")
        if name in parts:
            raise SettingsError(
                f"prepare.{key} must name another column than prepare.{parts[name]}, both name"
                f" {name!r}: take it out of one of them in params.yaml"
            )
        parts[name] = key
    return {name: key for name, key in parts.items() if key != "columns"}


def _like(first: TableFile, second: TableFile) -> TableFile:
    """The second file, if it has the first one's columns, in whatever order."""
    lacking = ", ".join(repr(name) for name in first.names if name not in second.names)
    others = ", ".join(repr(name) for name in second.names if name not in first.names)
    differences = [f"lacks {lacking}"] * bool(lacking) + [f"has {others} besides"] * bool(others)
    if first.is_text != second.is_text:
        differences = ["is CSV" if second.is_text else "is Parquet"]
    if differences:
        raise DataError(
            f"{second.path} must have the format and the columns of {first.path}, but"
            f" {' and '.join(differences):.300}: give both the same"
        )
    return second


@dataclass(slots=True, eq=False)
class _Rows:
    """The rows of all files, one file after the other, column by column."""

    files: tuple[TableFile, ...]
    columns: dict[str, Column] = field(default_factory=dict)
    lengths: list[int] = field(default_factory=list)

    def read(self, columns: dict[str, Column]) -> None:
        """Take in every cell of these columns."""
        self.columns = columns
        for file in self.files:
            lengths = dict.fromkeys(columns, 0)
            for name, cells in file.cells([*columns]):
                lengths[name] += len(cells)
                try:
                    columns[name].add(cells)
                except pa.ArrowException as error:
                    raise file.broken(
                        f"column {name!r} of {cells.type} can't be read", "add it to prepare.drop"
                    ) from error
            length = lengths[next(iter(columns))]
            if not length:
                raise file.without_rows
            self.lengths.append(length)

    def classes(self, name: str) -> Labels:
        """The target's cells, as whole numbers if they all are written so."""
        words = self.columns[name].words()
        levels = as_numbers(words.levels)
        if len(words.levels) < 2:
            got = f"one class alone, {str(words.levels[0])[:30]!r}" if words.levels else "no value"
            raise self._refused(name, Fault(got, "name a column of classes in prepare.target"))
        if len(words.levels) > _MOST_CLASSES or (levels and isinstance(levels[0], float)):
            got = f"{len(words.levels):,} different values, as measurements are and no classes"
            remedy = "name another in prepare.target, or put values together as classes"
            raise self._refused(name, Fault(got, remedy))
        if fault := words.missing("fill it, or leave the row out") or words.alike():
            raise self._refused(name, fault)
        labels = np.array(words.levels, dtype=np.str_) if levels is None else np.array(levels)
        return np.asarray(labels[words.codes])

    def groups(
        self, settings: PrepareSettings, marks: NDArray[np.bool_] | None
    ) -> NDArray[np.int64]:
        """A number for each row's group; marks must keep them whole."""
        words = self.columns[name := settings.group or ""].words()
        if fault := words.missing("fill it, or leave the row out") or words.alike():
            raise self._refused(name, fault)
        if len(words.levels) in (1, len(words.codes)):
            has = "one value in all rows" if len(words.levels) == 1 else "another value in each row"
            remedy = "name a column that keeps some rows together in prepare.group, or null"
            raise self._refused(name, Fault(f"{has}, which groups none", remedy))
        if marks is not None:
            parted = marks & np.isin(words.codes, words.codes[~marks])
            if parted.any():
                whole = next(way for key, way in _WHOLE.items() if _of(settings, key) is not None)
                remedy = f"{whole}, or set a share in prepare.holdout, which keeps groups whole"
                got = "a group in the development set, too,"
                raise self._refused(name, Fault(got, remedy, int(parted.argmax())))
        return words.codes

    def marks(self, settings: PrepareSettings) -> NDArray[np.bool_] | None:
        """Which rows are the holdout, where the parameters or a second file say so."""
        if len(self.files) > 1:
            return np.arange(sum(self.lengths)) >= self.lengths[0]
        name = _of(settings, "column") or _of(settings, "date")
        if name is None:
            return None
        words, start = self.columns[name].words(), _of(settings, "from")
        if start is None:
            remedy = "write 1 for a row of the holdout and 0 for another"
            odd = words.fault(lambda word: word.lower() not in _MARKS, remedy)
        else:
            remedy = "write it as 2024-01-31"
            odd = words.fault(lambda word: not is_day(word[:10]), remedy)
        if fault := odd or words.missing(remedy):
            raise self._refused(name, fault)
        is_holdout = [
            _MARKS[word.lower()] if start is None else word[:10] >= start for word in words.levels
        ]
        marks = np.array(is_holdout, dtype=np.bool_)[words.codes]
        if marks.all() or not marks.any():
            got = f"{'all rows' if marks.all() else 'no row'} in the holdout"
            raise self._refused(name, Fault(got, "let it divide them, or set prepare.holdout anew"))
        return marks

    def features(self, parts: Mapping[str, str]) -> pd.DataFrame:
        """The other columns, as numbers and categories."""
        names = [name for name in self.columns if name not in parts]
        if not names:
            raise self.files[0].broken("no column is left as a feature", "shorten prepare.drop")
        cells: dict[str, Any] = {}
        faults: dict[str, Fault] = {}
        for name in names:
            column = self.columns.pop(name)
            cells[name] = column.read()
            if fault := column.fault(cells[name]):
                faults[name] = fault
            elif isinstance(cells[name], Words):
                cells[name] = cells[name].categories()
        if faults:
            raise self._worst(faults)
        return pd.DataFrame(cells, copy=False)

    def _worst(self, faults: Mapping[str, Fault]) -> DataError:
        """The line about the first of these faults, or about what many of them come from."""
        first_name, first = next(iter(faults.items()))
        words = [fault for fault in faults.values() if fault.got.endswith(AMONG_NUMBERS)]
        if again := [fault for name, fault in faults.items() if fault.cell == name]:
            first = Fault("its column names again", "delete that row", again[0].row)
        elif sum(fault.row == 0 and look_of(fault.cell) == "text" for fault in words) > 1:
            got = "no number, nor have others, as in a second line of names,"
            first = Fault(got, "delete that line", 0)
        elif others := [repr(name) for name in faults if name != first_name]:
            more = f"{first.remedy}; then look at {', '.join(others):.300}"
            first = first._replace(remedy=more)
        return self._refused(first_name, first)

    def _refused(self, name: str, fault: Fault) -> DataError:
        """The line about a column, and about a row where there is one."""
        file, row = self._place(fault.row or 0)
        place = "" if fault.row is None else f" in {row}"
        if fault.other is not None:
            second, other = self._place(fault.other)
            place += f" and {other}" + (f" of {second.path}" if second is not file else "")
        return DataError(f"{file.path}: column {name!r} has {fault.got}{place}: {fault.remedy}")

    def _place(self, row: int) -> tuple[TableFile, str]:
        """The file of a row, counted from 0 over all files, and how the file counts it."""
        if row < self.lengths[0]:
            return self.files[0], self.files[0].row(row)
        return self.files[1], self.files[1].row(row - self.lengths[0])


def split_table(table: Table, holdout: Holdout, *, seed: int) -> tuple[Rows, Rows]:
    """Row numbers of the development set and of the holdout, ascending.

    Of a share, groups are taken by chance, large or small, while their rows come nearer to that
    share of each class; single rows make up for the rest, class by class. Equal rows that can't be
    equal by chance, see `kept_together`, are one group. Where the table has marks, they decide;
    else ``none`` gives none of its rows, null a fifth of them.
    """
    everything = np.arange(len(table.target), dtype=np.int64)
    if table.marks is not None:
        return everything[~table.marks], everything[table.marks]
    if holdout == "none":
        return everything, everything[:0]
    share = holdout if isinstance(holdout, float) else _SHARE
    groups, _ = kept_together(table)
    groups = everything if groups is None else groups
    is_held = _dealt(table.target, groups, share, np.random.default_rng((seed, 2)))
    return everything[~is_held], everything[is_held]


def kept_together(table: Table) -> tuple[Rows | None, int]:
    """Groups of rows that must stay in one part, and how many rows equal an earlier one.

    Rows are equal if all features are. In a table of few values many are by chance, and that is no
    fault: they are a group only where columns that knew nothing of each other would give less than
    one such pair. Groups (rows,) are the first row of each row's, None where each row is its own.
    """
    equal = _first_equal(table.frame)
    own = np.arange(len(equal))
    partitions = [equal] if _are_rare(table.frame) else [own]
    if table.groups is not None:
        partitions.append(table.groups)
    groups = joined(*partitions)
    return (None if np.array_equal(groups, own) else groups), int((equal != own).sum())


def _first_equal(frame: pd.DataFrame) -> Rows:
    """For each row the first that equals it, a missing cell a missing one."""
    numbers = np.zeros(len(frame), dtype=np.int64)
    for place in range(frame.shape[1]):
        codes, levels = pd.factorize(frame.iloc[:, place], use_na_sentinel=False)
        numbers, different = pd.factorize(numbers * len(levels) + codes)
        if len(different) == len(frame):
            break
    _, first = np.unique(numbers, return_index=True)
    return np.asarray(first[numbers])


def _are_rare(frame: pd.DataFrame) -> bool:
    """Whether less than one pair of rows would be equal if columns knew nothing of each other."""
    pairs = of_two = len(frame) * (len(frame) - 1) / 2
    for place in range(frame.shape[1]):
        counts = frame.iloc[:, place].value_counts(dropna=False).to_numpy(dtype=np.float64)
        pairs *= float((counts * (counts - 1)).sum()) / 2 / of_two
        if pairs < 1:
            return True
    return False


def _dealt(
    target: NDArray[np.generic], groups: Rows, share: float, generator: np.random.Generator
) -> NDArray[np.bool_]:
    """Which rows are held out."""
    _, classes = np.unique(target, return_inverse=True)
    _, places, sizes = np.unique(groups, return_inverse=True, return_counts=True)
    totals = np.bincount(classes)
    held = np.zeros(len(totals))
    is_held = np.zeros(len(target), dtype=np.bool_)
    is_single = sizes[places] == 1
    # Of grouped and of single rows the same share: both kinds are drawn as they are.
    aim = share * np.bincount(classes[~is_single], minlength=len(totals)) / totals
    by_group = np.split(np.argsort(places, kind="stable"), np.cumsum(sizes)[:-1])
    for group in generator.permutation(np.flatnonzero(sizes > 1)):
        rows = by_group[group]
        more = held + np.bincount(classes[rows], minlength=len(totals))
        if _far(more / totals, aim) < _far(held / totals, aim):
            held, is_held[rows] = more, True
    for code, total in enumerate(totals):
        rows = generator.permutation(np.flatnonzero(is_single & (classes == code)))
        wanted = max(round(share * total) - int(held[code]), int(held[code] == 0))
        is_held[rows[:wanted]] = True
    return is_held


def _far(shares: NDArray[np.float64], aim: NDArray[np.float64]) -> float:
    return float(((shares - aim) ** 2).sum())
