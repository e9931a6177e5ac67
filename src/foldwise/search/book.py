"""The book: completed trials in Optuna's storage, what a killed search goes on from.

Its locks lie where the trials lie, so that whoever shares a storage heeds them: files beside a
SQLite database; in PostgreSQL advisory locks, gone with the connection that took them.
"""

import hashlib
import json
import os
import re
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NoReturn, Self

import optuna
from optuna.exceptions import StorageInternalError
from optuna.storages import RDBStorage
from optuna.trial import FrozenTrial
from sqlalchemy import Connection, NullPool, create_engine, func, select
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, SQLAlchemyError

from foldwise.errors import SearchError, installing
from foldwise.files import DocumentError, decode, locked, plain
from foldwise.ownership import check_sqlite_path, claim_beside, foreign, mark_as_optunas
from foldwise.search.space import Space, direction
from foldwise.search.trials import FINAL, Study, Trial, by_number, trial_from_json, trial_to_json

_RULE = (
    "FOLDWISE_STUDY_STORAGE must be sqlite:///PATH, without % and ? in it, or "
    "postgresql://USER:PASSWORD@HOST/DATABASE, with %40 for an @ in the password"
)
_CREATION = 0x666F6C64  # "fold": any number that no other user of the database locks
_TRIAL = "foldwise"
_CLOSED = "closed"
_BUSY_SECONDS = 60
_DAMAGED = (
    AttributeError,
    DocumentError,
    LookupError,
    OverflowError,
    RecursionError,
    TypeError,
    ValueError,
)
"""What reading damaged JSON raises, Optuna's and our own."""


