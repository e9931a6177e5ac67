"""The packed project and what its databases hold, read without any code of ours."""

import json
import shutil
import sqlite3
import tarfile
from collections import Counter
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).parents[2]
ARCHIVE = Path(__file__).with_name("c9b2e91.tar.xz")
PACKED_IN = "/tmp/foldwise-past"  # noqa: S108 - only a name: nothing is written there


@dataclass(frozen=True, slots=True)
class Past:
    """A copy of the packed project."""

    folder: Path

    def copied(self, folder: Path) -> "Past":
        """A copy to change; its store still points to this one until it is relocated."""
        shutil.copytree(self.folder, folder)
        return Past(folder)

    def tracked(self, query: str) -> list[tuple[Any, ...]]:
        """Ask MLflow's database."""
        return _rows(self.folder / "mlruns" / "mlflow.db", query)

    def studied(self, query: str) -> list[tuple[Any, ...]]:
        """Ask Optuna's database."""
        return _rows(self.folder / "mlruns" / "optuna.db", query)

    def registry(self) -> tuple[list[tuple[Any, ...]], ...]:
        """All that the registry holds but times: models, versions, tags and aliases."""
        return tuple(
            sorted(self.tracked(query), key=repr)
            for query in (
                "SELECT name, version, run_id, source, status FROM model_versions",
                "SELECT name, version, key, value FROM model_version_tags",
                "SELECT name, key, value FROM registered_model_tags",
                "SELECT name, alias, version FROM registered_model_aliases",
            )
        )

    def aliases(self, name: str) -> dict[str, int]:
        """Number of the version by alias."""
        query = f"SELECT alias, version FROM registered_model_aliases WHERE name = '{name}'"
        return dict(self.tracked(query))

    def versions(self, name: str) -> list[int]:
        """Numbers of the registered versions."""
        query = f"SELECT version FROM model_versions WHERE name = '{name}' ORDER BY version"
        return [number for (number,) in self.tracked(query)]

    def records(self, name: str) -> list[dict[str, Any]]:
        """The decisions on a model, oldest first, as the tags on its versions tell them."""
        query = (
            "SELECT value FROM model_version_tags"
            f" WHERE name = '{name}' AND key LIKE 'audit.%' ORDER BY key"
        )
        return [json.loads(text) for (text,) in self.tracked(query)]

    def holdout_uses(self) -> set[str]:
        """Keys of the notes that a model was scored on a holdout."""
        query = "SELECT key FROM registered_model_tags WHERE key LIKE 'holdout.%'"
        return {key for (key,) in self.tracked(query)}

    def trials(self) -> dict[tuple[str, str], int]:
        """How often each trial stands in Optuna's database, by study and what it tells."""
        return Counter(
            self.studied(
                "SELECT study_name, value_json FROM trials JOIN studies USING (study_id)"
                " JOIN trial_user_attributes USING (trial_id)"
            )
        )

    def runs(self) -> dict[str, int]:
        """How many runs have each key."""
        return Counter(
            key for (key,) in self.tracked("SELECT value FROM tags WHERE key = 'foldwise.key'")
        )

    def search(self) -> dict[str, Any]:
        """Which search models/tuned came from."""
        told: dict[str, Any] = json.loads((self.folder / "models" / "run.json").read_text())
        return told


def unpack(folder: Path) -> Past:
    """Unpack the archive below a folder, as someone who has pulled today's dvc.yaml since."""
    with tarfile.open(ARCHIVE) as archive:
        # Python 3.11's first releases, Debian 12's among them, have no filters.
        if hasattr(tarfile, "data_filter"):
            archive.extraction_filter = tarfile.data_filter
        archive.extractall(folder)  # noqa: S202 - the archive is our own
    past = Past(folder / "project")
    shutil.copy(REPOSITORY / "dvc.yaml", past.folder)
    return past


def _rows(database: Path, query: str) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(database)) as connection:
        return connection.execute(query).fetchall()
