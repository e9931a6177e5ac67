"""The SQLite file of the tracking store: made once, looked at before use, mended after a move."""

import os
import sqlite3
from contextlib import AbstractContextManager, closing
from dataclasses import dataclass
from pathlib import Path

from foldwise.errors import StoreError
from foldwise.files import locked
from foldwise.ownership import claim_beside, foreign
from foldwise.store.address import project_root, tracking_address
from foldwise.store.faults import import_mlflow, reason, store_faults

LOCATION_TAG = "foldwise.artifacts"
"""Experiment tag: the artifact folder's name under ``artifacts/``, by which a move is noticed."""

REGISTER = "`dvc repro && dvc repro --force --single-item evaluate`"
"""What records runs and registers a version, whatever the store has lost: where all stages are up
to date, the first command alone runs none. A version that is there is found, not made again."""

_DEFAULT_EXPERIMENT = "0"
_LOCK_SECONDS = 60
_BUSY_SECONDS = 5


def registering(root: Path) -> str:
    """What is to be typed to have runs and a version: `dvc repro` alone in a project never run."""
    return REGISTER if (root / "models" / "evaluated").exists() else "`dvc repro`"


def artifacts_of(database: Path) -> Path:
    """Folder of a database's artifacts: ``artifacts`` beside it."""
    return database.parent / "artifacts"


def database_lock(database: Path) -> AbstractContextManager[None]:
    """Keep other foldwise processes from creating or relocating this database meanwhile."""
    lock = database.with_name(f"{database.name}.lock")
    busy = f"another process has held {lock} for {_LOCK_SECONDS} s: end it, or wait"
    return locked(lock, wait=_LOCK_SECONDS, busy=StoreError(busy))


def create_once(database: Path) -> None:
    """Create the database unless it is there.

    Several processes at once would break each other's schema, so one does it, beside and under
    a lock; a killed one leaves no half database.
    """
    if database.exists() or database.is_symlink():
        return
    with database_lock(database):
        if not database.exists():
            _create(database)


def check_database(database: Path, root: Path, *, writes: bool = True) -> None:
    """Refuse a missing, damaged, locked or foreign file before MLflow spends minutes on it.

    And a read-only one, unless it is to be read alone.
    """
    if not database.exists():
        or_else = ", or correct MLFLOW_TRACKING_URI" * bool(os.environ.get("MLFLOW_TRACKING_URI"))
        raise StoreError(
            f"there is no tracking database {database}: run {registering(root)}{or_else}"
        )
    if (what := foreign(database, "MLflow")) is not None:
        raise StoreError(
            f"{database} must be MLflow's database, it is {what}: put a backup in its place, "
            "move it away to begin anew, or correct MLFLOW_TRACKING_URI"
        )
    fixed = [path for path in (database.parent, database) if not os.access(path, os.W_OK)]
    if fixed and writes:
        raise StoreError(f"{fixed[0]} is read-only: give this user write permission")
    try:
        with closing(sqlite3.connect(database, timeout=_BUSY_SECONDS)) as connection:
            # Takes back first what a killed process left half written, and misses whole pages.
            connection.execute("BEGIN" if fixed else "BEGIN IMMEDIATE")
            (page,) = connection.execute("PRAGMA page_size").fetchone()
            if database.stat().st_size % page:
                raise StoreError(f"{database} is damaged, cut short: put a backup in its place")
            version = connection.execute("SELECT version_num FROM alembic_version").fetchone()
            connection.rollback()
    except sqlite3.Error as error:
        raise StoreError(f"the tracking database {database}: {reason(error)}") from error
    _check_schema(database, version[0] if version else "none")


def _create(database: Path) -> None:
    import_mlflow()
    from mlflow import MlflowClient
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

    beside = database.with_name(f".{database.stem}.partial{database.suffix}")
    beside.unlink(missing_ok=True)
    with store_faults(f"creating {database}"):
        # Given the root, MLflow's own default experiment lies here and not in the working folder.
        store = SqlAlchemyStore(  # type: ignore[no-untyped-call]
            f"sqlite:///{beside}", str(artifacts_of(database))
        )
        client = MlflowClient(tracking_uri=f"sqlite:///{beside}")
        client.set_experiment_tag(_DEFAULT_EXPERIMENT, LOCATION_TAG, _DEFAULT_EXPERIMENT)
        store.engine.dispose()
        beside.replace(database)


