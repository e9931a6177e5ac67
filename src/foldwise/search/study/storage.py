"""Completed trials, kept in Optuna's storage: what a killed search goes on from.

Storage gets complete trials only, so that a kill leaves nothing RUNNING. The attempts at one
search key are numbered; an attempt is open until :meth:`TrialBook.close`.
"""

import json
import sqlite3
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Generic, Protocol, TypeVar

import optuna
from sqlalchemy.engine import URL

from foldwise.errors import SearchError
from foldwise.ownership import claim_beside, mark_as_optunas
from foldwise.search.encoding import Json
from foldwise.search.results import FINAL_STUDY
from foldwise.search.study.address import own_storage, speaking, sqlite_path
from foldwise.search.study.locks import creation_lock
from foldwise.search.study.sampling import direction

_TRIAL = "foldwise"
_CLOSED = "closed"
_BUSY_SECONDS = 60


class Kept(Protocol):
    """A trial as storage knows it: which of which study."""

    @property
    def study(self) -> str:
        """Name of its study."""
        ...

    @property
    def number(self) -> int:
        """Completed trials of the study before it."""
        ...


K = TypeVar("K", bound=Kept)


class Space(Protocol[K]):
    """How trials of a kind are stored."""

    @property
    def metric(self) -> str:
        """What the study optimises."""
        ...

    def frozen(self, trial: K, user_attrs: Mapping[str, object]) -> optuna.trial.FrozenTrial:
        """The trial as Optuna stores it."""
        ...

    def encoded(self, trial: K) -> Json:
        """The trial as JSON values."""
        ...

    def decoded(self, encoded: Json) -> K:
        """The inverse of `encoded`."""
        ...


class TrialBook(Generic[K]):
    """The completed trials of one attempt at one search.

    Attributes
    ----------
    attempt : int
        From 1.
    """

    def __init__(self, url: URL, key: str, attempt: int, space: Space[K]) -> None:
        self.attempt = attempt
        self._url, self._key, self._space = url, key, space
        with speaking(url):
            self._storage = _connect(url)

    def completed(self, study: str) -> tuple[K, ...]:
        """The study's completed trials, by number, without gaps or repeats closed up."""
        with speaking(self._url):
            stored = self._study(study).get_trials(deepcopy=False)
        trials: dict[int, K] = {}
        for frozen in stored:
            trial = self._space.decoded(json.loads(frozen.user_attrs[_TRIAL]))
            trials.setdefault(trial.number, trial)
        return tuple(trials[number] for number in sorted(trials))

    def add(self, trial: K) -> None:
        """Keep a completed trial."""
        attrs = {_TRIAL: json.dumps(self._space.encoded(trial))}
        with speaking(self._url):
            self._study(trial.study).add_trial(self._space.frozen(trial, attrs))

    def close(self, how: str) -> None:
        """End the attempt ("registered", "abandoned"): the same key then starts a new one."""
        with speaking(self._url):
            self._study(FINAL_STUDY).set_user_attr(_CLOSED, how)

    @property
    def is_closed(self) -> bool:
        """Whether the attempt has been ended."""
        with speaking(self._url):
            return _CLOSED in self._study(FINAL_STUDY).user_attrs

    def _study(self, study: str) -> optuna.Study:
        return optuna.create_study(
            storage=self._storage,
            study_name=_name(self._key, self.attempt, study),
            direction=direction(self._space.metric),
            load_if_exists=True,
        )


def open_book(
    address: str, key: str, space: Space[K], *, fresh: bool = False, home: Path | None = None
) -> TrialBook[K]:
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
    address: str, key: str, attempt: int, space: Space[K], *, home: Path | None = None
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


def _name(key: str, attempt: int, study: str) -> str:
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
