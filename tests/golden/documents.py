"""What a case has left behind, document by document, as quantities with names.

A document is read by one function, which alone knows where it lies and how it is laid out. All
that a reader needs to tell is by which fields the items of a document are known.
"""

import csv
import json
import re
import sqlite3
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np

from tests.golden.running import Ran

Value = Any  # str, int, float, bool, None or an array
Quantities = dict[str, dict[str, Value]]
"""Item by item, the fields of each: ``trial outer-0/3/1`` has ``C``, ``log_loss``, ..."""

_KEY_TAG = "foldwise.key"
_KNOWN_BY = (("fold",), ("metric",), ("study", "number"), ("number",), ("part",))
# What says when, where or by which program it was made, and differs from run to run.
_OF_ITS_OWN = re.compile(
    r"tag\.(mlflow\.(user|parentRunId|runName|source.*)|pipeline|search_key|foldwise\..*"
    r"|git\..*|library\..*|bytes_digest)|(.*[._])?seconds(_sum)?(\[\d+\])?|arrays"
    r"|run_id|standing\.(duration|links.*)"
)


def read_all(ran: Ran) -> Quantities:
    """All documents of a case; a document that isn't there has no items."""
    found = {item: fields for reader in READERS for item, fields in reader(ran) if fields}
    return {
        item: {name: value for name, value in fields.items() if not _OF_ITS_OWN.fullmatch(name)}
        for item, fields in found.items()
    }


Items = Iterator[tuple[str, dict[str, Value]]]


def read_trials(ran: Ran) -> Items:
    """trials.csv, a row an inner fold; C as it is written."""
    for row in _rows(ran.folder / "reports" / "trials.csv"):
        key = "/".join(row.pop(name) for name in ("study", "trial", "part"))
        yield f"trial {key}", {name: _number(name, text) for name, text in row.items()}


def read_tables(ran: Ran) -> Items:
    """The other CSV files, a row an item, by its number."""
    for path in _files(ran, "reports", "*.csv"):
        if path.name != "trials.csv":
            for line, row in enumerate(_rows(path)):
                yield f"{path.stem} {line}", dict(row)


def read_reports(ran: Ran) -> Items:
    """tuning.json, evaluation.json, data.json, and a classifier's report."""
    for path in _files(ran, "reports", "*.json"):
        if "figures" not in path.parts:  # a list of pictures, no results
            yield from _json_items(path.stem, path)


def _files(ran: Ran, kind: str, pattern: str) -> list[Path]:
    """A folder's files, the comparison's among them."""
    places = (ran.folder / kind, ran.folder / "comparison" / kind)
    return [path for place in places for path in sorted(place.rglob(pattern))]


def read_evidence(ran: Ran) -> Items:
    """The registered version's evidence."""
    for path in _registered(ran, "evidence.json"):
        yield from _json_items("evidence", path)


def read_archive(ran: Ran) -> Items:
    """The kept search: whatever JSON and arrays there are."""
    for path in _files(ran, "models", "*.*"):
        name = f"archive {path.stem}"
        if path.suffix == ".json" and path.name != "run.json":
            yield from _json_items(name, path)
        elif path.suffix == ".npz":
            with np.load(path, allow_pickle=False) as arrays:
                yield name, dict(arrays)


def read_model(ran: Ran) -> Items:
    """What the registered version's estimators have learnt: stock scikit-learn, by skops."""
    import skops.io

    for path in _registered(ran, "model.skops"):
        pipeline = skops.io.load(path, trusted=skops.io.get_untrusted_types(file=path))
        yield (
            "model",
            {
                f"{step}.{name}": value
                for step, estimator in pipeline.steps
                for name, value in vars(estimator).items()
                if name.endswith("_") and isinstance(value, np.ndarray)
            },
        )


