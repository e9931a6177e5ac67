"""models/run.json is input: what it names leads nowhere."""

from pathlib import Path

import pytest

from foldwise.app.results import SearchPlace
from foldwise.errors import SearchError

PLACE = SearchPlace("0" * 32, "0123abcd" * 4, 2)


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    PLACE.save()
    return tmp_path


def test_what_was_saved_is_read() -> None:
    """The run, the search and the attempt."""
    assert SearchPlace.read() == PLACE


@pytest.mark.parametrize("field", ["run_id", "search_key"])
@pytest.mark.parametrize("named", ["../..", "", "a/b", "/etc", "%", "0123\\n", "x" * 65])
def test_a_path_for_a_name_is_one_line(folder: Path, field: str, named: str) -> None:
    """Locks and paths are kept under the search's key."""
    path = folder / "models" / "run.json"
    told = PLACE.run_id if field == "run_id" else PLACE.search_key
    path.write_text(path.read_text().replace(told, named))
    with pytest.raises(SearchError, match=r"run\.json must name the search .*run `dvc repro tune`"):
        SearchPlace.read()


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"a":' * 9999, "null"])
def test_no_place_is_one_line(folder: Path, text: str) -> None:
    """Cut short, or something else."""
    (folder / "models" / "run.json").write_text(text)
    with pytest.raises(SearchError, match=r"run\.json must name the search"):
        SearchPlace.read()
