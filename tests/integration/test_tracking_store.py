"""Opening the SQLite store: created once, and refused in one line when something is wrong."""

import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from foldwise.errors import StoreError
from foldwise.store import database
from foldwise.store.open import Store, open_store
from tests.integration.registry_cases import forks, start_together
from tests.waiting import wait_until

_REPOSITORY = Path(__file__).parents[2]


def _open(root: Path, told: Path) -> None:
    """Open the store in a process of its own; what is printed lies in a file."""
    with told.open("w") as file:
        for number in (1, 2):
            os.dup2(file.fileno(), number)
    os.write(1, f"{open_store(root).experiment('blobs')}\n".encode())


def _database(root: Path) -> Path:
    return root / "mlruns" / "mlflow.db"


def test_processes_that_create_the_store_at_once_do_not_collide(tmp_path: Path) -> None:
    """Each of three gets the one experiment of the one store, and nothing is printed beside."""
    files = [tmp_path / f"told-{number}" for number in range(3)]
    assert start_together(*(partial(_open, tmp_path, file) for file in files)) == [0, 0, 0]
    assert [file.read_text() for file in files] == ["1\n"] * 3
    with closing(sqlite3.connect(_database(tmp_path))) as connection:
        names = [row[0] for row in connection.execute("SELECT name FROM experiments")]
    assert sorted(names) == ["Default", "blobs"]


def test_a_creation_killed_at_any_moment_leaves_no_half_store(tmp_path: Path) -> None:
    """The database appears whole or not at all, and the next process goes on."""
    opening = forks().Process(target=_open, args=(tmp_path, tmp_path / "told"))
    opening.start()
    partial_file = tmp_path / "mlruns" / ".mlflow.partial.db"
    wait_until(lambda: partial_file.exists() and partial_file.stat().st_size > 0, "its database")
    opening.kill()
    opening.join()
    assert not _database(tmp_path).exists()
    assert open_store(tmp_path).experiment("blobs") == "1"
    assert not partial_file.exists()


def test_opening_again_changes_nothing(store: Store) -> None:
    """Every command opens the store; none may touch what it finds."""
    store.experiment("blobs")
    before = _database(store.root).read_bytes()
    open_store(store.root).experiment("blobs")
    assert _database(store.root).read_bytes() == before


def test_all_artifacts_lie_under_mlruns(store: Store) -> None:
    """MLflow's own default experiment, too, which it would put into the working folder."""
    store.experiment("blobs")
    places = {each.name: each.artifact_location for each in store.client.search_experiments()}
    inside = store.root / "mlruns" / "artifacts"
    assert places == {"blobs": str(inside / "blobs"), "Default": str(inside / "0")}


def test_two_projects_in_one_process_have_two_stores(store: Store, store_template: Path) -> None:
    """MLflow's global address is left alone, so no store gets another's runs."""
    other = open_store(store_template)
    assert store.experiment("here")
    assert other.find_experiment("here") is None


def test_a_folder_with_blanks_and_umlauts_works(tmp_path: Path) -> None:
    """Paths go into URLs, where such names need care."""
    root = tmp_path / "Söhne & Töchter #1"
    store = open_store(root)
    run = store.client.create_run(store.experiment("blobs"))
    store.client.log_text(run.info.run_id, "x", "a.txt")
    assert (root / "mlruns/artifacts/blobs" / run.info.run_id / "artifacts/a.txt").exists()


