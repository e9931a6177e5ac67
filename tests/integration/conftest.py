"""Real stores for integration tests: made once, copied for each test."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from foldwise.store.open import Store, open_store
from foldwise.store.relocate import relocate
from tests.tracking_server import TrackingServer

_OUTSIDE = (
    "MLFLOW_TRACKING_URI",
    "MLFLOW_TRACKING_USERNAME",
    "MLFLOW_TRACKING_PASSWORD",
    "MLFLOW_TRACKING_TOKEN",
    "DVC_ROOT",
    "DVC_EXP_NAME",
    "DVC_EXP_BASELINE_REV",
)


@pytest.fixture(autouse=True)
def no_outside_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the developer's shell says about stores must not reach the tests."""
    for name in _OUTSIDE:
        # Set first, so that what a test makes the code set is undone, too.
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)


@pytest.fixture(scope="session")
def store_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project folder with an empty store, which takes MLflow a second to create."""
    root = tmp_path_factory.mktemp("template")
    with pytest.MonkeyPatch.context() as patch:
        for name in _OUTSIDE:
            patch.delenv(name, raising=False)
        open_store(root)
    return root


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TrackingServer]:
    """A team's MLflow server, which takes seconds to start: one for all tests."""
    running = TrackingServer(tmp_path_factory.mktemp("server"))
    try:
        running.start()
        yield running
    finally:
        running.kill()


@pytest.fixture
def team_store(server: TrackingServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    """The server's store, opened as a member of the team does, password in the URL."""
    address = server.url.replace("//", "//ann:s3cr3t@")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", address)
    return open_store(tmp_path)


@pytest.fixture
def root(store_template: Path, tmp_path: Path) -> Path:
    """A project folder of this test's own, with an empty store."""
    folder = tmp_path / "project"
    shutil.copytree(store_template, folder)
    backup = relocate(folder).backup
    assert backup is not None
    backup.unlink()
    return folder


@pytest.fixture
def store(root: Path) -> Store:
    """An empty SQLite store of this test's own."""
    return open_store(root)
