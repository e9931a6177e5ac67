"""Where completed trials are kept: a storage's address, read once and never shown with a secret."""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from optuna.exceptions import StorageInternalError
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, SQLAlchemyError

from foldwise.errors import SearchError
from foldwise.ownership import foreign

_RULE = (
    "FOLDWISE_STUDY_STORAGE must be sqlite:///PATH or postgresql://USER:PASSWORD@HOST/DATABASE, "
    "with %40 for an @ in the password"
)


def storage_url(address: str) -> URL:
    """Read an address.

    Raises
    ------
    SearchError
        If it is none, or that of a database in memory or of another kind.
    """
    try:
        url = make_url(address)
    except (ArgumentError, ValueError) as error:
        raise SearchError(f"{_RULE}; it isn't shown, it may hold a secret: correct it") from error
    is_file = sqlite_path(url) is not None and not url.query
    is_server = url.get_backend_name() == "postgresql" and "@" not in (url.host or "")
    if not (is_file or is_server):
        raise SearchError(f"{_RULE}, got {url.get_backend_name()}://...: correct it")
    return url


def own_storage(address: str) -> URL:
    """Read an address, and look whether what lies there is ours before anything touches it.

    Raises
    ------
    SearchError
        If it is no address, or that of a file which isn't Optuna's database.
    """
    url = storage_url(address)
    if (path := sqlite_path(url)) is not None:
        with speaking(url):
            what = foreign(path, "Optuna")
        if what is not None:
            raise SearchError(
                f"the study storage {path} must be Optuna's database or a new file, it is {what}: "
                "move it away or point FOLDWISE_STUDY_STORAGE elsewhere"
            )
    return url


def sqlite_path(url: URL) -> Path | None:
    """The database's file, where links lead; None for a server or in memory."""
    if url.get_backend_name() != "sqlite" or url.database in (None, "", ":memory:"):
        return None
    return Path(os.path.realpath(str(url.database)))


def shown(url: URL) -> str:
    """The address without user, password and options, which may hold a password, too."""
    return URL.create(
        url.drivername, host=url.host, port=url.port, database=url.database
    ).render_as_string()


@contextmanager
def speaking(url: URL) -> Iterator[None]:
    """Turn the database's complaints into one line."""
    try:
        yield
    except ImportError as error:
        raise SearchError(
            f"the study storage {shown(url)} needs a driver, {error}: install foldwise[postgres]"
        ) from error
    except (SQLAlchemyError, StorageInternalError, sqlite3.Error, OSError) as error:
        reason = str(error.__cause__ or error).strip().splitlines()[0]
        raise SearchError(
            f"the study storage {shown(url)} must be readable and writable, it says: {reason}: "
            "mend it or point FOLDWISE_STUDY_STORAGE elsewhere, completed trials are kept"
        ) from error
