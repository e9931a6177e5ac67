"""Bad tables by what is wrong with them, each with its line and with what the line advises."""

import gzip
import io
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

ROWS = 12
GOOD: dict[str, list[Any]] = {
    "age": [20, 31, 47, None, 52, 38, 64, 29, 71, 33, 45, 58],
    "dose": [0.5, 1.5, 0.25, 2.0, 1.0, 0.75, 1.25, 3.5, 0.1, 2.5, 1.75, 0.9],
    "sex": ["f", "m", "m", "f", None, "f", "m", "m", "f", "f", "m", "f"],
    "who": ["p1", "p1", "p2", "p2", "p3", "p3", "p4", "p4", "p5", "p5", "p6", "p6"],
    "ill": ["yes", "no"] * 6,
}
ROLES: dict[str, Any] = {"target": "ill", "group": "who"}


def frame(**columns: Any) -> pd.DataFrame:
    """The good table with these columns in place of, or behind, its own; None leaves one out."""
    data = {name: cells for name, cells in (GOOD | columns).items() if cells is not None}
    return pd.DataFrame(data)


def as_csv(**columns: Any) -> bytes:
    """The same as CSV."""
    return str(frame(**columns).to_csv(index=False)).encode()


def as_parquet(**columns: Any) -> bytes:
    """The same as Parquet."""
    file = io.BytesIO()
    frame(**columns).to_parquet(file, index=False)
    return file.getvalue()


def lined(change: Callable[[list[str]], object]) -> bytes:
    """The good CSV, its lines changed in place."""
    lines = as_csv().decode().splitlines()
    change(lines)
    return joined(lines)


def joined(lines: list[str]) -> bytes:
    """Lines as a file has them."""
    return ("\n".join(lines) + "\n").encode()


def worded(row: int, before: str, after: str) -> bytes:
    """The good CSV with a text changed in one row of the file, counted from 1."""
    return lined(lambda of: of.__setitem__(row - 1, of[row - 1].replace(before, after, 1)))


@dataclass(frozen=True)
class Bad:
    """A table that is refused.

    Attributes
    ----------
    content : bytes
    said : str
        The line from behind the file's path, and behind "must be a table, CSV or Parquet, but".
    mended : bytes or None
        The table as the line's remedy makes it; None where it changes the parameters.
    roles : mapping
        Parameters of `prepare`.
    then : mapping
        What the remedy makes of them.
    """

    content: bytes
    said: str
    mended: bytes | None = None
    roles: Mapping[str, Any] = field(default_factory=dict)
    then: Mapping[str, Any] = field(default_factory=dict)
    name: str = "t.csv"
    mended_name: str = ""

    @property
    def line(self) -> str:
        """The line, from behind the file's path."""
        start = "" if self.said.startswith(":") else " must be a table, CSV or Parquet, but "
        return f"{start}{self.said}"


def _dropping(name: str) -> dict[str, Any]:
    return {"drop": (name,)}


def _calling(name: str, kind: str) -> dict[str, Any]:
    return {"columns": {name: kind}}


_GOOD = as_csv()
_LONG = as_csv(sex=["f" * 100, "m", "m"] * 4).replace(b",", b"\t")
_DATES = [f"2024-01-{day:02}" for day in range(1, 13)]
_NAMES, *_DATED = as_csv(day=_DATES).decode().splitlines()
_SEEN = "25,0.6,m,p0,no,2023-12-31"
_WORDS = [f"Saw patient {row} on the ward, who was well" for row in range(ROWS)]
_NOT_SAVED = "save the table as CSV, and name that in prepare.path"
_COLUMNS = "add it to prepare.drop, or call it a category in prepare.columns"
_POINT = "write its numbers with digits and a point alone, or call it a category in prepare.columns"

