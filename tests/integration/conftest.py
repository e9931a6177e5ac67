"""Real stores for integration tests: made once, copied for each test."""

import shutil
from pathlib import Path

import pytest

from foldwise.store.open import Store, open_store
from foldwise.store.relocate import relocate

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
