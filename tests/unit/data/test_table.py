"""What a good table becomes: numbers, categories, classes, groups and marks."""

import io
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from foldwise.data.table import Table, read_table
from foldwise.errors import DataError, SettingsError
from foldwise.settings import PrepareSettings
from tests.unit.data.table_cases import GOOD, ROLES, as_csv, as_parquet

_NAME = "must name the table's column of classes"
_ALL = "'age', 'dose', 'sex', 'who', 'ill'"
_ONE = "name one of them in params.yaml"
_OTHER = "must name another column than"
_OUT = "take it out of one of them in params.yaml"
_NULL = "null when prepare.source is table, got 200: edit params.yaml"
_UNREAD = (
    "when prepare.source is table, which doesn't read it, got 2: set prepare.source to idx, or"
    " prepare.augment to 0, in params.yaml"
)


def read(root: Path, content: bytes, ending: str = ".csv", **roles: Any) -> Table:
    """Write a table into the project and read it."""
    (root / f"t{ending}").write_bytes(content)
    given = {"path": f"t{ending}", "name": "t"} | ROLES | roles
    return read_table(PrepareSettings(source="table", **given), root=root)


def kinds(table: Table) -> dict[str, str]:
    """Each feature's kind."""
    return {str(one["name"]): str(one["kind"]) for one in table.profile()}


@pytest.mark.parametrize("ending", [".csv", ".parquet"])
def test_numbers_stay_numbers_and_words_are_categories(tmp_path: Path, ending: str) -> None:
    """CSV and Parquet give the same: features in the file's order, gaps kept, nothing else."""
    columns = {"on": [True, False, None] * 4, "whole": [3, 1, 2] * 4}
    content = as_csv(**columns) if ending == ".csv" else as_parquet(**columns)
    table = read(tmp_path, content, ending)
    assert list(table.frame.columns) == ["age", "dose", "sex", "on", "whole"]
    assert table.frame["dose"].tolist() == GOOD["dose"]
    assert table.frame["age"].isna().tolist() == [cell is None for cell in GOOD["age"]]
    assert table.frame["on"].tolist()[:2] == [1.0, 0.0]
    assert table.frame["whole"].dtype == np.float64
    assert (
        table.frame["sex"].astype(object).where(table.frame["sex"].notna(), None).tolist()
        == (GOOD["sex"])
    )
    assert table.target.tolist() == GOOD["ill"]
    assert table.groups is not None
    assert (pd.factorize(table.groups)[0] == pd.factorize(np.array(GOOD["who"]))[0]).all()
    assert table.marks is None


def test_what_stands_in_the_report_tells_no_value(tmp_path: Path) -> None:
    """Names, kinds, shares and counts; neither a category nor a group's name."""
    profile = read(tmp_path, as_csv()).profile()
    assert profile[0] == {"name": "age", "kind": "number", "missing": 0.083333}
    assert profile[2] == {"name": "sex", "kind": "category", "categories": 2, "missing": 0.083333}
    assert not {"f", "m", "p1"} & set(str(profile).replace("'", " ").split())


@pytest.mark.parametrize(
    "change",
    [
        lambda whole: b"\xef\xbb\xbf" + whole,
        lambda whole: whole.replace(b"\n", b"\r\n"),
        lambda whole: whole.replace(b"\n", b"\r\n", 5),
        lambda whole: whole.replace(b"\n", b"\r"),
        lambda whole: whole.rstrip(b"\n"),
        lambda whole: whole + b"\n\n",
        lambda whole: whole.replace(b",", b" , "),
        lambda whole: whole.replace(b",", b";"),
        lambda whole: whole.replace(b",", b"\t"),
        lambda whole: whole.replace(b"38.0", b'"38.0"'),
        lambda whole: whole.replace(b",,", b",NA,"),
        lambda whole: whole.replace(b",,", b",?,"),
    ],
    ids=[
        *("bom", "crlf", "mixed ends", "cr", "no end", "blank end"),
        *("spaces", "semicolons", "tabs", "quoted", "NA", "?"),
    ],
)
def test_the_same_table_written_otherwise_is_the_same(tmp_path: Path, change: Any) -> None:
    """Byte-order marks, line ends, delimiters, quotes, spaces and words for a gap."""
    plain, other = read(tmp_path, as_csv()), read(tmp_path, change(as_csv()))
    pd.testing.assert_frame_equal(plain.frame, other.frame)
    assert plain.target.tolist() == other.target.tolist()