BAD: dict[str, Bad] = {
    # The file
    "no file": Bad(
        b"", "isn't there: put the table there, or name"
        " another file in params.yaml", _GOOD, name="",
    ),
    "empty": Bad(
        b"", "is empty: write the table anew, or name another"
        " in prepare.path", _GOOD,
    ),
    "blank": Bad(
        b" \n\n", "is empty: write the table anew, or name"
        " another in prepare.path", _GOOD,
    ),
    "names alone": Bad(
        b"age,ill,who\n", "names columns and has no rows: put"
        " rows below the names", _GOOD,
    ),
    "names alone, no line end": Bad(
        b"age,ill,who", "names columns and has no rows: put"
        " rows below the names", _GOOD,
    ),
    "gzip": Bad(
        gzip.compress(_GOOD), "is compressed by gzip: unpack"
        " it with gunzip, and name what it holds", _GOOD,
    ),
    "a spreadsheet": Bad(
        b"PK\x03\x04" + bytes(60), "is a spreadsheet (xlsx) or"
        f" a zip archive: {_NOT_SAVED}", _GOOD,
    ),
    "a web page": Bad(
        b"<!DOCTYPE html><html></html>", "is a web page or"
        " XML: fetch the file itself, or save the table as CSV", _GOOD,
    ),
    "Parquet called CSV": Bad(
        as_parquet(), "is Parquet, whatever its name says:"
        " let its name end in .parquet", as_parquet(), mended_name="t.parquet",
    ),
    "CSV called Parquet": Bad(
        _GOOD, "is not Parquet, whatever its name says: let"
        " its name end in .csv", _GOOD, name="t.parquet", mended_name="t.csv",
    ),
    "UTF-16": Bad(
        _GOOD.decode().encode("utf-16"),
        "is UTF-16: save it as UTF-8", _GOOD,
    ),
    "another encoding": Bad(
        worded(4, "m", "m\u00e4nnlich").decode().encode("latin-1"),
        "isn't UTF-8 in line 4, after '47.0,0.25,m\ufffd':"
        " save it as UTF-8", worded(4, "m", "m\u00e4nnlich"),
    ),
    "NUL bytes": Bad(
        worded(5, "2.0", "2.0\0"), "holds a NUL byte in line"
        " 5: save it as UTF-8 without them", _GOOD,
    ),
    "a quote not closed": Bad(
        worded(3, "m", '"m'), "opens a quote that isn't"
        ' closed, in line 3: close it, and write a quote within a quoted cell as ""',
        worded(3, "m", '"m"'),
    ),
    "too many cells": Bad(
        worded(6, "p3", "p3,p4"), "has 6 cells in row 6, names"
        " 5 columns: mend that row, with quotes around cells that have a delimiter",
        worded(6, "p3", '"p3,p4"'), then={"group": None, **_dropping("who")},
    ),
    "too few cells": Bad(
        worded(7, ",p3", ""), "has 4 cells in row 7, names 5"
        " columns: mend that row, with quotes around cells that have a delimiter", _GOOD,
    ),
    "a delimiter at the lines' ends": Bad(
        _GOOD.replace(b"\n", b",\n"), "column 6 of 6 has no"
        " name: remove the delimiter at the lines' ends, or name the column", _GOOD,
    ),
    "a delimiter at the rows' ends": Bad(
        _GOOD.replace(b"\n", b",\n").replace(b",\n", b"\n", 1),
        "has 6 cells in row 2, names 5 columns: remove the delimiter at the lines' ends", _GOOD,
    ),
    "delimiters at the ends of rows below an empty line and a cell of two lines": Bad(
        lined(lambda of: of.__setitem__(slice(1, None), [
            "", of[1].replace("p1", '"p\n1"'), *(f"{line}," for line in of[2:]),
        ])),
        "has 6 cells in row 3, which ends in line 5, names 5 columns: remove the delimiter at the"
        " lines' ends", _GOOD,
    ),
    "tabs at the ends of long rows": Bad(
        _LONG.replace(b"\n", b"\t\n").replace(b"\t\n", b"\n", 1),
        "has 6 cells in row 2, names 5 columns: remove the delimiter at the lines' ends", _LONG,
    ),
    "one column": Bad(
        b"a title\n" + _GOOD, "has one column or none in its"
        " first line, 'a title': let it begin with the columns' names, with commas between", _GOOD,
    ),
    "a name twice": Bad(
        _GOOD.replace(b"dose", b"age"), "columns 1 and 2 are"
        " both called 'age': rename one of them in the file", _GOOD,
    ),
    "a name in two spellings": Bad(
        _GOOD.replace(b"dose", "age\u200b".encode()), "columns 1 and 2 have the name 'age\\u200b'"
        " in two of Unicode's spellings, which look alike: rename one of them in the file", _GOOD,
    ),
    "a name that nobody sees": Bad(
        _GOOD.replace(b"dose", "\u200b".encode()), "column 2 of 5 has no name: name it, or write"
        " the table without its index or the column", _GOOD,
    ),
    "a target of another spelling": Bad(
        _GOOD.replace(b"ill", "il\u200bl".encode()), ": prepare.target must name one of its"
        ' columns, got \'ill\' (in YAML the column is "il\\u200bl"): edit params.yaml',
        then={"target": "il\u200bl"},
    ),
    "a column without a name": Bad(
        frame().to_csv().encode(), "column 1 of 6 has no name:"
        " name it, or write the table without its index or the column", _GOOD,
    ),
    "damaged Parquet": Bad(
        as_parquet()[:200], "is damaged Parquet, Parquet magic"
        " bytes not found in footer. Either the file is corrupted or this is not a parquet file.:"
        " write it anew", as_parquet(), name="t.parquet",
    ),
    "nested Parquet": Bad(
        as_parquet(tags=[[1], [2, 3]] * 6), "column 'tags'"
        " holds list<element: int64> where one number or word belongs: take it apart before, or add"
        " it to prepare.drop", name="t.parquet", then=_dropping("tags"),
    ),
    "an index kept in Parquet": Bad(
        as_parquet(__index_level_0__=range(ROWS)), "column"
        " '__index_level_0__' is the index that pandas kept: write it with to_parquet(...,"
        " index=False)", as_parquet(), name="t.parquet",
    ),
    # The columns' parts
    "no such target": Bad(
        _GOOD, ": prepare.target must name one of its columns, got 'il' (did you mean 'ill'?): edit"
        " params.yaml", roles={"target": "il"}, then={"target": "ill"},
    ),
    "no such group": Bad(
        _GOOD, ": prepare.group must name one of its columns, got 'clinic' (it has 'age', 'dose',"
        " 'sex', 'who', 'ill'): edit params.yaml", roles={"group": "clinic"}, then={"group": "who"},
    ),
    "no such group among many": Bad(
        as_csv(**{f"dose {k:03}": GOOD["dose"] for k in range(40)}), ": prepare.group must name one"
        " of its columns, got 'clinic' (it has 'age', 'dose', 'sex', 'who', 'ill', "
        + ", ".join(f"'dose {k:03}'" for k in range(25)) + " and 15 more): edit params.yaml",
        roles={"group": "clinic"}, then={"group": "who"},
    ),
    "no column left": Bad(
        _GOOD, "no column is left as a feature: shorten"
        " prepare.drop", roles={"drop": ("age", "dose", "sex")}, then={"drop": ("age", "dose")},
    ),
    "one class": Bad(
        as_csv(ill="no"), ": column 'ill' has one class alone, 'no': name a column of classes in"
        " prepare.target", then={"target": "sex", "drop": ("ill",)}, mended=as_csv(sex=GOOD["ill"]),
    ),
    "5,000 classes": Bad(
        pd.DataFrame({"a": np.arange(5000) % 7, "ill": [f"x{row}" for row in range(5000)]})
        .to_csv(index=False).encode(), ": column 'ill' has 5,000 different values, as measurements"
        " are and no classes: name another in prepare.target, or put values together as classes",
        pd.DataFrame({"a": np.arange(5000) % 7, "ill": [f"x{row % 9}" for row in range(5000)]})
        .to_csv(index=False).encode(), roles={"group": None},
    ),
    "a measurement as target": Bad(
        _GOOD, ": column 'dose' has 12 different values, as measurements are and no classes: name"
        " another in prepare.target, or put values together as classes",
        roles={"target": "dose"}, then={"target": "ill"},
    ),
    "a target with gaps": Bad(
        as_csv(ill=["yes", "no", None] * 4), ": column 'ill' has no value in row 4: fill it, or"
        " leave the row out", _GOOD,
    ),
    "a class in two spellings": Bad(
        as_csv(ill=["caf\u00e9", "no"] * 3 + ["cafe\u0301", "no"] * 3), ": column 'ill' has"
        " 'caf\u00e9' in two of Unicode's spellings, which look alike, in row 2 and row 8: spell it"
        " in one way, in NFC and with nothing invisible, everywhere",
        as_csv(ill=["caf\u00e9", "no"] * 6),
    ),
    "a group in two spellings": Bad(
        as_csv(who=["\u1e55", "p\u0301", *GOOD["who"][2:]]), ": column 'who' has"
        " '\u1e55' in two of Unicode's spellings, which look alike, in row 2 and row 3: spell it"
        " in one way, in NFC and with nothing invisible, everywhere", as_csv(),
    ),
    "a class with something invisible": Bad(
        as_csv(ill=["yes", "no"] * 5 + ["yes\u200b", "no"]), ": column 'ill' has 'yes' in two of"
        " Unicode's spellings, which look alike, in row 2 and row 12: spell it in one way, in NFC"
        " and with nothing invisible, everywhere", _GOOD,
    ),
    "a class of another space": Bad(
        as_csv(ill=["not yet", "no"] * 5 + ["not\u00a0yet", "no"]), ": column 'ill' has 'not yet'"
        " in two of Unicode's spellings, which look alike, in row 2 and row 12: spell it in one"
        " way, in NFC and with nothing invisible, everywhere", as_csv(ill=["not yet", "no"] * 6),
    ),
    "a class that nobody sees": Bad(
        as_csv(ill=["yes", "no"] * 5 + ["\u200b", "no"]), ": column 'ill' has no value in row 12:"
        " fill it, or leave the row out", _GOOD,
    ),
    "a class of nothing in Parquet": Bad(
        as_parquet(ill=["yes", "no"] * 5 + ["", "no"]), ": column 'ill' has no value in row 11:"
        " fill it, or leave the row out", as_parquet(), name="t.parquet",
    ),
    "a category in two spellings": Bad(
        as_csv(sex=["\u00fc", "m"] * 5 + ["u\u0308", "m"]), ": column 'sex' has '\u00fc' in two of"
        " Unicode's spellings, which look alike, in row 2 and row 12: spell it in one way, in NFC"
        " and with nothing invisible, everywhere", as_csv(sex=["\u00fc", "m"] * 6),
    ),
    "a named category with a soft hyphen": Bad(
        as_csv(sex=["fe\u00admale", "male"] * 5 + ["female", "male"]), ": column 'sex' has"
        " 'fe\\xadmale' in two of Unicode's spellings, which look alike, in row 2 and row 12: spell"
        " it in one way, in NFC and with nothing invisible, everywhere",
        as_csv(sex=["female", "male"] * 6), roles=_calling("sex", "category"),
    ),
    "a group with gaps": Bad(
        worded(5, "p2", ""), ": column 'who' has no value in row 5: fill it, or leave the row out",
        _GOOD,
    ),
    "a group for each row": Bad(
        as_csv(who=range(ROWS)), ": column 'who' has another value in each row, which groups none:"
        " name a column that keeps some rows together in prepare.group, or null",
        then={"group": None, **_dropping("who")},
    ),
    "a group in both splits": Bad(
        as_csv(split=["train"] * 5 + ["test"] * 7), ": column 'who' has a group in the development"
        " set, too, in row 7: mark whole groups, or set a share in prepare.holdout, which keeps"
        " groups whole", as_csv(split=["train"] * 6 + ["test"] * 6),
        roles={"holdout": {"column": "split"}},
    ),
    "a group on both sides of a date": Bad(
        joined([_NAMES, _SEEN, *_DATED]), ": column 'who' has a group in the"
        " development set, too, in row 10: leave out the earlier rows of such groups, or set a"
        " share in prepare.holdout, which keeps groups whole",
        joined([_NAMES, _SEEN, *_DATED[:6], *_DATED[7:]]),
        roles={"holdout": {"date": "day", "from": "2024-01-08"}},
    ),
    "a group on both sides of a date, a share": Bad(
        as_csv(day=_DATES), ": column 'who' has a group in the development set, too, in row 9:"
        " leave out the earlier rows of such groups, or set a share in prepare.holdout, which keeps"
        " groups whole", roles={"holdout": {"date": "day", "from": "2024-01-08"}},
        then={"holdout": 0.4, "drop": ("day",)},
    ),
    "one group": Bad(
        as_csv(who="p"), ": column 'who' has one value in all rows, which groups none: name a"
        " column that keeps some rows together in prepare.group, or null",
        then={"group": None, **_dropping("who")},
    ),
    # The cells
    "no value": Bad(
        as_csv(age=[None] * ROWS), ": column 'age' has no value in any row: add it to prepare.drop",
        then=_dropping("age"),
    ),
    "one value": Bad(
        as_csv(age=3), ": column 'age' has one value in all rows: add it to prepare.drop, or name"
        " its kind in prepare.columns", then=_calling("age", "number"),
    ),
    "several of one value": Bad(
        as_csv(age=3, dose=1), ": column 'age' has one value in all rows: add it to prepare.drop,"
        " or name its kind in prepare.columns; then look at 'dose'", then={"drop": ("age", "dose")},
    ),
    "two texts, the longest first": Bad(
        as_csv(a=_WORDS[::-1], b=_WORDS[::-1]), ": column 'a' has text, 'Saw patient 11 on the"
        f" ward, wh', and 12 different ones in row 2: {_COLUMNS}; then look at 'b'",
        then={"drop": ("a", "b")},
    ),
    "a decimal comma": Bad(
        _GOOD.replace(b",", b";").replace(b".", b","), ": column 'age' has a decimal comma, '20,0'"
        " in row 2: write its numbers with digits and a point alone, or call it a category in"
        " prepare.columns; then look at 'dose'", _GOOD,
    ),
    "thousands separators": Bad(
        as_csv(age=[f"{row},500" for row in range(1, 13)]), ": column 'age' has thousands"
        f" separators, '1,500' in row 2: {_POINT}", as_csv(age=range(1500, 13500, 1000)),
    ),
    "percent signs": Bad(
        as_csv(age=[f"{row} %" for row in range(1, 13)]), ": column 'age' has a sign beside a"
        f" number, '1 %' in row 2: {_POINT}", _GOOD,
    ),
    "one cell otherwise": Bad(
        worded(9, "3.5", "3,5").replace(b"3,5", b'"3,5"'), ": column 'dose' has a decimal comma,"
        " '3,5' where numbers belong in row 9: mend the cell, or call the column a category in"
        " prepare.columns", _GOOD,
    ),
    "mixed": Bad(
        worded(9, "3.5", "much"), ": column 'dose' has text, 'much' where numbers belong in row 9:"
        " mend the cell, or call the column a category in prepare.columns",
        then=_calling("dose", "category"),
    ),
    "text called a number": Bad(
        _GOOD, ": column 'sex' has text, 'f' where numbers belong in row 2: mend the cell, or call"
        " the column a category in prepare.columns", roles=_calling("sex", "number"),
        then=_calling("sex", "category"),
    ),
    "numbers as text": Bad(
        as_parquet(dose=[str(dose) for dose in GOOD["dose"]]), ": column 'dose' has numbers as text"
        " in row 1: call it a number or a category in prepare.columns", name="t.parquet",
        then=_calling("dose", "number"),
    ),
    "a second line of names": Bad(
        lined(lambda lines: lines.insert(1, "years,mg,,,")), ": column 'age' has no number, nor"
        " have others, as in a second line of names, in row 2: delete that line", _GOOD,
    ),
    "the names again": Bad(
        lined(lambda lines: lines.insert(7, lines[0])), ": column 'age' has its column names again"
        " in row 8: delete that row", _GOOD,
    ),
    "an infinity": Bad(
        worded(4, "0.25", "inf"), ": column 'dose' has an infinite number in row 4: put a number"
        " there, or nothing", worded(4, "0.25", ""),
    ),
    "too large a number": Bad(
        worded(4, "0.25", "1e999"), ": column 'dose' has an infinite number in row 4: put a number"
        " there, or nothing", worded(4, "0.25", ""),
    ),
    "dates": Bad(
        as_csv(day=_DATES), ": column 'day' has a date, '2024-01-01' in row 2: add it to"
        " prepare.drop, or write the days since one, or call it a category in prepare.columns",
        as_csv(day=range(5, 29, 2)),
    ),
    "timestamps in Parquet": Bad(
        as_parquet(day=pd.to_datetime(_DATES)), ": column 'day' has a date, '2024-01-01"
        " 00:00:00.000000' in row 1: add it to prepare.drop, or write the days since one, or call"
        " it a category in prepare.columns", name="t.parquet", then=_dropping("day"),
    ),
    "times": Bad(
        as_csv(at=[f"{row}:30" for row in range(12)]), ": column 'at' has a time, '0:30' in row 2:"
        " add it to prepare.drop, or write the hours as a number, or call it a category in"
        " prepare.columns", then=_calling("at", "category"),
    ),
    "free text": Bad(
        as_csv(note=_WORDS), ": column 'note' has text, 'Saw patient 10 on the ward, wh', and 12"
        f" different ones in row 12: {_COLUMNS}", then=_dropping("note"),
    ),
    "several faults": Bad(
        as_csv(note=_WORDS, number=range(ROWS)), ": column 'note' has text, 'Saw patient 10 on the"
        f" ward, wh', and 12 different ones in row 12: {_COLUMNS}; then look at 'number'",
        then={"drop": ("note", "number")},
    ),
    "keys": Bad(
        as_csv(number=range(7, 7 + ROWS)), ": column 'number' has another whole number in each"
        " row, as keys are: add it to prepare.drop, or call it a number or a category in"
        " prepare.columns",
        then=_calling("number", "number"),
    ),
    "what is called a key": Bad(
        as_csv(patient_id=[97, 3, 55, 21, 70, 8, 16, 33, 2, 81, 64, 5]), ": column 'patient_id' has"
        " another whole number in each row, as keys are: add it to prepare.drop, or call it a"
        " number or a category in prepare.columns", then=_dropping("patient_id"),
    ),
    "large keys": Bad(
        as_csv(key=[2**60 + 5 * row for row in range(ROWS)]), ": column 'key' has a number of 16"
        " digits or more, as keys are, in row 2: add it to prepare.drop, or call it a number or a"
        " category in prepare.columns", then=_calling("key", "category"),
    ),
    "too many categories": Bad(
        pd.DataFrame({"a": [f"w{row}" for row in range(2000)], "b": [1, 2.5] * 1000,
                      "ill": ["a", "b"] * 1000}).to_csv(index=False).encode(),
        ": column 'a' has 2,000 categories, more than 1,000: add it to prepare.drop, or put"
        " categories together", roles={"group": None, **_calling("a", "category")},
        then={"columns": {}, **_dropping("a")},
    ),
}  # fmt: skip
