"""A table's file, CSV or Parquet, as blocks of named columns; another ends in one line."""

import csv
import io
import json
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from difflib import get_close_matches
from itertools import islice
from pathlib import Path

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet

from foldwise.data.labels import TWO_WAYS, sight
from foldwise.errors import DataError

_WORDS = ("na", "n/a", "#n/a", "nan", "null", "none", "<na>")
MISSING = ("", "NaN", "?", ".", *(f(word) for word in _WORDS for f in (str, str.upper, str.title)))
"""What stands for a missing cell in CSV."""
_BLOCK = 1 << 22
_PARQUET = (".parquet", ".pq")
_DELIMITERS = {",": "", ";": "semicolon", "\t": "tab", "|": "vertical bar"}
_SAVE = "save the table as CSV, and name that in prepare.path"
_FORMATS = {
    b"\x1f\x8b": ("compressed by gzip", "unpack it with gunzip, and name what it holds"),
    b"PK\x03\x04": ("a spreadsheet (xlsx) or a zip archive", _SAVE),
    b"\xd0\xcf\x11\xe0": ("a spreadsheet (xls)", _SAVE),
    b"SQLite": ("a database", _SAVE),
    b"\x89HDF": ("HDF5", _SAVE),
    b"\xff\xfe": ("UTF-16", "save it as UTF-8"),
    b"\xfe\xff": ("UTF-16", "save it as UTF-8"),
    b"version https://git-lfs": ("a pointer of Git LFS", "fetch the file itself with git lfs pull"),
    b"<": ("a web page or XML", "fetch the file itself, or save the table as CSV"),
    b"{": ("JSON", _SAVE),
    b"[": ("JSON", _SAVE),
}
_NAMED = 30
# Arrow's own words: a function of ours that it calls for such rows would be let go of in one of its
# threads, which aborts a process that is just ending.
_RAGGED = re.compile(r"Row #(\d+): Expected \d+ columns, got (\d+)")
_UNNAMED = re.compile(r"__index_level_\d+__")


