"""What goes wrong in the store, as one StoreError line with its remedy; and MLflow kept quiet."""

import logging
import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

from foldwise.errors import StoreError
from foldwise.store.address import redacted

# What the user has set wins. A dead server would otherwise hold a client for two minutes a call.
_DEFAULTS = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "DO_NOT_TRACK": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "MLFLOW_PRINT_MODEL_URLS_ON_CREATION": "false",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR": "1",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "15",
    "GIT_PYTHON_REFRESH": "quiet",
}


@cache
def import_mlflow() -> None:
    """Import MLflow, which takes a second: call it where the store is first needed.

    With ``MLFLOW_LOGGING_LEVEL`` set, MLflow's own messages are shown.
    """
    for name, value in _DEFAULTS.items():
        os.environ.setdefault(name, value)
    import mlflow  # noqa: F401

    if "MLFLOW_LOGGING_LEVEL" not in os.environ:
        logging.getLogger("mlflow").setLevel(logging.ERROR)
        # Logs a traceback for each lock and full disk; we say it in one line.
        logging.getLogger("mlflow.store.db.utils").setLevel(logging.CRITICAL)
        logging.getLogger("alembic").setLevel(logging.ERROR)


_LONGEST = 300
_OUTAGES = {"INTERNAL_ERROR", "TEMPORARILY_UNAVAILABLE", "REQUEST_LIMIT_EXCEEDED"}

_REMEDIES = (
    ("database is locked", "another process holds the database: end it, then run again"),
    ("readonly database", "the database is read-only: give write permission to mlruns/"),
    ("read-only file system", "mlruns/ lies on a read-only file system: mount it writable"),
    ("permission denied", "give this user write permission to mlruns/"),
    ("disk is full", "the disk is full: free space, then run again"),
    ("no space left", "the disk is full: free space, then run again"),
    ("disk i/o error", "the disk can't be read or written: free space or check it"),
    ("malformed", "the database is damaged: put a backup in its place"),
    ("not a database", "the file is no SQLite database: put a backup in its place"),
    ("unable to open database", "the database can't be opened: check mlruns/ and its permissions"),
    ("timed out", "the server doesn't answer: check that it runs, then run again"),
    ("max retries exceeded", "the server can't be reached: check that it runs, then run again"),
    ("connection", "the server can't be reached: check that it runs, then run again"),
)


class StoreRefused(StoreError):
    """The store is there and says no to this one request; others may succeed."""


class Tolerating:
    """Passes over MLflow's errors of these codes, as `contextlib.suppress` those of a type."""

    def __init__(self, *codes: str) -> None:
        self._codes = codes

    def __enter__(self) -> None:
        return None

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> bool:
        return getattr(error, "error_code", None) in self._codes


@contextmanager
def store_faults(doing: str) -> Iterator[None]:
    """Turn any fault of MLflow, SQLite, network or disk inside the block into a StoreError.

    Its line begins with what was being done, such as ``"recording outer-0"``.
    """
    import_mlflow()
    from mlflow.exceptions import MlflowException
    from requests.exceptions import RequestException
    from sqlalchemy.exc import SQLAlchemyError

    try:
        yield
    except StoreError:
        raise
    except MlflowException as error:
        kind = StoreError if getattr(error, "error_code", "") in _OUTAGES else StoreRefused
        raise kind(f"{doing}: {reason(error)}") from error
    except (RequestException, SQLAlchemyError, sqlite3.Error) as error:
        raise StoreError(f"{doing}: {reason(error)}") from error
    except OSError as error:
        raise StoreRefused(f"{doing}: {reason(error)}") from error


def reason(error: BaseException) -> str:
    """The fault in one line, without secrets: the remedy if it is a known one."""
    told = " ".join(redacted(str(error)).split()).rstrip(".") or type(error).__name__
    for sign, remedy in _REMEDIES:
        if sign in told.lower():
            return remedy
    return told if len(told) <= _LONGEST else told[: _LONGEST - 3] + "..."
