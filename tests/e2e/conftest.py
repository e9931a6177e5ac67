"""What several end-to-end tests begin with."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.lives import World, make_world
from tests.e2e.project import make_project
from tests.e2e.reproduced import Reproduced, reproduce
from tests.e2e.warm import warm_commands


@pytest.fixture(autouse=True)
def no_outside_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the developer's shell says about stores must not reach what a test looks at itself."""
    for name in [name for name in os.environ if name.startswith(("MLFLOW_", "DVC_", "FOLDWISE_"))]:
        monkeypatch.delenv(name)


@pytest.fixture(scope="session")
def commands(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Commands that start at once, for `Project.commands`."""
    with warm_commands(tmp_path_factory.mktemp("commands")) as folder:
        yield folder


@pytest.fixture(scope="session")
def reproduced(commands: Path, tmp_path_factory: pytest.TempPathFactory) -> Reproduced:
    """A clone, reproduced by one command; tests leave its params.yaml as it was."""
    return reproduce(tmp_path_factory.mktemp("reproduced") / "clone", commands)


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """Digits, run once undisturbed; a test begins anew there."""
    with make_world(make_project(tmp_path_factory.mktemp("world") / "project")) as world:
        yield world