def _check_schema(database: Path, version: str) -> None:
    # MLflow's own asks to upgrade a newer schema, too, and first upgrades an older one itself.
    import_mlflow()
    import mlflow
    from mlflow.store.db.utils import _get_latest_schema_revision

    if version != _get_latest_schema_revision():  # type: ignore[no-untyped-call]
        raise StoreError(
            f"{database} was written by another MLflow than {mlflow.__version__} (schema"
            f" {version}): install that one or, if it was older, copy the file and run"
            f" `mlflow db upgrade 'sqlite:///{database}'`"
        )


_COLUMNS = (
    ("experiments", "artifact_location"),
    ("runs", "artifact_uri"),
    ("logged_models", "artifact_location"),
    ("model_versions", "storage_location"),
)

_TAGGED = """
    SELECT e.artifact_location, t.value FROM experiments e
    JOIN experiment_tags t ON t.experiment_id = e.experiment_id AND t.key = ?
"""


@dataclass(frozen=True, slots=True)
class Relocation:
    """Artifact folders that the store pointed to, none if nothing was to mend; where it does now.

    ``changed`` rows were, and ``backup`` is the database as it was before.
    """

    old: tuple[str, ...]
    new: str
    changed: int
    backup: Path | None


def check_not_moved(database: Path) -> None:
    """Stop before anything is written to the place where the folder used to be."""
    with closing(sqlite3.connect(database)) as connection:
        old = _former_places(connection, artifacts_of(database))
    if old:
        raise StoreError(
            f"{database.parent} was moved or copied from {Path(old[0]).parent}: "
            "run `foldwise relocate`"
        )


def relocate(root: Path | None = None) -> Relocation:
    """Point the store's artifact paths to where its folder lies now.

    The database is copied first and changed in one transaction.
    """
    root = root or project_root()
    database = tracking_address(root).database
    if database is None:
        raise StoreError("MLFLOW_TRACKING_URI names a server: relocate is for a store in a folder")
    check_database(database, root)
    new = artifacts_of(database)
    with database_lock(database), closing(sqlite3.connect(database)) as connection:
        old = _former_places(connection, new)
        if not old:
            return Relocation(old=(), new=str(new), changed=0, backup=None)
        try:
            backup = _copy(connection, database)
            changed = _mend(connection, old, str(new))
        except sqlite3.Error as error:
            raise StoreError(f"relocating {database}: {reason(error)}") from error
    return Relocation(old=old, new=str(new), changed=changed, backup=backup)


def _former_places(connection: sqlite3.Connection, new: Path) -> tuple[str, ...]:
    rows = connection.execute(_TAGGED, (LOCATION_TAG,))
    places = {location.removesuffix(f"/{name}") for location, name in rows}
    return tuple(sorted(places - {str(new)}))


def _copy(connection: sqlite3.Connection, database: Path) -> Path:
    backup = claim_beside(database, "before-relocation")
    try:
        with closing(sqlite3.connect(backup)) as copy:
            connection.backup(copy)
    except BaseException:
        backup.unlink()
        raise
    return backup


def _mend(connection: sqlite3.Connection, old: tuple[str, ...], new: str) -> int:
    changed = 0
    with connection:
        connection.execute("BEGIN IMMEDIATE")
        for table, column in _COLUMNS:
            for place in old:
                # Names of tables and columns are our own constants, never input.
                cursor = connection.execute(
                    f"UPDATE {table} SET {column} = ? || substr({column}, ?) "  # noqa: S608
                    f"WHERE {column} = ? OR substr({column}, 1, ?) = ?",
                    (new, len(place) + 1, place, len(place) + 1, f"{place}/"),
                )
                changed += cursor.rowcount
    return changed
