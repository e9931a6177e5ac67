"""Two processes at one time: one search is one process's, different searches share a store."""

import os
import shutil
import signal

import pytest

from tests.e2e.lives import World
from tests.e2e.outcome import outcome, stored_trials
from tests.e2e.project import Project
from tests.e2e.stages import Moment, Stage
from tests.run_tree import run_tree, statuses
from tests.waiting import tail, wait_until

pytestmark = pytest.mark.e2e


def wait_until_stopped(stage: Stage) -> None:
    """Until a process has sent itself SIGSTOP."""
    wait_until(
        lambda: stage.state == "T",
        "SIGSTOP",
        ended=lambda: stage.state in {"", "Z"},
        told=lambda: tail(stage.log / "err"),
    )


@pytest.mark.parametrize(("other", "before"), [("tune", "prepare"), ("evaluate", "tune")])
def test_a_search_that_is_taken_is_told_so(world: World, other: str, before: str) -> None:
    """The second changes nothing, and the first ends as if it had been alone."""
    world.begin_after(before)
    half_way = Moment(at=1, how="SIGSTOP", what="open models/tuned")
    first = world.server.start("tune", world.folder, half_way)
    wait_until_stopped(first)
    try:
        found = outcome(world.folder)
        second = world.server.run(other, world.folder)
        assert second.status == 1
        assert second.said == [second.errors.strip()]
        assert "another is at it: wait for it to end, or stop it" in second.said[0]
        assert outcome(world.folder) == found
    finally:
        os.kill(first.pid, signal.SIGCONT)
    assert world.server.wait(first).status == 0
    assert outcome(world.folder) == world.after["tune"]


def test_different_searches_run_side_by_side_on_stores_they_create_at_once(world: World) -> None:
    """As queue workers do, in folders of their own with the main checkout's stores."""
    world.clear()
    world.go_on("prepare")
    other = world.folder / ".dvc" / "tmp" / "exps" / "queue-worker"
    shutil.copytree(world.folder, other, ignore=shutil.ignore_patterns("src", "tmp"))
    Project(other).change("tune", trials=3, scale_floor=0.1)
    for stage in ("tune", "evaluate"):
        both = [
            world.server.start(stage, folder, DVC_ROOT=str(world.folder))
            for folder in (world.folder, other)
        ]
        for ended in map(world.server.wait, both):
            assert ended.status == 0, ended.errors
    assert not (other / "mlruns").exists()
    tree = run_tree(world.folder)
    assert statuses(tree) == {"FINISHED"}
    assert len(tree) == len(world.undisturbed.runs) + 1 + 4 + 4 * 3
    for key, run in world.undisturbed.runs.items():
        assert tree[key].rows == run.rows
    assert set(world.undisturbed.trials) <= set(stored_trials(world.folder))
    assert sorted(len(version.aliases) for version in outcome(world.folder).versions) == [0, 1]
    shutil.rmtree(other)
