"""Completed trials, kept in Optuna's storage: what a killed search goes on from.

Where completed trials are kept: a storage's address, read once and never shown with a secret.

Locks that lie where the trials lie, so that whoever shares a storage heeds them.

Beside a SQLite file it is a file; PostgreSQL keeps advisory locks of its own, one a database,
whoever asks, and gone with the connection that took them.
"""

import hashlib
import json
import os
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

import optuna
from filelock import Timeout
from optuna.exceptions import StorageInternalError
from sqlalchemy import Connection, NullPool, create_engine, func, select
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, SQLAlchemyError

from foldwise.errors import SearchError
from foldwise.ownership import claim_beside, foreign, lock_file, mark_as_optunas
from foldwise.search.space import Space, direction
from foldwise.search.trials import FINAL, Study, Trial, trial_from_json, trial_to_json

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


_TRIAL = "foldwise"
_CLOSED = "closed"
_BUSY_SECONDS = 60


class TrialBook:
    """The completed trials of one attempt at one search.

    Attributes
    ----------
    attempt : int
        From 1.
    """

    def __init__(self, url: URL, key: str, attempt: int, space: Space) -> None:
        self.attempt = attempt
        self._url, self._key, self._space = url, key, space
        with speaking(url):
            self._storage = _connect(url)

    def completed(self, study: Study) -> tuple[Trial, ...]:
        """The study's completed trials, by number, without gaps or repeats closed up."""
        with speaking(self._url):
            stored = self._study(study).get_trials(deepcopy=False)
        trials: dict[int, Trial] = {}
        for frozen in stored:
            trial = trial_from_json(json.loads(frozen.user_attrs[_TRIAL]))
            trials.setdefault(trial.number, trial)
        return tuple(trials[number] for number in sorted(trials))

    def add(self, trial: Trial) -> None:
        """Keep a completed trial."""
        attrs = {_TRIAL: json.dumps(trial_to_json(trial))}
        with speaking(self._url):
            self._study(trial.study).add_trial(self._space.frozen(trial, attrs))

    def close(self, how: str) -> None:
        """End the attempt ("registered", "abandoned"): the same key then starts a new one."""
        with speaking(self._url):
            self._study(FINAL).set_user_attr(_CLOSED, how)

    @property
    def is_closed(self) -> bool:
        """Whether the attempt has been ended."""
        with speaking(self._url):
            return _CLOSED in self._study(FINAL).user_attrs

    def _study(self, study: Study) -> optuna.Study:
        return optuna.create_study(
            storage=self._storage,
            study_name=_name(self._key, self.attempt, study),
            direction=direction(self._space.metric),
            load_if_exists=True,
        )


def open_book(
    address: str, key: str, space: Space, *, fresh: bool = False, home: Path | None = None
) -> TrialBook:
    """The key's open attempt, or its next one; ``fresh`` abandons an open one first.

    A damaged SQLite file is kept aside if it lies in ``home``, and stays where it is elsewhere.

    Raises
    ------
    SearchError
        If the storage can't be reached, read or written, is damaged or isn't ours.
    """
    url = _opened(address, home)
    last = max(_attempts(url, key), default=0)
    if last:
        book = TrialBook(url, key, last, space)
        if fresh and not book.is_closed:
            book.close("abandoned")
        if not book.is_closed:
            return book
    return TrialBook(url, key, last + 1, space)


def close_attempt(
    address: str, key: str, attempt: int, space: Space, *, home: Path | None = None
) -> None:
    """Close an attempt as registered, if this storage knows it."""
    url = _opened(address, home)
    if attempt in _attempts(url, key):
        TrialBook(url, key, attempt, space).close("registered")


def attempts(address: str, key: str) -> Sequence[int]:
    """Numbers of the attempts made at a key so far."""
    return _attempts(_opened(address), key)


def _attempts(url: URL, key: str) -> Sequence[int]:
    prefix = f"{key}."
    with speaking(url):
        names = optuna.get_all_study_names(_connect(url))
    return sorted({int(name.split(".")[1]) for name in names if name.startswith(prefix)})


def _name(key: str, attempt: int, study: Study) -> str:
    return f"{key}.{attempt}.{study}"


def _connect(url: URL) -> optuna.storages.RDBStorage:
    options = {"connect_args": {"timeout": _BUSY_SECONDS}} if sqlite_path(url) else {}
    with creation_lock(url):
        return _storage(url, options)


def _storage(url: URL, options: Mapping[str, object]) -> optuna.storages.RDBStorage:
    address = url.render_as_string(hide_password=False)
    return optuna.storages.RDBStorage(address, engine_kwargs=dict(options))


def _opened(address: str, home: Path | None = None) -> URL:
    """Create a SQLite file, beside first: a killed process leaves none that isn't recognised."""
    url = own_storage(address)
    if (path := sqlite_path(url)) is None:
        return url
    with speaking(url), creation_lock(url):
        if path.exists():
            _check(path, home)
        else:
            beside = path.with_name(f".{path.stem}.partial{path.suffix}")
            beside.unlink(missing_ok=True)
            _storage(url.set(database=str(beside)), {}).engine.dispose()
            mark_as_optunas(beside)
            beside.replace(path)
    return url


def _check(path: Path, home: Path | None) -> None:
    """Refuse a damaged file; one of this project is kept aside, and the next run begins anew."""
    try:
        with closing(sqlite3.connect(path, timeout=_BUSY_SECONDS)) as connection:
            (verdict,) = connection.execute("PRAGMA quick_check").fetchone()
    except sqlite3.DatabaseError as error:
        if isinstance(error, sqlite3.OperationalError):
            raise
        verdict = str(error)
    if verdict == "ok":
        return
    damage = (
        f"the study storage {path} must be a sound SQLite database, it is damaged "
        f"({verdict.splitlines()[0]})"
    )
    if home is None or not path.is_relative_to(home.resolve()):
        raise SearchError(
            f"{damage}: put a backup in its place or move it away, then run again; "
            "finished searches are in MLflow"
        )
    aside = claim_beside(path, "damaged")
    path.replace(aside)
    raise SearchError(
        f"{damage}: it is kept as {aside.name}; run again to start the search anew, "
        "finished searches are in MLflow"
    )
