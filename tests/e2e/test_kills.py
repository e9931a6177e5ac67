"""Killed at any moment, the same commands end as if nothing had happened."""

import pytest

from tests.e2e.lives import STOPS, World
from tests.e2e.outcome import outcome

pytestmark = pytest.mark.e2e

LIVES = 5


@pytest.mark.parametrize("life", range(LIVES))
def test_killed_anywhere_it_ends_as_if_it_never_was(world: World, life: int) -> None:
    """Files to the byte, trials to the bit, MLflow's tree row by row, one whole version.

    `kill -9` at the n-th file or database operation, or after a share of the usual time: six
    times in each life, thirty times in all.
    """
    kills = 0
    for stopped in world.live(life, LIVES, how="SIGKILL", without_store=life == 0):
        assert stopped.status == -9
        world.check_no_half_result()
        kills += 1
    assert kills == sum(STOPS.values())
    assert outcome(world.folder) == world.undisturbed


@pytest.mark.soak
@pytest.mark.timeout(7200)
@pytest.mark.parametrize("life", range(50))
def test_killed_many_times_it_ends_as_if_it_never_was(world: World, life: int) -> None:
    """The same three hundred times."""
    for stopped in world.live(life, 50, how="SIGKILL"):
        assert stopped.status == -9
        world.check_no_half_result()
    assert outcome(world.folder) == world.undisturbed