def test_module_level_functions_use_the_store_only_while_told_to(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`log_model` needs the global address; afterwards it is what the user had set."""
    import os

    import mlflow

    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://users-own:5000")
    with store.as_default():
        assert mlflow.get_tracking_uri() == store.tracking_uri
        assert mlflow.get_registry_uri() == store.tracking_uri
    assert os.environ["MLFLOW_TRACKING_URI"] == "http://users-own:5000"
    assert mlflow.get_tracking_uri() == "http://users-own:5000"
    assert "MLFLOW_REGISTRY_URI" not in os.environ


def test_an_empty_database_file_is_refused(root: Path) -> None:
    """MLflow would fill it anew, and all that was recorded would seem never to have been."""
    _database(root).write_bytes(b"")
    with pytest.raises(StoreError, match=r"mlflow\.db .* is empty: put a backup in its place"):
        open_store(root)
    assert _database(root).read_bytes() == b""


@pytest.fixture
def _mlflow_is_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    """It would try for a hundred seconds."""

    def asked(*_: object, **__: object) -> None:
        pytest.fail("MLflow opened the database")

    monkeypatch.setattr("mlflow.store.tracking.sqlalchemy_store.SqlAlchemyStore.__init__", asked)


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch, _mlflow_is_not_asked: None) -> list[float | None]:
    """For how many seconds each connection to a database waits; here for a fifth of one."""
    assert database._BUSY_SECONDS <= 5
    monkeypatch.setattr(database, "_BUSY_SECONDS", 0.2)
    told: list[float | None] = []
    connect: Any = sqlite3.connect

    def connecting(*args: Any, **options: Any) -> Any:
        if "uri" not in options:  # as ours is looked at first, without a lock
            told.append(options.get("timeout"))
        return connect(*args, **options)

    monkeypatch.setattr(sqlite3, "connect", connecting)
    return told


@pytest.mark.usefixtures("_mlflow_is_not_asked")
@pytest.mark.parametrize("share", [0.1, 0.5, 0.999])
def test_a_truncated_database_is_refused_at_once(root: Path, share: float) -> None:
    """Before MLflow is asked; the file is left as it is."""
    whole = _database(root).read_bytes()
    damaged = whole[: int(len(whole) * share)]
    _database(root).write_bytes(damaged)
    with pytest.raises(StoreError, match=r"damaged.*: put a backup in its place"):
        open_store(root)
    assert _database(root).read_bytes() == damaged


_WRITE_HALF = """
import os, sqlite3, sys

connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("PRAGMA cache_size = 1")
connection.execute("PRAGMA cache_spill = 1")
connection.execute("BEGIN")
connection.execute("CREATE TABLE filler (x)")
for _ in range(2000):
    connection.execute("INSERT INTO filler VALUES (randomblob(3000))")
os._exit(9)
"""


def test_a_write_that_was_killed_is_taken_back_not_called_damage(root: Path) -> None:
    """SQLite's journal makes the half-written file whole again."""
    before = _database(root).read_bytes()
    subprocess.run([sys.executable, "-c", _WRITE_HALF, str(_database(root))], check=False)
    assert _database(root).with_name("mlflow.db-journal").stat().st_size > 0
    assert _database(root).read_bytes() != before
    open_store(root)
    assert _database(root).read_bytes() == before


def test_a_file_that_is_no_database_is_refused(root: Path) -> None:
    """Someone may have put anything there."""
    _database(root).write_bytes(b"version https://git-lfs.github.com/spec/v1\n" * 40)
    with pytest.raises(StoreError, match="no SQLite database: put a backup in its place"):
        open_store(root)


def test_another_programs_database_is_refused(root: Path) -> None:
    """Optuna's database would be filled with MLflow's tables."""
    _database(root).unlink()
    with closing(sqlite3.connect(_database(root))) as connection:
        connection.execute("CREATE TABLE studies (study_id INTEGER)")
    with pytest.raises(StoreError, match=r"another program's, .*: .* correct MLFLOW_TRACKING_URI"):
        open_store(root)


@pytest.mark.parametrize("lock", ["EXCLUSIVE", "IMMEDIATE"])
def test_a_locked_database_is_told_within_seconds(
    root: Path, lock: str, request: pytest.FixtureRequest
) -> None:
    """Whether the other program lets nobody read or only nobody write, the line says what to do."""
    with closing(sqlite3.connect(_database(root), isolation_level=None)) as holder:
        holder.execute(f"BEGIN {lock}")
        waits = request.getfixturevalue("waits")
        with pytest.raises(StoreError, match="another process holds the database: end it"):
            open_store(root)
    assert waits == [0.2]


def test_a_database_that_is_locked_later_is_told_within_seconds_too(
    store: Store, request: pytest.FixtureRequest
) -> None:
    """MLflow waits for 20 seconds, each time it is asked again."""
    with closing(sqlite3.connect(_database(store.root), isolation_level=None)) as holder:
        holder.execute("BEGIN EXCLUSIVE")
        waits = request.getfixturevalue("waits")
        with pytest.raises(StoreError, match="another process holds the database: end it"):
            store.check()
    assert waits == [0.2]
    store.check()


@pytest.mark.parametrize("version", ["ffffffffffff", "451aebb31d03"])
def test_a_database_of_another_mlflow_is_refused(root: Path, version: str) -> None:
    """A newer schema can't be read; an older one is not changed without a word."""
    with closing(sqlite3.connect(_database(root))) as connection, connection:
        connection.execute("UPDATE alembic_version SET version_num = ?", (version,))
    before = _database(root).read_bytes()
    with pytest.raises(StoreError, match=rf"schema {version}\): install .* `mlflow db upgrade 's"):
        open_store(root)
    assert _database(root).read_bytes() == before


_LOOK_AS_NOBODY = """
import os, sys
from pathlib import Path
from foldwise.errors import StoreError
from foldwise.store.database import check_database

os.chdir(sys.argv[1])
if os.geteuid() == 0:  # root may write anywhere
    os.setuid(65534)
try:
    check_database(Path("mlruns/mlflow.db"), Path())
except StoreError as error:
    print(error)
"""


@pytest.mark.parametrize("locked", ["mlruns", "mlruns/mlflow.db"])
def test_a_read_only_store_is_told_before_any_work(root: Path, locked: str) -> None:
    """A read-only folder lets SQLite read, and fails at the first write."""
    for path in (root, *root.rglob("*")):
        path.chmod(0o777)
    (root / locked).chmod(0o555)
    told = subprocess.run(
        [sys.executable, "-c", _LOOK_AS_NOBODY, str(root)],
        cwd=_REPOSITORY,
        capture_output=True,
        text=True,
        check=True,
    )
    assert told.stdout == f"{locked} is read-only: give this user write permission\n"


def test_a_deleted_experiment_is_named_with_a_command_that_brings_it_back(
    store: Store, tmp_path: Path
) -> None:
    """MLflow keeps its name taken. Typed anywhere, the command acts on this store and no other."""
    store.client.delete_experiment(known := store.experiment("blobs"))
    with pytest.raises(StoreError, match=r"was deleted in MLflow: run `[^`]+`$") as caught:
        store.experiment("blobs")
    command, elsewhere = str(caught.value).split("`")[1], tmp_path / "elsewhere"
    elsewhere.mkdir()
    scripts = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = {**os.environ, "PATH": scripts}
    subprocess.run(["bash", "-c", command], cwd=elsewhere, env=environment, check=True)
    assert store.experiment("blobs") == known
    assert list(elsewhere.iterdir()) == []


def test_an_experiment_made_by_a_server_is_not_written_to_from_here(store: Store) -> None:
    """Its artifacts are behind that server's address, which a file store can't reach."""
    store.client.create_experiment("blobs", artifact_location="mlflow-artifacts:/7")
    with pytest.raises(StoreError, match="behind a server: set MLFLOW_TRACKING_URI"):
        store.experiment("blobs")