@dataclass(frozen=True, slots=True)
class StudyStorage:
    """Where trials are kept; as text without user, password and options, which may be secret.

    ``path`` is the SQLite file, where links lead; None for PostgreSQL.
    """

    url: URL
    path: Path | None

    @classmethod
    def parse(cls, address: str) -> Self:
        """Read an address.

        Raises
        ------
        SearchError
            If it is none, or that of a database in memory or of another kind.
        """
        try:
            url = make_url(address)
        except (ArgumentError, ValueError) as error:
            raise SearchError(
                f"{_RULE}; it isn't shown, it may hold a secret: correct it"
            ) from error
        kind, database = url.get_backend_name(), url.database or ""
        # SQLAlchemy takes both characters for parts of an address.
        if kind == "sqlite" and database not in ("", ":memory:") and not set("%?") & set(address):
            return cls(url, Path(os.path.realpath(database)))
        if kind == "postgresql" and "@" not in (url.host or ""):
            return cls(url, None)
        raise SearchError(f"{_RULE}, got {kind}://...: correct it")

    @classmethod
    def ours(cls, address: str) -> Self:
        """Read an address, and look whether what lies there is ours before anything touches it.

        Raises
        ------
        SearchError
            If it is no address, or that of a file which isn't Optuna's database.
        """
        storage = cls.parse(address)
        if storage.path is not None:
            check_sqlite_path(storage.path)
            with storage.speaking():
                what = foreign(Path(storage.url.database or ""), "Optuna")
            if what is not None:
                raise SearchError(
                    f"the study storage {storage.path} must be Optuna's database or a new file, "
                    f"it is {what}: move it away or point FOLDWISE_STUDY_STORAGE elsewhere"
                )
        return storage

    def __str__(self) -> str:
        url = self.url
        return URL.create(
            url.drivername, host=url.host, port=url.port, database=url.database
        ).render_as_string()

    @contextmanager
    def speaking(self) -> Iterator[None]:
        """Turn the database's complaints into one line."""
        try:
            yield
        except ImportError as error:
            raise SearchError(
                f"the study storage {self} needs a driver, {error}: {installing('postgres')}"
            ) from error
        except (SQLAlchemyError, StorageInternalError, sqlite3.Error, OSError) as error:
            reason = str(error.__cause__ or error).strip().splitlines()[0]
            raise SearchError(
                f"the study storage {self} must be readable and writable, it says: {reason}: "
                "mend it or point FOLDWISE_STUDY_STORAGE elsewhere, completed trials are kept"
            ) from error
        except _DAMAGED as error:
            told = " ".join(str(error).split())[:200]
            raise SearchError(
                f"the study storage {self} must hold whole trials, reading one gave {told}: "
                "put a backup in its place, or name a new storage in FOLDWISE_STUDY_STORAGE"
            ) from error

    @contextmanager
    def creation_lock(self) -> Iterator[None]:
        """Processes that create one database's tables at the same moment collide: one at a time."""
        with ExitStack() as held:
            if self.path is not None:
                held.enter_context(locked(self.path.with_name(f".{self.path.name}.lock")))
            else:
                connection = held.enter_context(self.connection())
                connection.execute(select(func.pg_advisory_lock(_CREATION)))
            yield

    def connection(self) -> Connection:
        """One of its own, for a lock that ends with it."""
        # No transaction stays open: it would keep PostgreSQL from cleaning up for hours.
        return create_engine(self.url, poolclass=NullPool, isolation_level="AUTOCOMMIT").connect()

    def connect(self) -> RDBStorage:
        """Optuna's view of it."""
        with self.creation_lock():
            return _tables(self.url, seconds=_BUSY_SECONDS if self.path else None)

    def make_sure(self, home: Path | None) -> None:
        """Check a SQLite file, or create it, beside first: a kill leaves none that isn't known.

        Nothing is made beside a damaged file, unless it lies in ``home`` and is kept aside there.
        """
        if (path := self.path) is None:
            return
        with self.speaking():
            if path.exists():
                if damage := _damage(path):
                    self._refuse(path, damage, home)
                return
            with self.creation_lock():
                if not path.exists():
                    beside = path.with_name(f".{path.stem}.partial{path.suffix}")
                    beside.unlink(missing_ok=True)
                    _tables(self.url.set(database=str(beside))).engine.dispose()
                    mark_as_optunas(beside)
                    beside.replace(path)

    def _refuse(self, path: Path, damage: str, home: Path | None) -> NoReturn:
        """Say that a file is damaged; one of this project is kept aside for the next run."""
        told = f"the study storage {path} must be a sound SQLite database, it is damaged ({damage})"
        if home is None or not path.is_relative_to(home.resolve()):
            raise SearchError(
                f"{told}: put a backup in its place or move it away, then run again; "
                "finished searches are in MLflow"
            )
        with self.creation_lock():
            if not (path.exists() and _damage(path)):
                raise SearchError(f"{told}, and another process has mended it: run this again")
            aside = claim_beside(path, "damaged")
            path.replace(aside)
        raise SearchError(
            f"{told}: it is kept as {aside.name}; run again to start the search anew, "
            "finished searches are in MLflow"
        )


@contextmanager
def search_lock(address: str, key: str) -> Iterator[None]:
    """Hold a search key; two processes at one search would make every trial twice.

    Raises
    ------
    SearchError
        If another process holds it, or the storage can't be reached or isn't ours.
    """
    storage = StudyStorage.ours(address)
    busy = SearchError(
        f"one process at a time may run the search {key[:12]}, another is at it: "
        "wait for it to end, or stop it and run this again"
    )
    with ExitStack() as held:
        with storage.speaking():
            if storage.path is not None:
                lock = storage.path.parent / "locks" / f"{key}.lock"
                held.enter_context(locked(lock, busy=busy))
            else:
                number = int.from_bytes(hashlib.sha256(key.encode()).digest()[:8], signed=True)
                connection = held.enter_context(storage.connection())
                if not connection.scalar(select(func.pg_try_advisory_lock(number))):
                    raise busy
        yield


