"""Ctrl-C and SIGTERM at any moment: no run is left running, and a line says how to go on."""

import pytest

from tests.e2e.lives import World
from tests.e2e.outcome import outcome
from tests.run_tree import run_tree, statuses

pytestmark = pytest.mark.e2e

STATUS = {"SIGINT": 130, "SIGTERM": 143}


def check_signals(world: World, life: int, lives: int, how: str) -> None:
    """Stop the stages by signals and look at MLflow after each."""
    seen = set()
    for stopped in world.live(life, lives, how=how):
        assert stopped.status == STATUS[how], stopped.errors
        assert stopped.said == [stopped.errors.strip()]
        assert stopped.said[0].startswith(f"foldwise: stopped by {how}: to go on, run")
        seen |= statuses(run_tree(world.folder))
        assert "RUNNING" not in seen
        world.check_no_half_result()
    assert "KILLED" in seen
    assert outcome(world.folder) == world.undisturbed


@pytest.mark.parametrize(("how", "life"), [("SIGINT", 0), ("SIGTERM", 1)])
def test_a_signal_leaves_no_run_running_and_costs_nothing(
    world: World, how: str, life: int
) -> None:
    """The runs are marked as killed; the same commands end as if nothing had happened."""
    check_signals(world, life, 2, how)


@pytest.mark.soak
@pytest.mark.timeout(7200)
@pytest.mark.parametrize("how", STATUS)
@pytest.mark.parametrize("life", range(10))
def test_a_hundred_signals_leave_no_run_running(world: World, how: str, life: int) -> None:
    """The same, for long."""
    check_signals(world, life, 10, how)
