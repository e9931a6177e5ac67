"""Stores that fail: the search goes on, what is missing is said, and the next run makes it good."""

import os
import shutil
import sqlite3
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from mlflow import MlflowClient

from tests.e2e.lives import STAGES, World
from tests.e2e.outcome import (
    count_trials,
    outcome,
    registered,
    result_files,
    stored_trials,
)
from tests.e2e.project import Ended, Project, stage_command
from tests.e2e.stages import Moment, Stage
from tests.run_tree import run_tree, statuses
from tests.tracking_server import TrackingServer
from tests.waiting import tail, wait_until

pytestmark = pytest.mark.e2e

# A small disk over one folder, filled with what is there, until a line is read; then copied back.
_A_SMALL_DISK = """
cp -a $1 ../beside && mount -t tmpfs -o size=$2k tmpfs $1 && cp -a ../beside/. $1 || exit 99
echo
read line
rm -r ../beside && cp -a $1 ../beside
"""


@pytest.fixture
def prepared(world: World) -> World:
    """Data and an empty store, nothing tuned."""
    world.begin_after("prepare")
    return world


def check_told(ended: Ended) -> str:
    """One line and status 1; gives the line."""
    assert ended.status == 1
    assert ended.said == [ended.errors.strip()]
    return ended.said[0]


def check_made_good(world: World, stage: str = "tune") -> None:
    """The same command again ends as if nothing had happened."""
    world.go_on(stage)
    assert outcome(world.folder) == world.after[stage]


@contextmanager
def locked(database: Path) -> Iterator[None]:
    """Hold a database so that nobody else can write to it."""
    with closing(sqlite3.connect(database, timeout=30, isolation_level=None)) as holder:
        holder.execute("BEGIN IMMEDIATE")
        yield


def wait_for_a_trial(world: World, stage: Stage) -> None:
    """Until the study storage has one."""
    wait_until(
        lambda: count_trials(world.folder) > 0,
        "a trial",
        ended=lambda: stage.state in {"", "Z"},
        told=lambda: tail(stage.log / "err"),
    )


def test_a_disk_that_fills_while_an_artifact_is_written(prepared: World) -> None:
    """Figures are missing in MLflow, results are not; the next run adds the figures."""
    full = Moment(at=2, how="disk full", what=r"^open mlruns/artifacts")
    line = check_told(prepared.server.run("tune", prepared.folder, full))
    assert "not everything is in MLflow" in line
    assert "the disk is full" in line
    tree = run_tree(prepared.folder)
    assert len(tree) == len(prepared.after["tune"].runs)
    assert "RUNNING" not in statuses(tree)
    prepared.check_no_half_result()
    assert "reports/tuning.json" in outcome(prepared.folder).files
    check_made_good(prepared)


def test_a_disk_that_fills_while_the_model_is_registered(world: World) -> None:
    """There is no half version, and the one that comes is whole."""
    world.begin_after("tune")
    full = Moment(at=5, how="disk full", what=r"^open mlruns/artifacts/digits/models")
    assert "the disk is full" in check_told(world.server.run("evaluate", world.folder, full))
    assert registered(world.folder) == ()
    check_made_good(world, "evaluate")


def test_a_disk_that_fills_while_results_are_written(world: World) -> None:
    """One line from each stage, no half file, and the last good results stay."""
    world.begin_after("evaluate")
    full = Moment(at=2, how="disk full", what=r"^open (data|models|reports)/")
    for stage in STAGES:
        line = check_told(world.server.run(stage, world.folder, full))
        assert "No space left on device" in line
        assert outcome(world.folder).files == world.undisturbed.files


def may_mount() -> bool:
    """Whether we may have file systems of our own, in a namespace of our own."""
    trial = ("unshare", "-rm", "mount", "-t", "tmpfs", "tmpfs", "/mnt")
    return (
        shutil.which("unshare") is not None
        and not subprocess.run(trial, capture_output=True, check=False).returncode
    )