class TrialBook:
    """The completed trials of one attempt, counted from 1, at one search."""

    def __init__(self, storage: StudyStorage, key: str, attempt: int, space: Space) -> None:
        self.attempt = attempt
        self._storage, self._key, self._space = storage, key, space
        with storage.speaking():
            self._trials = storage.connect()

    def completed(self, study: Study) -> tuple[Trial, ...]:
        """The study's completed trials, by number, without gaps or repeats closed up.

        Trials that another program put there are passed over.
        """
        with self._storage.speaking():
            return by_number(_completed(self._study(study).get_trials(deepcopy=False)))

    def add(self, trial: Trial) -> None:
        """Keep a completed trial."""
        frozen = self._space.frozen(
            trial, {_TRIAL: json.dumps(trial_to_json(trial) | plain(StoredTrial()))}
        )
        with self._storage.speaking():
            self._study(trial.study).add_trial(frozen)

    def close(self, how: str) -> None:
        """End the attempt ("registered", "abandoned"): the same key then starts a new one."""
        with self._storage.speaking():
            self._study(FINAL).set_user_attr(_CLOSED, how)

    @property
    def is_closed(self) -> bool:
        """Whether the attempt has been ended."""
        with self._storage.speaking():
            return _CLOSED in self._study(FINAL).user_attrs

    def _study(self, study: Study) -> optuna.Study:
        return optuna.create_study(
            storage=self._trials,
            study_name=f"{self._key}.{self.attempt}.{study}",
            direction=direction(self._space.metric),
            load_if_exists=True,
        )


@dataclass(frozen=True, slots=True)
class StoredTrial:
    """What stands beside a trial's own words."""

    schema: Literal[1] = 1


def _completed(stored: Iterable[FrozenTrial]) -> Iterator[Trial]:
    """Of the trials stored those that we put there."""
    for each in stored:
        if _TRIAL in each.user_attrs:
            decode(StoredTrial, text := each.user_attrs[_TRIAL], tolerant=True)
            yield trial_from_json(json.loads(text))


def open_book(
    address: str,
    key: str,
    space: Space,
    *,
    trials: int | None = None,
    fresh: bool = False,
    home: Path | None = None,
) -> TrialBook:
    """The key's open attempt, or its next one; ``fresh`` abandons an open one first.

    An attempt that follows a registered one of another number of ``trials`` begins with its trials:
    they are what a search of that length would make anew.

    A damaged SQLite file is kept aside if it lies in ``home``, and stays where it is elsewhere.

    Raises
    ------
    SearchError
        If the storage can't be reached, read or written, is damaged or isn't ours.
    """
    storage, made = _attempts(address, key, home)
    last = max(made, default=0)
    begun = TrialBook(storage, key, last + 1, space)
    if not last:
        return begun
    book = TrialBook(storage, key, last, space)
    if fresh and not book.is_closed:
        book.close("abandoned")
    if not book.is_closed:
        return book
    if not fresh and trials not in (None, len(book.completed(FINAL))):
        told = [trial for study in made[last] for trial in book.completed(study)]
        for trial in told:
            begun.add(trial)
    return begun


def close_attempt(
    address: str, key: str, attempt: int, space: Space, *, home: Path | None = None
) -> None:
    """Close an attempt as registered, if this storage knows it."""
    storage, made = _attempts(address, key, home)
    if attempt in made:
        TrialBook(storage, key, attempt, space).close("registered")


def _attempts(
    address: str, key: str, home: Path | None
) -> tuple[StudyStorage, dict[int, list[Study]]]:
    """The storage, ready for use, and the studies of each attempt made at a key so far."""
    storage = StudyStorage.ours(address)
    storage.make_sure(home)
    with storage.speaking():
        names = optuna.get_all_study_names(storage.connect())
    ours = re.compile(rf"{re.escape(key)}\.(\d+)\.(final|outer-(\d+\.)?\d+)")
    made: dict[int, list[Study]] = {}
    for found in filter(None, map(ours.fullmatch, map(str, names))):
        made.setdefault(int(found[1]), []).append(Study.parse(found[2]))
    return storage, made


def _tables(url: URL, *, seconds: int | None = None) -> RDBStorage:
    wait = {} if seconds is None else {"connect_args": {"timeout": seconds}}
    return RDBStorage(url.render_as_string(hide_password=False), engine_kwargs=wait)


def _damage(path: Path) -> str:
    """What SQLite finds wrong with a file, in a line; empty if it is sound."""
    try:
        with closing(sqlite3.connect(path, timeout=_BUSY_SECONDS)) as connection:
            (verdict,) = connection.execute("PRAGMA quick_check").fetchone()
    except sqlite3.DatabaseError as error:
        if isinstance(error, sqlite3.OperationalError):
            raise
        verdict = str(error)
    return "" if verdict == "ok" else str(verdict).splitlines()[0]
