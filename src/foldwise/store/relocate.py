"""Mend the absolute paths in the store after its folder was moved or copied."""

import sqlite3
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from foldwise.errors import StoreError
from foldwise.ownership import claim_beside
from foldwise.store.address import project_root, tracking_address
from foldwise.store.database import LOCATION_TAG, artifacts_of, check_database, database_lock
from foldwise.store.faults import reason

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

    ``changed`` are the rows for each ``table.column``, ``backup`` the database as it was before.
    """

    old: tuple[str, ...]
    new: str
    changed: Mapping[str, int]
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
    database = tracking_address(root or project_root()).database
    if database is None:
        raise StoreError("MLFLOW_TRACKING_URI names a server: relocate is for a store in a folder")
    check_database(database)
    new = artifacts_of(database)
    with database_lock(database), closing(sqlite3.connect(database)) as connection:
        old = _former_places(connection, new)
        if not old:
            return Relocation(old=(), new=str(new), changed={}, backup=None)
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


def _mend(connection: sqlite3.Connection, old: tuple[str, ...], new: str) -> dict[str, int]:
    changed = dict.fromkeys((f"{table}.{column}" for table, column in _COLUMNS), 0)
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
                changed[f"{table}.{column}"] += cursor.rowcount
    return changed
