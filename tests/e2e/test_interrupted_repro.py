"""``dvc repro`` itself killed, stopped or cut off from its server, and run again."""

import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from subprocess import Popen

import pytest
import yaml
from mlflow import MlflowClient

from tests.e2e.outcome import count_trials, result_files, stored_trials
from tests.e2e.project import commit, ended, make_project
from tests.e2e.reproduced import Reproduced
from tests.run_tree import run_tree, statuses
from tests.tracking_server import TrackingServer

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
    reproduced: Reproduced, tmp_path: Path
) -> None:
    """Killed among the trials, stopped by Ctrl-C, killed after the reports were written."""
    project = commit(make_project(tmp_path / "clone"))
    folder = project.folder
    repro = project.start(*REPRO)
    wait_until(lambda: count_trials(folder) >= 5, repro)
    kill_group(repro)
    trials = stored_trials(folder)

    repro = project.start(*REPRO)
    wait_until(lambda: count_trials(folder) >= len(trials) + 2, repro)
    os.killpg(repro.pid, signal.SIGINT)
    stopped = ended(repro)
    assert stopped.status != 0
    assert "foldwise: stopped by SIGINT: to go on, run `dvc repro` again" in stopped.said[0]
    assert "RUNNING" not in statuses(run_tree(folder))
    assert set(trials) < set(stored_trials(folder))

    repro = project.start(*REPRO)
    wait_until((folder / "reports" / "evaluation.json").exists, repro)
    kill_group(repro)

    last = project.dvc("repro")
    assert last.status == 0, last.errors
    assert stored_trials(folder) == reproduced.trials
    assert result_files(folder) == reproduced.files


@pytest.fixture
def server(tmp_path: Path) -> Iterator[TrackingServer]:
    """A tracking server of this test's own."""
    running = TrackingServer(tmp_path)
    running.start()
    yield running
    running.kill()


def test_cut_off_from_its_server_it_keeps_the_results_and_replays_them(
    server: TrackingServer, tmp_path: Path
) -> None:
    """Down in the middle: the search ends, the stage fails and stays stale; up: it is told."""
    project = commit(make_project(tmp_path / "clone"))
    folder = project.folder
    address = {"MLFLOW_TRACKING_URI": server.url, "MLFLOW_HTTP_REQUEST_TIMEOUT": "2"}
    repro = project.start(*REPRO, **address)
    wait_until(lambda: count_trials(folder) >= 3, repro)
    server.kill()
    failed = ended(repro)
    assert failed.status != 0
    assert len(failed.said) == 1
    assert "not everything is in MLflow" in failed.said[0]
    assert "correct MLFLOW_TRACKING_URI" in failed.said[0]
    assert "tune" not in yaml.safe_load((folder / "dvc.lock").read_text())["stages"]
    trials = stored_trials(folder)
    assert len(trials) == 16

    server.start()
    again = project.dvc("repro", **address)
    assert again.status == 0, again.errors
    assert stored_trials(folder) == trials
    client = MlflowClient(server.url)
    experiment = client.get_experiment_by_name("digits")
    assert experiment is not None
    runs = client.search_runs([experiment.experiment_id], max_results=1000)
    assert {run.info.status for run in runs} == {"FINISHED"}
    assert len(runs) == 1 + 4 + 16
    assert sorted(path.name for path in (folder / "mlruns").iterdir()) == [
        "README.md",
        "locks",
        "optuna.db",
        "paths",
    ]
    assert not list((folder / "mlruns" / "paths").iterdir())