def read_runs(ran: Ran) -> Items:
    """MLflow's runs of the case by their keys: words, params, and every metric step by step."""
    database = ran.root / "mlruns" / "mlflow.db"
    with closing(sqlite3.connect(database)) as connection:
        runs = connection.execute(
            "SELECT run_uuid, runs.name, status FROM runs JOIN experiments USING (experiment_id)"
            " WHERE experiments.name IN (?, ?)",
            (ran.case.name, f"{ran.case.name}-comparison"),
        ).fetchall()
        tags = {run: _pairs(connection, "tags", run) for run, *_ in runs}
        for run, name, status in runs:
            key, parent = (
                _short(tags.get(each, {}).get(_KEY_TAG))
                for each in (run, tags[run].get("mlflow.parentRunId"))
            )
            metrics = connection.execute(
                "SELECT key, step, value FROM metrics WHERE run_uuid = ? ORDER BY key, step", (run,)
            )
            params = _pairs(connection, "params", run)
            yield (
                f"run {key}",
                {
                    "name": name if parent else None,  # the uppermost has the day in its name
                    "parent": parent,
                    "status": status,
                    **{f"tag.{tag}": value for tag, value in tags[run].items()},
                    **{f"param.{param}": value for param, value in params.items()},
                    **{f"{metric}[{step}]": value for metric, step, value in metrics},
                },
            )


READERS: tuple[Callable[[Ran], Items], ...] = (
    read_trials,
    read_tables,
    read_reports,
    read_evidence,
    read_archive,
    read_model,
    read_runs,
)


def part_rows(ran: Ran) -> tuple[np.ndarray, ...]:
    """The development set's row numbers in each part, as the kept search tells them."""
    arrays = dict(read_archive(ran))["archive arrays"]
    names = sorted(name for name in arrays if name.endswith("/rows"))
    return tuple(arrays[name] for name in names)


def _short(key: str | None) -> str | None:
    """A run's key without the search's own: the uppermost's is ``/``."""
    return None if key is None else key.partition("/")[2] or "/"


def _registered(ran: Ran, name: str) -> list[Path]:
    return sorted((ran.root / "mlruns" / "artifacts" / ran.case.name / "models").rglob(name))


def _rows(path: Path) -> list[dict[str, str]]:
    if not path.exists():
        return []
    with path.open() as file:
        return list(csv.DictReader(file))


def _number(name: str, text: str) -> Value:
    try:
        return text if name == "C" else float(text)
    except ValueError:
        return text


def _pairs(connection: sqlite3.Connection, table: str, run: str) -> dict[str, str]:
    query = f"SELECT key, value FROM {table} WHERE run_uuid = ? ORDER BY key"
    return dict(connection.execute(query, (run,)).fetchall())


def _json_items(name: str, path: Path) -> Items:
    """A document's own fields are one item; each entry of its lists of objects is another."""
    own: dict[str, Value] = {}
    for key, value in json.loads(path.read_text()).items():
        if isinstance(value, list) and value and isinstance(value[0], dict):
            for place, entry in enumerate(value):
                yield f"{name}.{key} {_identity(entry, place)}", dict(_leaves(entry))
        else:
            own |= {f"{key}{rest}": leaf for rest, leaf in _leaves(value, joint=".")}
    yield name, own


def _identity(entry: Mapping[str, Value], place: int) -> str:
    for fields in _KNOWN_BY:
        if all(field in entry for field in fields):
            return "/".join(str(entry[field]) for field in fields)
    return str(place)


def _leaves(value: Value, *, joint: str = "") -> Iterator[tuple[str, Value]]:
    if isinstance(value, dict):
        for key, inside in value.items():
            yield from ((f"{joint}{key}{rest}", leaf) for rest, leaf in _leaves(inside, joint="."))
    elif isinstance(value, list):
        for place, inside in enumerate(value):
            place_name = str(inside.get("part", place)) if isinstance(inside, dict) else str(place)
            yield from (
                (f"[{place_name}]{rest}", leaf) for rest, leaf in _leaves(inside, joint=".")
            )
    else:
        yield "", value
