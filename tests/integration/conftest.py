"""Real stores for integration tests: made once, copied for each test."""

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import pytest
from mlflow.tracking._tracking_service.utils import _artifact_repos_cache

from foldwise.registry.registration import register
from foldwise.store.database import relocate
from foldwise.store.open import Store, open_store
from tests.integration.registry_cases import make_holdout, model_of, start_run, submission
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
    with without_outside_settings():
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
    return copied(store_template, tmp_path / "project")


@pytest.fixture
def store(root: Path) -> Store:
    """An empty SQLite store of this test's own."""
    return open_store(root)


@pytest.fixture(scope="session")
def registered(
    store_template: Path, tmp_path_factory: pytest.TempPathFactory
) -> Callable[..., Path]:
    """Gives a project folder with a version for each error asked for, made once: to be copied."""

    @cache
    def template(*errors: float) -> Path:
        folder = tmp_path_factory.mktemp("registered") / "project"
        with without_outside_settings():
            store, holdout = open_store(copied(store_template, folder)), make_holdout()
            for error in errors:
                register(store, submission(model_of(error), holdout, start_run(store)))
        return folder

    return template


def copied(template: Path, folder: Path) -> Path:
    """A project folder whose store points to itself."""
    shutil.copytree(template, folder)
    backup = relocate(folder).backup
    assert backup is not None
    backup.unlink()
    # MLflow remembers where a model's files lie by its id, which the copies share.
    _artifact_repos_cache.clear()
    return folder


@contextmanager
def without_outside_settings() -> Iterator[None]:
    """For fixtures that outlive a test."""
    with pytest.MonkeyPatch.context() as patch:
        for name in _OUTSIDE:
            patch.delenv(name, raising=False)
        yield
