"""Faults of the store as one line."""

import errno
import sqlite3
import subprocess
import sys

import pytest
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import INVALID_PARAMETER_VALUE, TEMPORARILY_UNAVAILABLE
from requests.exceptions import ConnectTimeout

from foldwise.errors import StoreError
from foldwise.store.faults import StoreRefused, reason, store_faults


@pytest.mark.parametrize(
    ("fault", "told"),
    [
        (sqlite3.OperationalError("database is locked"), "another process holds"),
        (OSError(errno.ENOSPC, "No space left on device"), "the disk is full"),
        (sqlite3.DatabaseError("database disk image is malformed"), "damaged"),
        (sqlite3.DatabaseError("file is not a database"), "no SQLite database"),
        (OSError(errno.EROFS, "Read-only file system"), "read-only file system"),
        (ConnectTimeout("connection to x timed out"), "doesn't answer"),
        (MlflowException("Run 'x' not found", INVALID_PARAMETER_VALUE), "Run 'x' not found"),
    ],
)
def test_a_known_fault_is_told_with_its_remedy(fault: Exception, told: str) -> None:
    """Whoever reads the line knows what to do."""
    with pytest.raises(StoreError) as caught, store_faults("recording a trial"):
        raise fault
    assert str(caught.value).startswith("recording a trial: ")
    assert told in str(caught.value)
    assert "\n" not in str(caught.value)
    assert caught.value.__cause__ is fault


def test_an_outage_is_told_from_a_refusal() -> None:
    """After an outage nothing else is tried; after a refusal the rest still is."""
    with pytest.raises(StoreError) as outage, store_faults("x"):
        raise MlflowException("locked", TEMPORARILY_UNAVAILABLE)
    with pytest.raises(StoreError) as refusal, store_faults("x"):
        raise MlflowException("bad name", INVALID_PARAMETER_VALUE)
    assert not isinstance(outage.value, StoreRefused)
    assert isinstance(refusal.value, StoreRefused)


def test_a_mistake_of_ours_is_not_dressed_up_as_a_fault_of_the_store() -> None:
    """A bug keeps its traceback."""
    with pytest.raises(KeyError), store_faults("x"):
        raise KeyError("bug")


def test_a_fault_that_ends_in_a_full_stop_goes_into_a_line_without_it() -> None:
    """A remedy follows: "not found.: register it anew" was told."""
    assert reason(ValueError("Logged model m-1 not found.")) == "Logged model m-1 not found"


def test_a_long_message_is_cut_to_one_line_without_secrets() -> None:
    """Servers answer with whole pages, and requests quote the URL."""
    told = reason(ValueError("at http://ann:s3cr3t@host/x\n" + "word " * 500))
    assert told.startswith("at http://host/x word")
    assert len(told) <= 300


def test_importing_the_store_does_not_import_mlflow() -> None:
    """`foldwise --help` answers at once; MLflow takes a second to import."""
    code = (
        "import sys, foldwise.runs.recorder, foldwise.store.database;"
        "print(sorted({'mlflow', 'sqlalchemy', 'requests', 'alembic'} & set(sys.modules)))"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert told.stdout == "[]\n"
