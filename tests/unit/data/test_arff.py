"""Rows of ARFF become pixels and labels, or one line with row and column."""

import io

import numpy as np
import pytest

from foldwise.data.arff import Columns, read_arff
from foldwise.errors import DataError

COLUMNS = Columns(pixels=(0, 1, 2), label=3, count=4)
HEAD = b"""% a comment
@RELATION toy
@ATTRIBUTE pixel1 real
@attribute pixel2 INTEGER
@Attribute 'pixel 3' numeric
 @ATTRIBUTE class {a,b}
@DATA
"""


def read(rows: bytes, columns: Columns = COLUMNS, head: bytes = HEAD) -> tuple[object, object]:
    """Read made rows as plain lists."""
    images, labels = read_arff(io.BytesIO(head + rows), columns)
    assert images.dtype == np.uint8
    return images.tolist(), labels.tolist()


def said(rows: bytes, columns: Columns = COLUMNS, head: bytes = HEAD) -> str:
    """Say why made rows are refused."""
    with pytest.raises(DataError) as caught:
        read(rows, columns, head)
    return str(caught.value)


def test_rows_become_pixels_and_labels() -> None:
    """In their order; comments and empty lines between them are passed over."""
    assert read(b"0,1,255,a\n% no data\n\n7,8,9,b\n") == ([[0, 1, 255], [7, 8, 9]], ["a", "b"])


def test_a_last_line_needs_no_newline() -> None:
    """And lines may end as Windows ends them."""
    assert read(b"0,1,2,a\r\n7,8,9,b") == ([[0, 1, 2], [7, 8, 9]], ["a", "b"])


@pytest.mark.parametrize("zero", [b"0", b"0.0", b" 0 ", b"-0", b"0.", b"00", b"0e5"])
def test_whole_numbers_may_be_written_as_they_like(zero: bytes) -> None:
    """OpenML's servers write floats where the pixels were floats."""
    assert read(zero + b",1.0,2.55e2,a") == ([[0, 1, 255]], ["a"])


@pytest.mark.parametrize(
    "field",
    [
        b"0.5",
        b"256",
        b"-1",
        b"?",
        b"",
        b"nan",
        b"inf",
        b"1e9",
        b"x",
        b"1_0",
        b"0x1",
        b"\xff",
        b"9" * 999,
    ],
)
@pytest.mark.parametrize("column", [0, 2])
def test_what_is_no_pixel_is_refused_with_its_place(field: bytes, column: int) -> None:
    """Fractions, other ranges, missing values and words."""
    fields = [b"1", b"2", b"3", b"a"]
    fields[column] = field
    text = field.decode("utf-8", errors="replace")[:20]
    assert said(b"1,2,3,a\n" + b",".join(fields)) == (
        f"row 2, column {column + 1} must be a pixel, an integer from 0 to 255, got {text!r}:"
        " choose image data, unscaled"
    )


def test_columns_may_lie_anywhere() -> None:
    """The label first, and a row's number that is left out."""
    columns = Columns(pixels=(2, 3), label=0, count=4)
    assert read(b"a,17000,2,3\nb,17001,4,5", columns) == ([[2, 3], [4, 5]], ["a", "b"])


@pytest.mark.parametrize(
    ("field", "label"),
    [(b"'a b'", "a b"), (b'"a,b"', "a,b"), (b'"it\'s"', "it's"), (b"'a\\'b'", "a'b"), (b" a", "a")],
)
def test_labels_lose_their_quotes(field: bytes, label: str) -> None:
    """Either kind of quotes, with commas and the other kind inside."""
    assert read(b"1,2,3," + field)[1] == [label]


@pytest.mark.parametrize("field", [b"", b"?", b"x" * 101, b"a\x07b", b"' '"])
def test_a_label_must_be_there_and_readable(field: bytes) -> None:
    """Missing, too long and unprintable ones are refused."""
    assert "row 1, column 4 must be a label of 1 to 100 printable" in said(b"1,2,3," + field)


@pytest.mark.parametrize(
    ("row", "words"),
    [
        (b"1,2,a", "row 1 must have 4 columns, got 3"),
        (b"1,2,3,4,a", "row 1 must have 4 columns, got 5"),
        (b"{0 1, 3 a}", "got 2, a sparse row,: choose data in dense ARFF"),
        (b"1,2\r2,3,'a'", "row 1 must be one row of ARFF"),
        (b"1,2,3,'" + b"a" * 200_000 + b"'", "row 1 must be one row of ARFF"),
    ],
)
def test_a_row_of_another_form_is_refused(row: bytes, words: str) -> None:
    """Too few columns, too many, or sparse."""
    assert words in said(row)


@pytest.mark.parametrize(
    ("head", "words"),
    [
        (b"", "must declare its 4 columns, got 0 before its data"),
        (HEAD.replace(b"pixel2", b"x").replace(b"@attribute", b"%"), "got 3 before its data"),
        (HEAD, "must have rows, and this one has none"),
    ],
)
def test_a_file_of_another_form_is_refused(head: bytes, words: str) -> None:
    """No declarations, other ones, or no data."""
    assert words in said(b"", head=head)
