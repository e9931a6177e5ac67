"""What MLflow holds of a search, as plain data that two stores can be compared by."""

import sqlite3
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from foldwise.data.dataset import DataInfo
from foldwise.runs.ledger import KEY_TAG
from foldwise.runs.lineage import Lineage, lineage
from foldwise.runs.recorder import Recorder
from foldwise.search.trials import FINAL, SearchResult
from foldwise.settings import Settings, TuneSettings
from foldwise.store.open import Store
from tests.factories import make_events, make_space

FIGURE = b"\x89PNG" + bytes(5000)
_OWN = ("pipeline", "mlflow.parentRunId", "foldwise.process")


@dataclass(frozen=True, slots=True)
class RunFacts:
    """One run without its id and times; ``rows`` are all its metric rows: key, step, value."""

    name: str
    parent: str | None
    status: str
    params: tuple[tuple[str, str], ...]
    tags: tuple[tuple[str, str], ...]
    rows: tuple[tuple[str, int, float], ...]
    files: tuple[tuple[str, int], ...]


def run_tree(root: Path) -> dict[str, RunFacts]:
    """Every run of a project's store by its key; a key that stands twice is an error."""
    return tree_in(root / "mlruns" / "mlflow.db", Path)


def tree_in(database: Path, folder_of: Callable[[str], Path]) -> dict[str, RunFacts]:
    """Every run of a database by its key; ``folder_of`` finds the files of an artifact URI."""
    with closing(sqlite3.connect(database)) as connection:
        runs = connection.execute(
            "SELECT run_uuid, name, status, artifact_uri FROM runs WHERE lifecycle_stage = 'active'"
        ).fetchall()
        tags = {run: dict(_rows(connection, "tags", "key, value", run)) for run, *_ in runs}
        keys = {run: told[KEY_TAG] for run, told in tags.items() if KEY_TAG in told}
        twice = [key for key, count in Counter(keys.values()).items() if count > 1]
        assert not twice, f"recorded twice: {twice}"
        return {
            keys[run]: RunFacts(
                name=name,
                parent=keys.get(tags[run].get("mlflow.parentRunId", "")),
                status=status,
                params=tuple(_rows(connection, "params", "key, value", run)),
                tags=tuple(sorted((k, v) for k, v in tags[run].items() if k not in _OWN)),
                rows=tuple(_rows(connection, "metrics", "key, step, value", run)),
                files=_files(folder_of(artifacts)),
            )
            for run, name, status, artifacts in runs
            if run in keys
        }


def make_lineage(
    *, search_key: str = "5ea4c4", attempt: int = 1, folds: int = 3, trials: int = 3
) -> Lineage:
    """Where a fake search came from."""
    data = DataInfo(
        name="blobs",
        classes=(0, 1, 2),
        image_shape=(4, 4),
        development_rows=36,
        development_digest="d" * 64,
        holdout_rows=12,
        holdout_digest="e" * 64,
    )
    settings = Settings(tune=TuneSettings(folds=folds, trials=trials))
    return lineage(settings, data, space=make_space(), search_key=search_key, attempt=attempt)


def record_search(store: Store, lineage: Lineage, result: SearchResult) -> None:
    """Tell a store a whole search, with figures and metrics."""
    with Recorder.open(store, lineage) as recorder:
        for event in make_events(result):
            recorder.record(event)
        for study in (*(fold.study for fold in result.outer), FINAL):
            recorder.record_artifacts(study, {"figures/curve.png": FIGURE})
        recorder.record_artifacts(None, {"report.html": b"<p>"})
        recorder.log_metrics({"outer_log_loss_low": 0.27, "outer_log_loss_high": 0.29})


def statuses(tree: dict[str, RunFacts]) -> set[str]:
    """The statuses that occur in a tree."""
    return {run.status for run in tree.values()}


def _rows(
    connection: sqlite3.Connection, table: str, columns: str, run: str
) -> list[tuple[Any, ...]]:
    query = f"SELECT {columns} FROM {table} WHERE run_uuid = ? ORDER BY {columns}"
    return connection.execute(query, (run,)).fetchall()


def _files(folder: Path) -> tuple[tuple[str, int], ...]:
    return tuple(
        sorted(
            (str(path.relative_to(folder)), path.stat().st_size)
            for path in folder.rglob("*")
            if path.is_file()
        )
    )
