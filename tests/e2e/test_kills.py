"""Killed at any moment, the same commands end as if nothing had happened."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.e2e.lives import STOPS, World, make_world
from tests.e2e.outcome import outcome
from tests.e2e.project import REPOSITORY, make_project

pytestmark = pytest.mark.e2e

LIVES = 2
PART_OF_MNIST: dict[str, dict[str, Any]] = {
    "prepare": {"limit": 2000},
    "tune": {"folds": 3, "trials": 4, "startup_trials": 2, "c_high": 0.01},
}


@pytest.fixture(scope="module")
def mnist_world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """Some of MNIST's development images and all of its holdout, run once undisturbed."""
    project = make_project(tmp_path_factory.mktemp("mnist") / "project", PART_OF_MNIST)
    for source in (REPOSITORY / "data" / "raw").glob("*.gz"):
        (project.folder / "data" / "raw" / source.name).symlink_to(source)
    with make_world(project) as world:
        yield world


@pytest.mark.parametrize("life", range(LIVES))
def test_killed_anywhere_it_ends_as_if_it_never_was(world: World, life: int) -> None:
    """Files to the byte, trials to the bit, MLflow's tree row by row, one whole version.

    `kill -9` at the n-th file or database operation, or after a share of the usual time: six
    times in each life, twelve times in all.
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


@pytest.mark.soak
@pytest.mark.timeout(7200)
@pytest.mark.parametrize("life", range(20))
def test_killed_on_a_part_of_mnist_it_ends_as_if_it_never_was(
    mnist_world: World, life: int
) -> None:
    """A hundred and twenty times, where fits take most of the time."""
    for stopped in mnist_world.live(life, 20, how="SIGKILL"):
        assert stopped.status == -9
        mnist_world.check_no_half_result()
    assert outcome(mnist_world.folder) == mnist_world.undisturbed
