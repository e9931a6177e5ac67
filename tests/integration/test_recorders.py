"""The recorder on the stores that there are: a SQLite file, and a team's server."""

from collections.abc import Mapping

import pytest

from foldwise.store.open import Store
from tests.conformance.recorder_cases import RecorderCases
from tests.run_tree import RunFacts, run_tree, tree_in
from tests.tracking_server import TrackingServer


class TestSqlite(RecorderCases):
    """The project's own store."""

    def runs_of(self, store: Store) -> Mapping[str, RunFacts]:
        """Each test has a store of its own."""
        return run_tree(store.root)


@pytest.mark.e2e
class TestServer(RecorderCases):
    """Behind HTTP, one store for all tests."""

    kill_step = 13

    @pytest.fixture(autouse=True)
    def _server(self, server: TrackingServer) -> None:
        self._running = server

    @pytest.fixture
    def store(self, team_store: Store) -> Store:
        """As a member of the team opens it."""
        return team_store

    def runs_of(self, store: Store) -> Mapping[str, RunFacts]:  # noqa: ARG002 - one for all
        """What the server keeps in its folder."""
        artifacts = self._running.artifacts
        return tree_in(
            self._running.database,
            lambda uri: artifacts / uri.removeprefix("mlflow-artifacts:/"),
        )
