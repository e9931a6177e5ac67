"""The commands in a project folder: what they print, and with which status they end."""

import json
import os
import re
import shutil
import signal
import struct
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import redirect_stdout
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray
from PIL import Image

from foldwise.app import commands
from foldwise.app.cli import main
from foldwise.data.dataset import write_split
from foldwise.errors import StoreError
from foldwise.registry.stored_files import fetch_files, files_digest
from foldwise.report.tables import evaluation, tuning
from foldwise.solver.linear import probabilities
from foldwise.store.database import REGISTER
from foldwise.store.open import Store, open_store
from tests.factories import make_result
from tests.integration.conftest import copied, without_outside_settings
from tests.integration.registry_cases import (
    CLASSES,
    NAME,
    SHAPE,
    make_holdout,
    model_of,
    seen,
)
from tests.unit.report.findings_cases import make_estimates, make_holdout_summary, make_judged

TUNING = tuning(make_result(), make_estimates())
HELD = evaluation(make_holdout_summary(make_judged()))
PARAMS = """
prepare: {source: digits, name: blobs}
promotion: {min_accuracy: 0.5, max_log_loss: 5, max_calibration_error: 0.5, bootstrap: 500}
"""
SPLIT = make_holdout()
DIGEST_OF_A_AND_B = "8ea7b150bb7c692952804d00767e8840.dir"
"""As `dvc add` tells it of a folder of the files a and b, which hold 1 and 2."""


EMPTY = (
    *((command, "") for command in ("show", "verify", "promote", "history", "compare", "init")),
    *(("predict", "a.csv", option, "") for option in ("--output", "--by", "--model")),
    *(("ui", "--host", ""), ("ui", "--host="), ("rollback", "--reason", ""), ("",)),
)


@pytest.fixture(autouse=True)
def signals() -> Iterator[None]:
    """Every command takes the signals over; give them back."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def made_project(registered: Callable[..., Path], folder: Path) -> Store:
    """A project whose versions 1, 2 and 3 are good, better and worse."""
    store = open_store(copied(registered(0.1, 0.0, 0.2), folder / "project"))
    (store.root / "dvc.yaml").touch()
    (store.root / "params.yaml").write_text(PARAMS)
    write_split(
        store.root / "data/prepared/holdout",
        [SPLIT.images],
        SPLIT.labels,
        name="blobs",
        classes=CLASSES,
        image_shape=SHAPE,
    )
    return store


@pytest.fixture
def project(
    registered: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Store:
    """A project of the test's own; one works below its root."""
    store = made_project(registered, tmp_path)
    monkeypatch.chdir(store.root / "data")
    return store


@pytest.fixture(scope="module")
def shared_project(
    registered: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory
) -> Store:
    """One project for the tests that change nothing in its store."""
    with without_outside_settings():
        return made_project(registered, tmp_path_factory.mktemp("shared"))


@pytest.fixture
def unchanged(
    shared_project: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Store]:
    """That project; one works below its root, in a folder of the test's own."""
    place = shared_project.root / "data" / tmp_path.name
    place.mkdir()
    monkeypatch.chdir(place)
    yield shared_project
    assert seen(shared_project).aliases == {"challenger": 3}
    assert seen(shared_project).decisions == ()


@pytest.fixture
def foldwise(capsys: pytest.CaptureFixture[str]) -> "Command":
    return Command(capsys)


