"""``dvc repro`` itself killed or stopped, and run again."""

import os
import signal
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from subprocess import Popen

import pytest

from tests.e2e.outcome import count_trials, result_files, stored_trials
from tests.e2e.project import commit, ended, make_project
from tests.e2e.reproduced import Reproduced
from tests.run_tree import run_tree, statuses

pytestmark = pytest.mark.e2e

REPRO = ("dvc", "repro")


def wait_until(condition: Callable[[], bool], process: Popen[str]) -> None:
    """Wait for something that the process does before it ends."""
    deadline = time.monotonic() + 180
    while not condition():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.01)


def kill_group(process: Popen[str]) -> None:
    """As a job queue or a power switch does: DVC, the stage, all at once."""
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()


def test_killed_and_stopped_and_run_again_it_ends_like_one_that_never_was(
    commands: Path, reproduced: Reproduced, tmp_path: Path
) -> None:
    """Killed among the trials, then stopped by Ctrl-C, as processes of their own on a terminal."""
    project = commit(make_project(tmp_path / "clone", commands=commands))
    folder = project.folder
    repro = project.start(*REPRO)
    wait_until(lambda: count_trials(folder) >= 5, repro)
    kill_group(repro)
    trials = stored_trials(folder)

    alone = replace(project, commands=None)
    repro = alone.start(*REPRO, FOLDWISE_THREADS="1")
    wait_until(lambda: count_trials(folder) >= len(trials) + 2, repro)
    os.killpg(repro.pid, signal.SIGINT)
    stopped = ended(repro)
    assert stopped.status != 0
    assert "foldwise: stopped by SIGINT: to go on, run `dvc repro` again" in stopped.said[0]
    assert "RUNNING" not in statuses(run_tree(folder))
    assert set(trials) < set(stored_trials(folder))

    last = alone.dvc("repro", FOLDWISE_THREADS="1")
    assert last.status == 0, last.errors
    assert stored_trials(folder) == reproduced.trials
    assert result_files(folder) == reproduced.files
