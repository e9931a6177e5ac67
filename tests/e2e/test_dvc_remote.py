"""DVC between people: a remote that saves others the search, and a queue of experiments."""

import os
import re
import signal
import sqlite3
import sys
import time
from contextlib import closing, suppress
from pathlib import Path

import pytest

from tests.e2e.outcome import registered
from tests.e2e.project import Project, commit, ended, make_project
from tests.run_tree import run_tree

pytestmark = [pytest.mark.e2e, pytest.mark.soak, pytest.mark.timeout(1800)]

LENIENT = {"min_accuracy": 0.5, "max_log_loss": 2.0, "max_calibration_error": 0.5}


def good(project: Project, *command: str) -> str:
    """Run a command to its good end."""
    done = ended(project.start(*command), timeout=1200)
    assert done.status == 0, f"{' '.join(command)}: {done.output}{done.errors}"
    return done.output


def dvc(project: Project, *arguments: str) -> str:
    return good(project, sys.executable, "-m", "dvc", *arguments)


@pytest.fixture(scope="module")
def origin(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project that was run, pushed to a DVC remote and committed."""
    folder = tmp_path_factory.mktemp("remote")
    project = make_project(folder / "origin")
    project.change("promotion", **LENIENT)
    commit(project)
    dvc(project, "repro")
    dvc(project, "remote", "add", "--default", "shared", str(folder / "shared"))
    dvc(project, "push")
    good(project, "git", "add", "--all")
    good(project, "git", "commit", "--quiet", "--message=Run it")
    return project


@pytest.fixture(scope="module")
def clone(origin: Project) -> Project:
    """Another's clone, with what `dvc pull` brings."""
    folder = origin.folder.parent / "clone"
    good(origin, "git", "clone", "--quiet", str(origin.folder), str(folder))
    project = Project(folder)
    dvc(project, "pull")
    return project


def test_a_clone_that_pulls_has_nothing_left_to_run(origin: Project, clone: Project) -> None:
    """Neither the search nor anything else runs, and the results are those that were pushed."""
    said = dvc(clone, "repro")
    assert "Running stage" not in said
    assert said.count("didn't change, skipping") == 3
    for name in ("models/run.json", "reports/report.html", "reports/figures/tune/curve.png"):
        assert (clone.folder / name).read_bytes() == (origin.folder / name).read_bytes()
    assert not list((clone.folder / "mlruns").glob("*.db"))


def test_evaluate_in_the_clone_tells_its_store_the_pulled_search(
    origin: Project, clone: Project
) -> None:
    """Every run with its metrics and files, though no fit was made here; then it is promoted."""
    dvc(clone, "repro", "--force", "--single-item", "evaluate")
    theirs, ours = run_tree(origin.folder), run_tree(clone.folder)
    assert ours.keys() == theirs.keys()
    for key, run in theirs.items():
        assert (ours[key].name, ours[key].parent, ours[key].status) == (
            run.name,
            run.parent,
            run.status,
        )
        assert sorted(ours[key].rows) == sorted(run.rows)
        assert [name for name, _ in ours[key].files] == [name for name, _ in run.files]
    assert [version.number for version in registered(clone.folder)] == [1]
    program = str(Path(sys.executable).with_name("foldwise"))
    good(clone, program, "verify", "challenger")
    # The last 900 digits are of other writers than the folds: the gate says so, rightly.
    good(clone, program, "promote", "--force", "--reason", "other writers")
    assert "champion" in registered(clone.folder)[0].aliases


def test_evaluated_results_are_those_that_were_pulled(origin: Project, clone: Project) -> None:
    """The reports say the same to the byte, but for the run's name in the page."""
    for name in ("evaluation.json", "predictions.csv", "per_class.csv", "roc.csv"):
        ours, theirs = clone.folder / "reports" / name, origin.folder / "reports" / name
        assert ours.read_bytes() == theirs.read_bytes()


def test_a_queue_with_two_workers_ends_with_every_run_in_one_store(origin: Project) -> None:
    """A sweep over the folds, run in copies of the checkout: its own store has them all."""
    dvc(origin, "exp", "run", "--queue", "-S", "tune.folds=3,4,5", "-S", "seed=2")
    # DVC's workers keep what `queue start` writes to, and at times one of them outlives its queue.
    quietly = '"$0" -m dvc queue start -j 2 > /dev/null 2>&1'
    good(origin, "sh", "-c", quietly, sys.executable)
    try:
        assert _ends_of_queue(origin) == ["Success"] * 3
    finally:
        _end_workers(origin)
    assert _folds(origin.folder) == ["3", "3", "4", "5"]
    assert len(registered(origin.folder)) == 4


def _ends_of_queue(project: Project) -> list[str]:
    """Wait for the queue's workers; how each experiment ended."""
    deadline = time.monotonic() + 1200
    while time.monotonic() < deadline:
        states = re.findall(r"\b(Queued|Running|Success|Failed)$", _status(project), re.MULTILINE)
        if states and not {"Queued", "Running"} & {*states}:
            return [str(state) for state in states]
        time.sleep(2)
    raise AssertionError("the queue didn't end")


def _end_workers(project: Project) -> None:
    for file in (project.folder / ".dvc" / "tmp" / "exps" / "celery").glob("*.pid"):
        with suppress(ProcessLookupError):
            os.kill(int(file.read_text()), signal.SIGTERM)


def _status(project: Project) -> str:
    lines = dvc(project, "queue", "status").splitlines()
    return "\n".join(line.rstrip() for line in lines)


def _folds(folder: Path) -> list[str]:
    with closing(sqlite3.connect(folder / "mlruns" / "mlflow.db")) as connection:
        rows = connection.execute(
            "SELECT params.value FROM params JOIN runs USING (run_uuid)"
            " JOIN tags t USING (run_uuid)"
            " WHERE params.key = 'tune.folds' AND t.key = 'level' AND t.value = 'pipeline'"
            " AND runs.status = 'FINISHED' ORDER BY 1"
        ).fetchall()
    return [value for (value,) in rows]