def test_names_and_cells_may_hold_what_ends_lines_elsewhere(tmp_path: Path) -> None:
    """Quoted line ends, and the line separators that only Unicode knows."""
    table = read(tmp_path, as_csv(**{"a\u2028\x85b, c\nd": ["e\nf", "g\u2028h"] * 6}))
    assert [*table.frame.columns][-1] == "a\u2028\x85b, c\nd"
    assert table.frame.iloc[:, -1].tolist()[:2] == ["e\nf", "g\u2028h"]


def test_another_delimiter_is_told(tmp_path: Path) -> None:
    """Whoever prepares the table hears how it was read."""
    assert not read(tmp_path, as_csv()).notes
    notes = read(tmp_path, as_csv().replace(b",", b";")).notes
    assert notes == (f"{tmp_path / 't.csv'} has a semicolon between its cells",)


def test_a_kind_that_is_named_is_taken(tmp_path: Path) -> None:
    """Whole numbers may be categories, and columns go; all else is seen."""
    content = as_csv(ward=[1, 2, 10] * 4)
    table = read(tmp_path, content, columns={"ward": "category", "age": "drop"}, drop=("dose",))
    assert kinds(table) == {"sex": "category", "ward": "category"}


def test_a_category_of_numbers_that_pandas_wrote_stays_one(tmp_path: Path) -> None:
    """Parquet itself keeps that of words alone."""
    frame = pd.read_parquet(io.BytesIO(as_parquet(ward=[1, 2, 10] * 4)))
    frame = frame.astype({"ward": "category"})
    frame.to_parquet(tmp_path / "frame", index=False)
    table = read(tmp_path, (tmp_path / "frame").read_bytes(), ".parquet")
    assert kinds(table)["ward"] == "category"
    assert table.frame["ward"].astype(str).tolist() == ["1", "2", "10"] * 4


@pytest.mark.parametrize("told", [b"{", b"null", b'{"columns": [1]}', b"\xff"])
def test_what_others_write_where_pandas_tells_its_types_says_nothing(
    tmp_path: Path, told: bytes
) -> None:
    whole = pq.read_table(io.BytesIO(as_parquet())).replace_schema_metadata({b"pandas": told})
    pq.write_table(whole, tmp_path / "told")
    table = read(tmp_path, (tmp_path / "told").read_bytes(), ".parquet")
    assert kinds(table) == {"age": "number", "dose": "number", "sex": "category"}


def test_rows_are_the_same_however_they_come_in_blocks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a column is doesn't hang on where a block ends."""
    monkeypatch.setattr("foldwise.data.table_file._BLOCK", 40)
    whole = as_csv()
    assert read(tmp_path, whole).frame.shape == (12, 3)
    late = whole.replace(b"58.0,0.9", b"58.0,much")
    with pytest.raises(DataError, match="'dose' has text, 'much' where numbers belong in row 13"):
        read(tmp_path, late)


@pytest.mark.parametrize(
    ("cells", "classes"),
    [
        ([1, 10, 9] * 4, [1, 9, 10]),
        ([1.0, 0.0] * 6, [0, 1]),
        (["01", "1"] * 6, ["01", "1"]),
        ([True, False] * 6, ["False", "True"]),
    ],
)
def test_classes_are_whole_numbers_where_all_are_written_so(
    tmp_path: Path, cells: list[Any], classes: list[Any]
) -> None:
    """007 is a name."""
    assert np.unique(read(tmp_path, as_csv(ill=cells)).target).tolist() == classes


def test_a_column_marks_the_holdout(tmp_path: Path) -> None:
    """By numbers or words; it is no feature, and another word is refused with its row."""
    marked: dict[str, Any] = {"holdout": {"column": "split"}, "group": None}
    for words in (["1", "0"], ["TRUE", "false"], ["test", "train"], ["holdout", "development"]):
        table = read(tmp_path, as_csv(split=words * 6), **marked)
        assert table.marks is not None
        assert table.marks.tolist() == [True, False] * 6
        assert "split" not in table.frame
    with pytest.raises(DataError) as caught:
        read(tmp_path, as_csv(split=["1", "0", "2"] * 4), **marked)
    assert str(caught.value).endswith(
        "column 'split' has a number, '2' in row 4: write 1 for a row of the holdout and 0 for"
        " another"
    )
    with pytest.raises(DataError, match="'split' has all rows in the holdout: let it divide them"):
        read(tmp_path, as_csv(split=1), **marked)