class Command:
    """Runs a command; keeps its status and what it printed."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys
        self.out = self.err = ""

    def __call__(self, *arguments: str) -> object:
        try:
            main(arguments)
            status: object = 0
        except SystemExit as ended:
            status = ended.code
        self.out, self.err = self._capsys.readouterr()
        return status


def nothing_of(name: str) -> str:
    """What the history says of a model without versions, in a project that nobody has run yet."""
    return f"no version of {name} is registered: register one with `dvc repro`\n"


def test_a_model_s_life(project: Store, foldwise: Command) -> None:
    """Promote, be refused, roll back, look at the history, verify: statuses 0, 2 and 0."""
    assert foldwise("history") == 0
    assert foldwise.out.endswith(f"\n\nno decision on {NAME} yet\n")

    assert foldwise("promote", "1") == 0
    assert foldwise.out.splitlines()[0].split() == ["check", "figure", "bound", "verdict"]
    assert f"promoted: version 1 of {NAME} is the champion (before: none)\n" in foldwise.out
    assert "no rollback leads back to having none" in foldwise.out.splitlines()[-1]

    assert foldwise("promote", "3", "--dry-run") == 2
    assert "dry run: would be refused: version 3 fails" in foldwise.out
    assert foldwise("promote", "2", "--dry-run") == 0
    assert "dry run: version 2 would be promoted" in foldwise.out
    back = "the way back: `foldwise rollback --reason WHY`, to version 1"
    assert foldwise.out.splitlines()[-1] == back

    assert foldwise("promote") == 2
    assert "\nrefused: version 3 fails " in foldwise.out
    assert foldwise("promote", "2", "--reason", "better") == 0
    assert foldwise.out.splitlines()[-1] == back
    assert foldwise("promote", "2") == 0
    assert foldwise.out == ("nothing to do: the champion has the content of version 2 already\n")

    assert "no rollback" not in foldwise.out
    assert foldwise("rollback", "--reason", "errors in use") == 0
    assert f"rolled back: version 1 of {NAME} is the champion (before: version 2)" in foldwise.out

    assert foldwise("history") == 0
    decisions = [line.split("  ")[2].strip() for line in rows_of(foldwise.out)]
    assert decisions == ["promoted 1", "refused 3", "promoted 2", "rolled back 1"]

    assert foldwise("verify") == 0
    assert foldwise.out.startswith(f"{NAME} version 1 (champion)\n")
    assert foldwise.out.endswith("verified\n")
    assert foldwise.err == ""
    assert seen(project).aliases["champion"] == 1


@pytest.mark.usefixtures("unchanged")
def test_verify_takes_the_challenger_while_there_is_no_champion(foldwise: Command) -> None:
    """An alias, a number, or the one in use; and it says which data it checked.

    The development set and the raw files, too, which nothing is served of: they only warn.
    """
    assert foldwise("verify") == 0
    assert foldwise.out.startswith(f"{NAME} version 3 (challenger)\n")
    assert foldwise("verify", "1") == 0
    first, second, *lines = foldwise.out.splitlines()
    assert first == f"{NAME} version 1 (no alias)"
    assert second == "against data/prepared and digits, which has no files here"
    (line,) = (line for line in lines if line.startswith("development set"))
    assert re.split(" {2,}", line)[1:] == ["not here", "d" * 12, "warning"]


@pytest.mark.usefixtures("unchanged")
def test_promote_counts_the_checks_that_verify_shows(foldwise: Command) -> None:
    """What only the folder is asked, of which nothing is served, stands in a table of its own."""
    assert foldwise("promote", "1", "--dry-run") == 0
    found = re.search(r"^verification +(\d+) of \1 hold", foldwise.out, re.MULTILINE)
    assert found
    assert foldwise("verify", "1") == 0
    _, first, told, second, _ = foldwise.out.split("\n\n")
    assert len(rows_of(f"\n\n{first}")) == int(found[1])
    counts = f"{found[1]} checks, as `foldwise promote` counts them; beside them, not counted:"
    assert told == counts
    assert [row.split("  ")[0] for row in rows_of(f"\n\n{second}")] == ["development set"]


def test_a_version_that_does_not_verify_ends_with_status_1(
    project: Store, foldwise: Command
) -> None:
    """The table says what isn't as it was."""
    folder = fetch_files(project, seen(project).find("2"), Path("unused"))
    (folder / "MLmodel").write_text("changed")
    assert foldwise("verify", "2") == 1
    assert "stored files" in foldwise.out
    assert f"register it anew with {REGISTER}\n" in foldwise.out
    assert foldwise.out.endswith("not verified: don't serve this version\n")


@pytest.mark.parametrize("harm", ["changed", "lost", "set by hand"])
def test_a_rollback_that_would_be_refused_is_not_offered(
    project: Store, foldwise: Command, harm: str
) -> None:
    """As after a promotion by force over a champion that can't be verified."""
    foldwise("promote", "1")
    path = fetch_files(project, seen(project).find("1"), Path("unused")) / "card.md"
    if harm == "changed":
        path.write_text("A better model.")
    elif harm == "lost":
        path.parent.rename(path.parent.with_name("elsewhere"))
    else:
        project.client.delete_registered_model_alias(NAME, "champion")
        project.client.set_registered_model_alias(NAME, "previous_champion", "3")
    asked = ("promote", "2", "--force", "--reason", "x")
    for arguments in ((*asked, "--dry-run"), asked):
        assert foldwise(*arguments) == 0
        number = 3 if harm == "set by hand" else 1
        last = foldwise.out.splitlines()[-1]
        assert last.startswith(f"no rollback leads back to version {number}, it would refuse: ")
    assert foldwise("rollback", "--reason", "x") == (1 if harm == "lost" else 2)


