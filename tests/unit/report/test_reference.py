"""Published numbers come from a file of the user's: absent, of other data, or wrong."""

import json
from pathlib import Path
from typing import Any

import pytest

from foldwise.errors import SettingsError
from foldwise.report.reference import read_reference
from foldwise.stats.scores import METRICS

ENTRY = {
    "title": "the report",
    "C": "0.59",
    "scores": dict.fromkeys(METRICS, "0.92"),
    "f1": ["0.9", "0.80"],
}


def written(folder: Path, content: Any) -> Path:
    path = folder / "reference.json"
    path.write_text(json.dumps(content))
    return path


def test_numbers_are_shown_as_they_were_published(tmp_path: Path) -> None:
    """Digits and all."""
    found = read_reference("toy", 2, written(tmp_path, {"toy": ENTRY}))
    assert found is not None
    assert (found.C, found.f1) == ("0.59", ("0.9", "0.80"))


def test_a_report_need_not_have_all_metrics(tmp_path: Path) -> None:
    """Nobody's file must change because we score one more."""
    entry = {**ENTRY, "scores": {"accuracy": "0.92"}}
    found = read_reference("toy", 2, written(tmp_path, {"toy": entry}))
    assert found is not None
    assert found.scores == {"accuracy": "0.92"}


def test_no_file_and_no_entry_are_no_numbers(tmp_path: Path) -> None:
    assert read_reference("toy", 2, tmp_path / "reference.json") is None
    assert read_reference("toy", 2, written(tmp_path, {"mnist": {}})) is None


@pytest.mark.parametrize(
    "content",
    [
        [],
        {"toy": "0.92"},
        {"toy": {**ENTRY, "more": 1}},
        {"toy": {**ENTRY, "C": 0.59}},
        {"toy": {**ENTRY, "scores": {"acuracy": "0.92"}}},
        {"toy": {**ENTRY, "scores": dict.fromkeys(METRICS, 0.92)}},
        {"toy": {**ENTRY, "f1": ["0.9"]}},
    ],
)
def test_a_wrong_entry_is_refused_in_one_line(content: Any, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"must .*, got .*: edit reference.json") as refused:
        read_reference("toy", 2, written(tmp_path, content))
    assert "\n" not in str(refused.value)


def test_what_is_no_json_is_refused_in_one_line(tmp_path: Path) -> None:
    path = tmp_path / "reference.json"
    path.write_text("{")
    with pytest.raises(SettingsError, match="must be JSON"):
        read_reference("toy", 2, path)


def test_the_projects_own_file_is_read() -> None:
    found = read_reference("mnist", 10, Path(__file__).parents[3] / "reference.json")
    assert found is not None