@pytest.mark.parametrize("ending", [".csv", ".parquet"])
def test_a_date_begins_the_holdout(tmp_path: Path, ending: str) -> None:
    """The day itself belongs to it; a time of the day doesn't matter."""
    days = [f"2024-01-{day:02} 23:00:00" for day in range(1, 13)]
    content = as_csv(day=days) if ending == ".csv" else as_parquet(day=pd.to_datetime(days))
    table = read(tmp_path, content, ending, holdout={"date": "day", "from": "2024-01-09"})
    assert table.marks is not None
    assert np.flatnonzero(table.marks).tolist() == [8, 9, 10, 11]
    assert "day" not in table.frame


@pytest.mark.parametrize(
    "odd", ["31.01.2024", "2024-02-30", "20240131", "2024-W05", "", "2024-1-31"]
)
def test_a_date_that_cannot_be_ordered_as_text_is_refused(tmp_path: Path, odd: str) -> None:
    """With its row and how to write it."""
    days = [f"2024-01-{day:02}" for day in range(1, 12)] + [odd]
    with pytest.raises(DataError, match=r"column 'day' has .* in row 13: write it as 2024-01-31"):
        read(tmp_path, as_csv(day=days), holdout={"date": "day", "from": "2024-01-09"})


def test_a_second_file_is_the_holdout(tmp_path: Path) -> None:
    """Its columns may come in another order; its rows are named as its own."""
    lines = as_csv().splitlines(keepends=True)
    late = pd.DataFrame(GOOD).iloc[8:, ::-1]
    late.to_csv(tmp_path / "late.csv", index=False)
    holdout = {"file": "late.csv"}
    table = read(tmp_path, b"".join(lines[:9]), holdout=holdout)
    assert table.marks is not None
    assert table.marks.tolist() == [False] * 8 + [True] * 4
    pd.testing.assert_frame_equal(table.frame, read(tmp_path, as_csv()).frame)
    (tmp_path / "late.csv").write_bytes(lines[0] + lines[10].replace(b"33.0", b"inf"))
    with pytest.raises(DataError, match=r"late.csv: column 'age' has an infinite number in row 2:"):
        read(tmp_path, b"".join(lines[:9]), holdout=holdout)


def test_files_that_differ_in_columns_are_told_the_difference(tmp_path: Path) -> None:
    """By the columns' names; or in their format."""
    second = as_csv(dose=None, weight=[50.5, 60.1] * 6)
    (tmp_path / "late.csv").write_bytes(second)
    with pytest.raises(DataError) as caught:
        read(tmp_path, as_csv(), holdout={"file": "late.csv"})
    assert str(caught.value) == (
        f"{tmp_path / 'late.csv'} must have the format and the columns of {tmp_path / 't.csv'}, but"
        " lacks 'dose' and has 'weight' besides: give both the same"
    )
    (tmp_path / "late.parquet").write_bytes(as_parquet())
    with pytest.raises(DataError, match="but is Parquet: give both the same"):
        read(tmp_path, as_csv(), holdout={"file": "late.parquet"})


@pytest.mark.parametrize(
    ("roles", "said"),
    [
        ({"target": None}, f"target {_NAME}, got null: it has {_ALL}; {_ONE}"),
        ({"drop": ("ill",)}, f"drop {_OTHER} prepare.target, both name 'ill': {_OUT}"),
        ({"group": "ill"}, f"group {_OTHER} prepare.target, both name 'ill': {_OUT}"),
        (
            {"holdout": {"column": "who"}},
            f"holdout.column {_OTHER} prepare.group, both name 'who': {_OUT}",
        ),
        (
            {"columns": {"who": "number"}},
            f"columns {_OTHER} prepare.group, both name 'who': {_OUT}",
        ),
        ({"holdout": 200}, f"holdout must be a share such as 0.2, a mapping, none or {_NULL}"),
        ({"augment": 2}, f"augment must be 0 {_UNREAD}"),
    ],
)
def test_parameters_that_contradict_each_other_are_refused(
    tmp_path: Path, roles: dict[str, Any], said: str
) -> None:
    """One line says which, and what to do."""
    with pytest.raises(SettingsError) as caught:
        read(tmp_path, as_csv(), **roles)
    assert str(caught.value) == f"prepare.{said}"


@pytest.mark.parametrize("path", ["", "none.csv"])
def test_a_folder_and_a_missing_file_are_told_apart(tmp_path: Path, path: str) -> None:
    """The default path of images is a folder."""
    got = "isn't there" if path else "is a folder"
    settings = PrepareSettings(source="table", name="ward", path=path or ".", target="ill")
    with pytest.raises(DataError, match=f"but {got}: put the table there, or name another file"):
        read_table(settings, root=tmp_path)
