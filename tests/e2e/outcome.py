"""What a pipeline has left behind, as plain data by which two projects can be compared."""

import json
import re
import sqlite3
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tests.run_tree import RunFacts, run_tree

_RESULTS = ("data/prepared", "models/tuned", "reports")
_TOOK = re.compile(rb'<dd class="clock">[^<]*</dd>')
_OWN_TAGS = ("pipeline", "bytes_digest", "report_digest")  # the page links to its runs


@dataclass(frozen=True, slots=True)
class StoredTrial:
    """A trial in Optuna's database; ``told`` holds its number in the study, C and scores."""

    study: str
    state: str
    told: str


@dataclass(frozen=True, slots=True)
class Registered:
    """A version: its own ids and digests of bytes left out."""

    number: int
    aliases: tuple[str, ...]
    status: str
    tags: dict[str, str]
    card: str


@dataclass(frozen=True, slots=True)
class Outcome:
    """All that must be the same, killed or not: no ids, no times.

    Attributes
    ----------
    files : mapping
        Content of every result by path.
    trials : tuple of StoredTrial
    runs : mapping
        MLflow's runs by key.
    inputs : int
        Links between runs, datasets and models.
    versions : tuple of Registered
    models : tuple of tuples
        MLflow's logged models: status, and the names of the files.
    """

    files: dict[str, bytes]
    trials: tuple[StoredTrial, ...]
    runs: dict[str, RunFacts]
    inputs: int
    versions: tuple[Registered, ...]
    models: tuple[tuple[str, ...], ...]


def outcome(folder: Path) -> Outcome:
    """Look at a project's files and stores."""
    database = folder / "mlruns" / "mlflow.db"
    return Outcome(
        files=result_files(folder),
        trials=stored_trials(folder),
        runs={key: _untimed(run) for key, run in run_tree(folder).items()},
        inputs=len(_rows(database, "SELECT 1 FROM inputs")),
        versions=registered(folder),
        models=tuple(
            (status, *_names(Path(place)))
            for status, place in _rows(
                database, "SELECT status, artifact_location FROM logged_models ORDER BY 1"
            )
        ),
    )


def _untimed(run: RunFacts) -> RunFacts:
    """The run without the size of the page, which tells how long the search took."""
    return replace(run, files=tuple((n, 0 if n == "report.html" else s) for n, s in run.files))


def result_files(folder: Path) -> dict[str, bytes]:
    """The content of every result by its path; the page without its run, and how long that took."""
    run_id = _run_id(folder)
    return {
        str(path.relative_to(folder)): _TOOK.sub(b"", path.read_bytes().replace(run_id, b"RUN"))
        for place in _RESULTS
        for path in sorted((folder / place).rglob("*"))
        if path.is_file()
    }


def stored_trials(folder: Path) -> tuple[StoredTrial, ...]:
    """Optuna's trials, sorted."""
    found = _rows(
        folder / "mlruns" / "optuna.db",
        "SELECT study_name, state, value_json FROM trials JOIN studies USING (study_id)"
        " LEFT JOIN trial_user_attributes USING (trial_id)",
    )
    return tuple(sorted((StoredTrial(*row) for row in found), key=repr))


def count_trials(folder: Path) -> int:
    """How many trials are stored; none while another process is still creating the tables."""
    try:
        return len(stored_trials(folder))
    except sqlite3.OperationalError:
        return 0


def registered(folder: Path) -> tuple[Registered, ...]:
    """The versions in MLflow's registry."""
    database = folder / "mlruns" / "mlflow.db"
    aliases = _rows(database, "SELECT version, alias FROM registered_model_aliases ORDER BY 2")
    tags = _rows(database, "SELECT version, key, value FROM model_version_tags ORDER BY 2")
    return tuple(
        Registered(
            number,
            tuple(alias for of, alias in aliases if of == number),
            status,
            {key: tag for of, key, tag in tags if of == number and key not in _OWN_TAGS},
            card.replace(run_id, "RUN"),
        )
        for number, status, run_id, card in _rows(
            database,
            "SELECT version, status, run_id, description FROM model_versions ORDER BY version",
        )
    )


def _run_id(folder: Path) -> bytes:
    try:
        told = json.loads((folder / "models" / "run.json").read_text())
    except FileNotFoundError:
        return b"there is no run"
    return str(told["run_id"]).encode()


def _names(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def _rows(database: Path, query: str) -> list[tuple[Any, ...]]:
    if not database.exists():
        return []
    with closing(sqlite3.connect(database)) as connection:
        return connection.execute(query).fetchall()
