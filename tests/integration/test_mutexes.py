"""The mutex on the stores that there are: a SQLite file, MLflow's registry, a team's server."""

from dataclasses import replace
from pathlib import Path

import pytest

from foldwise.app.workspace import Workspace
from foldwise.store.mutex import Busy
from foldwise.store.open import Store
from tests.conformance.mutex_cases import MutexCases, ServerCases, lock_files, quick

__all__ = ["quick"]


def test_checkouts_with_trials_of_their_own_don_t_run_one_search_into_one_store(
    store_template: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its runs would be doubled for good; another search runs beside it."""
    database = store_template / "mlruns" / "mlflow.db"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{database}")
    places = []
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "dvc.yaml").touch()
        monkeypatch.chdir(tmp_path / name)
        places.append(Workspace())
        assert places[-1].root == tmp_path / name
    first, second = places
    with first.held("a" * 64):
        with pytest.raises(Busy, match="may run the search aaaaaaaaaaaa, another is at it"):
            second.held("a" * 64).__enter__()
        with second.held("b" * 64):
            pass


class TestFile(MutexCases):
    """A lock file beside the database."""

    def traces(self, store: Store) -> list[str]:
        """Files in its folder of locks."""
        return lock_files(store.root / "mlruns")


class TestRegistry(ServerCases):
    """A registered model, without HTTP between."""

    @pytest.fixture
    def store(self, store: Store) -> Store:
        """As if it were reached over HTTP."""
        return replace(store, artifacts=None)


@pytest.mark.e2e
class TestServer(ServerCases):
    """Behind HTTP."""

    @pytest.fixture
    def store(self, team_store: Store) -> Store:
        """As a member of the team opens it."""
        return team_store
