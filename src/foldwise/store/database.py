"""The SQLite file of the tracking store: created once, and looked at before MLflow touches it."""

import os
import sqlite3
from contextlib import AbstractContextManager, closing
from pathlib import Path

from foldwise.errors import StoreError
from foldwise.files import locked
from foldwise.ownership import foreign
from foldwise.store.faults import import_mlflow, reason, store_faults

LOCATION_TAG = "foldwise.artifacts"
"""Experiment tag: the artifact folder's name under ``artifacts/``, by which a move is noticed."""

REGISTER = "`dvc repro && dvc repro --force --single-item evaluate`"
"""What records runs and registers a version, whatever the store has lost: where all stages are up
to date, the first command alone runs none. A version that is there is found, not made again."""

_DEFAULT_EXPERIMENT = "0"
_LOCK_SECONDS = 60
_BUSY_SECONDS = 5


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


def check_database(database: Path, *, writes: bool = True) -> None:
    """Refuse a missing, damaged, locked or foreign file before MLflow spends minutes on it.

    And a read-only one, unless it is to be read alone.
    """
    if not database.exists():
        raise StoreError(
            f"there is no tracking database {database}: run {REGISTER}, or correct "
            "MLFLOW_TRACKING_URI"
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

    if version == _get_latest_schema_revision():  # type: ignore[no-untyped-call]
        return
    migrations = Path(mlflow.__file__).parent / "store" / "db_migrations" / "versions"
    if any(migrations.glob(f"{version}_*.py")):
        raise StoreError(
            f"{database} was written by an older MLflow: copy it, "
            f"then run `mlflow db upgrade 'sqlite:///{database}'`"
        )
    raise StoreError(
        f"{database} was written by another MLflow than {mlflow.__version__} "
        f"(schema {version}): install the version that wrote it"
    )
