"""A bad table ends in one line, and what the line advises mends it."""

from pathlib import Path
from typing import Any

import pyarrow.csv
import pytest

from foldwise.data.table import Table, read_table
from foldwise.data.table_file import open_table
from foldwise.errors import DataError
from foldwise.settings import PrepareSettings
from tests.unit.data.table_cases import BAD, ROLES, Bad


def read(root: Path, path: str, **roles: Any) -> Table:
    """Read a table of the project."""
    settings = PrepareSettings(source="table", name="t", path=path, **(ROLES | roles))
    return read_table(settings, root=root)


@pytest.mark.parametrize("bad", BAD.values(), ids=BAD)
def test_a_bad_table_ends_in_one_line_whose_remedy_mends_it(tmp_path: Path, bad: Bad) -> None:
    """Each kind says file, column and row, and what to do; done, the table is read."""
    path = tmp_path / (bad.name or "t.csv")
    if bad.name:
        path.write_bytes(bad.content)
    with pytest.raises(DataError) as caught:
        read(tmp_path, path.name, **bad.roles)
    assert str(caught.value) == f"{path}{bad.line}"
    mended = tmp_path / (bad.mended_name or path.name)
    if bad.mended is not None:
        mended.write_bytes(bad.mended)
    assert len(read(tmp_path, mended.name, **(dict(bad.roles) | dict(bad.then))).frame) >= 12


def test_no_thread_of_arrows_holds_a_function_of_ours(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that lets go of it while Python ends aborts the process: 4 in 100 reads did."""
    held = []
    real = pyarrow.csv.open_csv

    def opened(path: Path, reads: Any, parses: Any, converts: Any) -> Any:
        held.append(parses.invalid_row_handler)
        return real(path, reads, parses, converts)

    monkeypatch.setattr(pyarrow.csv, "open_csv", opened)
    path = tmp_path / "t.csv"
    path.write_bytes(BAD["too few cells"].content)
    with pytest.raises(DataError, match="has 4 cells in row 7"):
        list(open_table(path).batches(["age"]))
    assert held == [None]
