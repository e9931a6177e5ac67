"""What an earlier foldwise has written is understood: verified, judged, shown, gone on with.

`tests.past.make` tells what is in the packed project. What it holds is read by SQL, never by the
code under test.
"""

import csv
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from foldwise.stats.scores import PUBLISHED
from tests.past.product import command, stage
from tests.past.unpacked import PACKED_IN, Past, unpack

NAME, TWIN = "past-classifier", "twin-classifier"
DECIDED = ["promoted 1", "refused 2", "forced 2", "rolled back 1", "promoted 3"]
STUDIES, TRIALS = 4, 4
"""Of each search here: three outer folds and the final study, and the trials of each."""

_LOCATIONS = (
    "SELECT artifact_location FROM experiments",
    "SELECT artifact_uri FROM runs",
    "SELECT artifact_location FROM logged_models",
    "SELECT storage_location FROM model_versions",
)
_RESULTS = ("evaluation.json", "predictions.csv", "confusion.csv", "per_class.csv", "roc.csv")

Copy = Callable[[Past], Past]


@pytest.fixture(scope="module")
def past(tmp_path_factory: pytest.TempPathFactory) -> Past:
    """The project, unpacked and relocated: not to be changed."""
    past = unpack(tmp_path_factory.mktemp("past"))
    command(past.folder, "relocate")
    return past


@pytest.fixture(scope="module")
def settled(past: Past, tmp_path_factory: pytest.TempPathFactory) -> Past:
    """The same after the first command, which settles the pending decision: not to be changed."""
    settled = past.copied(tmp_path_factory.mktemp("settled") / "project")
    command(settled.folder, "relocate")
    command(settled.folder, "history")
    return settled


@pytest.fixture
def copy(tmp_path: Path) -> Copy:
    """Makes a copy of a project, to be changed."""

    def copied(source: Past) -> Past:
        copy = source.copied(tmp_path / "project")
        command(copy.folder, "relocate")
        return copy

    return copied


def test_the_store_is_relocated(past: Past) -> None:
    """No place that is still used lies where the project was packed."""
    places = [place for query in _LOCATIONS for (place,) in past.tracked(query)]
    assert len(places) > len(past.versions(NAME))
    assert [place for place in places if place.startswith(PACKED_IN)] == []
    assert "nothing to mend" in command(past.folder, "relocate")


@pytest.mark.parametrize("number", range(1, 6))
def test_every_version_verifies(settled: Past, number: int) -> None:
    """Files, numbers, evidence, holdout, labels and scores are what was registered."""
    printed = command(settled.folder, "verify", str(number))
    assert printed.startswith(f"{NAME} version {number} ")
    assert printed.endswith("\nverified\n")


def test_the_history_tells_the_same_decisions_in_the_same_order(settled: Past) -> None:
    """When, by whom, what, and why: each record a row, and nothing seems unrecorded."""
    told = _entries(command(settled.folder, "history"))
    lines = [row for row, _ in told]
    records = settled.records(NAME)
    assert [line.split()[:2] for line in lines] == [[r["at"], r["who"]] for r in records]
    assert _decisions(lines) == [*DECIDED, "promoted (abandoned) 5"]
    for (_, notes), record in zip(told, records, strict=True):
        reason = record["reason"]
        assert notes.endswith(f"reason: {reason}") if reason else "reason:" not in notes
        assert "figures:" not in notes  # those records kept words alone
        assert record["who"] == "someone@somewhere"


def test_a_dry_run_judges_and_changes_nothing(past: Past) -> None:
    """Not even the decision that is pending."""
    before = past.registry()
    assert "version 5 would be promoted" in command(past.folder, "promote", "--dry-run")
    assert past.registry() == before


def test_a_move_that_was_not_made_is_abandoned(past: Past, copy: Copy) -> None:
    """The killed promotion had moved ``previous_champion`` alone, which goes back."""
    assert past.aliases(NAME) == {"challenger": 5, "champion": 3, "previous_champion": 3}
    mine = copy(past)
    printed = command(mine.folder, "history")
    assert "the move to version 5" in printed.splitlines()[0]
    assert printed.splitlines()[0].endswith("cut short, is abandoned")
    assert mine.aliases(NAME) == {"challenger": 5, "champion": 3, "previous_champion": 1}
    assert [record["state"] for record in past.records(NAME)][-1] == "pending"
    assert [record["state"] for record in mine.records(NAME)][-1] == "abandoned"
    assert "the move to" not in command(mine.folder, "history")


def test_a_move_that_was_made_is_applied(past: Past, copy: Copy) -> None:
    """Under the other name the killed promotion had moved ``champion``: it stays."""
    mine = copy(past)
    _set(mine, "params.yaml", "prepare", name="twin")
    printed = command(mine.folder, "history")
    assert printed.splitlines()[0].endswith("cut short, is applied")
    assert "promoted 1" in _entries(printed)[-1][0]
    assert mine.aliases(TWIN) == {"challenger": 1, "champion": 1}
    assert [record["state"] for record in past.records(TWIN)] == ["pending"]
    assert [record["state"] for record in mine.records(TWIN)] == ["applied"]


