"""A team's servers on loopback: PostgreSQL, and an MLflow server on it that asks for passwords."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from tests.waiting import end_group, free_port, tail, wait_until

_PLACES = sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
_SERVER = {
    "MLFLOW_FLASK_SERVER_SECRET_KEY": "for the session cookies",
    "MLFLOW_AUTH_ADMIN_PASSWORD": "the admin's own password",
    "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
}


@dataclass(frozen=True, slots=True)
class Postgres:
    """A running PostgreSQL."""

    port: int

    def url(self, database: str) -> str:
        """A database's address, with its user and password."""
        return f"postgresql://foldwise:a+secret@127.0.0.1:{self.port}/{database}"

    def holders(self) -> int:
        """How many connections hold an advisory lock in the trials' database."""
        import psycopg

        locks = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND granted"
        # The lock of who creates the tables is told apart by its number, a small one.
        with psycopg.connect(self.url("optuna")) as connection:
            found = connection.execute(f"{locks} AND classid <> 0".encode()).fetchone()
        return int(found[0]) if found else 0

    def content(self, database: str) -> str:
        """All rows of all tables, as text."""
        import psycopg

        tables = "SELECT tablename FROM pg_tables WHERE schemaname = 'public'"
        with psycopg.connect(self.url(database)) as connection:
            names = [name for (name,) in connection.execute(tables.encode()).fetchall()]
            rows = [connection.execute(f'TABLE "{name}"'.encode()).fetchall() for name in names]
        return repr(rows)

    def create(self, *databases: str) -> None:
        """Create databases."""
        import psycopg

        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            for name in databases:
                connection.execute(f"CREATE DATABASE {name}".encode())


def postgres_program(name: str) -> str | None:
    """Where a program of PostgreSQL is; Debian keeps them off the PATH."""
    path = os.pathsep.join([os.environ["PATH"], *map(str, _PLACES)])
    return shutil.which(name, path=path)


@contextmanager
def postgres() -> Iterator[Postgres]:
    """A new PostgreSQL in a temporary folder; as user postgres where we are root."""
    # Not in pytest's folder: that is closed to other users, and root may not run PostgreSQL.
    folder = Path(tempfile.mkdtemp(prefix="foldwise-postgres-"))
    user = "postgres" if os.geteuid() == 0 else None
    if user:
        shutil.chown(folder, user, user)
    as_user = {"user": user, "group": user, "extra_groups": []} if user else {}
    (folder / "password").write_text("a+secret")
    (folder / "password").chmod(0o644)
    data = folder / "data"
    try:
        subprocess.run(
            [
                *(str(postgres_program("initdb")), "--pgdata", str(data), "--encoding=UTF8"),
                *("--username=foldwise", "--auth=scram-sha-256", "--no-sync"),
                f"--pwfile={folder / 'password'}",
            ],
            check=True,
            capture_output=True,
            cwd=folder,
            **as_user,  # type: ignore[call-overload]
        )
        running = Postgres(free_port())
        command = (
            *(str(postgres_program("postgres")), "-D", str(data), "-p", str(running.port)),
            *("-c", "listen_addresses=127.0.0.1", "-c", f"unix_socket_directories={folder}"),
        )
        create = partial(running.create, "mlflow", "mlflow_auth", "optuna")
        with _process(command, folder, create, **as_user):
            yield running
    finally:
        shutil.rmtree(folder)


@contextmanager
def mlflow_server(database: Postgres, folder: Path) -> Iterator[str]:
    """An MLflow server with served artifacts and passwords; gives its address."""
    folder.mkdir()
    port = free_port()
    (folder / "auth.ini").write_text(
        "[mlflow]\ndefault_permission = EDIT\nadmin_username = admin\n"
        f"database_uri = {database.url('mlflow_auth')}\n"
        "authorization_function = mlflow.server.auth:authenticate_request_basic_auth\n"
        "auth_cache_ttl_seconds = 60\n"
    )
    command = (
        *(sys.executable, "-m", "mlflow", "server", "--app-name", "basic-auth"),
        *("--backend-store-uri", database.url("mlflow")),
        *("--artifacts-destination", str(folder / "artifacts")),
        *("--host", "127.0.0.1", "--port", str(port), "--workers", "1"),
    )
    environment = {**os.environ, **_SERVER, "MLFLOW_AUTH_CONFIG_PATH": str(folder / "auth.ini")}
    address = f"http://127.0.0.1:{port}"
    ask = partial(urllib.request.urlopen, f"{address}/health", timeout=5)
    with _process(command, folder, lambda: ask().close(), env=environment):
        yield address


def _works(attempt: Callable[[], object]) -> bool:
    import psycopg

    with suppress(OSError, psycopg.OperationalError):
        attempt()
        return True
    return False


@contextmanager
def _process(
    command: tuple[str, ...], folder: Path, attempt: Callable[[], object], **options: object
) -> Iterator[None]:
    """A process that an attempt succeeds with, however long that takes."""
    log = folder / "log"
    with log.open("w") as printed:
        process = subprocess.Popen(  # type: ignore[call-overload]
            command, cwd=folder, stdout=printed, stderr=printed, start_new_session=True, **options
        )
        try:
            wait_until(
                lambda: _works(attempt),
                f"{command[0]} answers",
                ended=lambda: process.poll() is not None,
                told=lambda: tail(log),
            )
            yield
        finally:
            end_group(process, signal.SIGINT)
