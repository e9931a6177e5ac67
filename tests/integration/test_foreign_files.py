"""A database's address that leads to somebody else's file: one line, and nothing is touched."""

import contextlib
import os
import re
import shutil
import socket
import sqlite3
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing
from pathlib import Path

import pytest

from foldwise.app.ui import serve_ui
from foldwise.errors import FoldwiseError, OutputError, SearchError, StoreError
from foldwise.ownership import foreign
from foldwise.search.book import StudyStorage, close_attempt, open_book, search_lock
from foldwise.search.trials import Part, Study
from foldwise.store.database import relocate
from foldwise.store.mutex import held
from foldwise.store.open import Store, open_store
from tests.unit.search.search_cases import SPACE, a_trial

KEY = "0123abcd"

_KILLED_WHILE_WRITING = """
import os, sqlite3, sys

connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("PRAGMA cache_size = 1")
connection.execute("BEGIN")
for _ in range(300):
    connection.execute("INSERT INTO songs VALUES (hex(randomblob(3000)))")
os._exit(9)
"""


def make_songs(path: Path, *, journal: str = "delete") -> None:
    """Another program's database."""
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(f"PRAGMA journal_mode = {journal}")
        with connection:
            connection.execute("CREATE TABLE songs (title TEXT)")
            connection.executemany("INSERT INTO songs VALUES (?)", [("x" * 900,)] * 50)