@dataclass(frozen=True, slots=True)
class TableFile:
    """A file whose columns are known, no two by one name, and whose rows are still to be read.

    A ``delimiter`` stands between the cells of a line; it is empty for Parquet.
    """

    path: Path
    names: tuple[str, ...]
    delimiter: str

    @property
    def is_text(self) -> bool:
        """Whether it says nothing of types, as CSV."""
        return self.delimiter != ""

    @property
    def notes(self) -> list[str]:
        """What should be said of how it is read."""
        between = _DELIMITERS.get(self.delimiter, "")
        return [f"{self.path} has a {between} between its cells"] if between else []

    @property
    def without_rows(self) -> DataError:
        """The error of a file that has none."""
        return self.broken("names columns and has no rows", "put rows below the names")

    def row(self, number: int) -> str:
        """A row, counted from 0, as who opens the file sees it: the names are CSV's row 1."""
        return f"row {number + 1 + self.is_text:,}"

    def broken(self, got: str, remedy: str) -> DataError:
        """The error of one line."""
        return _broken(self.path, got, remedy)

    def require(self, name: str, asked: str, remedy: str = "edit params.yaml") -> None:
        """Refuse a name that no column has, and offer the nearest.

        ``asked`` is what named it, such as ``prepare.target``.
        """
        if name in self.names:
            return
        near = get_close_matches(name, self.names, n=1, cutoff=0.5)
        looks = [each for each in self.names if sight(each) == sight(name)]
        more = f" and {len(self.names) - _NAMED} more" if len(self.names) > _NAMED else ""
        listed = ", ".join(map(repr, self.names[:_NAMED])) + more
        hint = f"did you mean {near[0]!r}?" if near else f"it has {listed}"
        if looks:
            hint = f"in YAML the column is {json.dumps(looks[0])}"
        raise DataError(
            f"{self.path}: {asked} must name one of its columns, got {name!r} ({hint}): {remedy}"
        )

    def cells(self, names: Sequence[str]) -> Iterator[tuple[str, pa.Array]]:
        """Some cells of one of the columns named, then others, until all are told; CSV's are text.

        Raises
        ------
        DataError
            A row has too few or too many cells, or a column's cells are no single values.
        """
        if not self.is_text:
            yield from self._parquet_cells(names)
            return
        for batch in self._csv_batches(names):
            yield from zip(names, batch.columns, strict=True)

    @property
    def most_rows(self) -> int:
        """As many rows as it has, or a few more: a quoted cell may go over lines."""
        if self.is_text:
            with self.path.open("rb") as file:
                return sum(block.count(b"\n") for block in iter(lambda: file.read(_BLOCK), b""))
        with _as_parquet(self.path):
            return int(pyarrow.parquet.read_metadata(self.path).num_rows)

    def batches(self, names: Sequence[str]) -> Iterator[pa.RecordBatch]:
        """The rows, some at a time, with the columns named; as `cells`."""
        if self.is_text:
            yield from self._csv_batches(names)
            return
        with _as_parquet(self.path), pyarrow.parquet.ParquetFile(self.path) as file:
            yield from file.iter_batches(columns=[*names], use_threads=False)

    def _csv_batches(self, names: Sequence[str]) -> Iterator[pa.RecordBatch]:
        try:
            with pyarrow.csv.open_csv(
                self.path,
                pyarrow.csv.ReadOptions(
                    use_threads=False,  # with them, rows have no numbers
                    block_size=_BLOCK,
                    column_names=self.names,
                    skip_rows_after_names=1,
                ),
                pyarrow.csv.ParseOptions(delimiter=self.delimiter, newlines_in_values=True),
                pyarrow.csv.ConvertOptions(
                    column_types=dict.fromkeys(self.names, pa.string()),
                    include_columns=names,
                    null_values=MISSING,
                    strings_can_be_null=True,
                    check_utf8=False,  # looked at before
                ),
            ) as reader:
                yield from reader
        except pa.ArrowException as error:
            if ragged := _RAGGED.search(str(error)):
                raise self._ragged(*map(int, ragged.groups())) from error
            raise self.broken(
                f"can't be read, {_words(error)}", "write it anew, its cells shorter than 4 MB"
            ) from error

    def _ragged(self, row: int, cells: int) -> DataError:
        found, line = [""], row
        with suppress(csv.Error), self.path.open(encoding="utf-8-sig", newline="") as file:
            lines = csv.reader(file, delimiter=self.delimiter)
            found = next(islice(filter(None, lines), row - 1, None), [""])
            line = lines.line_num  # empty ones are no rows, and a quoted cell may go over lines
        at = f"row {row}" if line == row else f"row {row}, which ends in line {line:,}"
        got = f"has {cells} cells in {at}, names {len(self.names)} columns"
        if cells == len(self.names) + 1 == len(found) and not found[-1]:
            return self.broken(got, "remove the delimiter at the lines' ends")
        return self.broken(got, "mend that row, with quotes around cells that have a delimiter")

    def _parquet_cells(self, names: Sequence[str]) -> Iterator[tuple[str, pa.Array]]:
        with _as_parquet(self.path), pyarrow.parquet.ParquetFile(self.path) as file:
            named = _categories(file.schema_arrow)
            for name in names:
                kind = file.schema_arrow.field(name).type
                is_odd = pa.types.is_nested(kind) or pa.types.is_duration(kind)
                if is_odd or "binary" in str(kind):
                    raise self.broken(
                        f"column {name!r} holds {kind} where one number or word belongs",
                        "take it apart before, or add it to prepare.drop",
                    )
                # All at once would need buffers for all of them.
                for batch in file.iter_batches(columns=[name], use_threads=False):
                    batch.validate(full=True)
                    cells = batch.column(0)  # which knows of categories of words alone
                    yield name, cells.dictionary_encode() if name in named else cells


def open_table(path: Path) -> TableFile:
    """Look at a file's first bytes and at its columns' names.

    Raises
    ------
    DataError
        It isn't there, is neither CSV nor Parquet, or its columns can't be told apart.
    """
    if not path.is_file():
        got = "is a folder" if path.is_dir() else "isn't there"
        raise _broken(path, got, "put the table there, or name another file in params.yaml")
    with path.open("rb") as file:
        head = file.read(4096)
    is_parquet, named = head[:4] == b"PAR1", path.suffix.lower() in _PARQUET
    if not head.strip():
        raise _broken(path, "is empty", "write the table anew, or name another in prepare.path")
    for magic, (what, remedy) in _FORMATS.items():
        if head.startswith(magic):
            raise _broken(path, f"is {what}", remedy)
    if is_parquet != named:
        what, ending = ("Parquet", ".parquet") if is_parquet else ("not Parquet", ".csv")
        raise _broken(path, f"is {what}, whatever its name says", f"let its name end in {ending}")
    if not is_parquet:
        return _open_csv(path)
    with _as_parquet(path), pyarrow.parquet.ParquetFile(path) as file:
        names = tuple(file.schema_arrow.names)
    _check_names(path, names)
    return TableFile(path, names, "")


