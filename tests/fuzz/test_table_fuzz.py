"""Whatever bytes a table's file has, they give a table or one line."""

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from foldwise.data.table import read_table
from foldwise.errors import DataError, SettingsError
from foldwise.settings import PrepareSettings
from tests.unit.data.table_cases import as_csv, as_parquet

CSV = as_csv(note=["a", 'b "c"', "d, e", "\u00e9"] * 3)
PARQUET = as_parquet(note=["a", None, "b"] * 4, flag=[True, None] * 6)
pieces = st.sampled_from(
    [
        *(b",", b";", b"\t", b'"', b'""', b"\n", b"\r", b"\r\n", b"\0", b"\xff", b"\xef\xbb\xbf"),
        *(b" ", b"1e999", b"-inf", b"1,5", b"1.234,5", b"2024-01-31", b"x" * 200, b"age,", b"NA"),
        *(b"PAR1", b"true", "\u2028\u0663\x85".encode(), b"0x1F", b"1_000", b"+5", b"9" * 400),
    ]
)
columns = st.sampled_from(["age", "dose", "sex", "who", "ill", "note"])
roles = st.fixed_dictionaries(
    {},
    optional={
        "group": columns,
        "drop": st.lists(columns, max_size=2).map(tuple),
        "columns": st.dictionaries(columns, st.sampled_from(["number", "category", "drop"])),
        "holdout": columns.map(lambda name: {"column": name})
        | columns.map(lambda name: {"date": name, "from": "2024-01-31"})
        | st.just({"file": "second.csv"}),
    },
)


@st.composite
def changed(draw: st.DrawFn, whole: bytes) -> bytes:
    """Draw the file with some places overwritten, put in, cut out, repeated, or cut off."""
    content = bytearray(whole)
    for _ in range(draw(st.integers(0, 4))):
        place = draw(st.integers(0, len(content)))
        piece = draw(pieces | st.binary(min_size=1, max_size=3))
        end = min(len(content), place + draw(st.sampled_from([0, 1, 5, 40])))
        match draw(st.sampled_from(["over", "over", "in", "out", "again", "off"])):
            case "over":
                content[place : place + len(piece)] = piece
            case "in":
                content[place:place] = piece
            case "out":
                del content[place:end]
            case "again":
                content[place:place] = content[place:end]
            case "off":
                del content[place:]
    return bytes(content)


def ends_well(content: bytes, given_roles: dict[str, Any], ending: str) -> None:
    """Read the file: it gives finite numbers, categories and classes, or one line that names it."""
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / f"t{ending}").write_bytes(content)
        (Path(folder) / "second.csv").write_bytes(CSV)
        prepare = PrepareSettings(
            source="table", name="t", path=f"t{ending}", **({"target": "ill"} | given_roles)
        )
        said, table, is_named = "", None, True
        try:
            table = read_table(prepare, root=Path(folder))
        except SettingsError as error:
            said = str(error)
        except DataError as error:
            said = str(error).replace(str(Path(folder)), "")
            is_named = "/t." in said or "/second." in said
    if table is None:
        assert is_named
        assert len(said.splitlines()) == 1
        assert len(said) < 800
        return
    assert len(table.frame) == len(table.target) > 0
    assert table.frame.shape[1] > 0
    numbers = table.frame.select_dtypes("number")
    assert not np.isinf(numbers.to_numpy()).any()
    assert len(np.unique(table.target)) > 1


files = st.tuples(changed(CSV), st.just(".csv")) | st.tuples(changed(PARQUET), st.just(".parquet"))


@settings(max_examples=60, deadline=None)
@given(files, roles)
def test_any_table_file_ends_in_a_table_or_one_line(
    file: tuple[bytes, str], given_roles: dict[str, Any]
) -> None:
    """CSV and Parquet with bytes changed, whatever parts their columns are given."""
    ends_well(file[0], given_roles, file[1])


@pytest.mark.soak
@pytest.mark.timeout(3600)
@settings(max_examples=1500, deadline=None)
@given(files, roles)
def test_any_table_file_ends_in_a_table_or_one_line_at_length(
    file: tuple[bytes, str], given_roles: dict[str, Any]
) -> None:
    """The same, more often."""
    ends_well(file[0], given_roles, file[1])