def make_archive(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a.txt", "x" * 100)


def make_cut(path: Path, *, length: int) -> None:
    make_songs(path)
    path.write_bytes(path.read_bytes()[:length])


def make_half_written(path: Path) -> None:
    """With the journal by which its own program would take the half back."""
    make_songs(path)
    subprocess.run([sys.executable, "-c", _KILLED_WHILE_WRITING, str(path)], check=False)
    assert path.with_name(f"{path.name}-journal").stat().st_size > 0


def make_link(path: Path) -> None:
    make_songs(path.with_name("songs.db"))
    path.symlink_to("songs.db")


def make_hard_link(path: Path) -> None:
    path.with_name("notes.txt").write_text("mine")
    path.hardlink_to(path.with_name("notes.txt"))


def make_socket(path: Path) -> None:
    with closing(socket.socket(socket.AF_UNIX)) as server, contextlib.chdir(path.parent):
        server.bind(path.name)


def make_clinic(path: Path) -> None:
    """Tables that Optuna and MLflow have, too, in a database that is neither's."""
    with closing(sqlite3.connect(path)) as connection, connection:
        for table in ("studies", "trials", "experiments", "runs", "alembic_version"):
            connection.execute(f"CREATE TABLE {table} (id INTEGER)")


KINDS: dict[str, Callable[[Path], object]] = {
    "text": lambda path: path.write_text("dear diary\n" * 50),
    "csv": lambda path: path.write_text("a,b\n1,2\n"),
    "one byte": lambda path: path.write_bytes(b"S"),
    "empty": lambda path: path.touch(),
    "zeros": lambda path: path.write_bytes(bytes(8192)),
    "archive": make_archive,
    "only SQLite's first bytes": lambda path: path.write_bytes(b"SQLite format 3\0"),
    "cut in its first page": lambda path: make_cut(path, length=700),
    "cut in half": lambda path: make_cut(path, length=20_000),
    "folder": lambda path: path.mkdir(),
    "pipe": os.mkfifo,
    "socket": make_socket,
    "device": lambda path: path.symlink_to("/dev/null"),
    "link": make_link,
    "link that leads nowhere": lambda path: path.symlink_to("nowhere.db"),
    "link to itself": lambda path: path.symlink_to(path.name),
    "hard link": make_hard_link,
    "another program's": make_songs,
    "another program's with a log": lambda path: make_songs(path, journal="wal"),
    "another program's, half written": make_half_written,
    "tables of the same names": make_clinic,
}


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """Where somebody else's file will lie, beside nothing else."""
    folder = tmp_path / "theirs"
    folder.mkdir()
    return folder / "store.db"


@pytest.fixture
def mlflow_database(store_template: Path) -> Path:
    return store_template / "mlruns" / "mlflow.db"


def seen(folder: Path) -> dict[str, tuple[object, ...]]:
    """All that a look at a folder shows: names, kinds, bytes and times."""
    return {
        str(path.relative_to(folder)): (
            path.lstat().st_mode,
            path.lstat().st_mtime_ns,
            path.lstat().st_ino,
            path.readlink() if path.is_symlink() else None,
            path.read_bytes() if path.is_file() else None,
        )
        for path in (folder, *folder.rglob("*"))
    }


def study_commands(address: str) -> Iterator[Callable[[], object]]:
    """All that a stage does with the study storage, each by itself."""
    yield lambda: search_lock(address, KEY).__enter__()
    yield lambda: open_book(address, KEY, SPACE, fresh=True)
    yield lambda: close_attempt(address, KEY, 1, SPACE)


@pytest.mark.parametrize("kind", KINDS)
def test_no_study_is_kept_in_a_file_that_is_not_optunas(kind: str, place: Path) -> None:
    """Not even in the project's own folder is it moved, emptied, written or locked."""
    KINDS[kind](place)
    before = seen(place.parent)
    for command in study_commands(f"sqlite:///{place}"):
        with pytest.raises(
            SearchError, match=r"the study storage .*FOLDWISE_STUDY_STORAGE"
        ) as told:
            command()
        assert "\n" not in str(told.value)
    with pytest.raises(SearchError):
        open_book(f"sqlite:///{place}", KEY, SPACE, home=place.parent)
    assert seen(place.parent) == before


@pytest.mark.parametrize("kind", KINDS)
def test_no_run_is_recorded_in_a_file_that_is_not_mlflows(
    kind: str, place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever command it is that opens the store."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{place}")
    KINDS[kind](place)
    before = seen(place.parent)
    commands: tuple[Callable[[], object], ...] = (
        lambda: open_store(tmp_path),
        lambda: relocate(tmp_path),
        lambda: serve_ui(root=tmp_path),
    )
    for command in commands:
        with pytest.raises(StoreError) as told:
            command()
        assert "\n" not in str(told.value)
    assert seen(place.parent) == before


def test_a_database_below_a_file_is_told_by_its_own_path(
    place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not by that of a lock, of which nobody has heard."""
    place.write_text("mine")
    before, below = seen(place.parent), f"{place}/trials.db"
    said = rf"{re.escape(below)} must be .* it is to be made in {re.escape(str(place))}, which is"
    for command in study_commands(f"sqlite:///{below}"):
        with pytest.raises(SearchError, match=said):
            command()
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{below}")
    with pytest.raises(StoreError, match=said):
        open_store(tmp_path)
    assert seen(place.parent) == before


def test_mlflows_database_takes_no_studies(
    place: Path, mlflow_database: Path, tmp_path: Path
) -> None:
    """Nor does one that got Optuna's tables already: one slip in a shell gives both addresses."""
    shutil.copy2(mlflow_database, place)
    before = seen(place.parent)
    for command in study_commands(f"sqlite:///{place}"):
        with pytest.raises(SearchError, match="new file, it is MLflow's: move it away or point"):
            command()
    assert seen(place.parent) == before
    open_book(f"sqlite:///{tmp_path}/optuna.db", KEY, SPACE)
    with closing(sqlite3.connect(tmp_path / "optuna.db")) as optuna:
        schema = "SELECT sql FROM sqlite_master WHERE type = 'table' AND name != 'alembic_version'"
        with closing(sqlite3.connect(place)) as connection:
            for (sql,) in optuna.execute(schema).fetchall():
                connection.execute(sql)
    with pytest.raises(SearchError, match="it is MLflow's"):
        open_book(f"sqlite:///{place}", KEY, SPACE)


def test_optunas_database_takes_no_runs(
    place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And still takes studies."""
    address = f"sqlite:///{place}"
    open_book(address, KEY, SPACE).add(a_trial())
    monkeypatch.setenv("MLFLOW_TRACKING_URI", address)
    before = seen(place.parent)
    with pytest.raises(StoreError, match="must be MLflow's database, it is Optuna's"):
        open_store(tmp_path)
    assert seen(place.parent) == before
    assert open_book(address, KEY, SPACE).completed(a_trial().study) == (a_trial(),)


@pytest.mark.parametrize("kind", ["text", "pipe"])
def test_what_the_study_storages_line_says_helps(kind: str, place: Path, tmp_path: Path) -> None:
    """Another place, or the file moved away: both take the search."""
    KINDS[kind](place)
    with pytest.raises(SearchError, match="move it away or point FOLDWISE_STUDY_STORAGE elsewhere"):
        open_book(f"sqlite:///{place}", KEY, SPACE)
    assert open_book(f"sqlite:///{tmp_path}/other.db", KEY, SPACE).attempt == 1
    place.rename(place.with_name("moved away"))
    assert open_book(f"sqlite:///{place}", KEY, SPACE).attempt == 1


@pytest.mark.parametrize("kind", ["text", "pipe"])
def test_what_the_tracking_databases_line_says_helps(
    kind: str, place: Path, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A backup, a new store or another address: each opens."""
    KINDS[kind](place)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{place}")
    with pytest.raises(StoreError, match=r"put a backup .*, move it away .*, or correct MLFLOW_T"):
        open_store(root)
    place.rename(place.with_name("moved away"))
    assert open_store(root).experiment("new") == "1"
    backup = place.read_bytes()
    place.unlink()
    KINDS[kind](place)
    place.unlink()
    place.write_bytes(backup)
    assert open_store(root).find_experiment("new") == "1"
    monkeypatch.delenv("MLFLOW_TRACKING_URI")
    assert open_store(root).find_experiment("new") is None


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_a_damaged_study_storage_elsewhere_stays_where_it_is(share: float, place: Path) -> None:
    """A team's, or a backup's folder: the line says what to do, and both remedies help."""
    address, mlruns = f"sqlite:///{place}", place.parent.parent / "mlruns"
    open_book(address, KEY, SPACE).add(a_trial())
    whole = place.read_bytes()
    place.write_bytes(whole[: int(share * len(whole))])
    before = seen(place.parent)
    with pytest.raises(SearchError, match=r"damaged .*: put a backup in its place or move it away"):
        open_book(address, KEY, SPACE, home=mlruns)
    assert seen(place.parent) == before
    place.rename(place.with_name("moved away"))
    assert open_book(address, KEY, SPACE, home=mlruns).completed(Study(Part(0, 0))) == ()
    place.write_bytes(whole)
    assert open_book(address, KEY, SPACE, home=mlruns).completed(a_trial().study) == (a_trial(),)


def test_what_was_kept_aside_is_never_overwritten(place: Path) -> None:
    """Nor is a link of that name followed."""
    address = f"sqlite:///{place}"
    place.with_name("store.db.damaged-1").write_text("mine")
    place.with_name("store.db.damaged-2").symlink_to("nowhere")
    open_book(address, KEY, SPACE)
    place.write_bytes(place.read_bytes()[:20_000])
    with pytest.raises(SearchError, match=r"kept as store\.db\.damaged-3; run again"):
        open_book(address, KEY, SPACE, home=place.parent)
    assert place.with_name("store.db.damaged-1").read_text() == "mine"
    assert not place.with_name("nowhere").exists()
    assert open_book(address, KEY, SPACE, home=place.parent).attempt == 1


def test_a_link_to_a_study_storage_of_ours_is_followed(place: Path, tmp_path: Path) -> None:
    """Both names are one storage with one lock, which lies beside the file itself."""
    address, link = f"sqlite:///{place}", tmp_path / "link.db"
    open_book(address, KEY, SPACE).add(a_trial())
    link.symlink_to(place)
    assert open_book(f"sqlite:///{link}", KEY, SPACE).completed(a_trial().study) == (a_trial(),)
    with search_lock(address, KEY), pytest.raises(SearchError, match="another is at it"):
        search_lock(f"sqlite:///{link}", KEY).__enter__()
    assert {path.name for path in tmp_path.iterdir()} == {"theirs", "link.db"}


def test_nothing_is_made_behind_a_link_that_leads_nowhere(place: Path, tmp_path: Path) -> None:
    """``mlruns/`` may lie on a disk that isn't mounted just now; with it, both stores open."""
    (tmp_path / "mlruns").symlink_to(place.parent / "disk")
    address = f"sqlite:///{tmp_path}/mlruns/optuna.db"
    with pytest.raises(StoreError, match=r"behind .*/mlruns, a link that leads nowhere: make or m"):
        open_store(tmp_path)
    with pytest.raises(SearchError, match=r"behind .*/mlruns, a link that leads nowhere: move it"):
        open_book(address, KEY, SPACE)
    assert not [*place.parent.iterdir()]
    (place.parent / "disk").mkdir()
    assert open_store(tmp_path).find_experiment("new") is None
    assert open_book(address, KEY, SPACE).attempt == 1


def test_an_address_with_options_leads_past_no_check(place: Path) -> None:
    """`uri=true` would make SQLite open another file than the one that was looked at."""
    make_songs(place)
    before = seen(place.parent)
    with pytest.raises(SearchError, match="FOLDWISE_STUDY_STORAGE must be"):
        open_book(f"sqlite:///file:{place}?uri=true", KEY, SPACE)
    assert seen(place.parent) == before


LOCKS: dict[str, Callable[[Path], object]] = {
    "text": lambda path: path.write_text("mine"),
    "link": make_link,
    "hard link": make_hard_link,
    "folder": lambda path: path.mkdir(),
    "pipe": os.mkfifo,
}


@pytest.mark.parametrize("kind", LOCKS)
def test_taking_a_lock_empties_no_file(kind: str, store: Store, tmp_path: Path) -> None:
    """Whatever lies at a lock's place; moved away, as the line says, the lock is taken."""
    theirs = tmp_path / "theirs"
    theirs.mkdir()
    address = f"sqlite:///{theirs}/optuna.db"
    locks: dict[Path, Callable[[], AbstractContextManager[object]]] = {
        theirs / ".optuna.db.lock": lambda: StudyStorage.parse(address).creation_lock(),
        theirs / "locks" / f"{KEY}.lock": lambda: search_lock(address, KEY),
        store.root / "mlruns" / "locks" / "search-x.lock": lambda: held(store, "search-x", "x"),
    }
    for lock, taking in locks.items():
        lock.parent.mkdir(exist_ok=True)
        LOCKS[kind](lock)
        before = seen(lock.parent)
        with pytest.raises(OutputError, match=r"move it away|run `rm "):
            taking().__enter__()
        assert seen(lock.parent) == before
        lock.rename(lock.with_name("moved away"))
        with taking():
            pass


def test_a_file_that_is_being_written_is_recognised_all_the_same(place: Path) -> None:
    """A look that waits for no lock may meet any mixture of old and new pages."""
    open_book(f"sqlite:///{place}", KEY, SPACE)
    whole = place.read_bytes()
    for torn in (b"\0" * 8, b"\xff" * 400):
        place.write_bytes(whole[:100] + torn + whole[100 + len(torn) :])
        assert foreign(place, "Optuna") is None
        assert foreign(place, "MLflow") == "Optuna's"


def test_all_these_are_lines_of_ours() -> None:
    """Which end a command with status 1 and no traceback."""
    assert all(issubclass(kind, FoldwiseError) for kind in (OutputError, SearchError, StoreError))
