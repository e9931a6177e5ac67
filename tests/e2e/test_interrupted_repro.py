"""``dvc repro`` itself killed or stopped, and run again."""

import os
import signal
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from subprocess import Popen

import pytest

from tests.e2e.outcome import count_trials, result_files, stored_trials
from tests.e2e.project import commit, ended, make_project
from tests.e2e.reproduced import Reproduced
from tests.run_tree import run_tree, statuses
from tests.waiting import wait_until

pytestmark = pytest.mark.e2e

REPRO = ("dvc", "repro")


def wait_for_trials(count: int, folder: Path, process: Popen[str]) -> None:
    """Until the study storage has as many, before the process ends."""
    wait_until(
        lambda: count_trials(folder) >= count,
        f"{count} trials",
        ended=lambda: process.poll() is not None,
        told=lambda: str(kill_group(process)),
    )


def kill_group(process: Popen[str]) -> tuple[str, str]:
    """As a job queue or a power switch does: DVC, the stage, all at once; what they had printed."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    return process.communicate()


def test_killed_and_stopped_and_run_again_it_ends_like_one_that_never_was(
    commands: Path, reproduced: Reproduced, tmp_path: Path
) -> None:
    """Killed among the trials, then stopped by Ctrl-C, as processes of their own on a terminal."""
    project = commit(make_project(tmp_path / "clone", commands=commands))
    folder = project.folder
    repro = project.start(*REPRO)
    wait_for_trials(5, folder, repro)
    kill_group(repro)
    trials = stored_trials(folder)

    alone = replace(project, commands=None)
    repro = alone.start(*REPRO, FOLDWISE_THREADS="1")
    wait_for_trials(len(trials) + 2, folder, repro)
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