def run_on_a_small_disk(world: World, place: str, *, spare: int, stage: str) -> Ended:
    """Run a stage with one of its folders on a disk that has so many KiB to spare."""
    folder, beside = world.folder / place, world.folder.with_name("beside")
    shutil.rmtree(beside, ignore_errors=True)
    pages = sum(-(-path.stat().st_size // 4096) + 1 for path in folder.rglob("*"))
    size = str(4 * pages + spare)
    script = ("unshare", "-rm", "sh", "-c", _A_SMALL_DISK, "sh", place, size)
    with subprocess.Popen(
        script, cwd=world.folder, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as disk:
        assert disk.stdout is not None
        assert disk.stdout.readline() == b"\n"
        ended = world.server.run(stage, world.folder, MOUNTS_OF=str(disk.pid))
        disk.communicate(b"\n")
    assert disk.returncode == 0
    shutil.rmtree(folder)
    shutil.copytree(beside, folder)
    return ended


needs_disk = pytest.mark.skipif(
    not may_mount(), reason="the system gives us no namespace to mount a disk in"
)


@needs_disk
@pytest.mark.parametrize("spare", [60, 700])
def test_a_store_on_a_disk_that_is_really_full(prepared: World, spare: int) -> None:
    """Databases and figures on one small disk: whatever fills it, nothing is spoilt."""
    ended = run_on_a_small_disk(prepared, "mlruns", spare=spare, stage="tune")
    assert "full" in check_told(ended)
    prepared.check_no_half_result()
    check_made_good(prepared)


@needs_disk
def test_results_on_a_disk_that_is_really_full(world: World) -> None:
    """It is full in the middle of a file: the last good one stays."""
    world.begin_after("evaluate")
    ended = run_on_a_small_disk(world, "reports", spare=20, stage="evaluate")
    assert "No space left on device" in check_told(ended)
    assert result_files(world.folder) == world.undisturbed.files


@pytest.mark.skipif(shutil.which("setpriv") is None, reason="needs setpriv, of util-linux")
def test_a_store_that_is_read_only(prepared: World) -> None:
    """Told before any work; root, too, if it may not do everything."""
    plain = ("setpriv", "--bounding-set=-all", "--inh-caps=-all") if os.geteuid() == 0 else ()
    store = prepared.folder / "mlruns"
    store.chmod(0o555)
    try:
        ended = Project(prepared.folder).run(*plain, *stage_command("tune"))
        assert "mlruns is read-only: give this user write permission" in check_told(ended)
    finally:
        store.chmod(0o755)
    assert stored_trials(prepared.folder) == ()
    check_made_good(prepared)


def test_a_tracking_database_that_another_program_holds(prepared: World) -> None:
    """The search goes on without it, and says at the end what isn't recorded."""
    tune = prepared.server.start("tune", prepared.folder)
    wait_for_a_trial(prepared, tune)
    with locked(prepared.folder / "mlruns" / "mlflow.db"):
        line = check_told(prepared.server.wait(tune))
    assert "not everything is in MLflow" in line
    assert "another process holds the database: end it, then run again" in line
    assert stored_trials(prepared.folder) == prepared.after["tune"].trials
    check_made_good(prepared)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[TrackingServer]:
    """A tracking server of this test's own."""
    running = TrackingServer(tmp_path)
    try:
        running.start()
        yield running
    finally:
        running.kill()


def test_cut_off_from_its_server_it_keeps_the_results_and_replays_them(
    server: TrackingServer, prepared: World
) -> None:
    """Down in the middle: the search ends, the stage fails; up: it is told."""
    folder = prepared.folder
    address = {"MLFLOW_TRACKING_URI": server.url}
    tune = prepared.server.start("tune", folder, None, MLFLOW_HTTP_REQUEST_TIMEOUT="2", **address)
    wait_for_a_trial(prepared, tune)
    server.kill()
    line = check_told(prepared.server.wait(tune))
    assert "not everything is in MLflow" in line
    assert "correct MLFLOW_TRACKING_URI" in line
    trials = stored_trials(folder)
    assert trials == prepared.after["tune"].trials

    server.start()
    for stage in ("tune", "evaluate"):
        done = prepared.server.run(stage, folder, None, **address)
        assert done.status == 0, done.errors
    assert stored_trials(folder) == trials
    client = MlflowClient(server.url)
    experiment = client.get_experiment_by_name("digits")
    assert experiment is not None
    runs = client.search_runs([experiment.experiment_id], max_results=1000)
    assert {run.info.status for run in runs} == {"FINISHED"}
    assert len(runs) == 1 + 4 + 16
    assert not list((folder / "mlruns" / "paths").iterdir())


def test_a_study_storage_that_is_busy_for_a_while(prepared: World) -> None:
    """It is waited for."""
    tune = prepared.server.start("tune", prepared.folder)
    wait_for_a_trial(prepared, tune)
    with locked(prepared.folder / "mlruns" / "optuna.db"):
        time.sleep(2)
    assert prepared.server.wait(tune).status == 0
    assert outcome(prepared.folder) == prepared.after["tune"]


def test_a_truncated_study_storage_is_kept_aside(prepared: World) -> None:
    """The line names file and remedy; the next run begins the search anew."""
    eighth_trial = Moment(at=8, what="sql INSERT")
    assert prepared.server.run("tune", prepared.folder, eighth_trial).status == -9
    database = prepared.folder / "mlruns" / "optuna.db"
    damaged = database.read_bytes()[: 8 * 4096 + 100]
    database.write_bytes(damaged)
    line = check_told(prepared.server.run("tune", prepared.folder))
    assert f"{database} must be a sound SQLite database" in line
    assert "kept as optuna.db.damaged-1; run again" in line
    assert database.with_name("optuna.db.damaged-1").read_bytes() == damaged
    check_made_good(prepared)
