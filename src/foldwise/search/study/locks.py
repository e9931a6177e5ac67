"""Locks that lie where the trials lie, so that whoever shares a storage heeds them.

Beside a SQLite file it is a file; PostgreSQL keeps advisory locks of its own, one a database,
whoever asks, and gone with the connection that took them.
"""

import hashlib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from filelock import Timeout
from sqlalchemy import Connection, NullPool, create_engine, func, select
from sqlalchemy.engine import URL

from foldwise.errors import SearchError
from foldwise.ownership import lock_file
from foldwise.search.study.address import own_storage, speaking, sqlite_path

_CREATION = 0x666F6C64  # "fold": any number that no other user of the database locks


@contextmanager
def creation_lock(url: URL) -> Iterator[None]:
    """Processes that create one database's tables at the same moment collide: one at a time."""
    if (path := sqlite_path(url)) is not None:
        with lock_file(path.with_name(f".{path.name}.lock"), seconds=-1):
            yield
    else:
        with _connection(url) as connection:
            connection.execute(select(func.pg_advisory_lock(_CREATION)))
            yield


@contextmanager
def search_lock(address: str, key: str) -> Iterator[None]:
    """Hold a search key; two processes at one search would make every trial twice.

    Raises
    ------
    SearchError
        If another process holds it, or the storage can't be reached or isn't ours.
    """
    url = own_storage(address)
    with ExitStack() as held:
        with speaking(url):
            path = sqlite_path(url)
            is_ours = _in_database(url, key, held) if path is None else _beside(path, key, held)
        if not is_ours:
            raise SearchError(
                f"one process at a time may run the search {key[:12]}, another is at it: "
                "wait for it to end, or stop it and run this again"
            )
        yield


def _beside(path: Path, key: str, held: ExitStack) -> bool:
    try:
        held.enter_context(lock_file(path.parent / "locks" / f"{key}.lock", seconds=0))
    except Timeout:
        return False
    return True


def _in_database(url: URL, key: str, held: ExitStack) -> bool:
    number = int.from_bytes(hashlib.sha256(key.encode()).digest()[:8], signed=True)
    connection = held.enter_context(_connection(url))
    return bool(connection.scalar(select(func.pg_try_advisory_lock(number))))


def _connection(url: URL) -> Connection:
    # No transaction stays open: it would keep PostgreSQL from cleaning up for hours.
    return create_engine(url, poolclass=NullPool, isolation_level="AUTOCOMMIT").connect()