def _open_csv(path: Path) -> TableFile:
    _check_bytes(path)
    with path.open(encoding="utf-8-sig", newline="") as file:
        lines = [*io.StringIO(file.read(_BLOCK), newline="")]
    heads = {delimiter: _first_record(lines, delimiter) for delimiter in _DELIMITERS}
    delimiter = max(heads, key=lambda each: len(heads[each]))
    names = tuple(name.strip() for name in heads[delimiter])
    if len(names) < 2:
        got = f"has one column or none in its first line, {lines[0].strip()[:40]!r}"
        raise _broken(path, got, "let it begin with the columns' names, with commas between")
    _check_names(path, names)
    table = TableFile(path, names, delimiter)
    if len(lines) == 1:
        raise table.without_rows
    return table


def _first_record(lines: list[str], delimiter: str) -> list[str]:
    try:
        return next(csv.reader(lines, delimiter=delimiter))
    except csv.Error:
        return []


def _check_names(path: Path, names: Sequence[str]) -> None:
    seen = [sight(name) for name in names]
    for place, name in enumerate(names, start=1):
        if not sight(name):
            remedy = "name it, or write the table without its index or the column"
            if place == len(names) > 1:
                remedy = "remove the delimiter at the lines' ends, or name the column"
            raise _broken(path, f"column {place} of {len(names)} has no name", remedy)
        if (first := seen.index(sight(name)) + 1) < place:
            got = f"columns {first} and {place} are both called {name!r}"
            if name != names[first - 1]:
                got = f"columns {first} and {place} have the name {name!r} {TWO_WAYS.strip(',')}"
            raise _broken(path, got, "rename one of them in the file")
        if _UNNAMED.fullmatch(name):
            got = f"column {name!r} is the index that pandas kept"
            raise _broken(path, got, "write it with to_parquet(..., index=False)")


def _check_bytes(path: Path) -> None:
    """Refuse text that is no UTF-8, NUL bytes and a quote that isn't closed, by their lines."""
    done = quotes = 0
    with path.open("rb") as file:
        while block := file.read(_BLOCK) + file.readline():
            if (place := block.find(0)) >= 0:
                line = done + block.count(b"\n", 0, place) + 1
                got = f"holds a NUL byte in line {line:,}"
                raise _broken(path, got, "save it as UTF-8 without them")
            try:
                block.decode()
            except UnicodeDecodeError as error:
                line = done + block.count(b"\n", 0, error.start) + 1
                cell = block[max(0, error.start - 15) : error.end].split(b"\n")[-1]
                got = f"isn't UTF-8 in line {line:,}, after {cell.decode(errors='replace')!r}"
                raise _broken(path, got, "save it as UTF-8") from error
            done += block.count(b"\n")
            quotes += block.count(b'"')
    if quotes % 2:
        got = f"opens a quote that isn't closed, in line {_line_of_open_quote(path):,}"
        raise _broken(path, got, 'close it, and write a quote within a quoted cell as ""')


def _line_of_open_quote(path: Path) -> int:
    opened, is_open = 0, False
    with path.open("rb") as file:
        for line, text in enumerate(file, start=1):
            if text.count(b'"') % 2:
                is_open = not is_open
                opened = line if is_open else opened
    return opened


@contextmanager
def _as_parquet(path: Path) -> Iterator[None]:
    try:
        yield
    except (pa.ArrowException, OSError, ValueError, OverflowError, MemoryError) as error:
        raise _broken(path, f"is damaged Parquet, {_words(error)}", "write it anew") from error


def _categories(schema: pa.Schema) -> set[str]:
    """Columns that pandas wrote as categories; what isn't its own way to say so says nothing."""
    try:
        columns = schema.pandas_metadata["columns"]
        return {of["name"] for of in columns if of["pandas_type"] == "categorical"}
    except (LookupError, TypeError, ValueError):
        return set()


def _words(error: BaseException) -> str:
    return " ".join(str(error).split())[:150] or type(error).__name__


def _broken(path: Path, got: str, remedy: str) -> DataError:
    return DataError(f"{path} must be a table, CSV or Parquet, but {got}: {remedy}")