@pytest.mark.parametrize("error", [StoreError("the server is away"), OSError(28, "disk full")])
def test_what_is_decided_stands_though_the_way_back_can_not_be_looked_at(
    project: Store, foldwise: Command, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    """The status is the decision's: a store lost right after it undoes nothing."""
    foldwise("promote", "1")

    def lost(*_: object) -> str:
        raise error

    monkeypatch.setattr(commands, "fault_of", lost)
    assert foldwise("promote", "3", "--force", "--reason", "x") == 0
    told = foldwise.out.splitlines()[-1]
    assert told == f"whether a rollback leads back to version 1 can't be told: {error}"
    assert seen(project).aliases["champion"] == 3


def test_a_champion_that_was_compared_with_is_not_fetched_again(
    project: Store, foldwise: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was verified a moment ago, and each call costs a server's latency."""
    foldwise("promote", "1")
    monkeypatch.delattr(commands, "fault_of")
    assert foldwise("promote", "2") == 0
    assert foldwise.out.endswith("the way back: `foldwise rollback --reason WHY`, to version 1\n")
    assert foldwise("rollback", "--reason", "x") == 0
    assert seen(project).aliases["champion"] == 1


def test_a_champion_set_by_hand_is_told(project: Store, foldwise: Command) -> None:
    """By verify as a warning, by history as a line."""
    project.client.set_registered_model_alias(NAME, "champion", "2")
    assert foldwise("verify") == 0
    (line,) = [line for line in foldwise.out.splitlines() if line.startswith("champion ")]
    assert "set outside foldwise (recorded: none)" in line
    assert line.endswith("warning")
    foldwise("history")
    assert "none -> 2" in foldwise.out


def test_a_previous_champion_set_by_hand_is_told(project: Store, foldwise: Command) -> None:
    """By verify of either, and by history; a rollback to it is refused."""
    foldwise("promote", "1")
    foldwise("promote", "2")
    project.client.set_registered_model_alias(NAME, "previous_champion", "3")
    for which in ("champion", "previous_champion"):
        assert foldwise("verify", which) == 0
        lines = [line for line in foldwise.out.splitlines() if " set outside foldwise" in line]
        assert [line.split()[0] for line in lines] == ["previous_champion"]
    foldwise("history")
    assert "previous_champion set outside foldwise: 1 -> 3" in foldwise.out
    assert foldwise("rollback", "--reason", "x") == 2
    assert foldwise.out.endswith("refused: version 3 fails 1 of 4 checks\n")


def test_a_rollback_to_the_champion_itself_says_that_there_is_nothing_to_do(
    project: Store, foldwise: Command
) -> None:
    """And not that anything was rolled back."""
    foldwise("promote", "1")
    project.client.set_registered_model_alias(NAME, "previous_champion", "1")
    assert foldwise("rollback", "--reason", "x") == 0
    assert foldwise.out == "nothing to do: version 1 is the champion already\n"


def rows_of(table: str) -> list[str]:
    """The lines below the last table's head, without the notes on them."""
    lines = table.rpartition("\n\n")[2].splitlines()
    return [line for line in lines[2:] if not line.startswith(" ")]


def test_the_history_lists_versions_with_aliases_and_figures(
    project: Store, foldwise: Command
) -> None:
    """And below each decision the numbers that it was made by."""
    foldwise("promote", "1")
    foldwise("history")
    versions, _, decisions = foldwise.out.partition("\n\n")
    rows = [re.split(" {2,}", line) for line in versions.splitlines() if line[0].isdecimal()]
    assert [row[:2] for row in rows] == [["1", "champion"], ["2", "-"], ["3", "challenger"]]
    told = seen(project).find("1").tags
    figures = [told[name] for name in ("chosen", "outer_log_loss", "holdout_accuracy")]
    assert [rows[0][at] for at in (3, 4, 7)] == figures
    (decision,) = seen(project).decisions
    numbers = {check.name: check.value for check in decision.checks if check.value is not None}
    assert numbers["holdout accuracy"] == pytest.approx(float(told["holdout_accuracy"]), abs=5e-5)
    assert f"figures: holdout accuracy {numbers['holdout accuracy']:.6f}, " in decisions


def test_raw_files_that_changed_since_are_told(project: Store, foldwise: Command) -> None:
    """By the digest that DVC's lock has of them."""
    raw = project.root / "data" / "raw"
    raw.mkdir()
    (raw / "a").write_text("1")
    (raw / "b").write_text("2")
    (project.root / "params.yaml").write_text(PARAMS.replace("digits", "idx"))
    lock = {"stages": {"prepare": {"deps": [{"path": "data/raw", "md5": DIGEST_OF_A_AND_B}]}}}
    (project.root / "dvc.lock").write_text(json.dumps(lock))
    found = []
    for content in ("2", "3"):
        (raw / "b").write_text(content)
        assert foldwise("verify", "1") == 0
        found += [line for line in foldwise.out.splitlines() if line.startswith("raw files")]
    assert [line.split()[-1] for line in found] == ["pass", "warning"]
    assert DIGEST_OF_A_AND_B[:12] in found[0]


def test_the_history_of_a_deleted_version_is_told(project: Store, foldwise: Command) -> None:
    """What is missing of it is said."""
    foldwise("promote", "1")
    project.client.delete_model_version(NAME, "1")
    assert foldwise("history") == 0
    first, change = rows_of(foldwise.out)
    assert "promoted 1 (deleted since)" in first
    assert "1 -> none" in change


IMPOSSIBLE = {
    ("promote", "9"): f"a version or alias of {NAME} must exist, got '9'",
    ("verify", "9" * 20): f"a version or alias of {NAME} must exist, got '{'9' * 20}'",
    ("verify", "9" * 5000): f"a version or alias of {NAME} must exist, got '{'9' * 40}'",
    ("verify", " "): f"a version or alias of {NAME} must exist, got ' '",
    ("verify", "nobody"): f"a version or alias of {NAME} must exist, got 'nobody'",
    ("history", "--model", " "): "--model must name a registered model, got ' '",
    **dict.fromkeys(EMPTY, "no argument may be empty, got '"),
    ("rollback", "--reason", "x"): f"previous champion, and {NAME} has none: `foldwise promote",
    ("rollback", "--reason", " "): "--reason must say why",
    ("promote", "--force"): "--reason must say why",
    ("promote", "--reason", "x" * 1001): "at most 1000 characters, got 1001",
}


@pytest.mark.usefixtures("unchanged")
def test_what_can_not_be_done_is_one_line_and_status_1(foldwise: Command) -> None:
    """Never a traceback."""
    for arguments, complaint in IMPOSSIBLE.items():
        assert foldwise(*arguments) == 1, arguments
        (line,) = foldwise.err.splitlines()
        assert line.startswith("foldwise: ")
        assert complaint in line
        assert foldwise.out == ""


def test_a_damaged_note_of_the_search_is_told(project: Store, foldwise: Command) -> None:
    """It decides nothing of a version, but `evaluate` goes on with it; a checkout may have none."""
    assert foldwise("verify", "2") == 0
    assert "models/run.json" not in foldwise.out
    (project.root / "models").mkdir()
    for text in ("", "{", '{"run_id": "../..", "search_key": "a", "attempt": 1}'):
        (project.root / "models" / "run.json").write_text(text)
        assert foldwise("verify", "2") == 0
        (row,) = [line for line in foldwise.out.splitlines() if line.startswith("search ")]
        assert row.endswith("warning")
        assert "run `dvc repro tune` or `dvc pull`" in " ".join(foldwise.out.split())


@pytest.mark.parametrize("how", ["files", "tag", "both"])
def test_a_changed_champion_makes_no_command_look_healthy(
    project: Store, foldwise: Command, how: str
) -> None:
    """Not the history, which opens no model, and not a promotion of the same."""
    assert foldwise("promote", "2") == 0
    folder = fetch_files(project, seen(project).find("2"), project.root)
    if how != "tag":
        (folder / "card.md").write_text("A better model.")
    if how == "tag":
        project.client.set_model_version_tag(NAME, "2", "content_digest", "f" * 64)
    if how == "both":
        digest = files_digest(folder)
        project.client.set_model_version_tag(NAME, "2", "bytes_digest", digest)
        told = (folder / "evidence.json").read_text().replace('"shared_rows":0', '"shared_rows":1')
        (folder / "evidence.json").write_text(told)
    assert foldwise("history") == 1
    assert "version 2, the champion, is not as it was registered: " in foldwise.out
    assert foldwise("promote", "2") == 2
    assert foldwise("verify") == 1


def test_what_is_decided_stands_though_nobody_reads_of_it(
    project: Store, foldwise: Command
) -> None:
    """A pipe whose reader has gone, a full disk, no stdout at all: the status is the decision's."""
    program = str(Path(sys.executable).with_name("foldwise"))
    with redirect_stdout(None):
        assert foldwise("promote", "1") == 0
    with Path("/dev/full").open("w") as full, redirect_stdout(full):
        assert foldwise("promote", "2") == 0
    assert "what was done stands" in foldwise.err
    for where, status in ((">&-", 0), ("> /dev/full", 0), ("| true", 2)):
        if status == 2:
            project.client.set_registered_model_alias(NAME, "previous_champion", "3")
        done = subprocess.run(
            ["bash", "-o", "pipefail", "-c", f'"{program}" rollback --reason x {where}'],
            cwd=project.root,
            capture_output=True,
            text=True,
            check=False,
        )
        assert (done.returncode, done.stdout) == (status, ""), done.stderr
        assert ("what was done stands" in done.stderr) is (where == "> /dev/full")
        assert len(done.stderr.splitlines()) <= 1
    decided = [each.decision for each in seen(project).decisions[2:]]
    assert decided == ["rolled back", "rolled back", "refused"]
    assert seen(project).aliases["champion"] == 2


def test_what_only_reads_makes_no_database(
    project: Store, foldwise: Command, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """At a mistyped path least of all."""
    place = tmp_path / "mistyped" / "mlflow.db"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{place}")
    for command in (["history"], ["verify"], ["promote"], ["rollback", "--reason", "x"], ["ui"]):
        assert foldwise(*command) == 1
        assert f"{place}: run `dvc repro`, or correct MLFLOW_TRACKING_URI\n" in foldwise.err
    assert not place.parent.exists()
    assert seen(project).aliases == {"challenger": 3}


def test_a_store_on_a_read_only_disk_can_be_read(project: Store) -> None:
    """What nobody can write to can be looked at and judged, and not decided on."""
    plain = ("setpriv", "--bounding-set=-all", "--inh-caps=-all") if os.geteuid() == 0 else ()
    commands = ("history", "verify", "promote 2 --dry-run", "promote 2")
    program = (
        "from foldwise.app.cli import main\n"
        f"for command in {commands}:\n"
        "    try:\n"
        "        main(command.split())\n"
        "        print('ended with', 0)\n"
        "    except SystemExit as ended:\n"
        "        print('ended with', ended.code)\n"
    )
    place = project.root / "mlruns"
    places = [place, *(path for path in place.rglob("*") if not path.is_symlink())]
    for path in reversed(places):
        path.chmod(path.stat().st_mode & 0o555)
    try:
        done = subprocess.run(
            [*plain, sys.executable, "-c", program],
            cwd=project.root,
            capture_output=True,
            text=True,
            check=True,
        )
    finally:
        for path in places:
            path.chmod(path.stat().st_mode | 0o200)
    history, verified, judged, _ = done.stdout.split("ended with ")[:4]
    assert "no decision" in history
    assert verified.startswith("0\n")
    assert "\nverified" in verified
    assert "dry run: version 2 would be promoted" in judged
    assert done.stdout.endswith("ended with 0\nended with 1\n"), done.stderr
    assert "is read-only: give this user write permission" in done.stderr


@pytest.mark.usefixtures("unchanged")
def test_a_name_that_no_model_has_is_one_line_with_those_there_are(foldwise: Command) -> None:
    """Whatever its characters mean to MLflow; of a mistyped one there would be no decisions."""
    for name in ("other", " ", "'", "it's", "'\"", "a/b", "%", "\ud800", "\n"):
        for command in ("show", "history", "verify", "promote"):
            assert foldwise(command, "--model", name) == 1
            (line,) = foldwise.err.splitlines()
            assert f"--model must name a registered model, got {name!r} (there is '{NAME}')" in line
            assert foldwise.out == ""


def test_another_model_is_named_on_the_line(project: Store, foldwise: Command) -> None:
    """Else it is that of params.yaml."""
    project.client.create_registered_model("it's")
    assert foldwise("history", "--model", "it's") == 0
    assert foldwise.out == nothing_of("it's") + "no decision on it's yet\n"
    assert foldwise("verify", "1", "--model", "it's") == 1
    assert "a version or alias of it's must exist, got '1'" in foldwise.err
    assert foldwise("verify", "1", "--model", NAME) == 0
    assert project.client.get_registered_model(NAME).aliases == {"challenger": 3}


@pytest.fixture
def elsewhere(project: Store) -> Store:
    """The same project, whose folder is about other data than the model of the registry."""
    path = project.root / "params.yaml"
    path.write_text(PARAMS.replace("blobs", "others"))
    return project


def test_the_way_back_of_another_model_names_it(elsewhere: Store, foldwise: Command) -> None:
    """Typed as it stands: without the name it would be a decision on this folder's model."""
    model = ("--model", NAME)
    assert foldwise("rollback", "--reason", "x", *model) == 1
    assert f"has none: `foldwise promote VERSION --model {NAME}` makes" in foldwise.err
    for number in ("1", "2"):
        assert foldwise("promote", number, *model) == 0
    (typed,) = re.findall("the way back: `foldwise (.*)`, to version 1", foldwise.out)
    assert foldwise(*typed.replace("WHY", "slow").split()) == 0
    assert seen(elsewhere).aliases["champion"] == 1
    assert foldwise("verify", "9", *model) == 1
    assert f"see `foldwise history --model {NAME}`, or" in foldwise.err


def test_advice_on_another_model_that_is_damaged_names_it(
    elsewhere: Store, foldwise: Command, tmp_path: Path
) -> None:
    """By predict, and by a promotion that can't compare."""
    model = ("--model", NAME)
    foldwise("promote", "1", *model)
    (fetch_files(elsewhere, seen(elsewhere).find("1"), tmp_path) / "card.md").write_text("x")
    file = tmp_path / "rows.csv"
    file.write_text("x")
    assert foldwise("predict", str(file), "--output", str(tmp_path / "o.csv"), *model) == 1
    assert f"see `foldwise verify 1 --model {NAME}`" in foldwise.err
    assert foldwise("promote", "2", *model) == 1
    assert f"see `foldwise verify champion --model {NAME}`, then" in foldwise.err


def kept_by_the_run(store: Store, number: str, *names: str, **params: object) -> None:
    """Let a version's run keep what a pipeline run does, of the reports those that are named."""
    run_id = seen(store).find(number).run_id
    data = {"development_rows": 36, "holdout_rows": 1500, "classes": 3, "image_shape": "(4, 4)"}
    told = {f"data.{name}": of for name, of in data.items()}
    for name, of in ({"prepare.name": "blobs"} | told | params).items():
        store.client.log_param(run_id, name, of)
    store.client.set_tag(run_id, "holdout_digest", "h" * 64)
    reports = {"tuning.json": TUNING, "evaluation.json": HELD}
    for name in names:
        store.client.log_text(run_id, json.dumps(reports[name]), name)


def test_another_model_is_shown_by_its_newest_version_whatever_its_aliases(
    elsewhere: Store, foldwise: Command
) -> None:
    """With originals and copies apart, and next what its status says is next."""
    kept_by_the_run(elsewhere, "3", "tuning.json", "evaluation.json", **{"prepare.augment": 2})
    assert foldwise("promote", "3", "--model", NAME, "--force", "--reason", "x") == 0
    assert foldwise("show", "--model", NAME) == 0, foldwise.err
    told = " ".join(foldwise.out.split())
    assert told.startswith(
        "blobs: 12 development images (with 24 shifted copies) and 1,500 holdout"
    )
    assert "next where its data are prepared, `foldwise verify`: is it as it was" in told
    assert "promote --dry-run" not in told
    elsewhere.client.delete_registered_model_alias(NAME, "challenger")
    assert foldwise("show", "--model", NAME) == 0, foldwise.err
    elsewhere.client.create_registered_model("empty")
    assert foldwise("show", "--model", "empty") == 1
    assert "no version of empty is registered: register one with `dvc repro" in foldwise.err


@pytest.mark.parametrize("harm", ["lost", "damaged", "of another kind", "no parameters"])
def test_a_run_that_lost_its_report_is_named_with_what_makes_it_anew(
    elsewhere: Store, foldwise: Command, harm: str
) -> None:
    """Not the folder's own reports, which `dvc repro` here would make."""
    run_id = seen(elsewhere).find("3").run_id
    if harm != "no parameters":
        kept_by_the_run(elsewhere, "3", "evaluation.json")
    if harm in ("damaged", "of another kind"):
        elsewhere.client.log_text(run_id, "{" if harm == "damaged" else "{}", "tuning.json")
    assert foldwise("show", "--model", NAME) == 1
    (line,) = foldwise.err.splitlines()
    name = "tuning.json of " if harm in ("lost", "damaged") else ""
    assert line.startswith(f"foldwise: {name}the run of version 3 of {NAME} must tell a result")
    assert line.endswith(": where its data are prepared, `dvc repro -f`")
    elsewhere.client.set_tag(run_id, "dvc.experiment", "bold")
    assert foldwise("show", "--model", NAME) == 1
    assert foldwise.err.endswith(": `dvc exp apply bold`, then `dvc repro -f`\n")


def test_the_history_is_told_without_what_loads_a_model(unchanged: Store) -> None:
    """Importing that, and looking for garbage meanwhile, takes longer than all the rest."""
    program = (
        "import gc, sys\n"
        "from foldwise.app import commands\n"
        "from foldwise.app.cli import main\n"
        "looks = gc.get_stats()[-1]['collections']\n"
        "main(['history'])\n"
        "print(gc.get_stats()[-1]['collections'] - looks, gc.isenabled())\n"
        "slow = ('pandas', 'scipy', 'sklearn', 'optuna')\n"
        "print([name for name in slow if name in sys.modules])\n"
    )
    ended = subprocess.run(
        [sys.executable, "-c", program],
        cwd=unchanged.root,
        capture_output=True,
        text=True,
        check=True,
    )
    assert ended.stdout.endswith(f"\n\nno decision on {NAME} yet\n0 True\n[]\n")


@pytest.mark.parametrize("command", ["history", "verify", "promote"])
def test_before_anything_is_registered_a_command_says_so(
    store: Store, foldwise: Command, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    """With no more than is needed: in a fresh clone all stages are stale, and no other address."""
    (store.root / "dvc.yaml").touch()
    (store.root / "params.yaml").write_text(PARAMS)
    monkeypatch.chdir(store.root)
    status = foldwise(command)
    if command == "history":
        told = f"{nothing_of(NAME)}no decision on {NAME} yet\n"
        assert (status, foldwise.out) == (0, told)
    else:
        which = f"a version or alias of {NAME} must exist, got 'challenger'"
        told = f"foldwise: {which}: register one with `dvc repro`\n"
        assert (status, foldwise.err) == (1, told)
    (store.root / "models" / "evaluated").mkdir(parents=True)
    foldwise(command)
    assert f"register one with {REGISTER}\n" in foldwise.out + foldwise.err
    database = store.root / "mlruns" / "mlflow.db"
    database.unlink()
    assert foldwise(command) == 1
    assert foldwise.err == f"foldwise: there is no tracking database {database}: run {REGISTER}\n"


@pytest.mark.parametrize("has_store", [False, True])
def test_in_a_project_that_never_ran_each_command_is_one_line_with_the_remedy(
    root: Path, foldwise: Command, monkeypatch: pytest.MonkeyPatch, *, has_store: bool
) -> None:
    """Or in the store that an experiment made: nothing of the system's words."""
    (root / "dvc.yaml").touch()
    (root / "params.yaml").write_text(PARAMS)
    monkeypatch.chdir(root)
    if not has_store:
        shutil.rmtree(root / "mlruns")
    asked = ("show", "checks", "draw", "verify", "promote", "compare workspace champion")
    for command in (*asked, "predict a.csv --output b.csv"):
        assert foldwise(*command.split()) == 1
        (line,) = foldwise.err.splitlines()
        assert re.search(r"(run|with) `dvc repro", line), line
        assert "Errno" not in line
        assert foldwise.out == ""


def test_a_missing_holdout_is_one_line(project: Store, foldwise: Command) -> None:
    """Verification needs the prepared data."""
    (project.root / "data/prepared/holdout/info.json").unlink()
    assert foldwise("verify") == 1
    assert "dvc repro prepare" in foldwise.err


def test_a_decision_cut_short_is_told_by_the_next_command(
    project: Store, foldwise: Command
) -> None:
    """Whatever the command, the record is settled first."""
    foldwise("promote", "1")
    version = seen(project).find("1")
    (tag,) = [tag for tag in version.tags if tag.startswith("audit.")]
    pending = (
        version.tags[tag].replace('"applied"', '"pending"').replace('"version": 1', '"version": 2')
    )
    project.client.set_model_version_tag(NAME, "2", tag, pending)
    foldwise("promote", "--dry-run")
    assert "cut short" not in foldwise.out
    assert foldwise("history") == 0
    assert "the move to version 2" in foldwise.out.splitlines()[0]
    assert foldwise.out.splitlines()[0].endswith("cut short, is abandoned")
    foldwise("history")
    assert "cut short" not in foldwise.out


def test_relocate_says_what_it_did(
    project: Store, foldwise: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a store that lies where it was made there is nothing to do."""
    assert foldwise("relocate") == 0
    assert foldwise.out.startswith("nothing to mend")
    moved = project.root.with_name("moved")
    project.root.rename(moved)
    monkeypatch.chdir(moved)
    assert foldwise("history") == 1
    assert "run `foldwise relocate`" in foldwise.err
    assert foldwise("relocate") == 0
    assert f"now point to {moved}/mlruns/artifacts" in foldwise.out
    assert foldwise("verify") == 0


def images_as(kind: str, folder: Path, images: NDArray[np.generic]) -> Path:
    """Images (rows, 16) in a file of a kind, or in a folder of PNGs."""
    place = folder / f"images.{kind}"
    frame = pd.DataFrame(images, columns=[f"pixel {number}" for number in range(16)])
    match kind:
        case "idx":
            place.write_bytes(
                struct.pack(">4B3I", 0, 0, 8, 3, len(images), 4, 4) + images.tobytes()
            )
        case "csv":
            frame.to_csv(place, index=False)
        case "parquet":
            frame.to_parquet(place)
        case _:
            place.mkdir()
            for row, image in enumerate(images):
                Image.fromarray(image.reshape(4, 4)).save(place / f"{row:02d}.png")
    return place


@pytest.mark.parametrize("kind", ["idx", "csv", "parquet", "png"])
@pytest.mark.usefixtures("unchanged")
def test_predict_answers_as_the_model_from_every_kind_of_file(
    foldwise: Command, tmp_path: Path, kind: str
) -> None:
    """Row by row, in columns that bear the classes' names; CSV or Parquet, by the output's name."""
    expected = probabilities(model_of(0.1), SPLIT.images[:12])
    file = images_as(kind, tmp_path, SPLIT.images[:12])
    for output in (tmp_path / "answers.csv", tmp_path / "answers.parquet"):
        assert foldwise("predict", str(file), "--output", str(output), "--by", "1") == 0, (
            foldwise.err
        )
        read = pd.read_csv if output.suffix == ".csv" else pd.read_parquet
        found = read(output)
        assert [*found] == ["file" if kind == "png" else "row", "predicted", "p_0", "p_1", "p_2"]
        np.testing.assert_allclose(found.iloc[:, 2:], expected, atol=1e-6)
        assert found["predicted"].astype(int).tolist() == expected.argmax(axis=1).tolist()
        told = "version 1 answered, which isn't the champion: no version is yet"
        assert foldwise.err == f"foldwise: careful: {told}\n"
    assert f"12 rows by version 1 of {NAME}" in foldwise.out
    assert not list(tmp_path.glob("*.errors.csv"))


def test_predict_says_which_version_answers_unless_it_is_the_champion(
    project: Store, foldwise: Command, tmp_path: Path
) -> None:
    """Where none is named, too."""
    file = images_as("idx", tmp_path, SPLIT.images[:2])
    project.client.set_registered_model_alias(NAME, "champion", "2")
    warned = "version {} answered, which isn't the champion: version 2 is"
    for number, (asked, told) in enumerate({"": 2, "champion": 2, "challenger": 3, "1": 1}.items()):
        by = ("--by", asked) if asked else ()
        assert foldwise("predict", str(file), "--output", str(tmp_path / f"{number}.csv"), *by) == 0
        assert (warned.format(told) in foldwise.err) is (told != 2)
        assert len(foldwise.err.splitlines()) == (told != 2)


@pytest.mark.usefixtures("unchanged")
def test_a_row_that_does_not_fit_ends_a_prediction_or_is_kept_apart(
    foldwise: Command, tmp_path: Path
) -> None:
    """In one line that names row, column and remedy, and nothing is written; or with the reason."""
    rows = SPLIT.images[:4].astype(object)
    rows[1, 2], rows[2, 3], rows[3, 0] = "x", 300, None
    file, output = images_as("csv", Path(), rows), tmp_path / "answers.csv"
    assert foldwise("predict", str(file), "--output", str(output)) == 1
    (line,) = foldwise.err.splitlines()
    assert "row 1, counted from 0, must fit the model, got 'x' where a number belongs" in line
    assert "in column 'pixel 2': mend it, or let `--errors keep`" in line
    assert not output.exists()
    assert foldwise("predict", str(file), "--output", str(output), "--errors", "keep") == 0
    assert pd.read_csv(output)["row"].tolist() == [0]
    kept = (tmp_path / "answers.csv.errors.csv").read_text().splitlines()
    reasons = [line.replace('"', "").split(" where")[0] for line in kept]
    assert reasons == ["row,reason", "1,'x'", "2,300", "3,nothing"]


@pytest.mark.usefixtures("unchanged")
def test_a_blank_cell_among_words_is_nothing(foldwise: Command, tmp_path: Path) -> None:
    """No number that can't be read."""
    rows = SPLIT.images[:3].astype(object)
    rows[1, 2], rows[2, 2] = "x", "  "
    file, output = images_as("csv", Path(), rows), tmp_path / "answers.csv"
    assert foldwise("predict", str(file), "--output", str(output), "--errors", "keep") == 0
    kept = (tmp_path / "answers.csv.errors.csv").read_text().splitlines()
    reasons = [line.replace('"', "").split(" where")[0] for line in kept]
    assert reasons == ["row,reason", "1,'x'", "2,nothing"]


@pytest.mark.parametrize(
    ("output", "there"),
    [("rows.csv", "rows.csv"), ("taken.db", "taken.db"), ("a", "a.errors.csv")],
)
@pytest.mark.usefixtures("unchanged")
def test_nothing_is_written_over(foldwise: Command, output: str, there: str) -> None:
    """Not the rows themselves, not a database, nor what merely stands beside the answers."""
    images_as("csv", Path(), SPLIT.images[:4]).rename("rows.csv")
    if not Path(there).exists():
        Path(there).write_text("precious")
    content = Path(there).read_bytes()
    asked = ("predict", "rows.csv", "--errors", "keep", "--output")
    assert foldwise(*asked, output) == 1
    assert f"{there} must not be there yet" in foldwise.err
    assert Path(there).read_bytes() == content
    assert foldwise(*asked, "another.csv") == 0


@pytest.mark.usefixtures("unchanged")
def test_a_folder_is_no_place_for_answers(foldwise: Command) -> None:
    """Not even one without a name of its own."""
    for folder in (".", "..", "/"):
        assert foldwise("predict", "rows.csv", "--errors", "keep", "--output", folder) == 1
        assert f"foldwise: {folder} must not be there yet" in foldwise.err


@pytest.mark.usefixtures("unchanged")
def test_answers_may_lie_behind_a_folder_that_is_a_link_and_are_none_themselves(
    foldwise: Command, tmp_path: Path
) -> None:
    """The folder was named by whoever typed it; a file's link leads to what may be anybody's."""
    images_as("csv", Path(), SPLIT.images[:4]).rename("rows.csv")
    Path("linked").symlink_to(tmp_path, target_is_directory=True)
    assert foldwise("predict", "rows.csv", "--output", "linked/answers.csv") == 0, foldwise.err
    assert len((tmp_path / "answers.csv").read_text().splitlines()) == 5
    Path("link.csv").symlink_to(tmp_path / "nothing.csv")
    assert foldwise("predict", "rows.csv", "--output", "link.csv") == 1
    assert not (tmp_path / "nothing.csv").exists()


def test_a_version_that_is_not_as_registered_predicts_nothing(
    project: Store, foldwise: Command, tmp_path: Path
) -> None:
    """Its files are looked at before they are opened."""
    (fetch_files(project, seen(project).find("2"), Path("unused")) / "MLmodel").write_text(
        "changed"
    )
    file = images_as("idx", tmp_path, SPLIT.images[:2])
    assert foldwise("predict", str(file), "--output", str(tmp_path / "x.csv"), "--by", "2") == 1
    assert "see `foldwise verify 2`" in foldwise.err


@pytest.mark.parametrize(
    ("name", "content", "complaint"),
    [
        ("gone", b"", "IDX or a folder of PNGs, got gone, which is not there: name"),
        ("few.csv", b"a,b\n1,2\n", "must hold images of 4 x 4, 16 pixels each, got 2 columns"),
        ("wide.idx", struct.pack(">4B3I", 0, 0, 8, 3, 1, 1, 2) + b"ab", "got images of 1 x 2"),
    ],
)
@pytest.mark.usefixtures("unchanged")
def test_a_file_of_something_else_is_one_line(
    foldwise: Command, name: str, content: bytes, complaint: str
) -> None:
    """Before anything is predicted; the project's folder of data is where we are."""
    if content:
        Path(name).write_bytes(content)
    assert foldwise("predict", name, "--output", "x.csv") == 1
    (line,) = foldwise.err.splitlines()
    assert complaint in line
    assert not Path("x.csv").exists()