def test_the_challenger_is_promoted_and_rolled_back(settled: Past, copy: Copy) -> None:
    """New decisions follow the old ones, and no look at the holdout is counted twice."""
    mine = copy(settled)
    assert "version 5 of past-classifier is the champion (before: version 3)" in command(
        mine.folder, "promote"
    )
    assert mine.aliases(NAME) == {"challenger": 5, "champion": 5, "previous_champion": 3}
    assert "version 3 of past-classifier is the champion (before: version 5)" in command(
        mine.folder, "rollback", "--reason", "errors in use"
    )
    assert mine.aliases(NAME) == {"challenger": 5, "champion": 3, "previous_champion": 5}
    lines = [row for row, _ in _entries(command(mine.folder, "history"))]
    assert _decisions(lines) == [
        *DECIDED,
        "promoted (abandoned) 5",
        "promoted 5",
        "rolled back 3",
    ]
    (met,) = mine.holdout_uses() - settled.holdout_uses()
    looked, _, champion = met.rpartition(".")
    assert {looked, f"{looked.rpartition('.')[0]}.{champion}"} <= settled.holdout_uses()
    assert "verified" in command(mine.folder, "verify", "champion")


def test_uses_of_the_holdout_are_counted_over_both_names(settled: Past) -> None:
    """Five distinct models were scored on it; the fourth version is the third's equal."""
    assert len(settled.holdout_uses()) == 5
    assert "comparison 5 on this holdout" in command(settled.folder, "promote", "--dry-run")


def test_a_poorer_version_is_still_refused(settled: Past) -> None:
    """By its own evidence and by the rows of the holdout."""
    printed = command(settled.folder, "promote", "2", "--dry-run", status=2)
    assert "dry run: would be refused: version 2 fails" in printed


def test_a_version_with_the_champion_s_content_is_no_news(settled: Past, copy: Copy) -> None:
    """Nothing is decided on it, so nothing is recorded."""
    mine = copy(settled)
    assert "the champion has the content of version 4 already" in command(
        mine.folder, "promote", "4"
    )
    assert mine.registry() == settled.registry()


def test_a_closed_search_is_evaluated_again_and_registered_once(past: Past, copy: Copy) -> None:
    """From its archive come the same reports, the same run, the same version."""
    mine = copy(past)
    reports = mine.folder / "reports"
    for name in _RESULTS:
        (reports / name).unlink()
    stage(mine.folder, "evaluate")
    for name in _RESULTS:
        assert _told(reports / name, past) == _told(past.folder / "reports" / name, past), name
    assert mine.versions(NAME) == past.versions(NAME)
    assert mine.aliases(NAME)["challenger"] == 5
    assert mine.holdout_uses() == past.holdout_uses()
    assert mine.runs() == past.runs()
    assert set(mine.runs().values()) == {1}
    assert mine.trials() == past.trials()


def test_with_an_open_search_tune_ends_well_and_loses_or_doubles_nothing(
    past: Past, copy: Copy
) -> None:
    """Whether it goes on under the old key or begins under another, every trial stays once."""
    mine = copy(past)
    (mine.folder / "params-open.yaml").replace(mine.folder / "params.yaml")
    before = past.trials()
    assert past.tracked("SELECT COUNT(*) FROM runs WHERE status = 'RUNNING'") != [(0,)]
    assert len(list((past.folder / "mlruns" / "paths").glob("*/*.npz"))) > STUDIES
    stage(mine.folder, "tune")
    after, place = mine.trials(), mine.search()
    prefix = f"{place['search_key']}.{place['attempt']}."
    ours = [study for study, _ in after if study.startswith(prefix)]
    assert before.items() <= after.items()
    assert set(after.values()) == {1}
    assert len(ours) == STUDIES * TRIALS
    assert len(set(ours)) == STUDIES
    assert past.runs().items() <= mine.runs().items()
    assert set(mine.runs().values()) == {1}
    run = f"SELECT status FROM runs WHERE run_uuid = '{place['run_id']}'"
    assert mine.tracked(run) == [("FINISHED",)]
    stage(mine.folder, "evaluate")
    assert mine.versions(NAME) == [*past.versions(NAME), 6]
    assert "verified" in command(mine.folder, "verify", "challenger")


def _told(report: Path, past: Past) -> object:
    """What a report says, in a table by the columns that it had then; no ends of intervals.

    Those were the bootstrap's then.
    """
    if report.suffix != ".csv":
        return _without_ends(json.loads(report.read_text()))
    columns = _rows(past.folder / "reports" / report.name)[0].keys()
    return [_without_ends({column: row[column] for column in columns}) for row in _rows(report)]


def _without_ends(told: dict[str, Any]) -> dict[str, Any]:
    """Nor the calibration error, which held chance's share; other figures as they are shown now."""
    gone = ("_low", "_high", "calibration_error")
    return {
        name: round(float(each), PUBLISHED) if name in ("log_loss", "roc_auc") else each
        for name, each in told.items()
        if not name.endswith(gone)
    }


def _rows(table: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(table.read_text().splitlines()))


def _entries(history: str) -> list[tuple[str, str]]:
    """The rows of decisions, each with the notes that stand indented under it."""
    found: list[tuple[str, str]] = []
    for line in history.rpartition("\n\n")[2].splitlines()[2:]:
        if line.startswith(" "):
            row, notes = found.pop()
            found.append((row, f"{notes} {line.strip()}".strip()))
        else:
            found.append((line, ""))
    return found


def _decisions(lines: list[str]) -> list[str]:
    return [re.split(" {2,}", line)[2] for line in lines]


def _set(past: Past, file: str, section: str, **values: object) -> None:
    path = past.folder / file
    params = yaml.safe_load(path.read_text())
    params[section] |= values
    path.write_text(yaml.safe_dump(params))
