"""The rows of a dense ARFF file, OpenML's format, as pixels and labels; read as a stream."""

import csv
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from foldwise.errors import DataError

_LONGEST_LABEL = 100
_NUMBER = re.compile(rb"[+-]?[0-9]+(\.[0-9]*)?([eE][+-]?[0-9]{1,2})?")


@dataclass(frozen=True, slots=True)
class Columns:
    """Which columns hold what: positions of the pixels in order, the label's, and how many all."""

    pixels: tuple[int, ...]
    label: int
    count: int


def read_arff(
    lines: Iterable[bytes], columns: Columns
) -> tuple[NDArray[np.uint8], NDArray[np.str_]]:
    """Read the data section.

    Parameters
    ----------
    lines : iterable of bytes
        The whole file, line by line, comments and declarations included.
    columns : Columns
        The declarations must be as many; what they say is not looked at.

    Returns
    -------
    images : uint8 array (rows, pixels)
        Whole numbers from 0 to 255, in whatever way they are written.
    labels : str array (rows,)
        Without quotes and spaces around them.

    Raises
    ------
    DataError
        A row has another number of columns, a pixel is no integer from 0 to 255, a label is
        missing or longer than 100 characters; with row and column, both counted from 1.
    """
    rows = _data_rows(iter(lines), columns)
    pixels, labels, values = bytearray(), [], _Pixels()
    for row, line in enumerate(rows, start=1):
        fields = _fields(line, columns, row)
        labels.append(_label(fields[columns.label], columns, row))
        try:
            pixels += bytes([values[fields[column]] for column in columns.pixels])
        except ValueError as error:
            raise _not_a_pixel(fields, columns, row) from error
    if not labels:
        raise DataError("an ARFF file must have rows, and this one has none: choose other data")
    images = np.frombuffer(pixels, dtype=np.uint8)
    return images.reshape(len(labels), len(columns.pixels)), np.array(labels)


class _Pixels(dict[bytes, int]):
    """From a field's text to its value; the few texts there are become known as they come."""

    def __missing__(self, field: bytes) -> int:
        text = field.strip()
        value = float(text) if _NUMBER.fullmatch(text) else -1.0
        if not (0 <= value <= 255 and value.is_integer()):
            raise ValueError(field)
        self[field] = int(value)
        return self[field]


def _data_rows(lines: Iterator[bytes], columns: Columns) -> Iterator[bytes]:
    declared = 0
    for line in lines:
        word = line.lstrip()[:10].lower()
        declared += word == b"@attribute"
        if word.startswith(b"@data"):
            break
    if declared != columns.count:
        raise DataError(
            f"an ARFF file must declare its {columns.count} columns, got {declared} before its"
            " data: choose other data"
        )
    return (line for line in lines if line.strip() and not line.lstrip().startswith(b"%"))


def _fields(line: bytes, columns: Columns, row: int) -> list[bytes]:
    fields = line.split(b",")
    if b"'" in line or b'"' in line:
        fields = _quoted_fields(line, row)
    if len(fields) != columns.count:
        sparse = ", a sparse row," if line.lstrip().startswith(b"{") else ""
        raise DataError(
            f"row {row} must have {columns.count} columns, got {len(fields)}{sparse}:"
            " choose data in dense ARFF"
        )
    return fields


def _quoted_fields(line: bytes, row: int) -> list[bytes]:
    text = line.decode("utf-8", errors="replace").strip()
    first = min((text.find(mark), mark) for mark in "\"'" if mark in text)[1]
    try:
        fields = next(csv.reader([text], quotechar=first, escapechar="\\", skipinitialspace=True))
    except csv.Error as error:
        raise DataError(
            f"row {row} must be one row of ARFF, got '{error}': choose other data"
        ) from error
    return [field.encode() for field in fields]


def _label(field: bytes, columns: Columns, row: int) -> str:
    label = field.decode("utf-8", errors="replace").strip()
    if not label or label == "?" or len(label) > _LONGEST_LABEL or not label.isprintable():
        raise DataError(
            f"row {row}, column {columns.label + 1} must be a label of 1 to {_LONGEST_LABEL}"
            f" printable characters, got {label[:20]!r}: choose data without missing labels"
        )
    return label


def _not_a_pixel(fields: list[bytes], columns: Columns, row: int) -> DataError:
    values = _Pixels()
    for column in columns.pixels:
        try:
            values[fields[column]]
        except ValueError:
            break
    text = fields[column].decode("utf-8", errors="replace").strip()[:20]
    return DataError(
        f"row {row}, column {column + 1} must be a pixel, an integer from 0 to 255, got {text!r}:"
        " choose image data, unscaled"
    )
