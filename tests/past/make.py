"""Makes ``c9b2e91.tar.xz``: a small project with its store, as the code of that commit left it.

Run from a checkout that has the commit, in an environment that has the commit's locked libraries::

    python -m tests.past.make

The sources of ``COMMIT`` are taken out of git, so it doesn't matter what is checked out: what is
packed was written by that commit's code, and must never be made anew by a later one. What differs
between two makings are times, random ids and the digests that hang on them. The work is done in a
neutral place by a neutral user on a neutral host; pictures are left out, for nothing reads them.

What is in it, oldest first. Data: digits 1, 3, 5, 8, 9 in 4x4 pixels, with one holdout throughout.

- ``twin-classifier``: version 1, its promotion killed after the alias ``champion`` was moved.
- ``past-classifier``:
  version 1 promoted; 2 refused, then forced; rolled back to 1; 3 promoted; 4, a search begun anew
  with the same result, is the champion's equal, so nothing was decided on it; 5 is the challenger,
  its promotion killed when ``previous_champion`` was moved and ``champion`` was not.
- One classifier of the comparison: its trials, its run, its result.
- ``models/tuned`` and ``models/run.json`` of version 5's search, which is closed.
- An open search, killed after seven trials: in Optuna's database, with its paths on the shelf, and
  a run that MLflow shows as running. ``params-open.yaml`` has its parameters.
"""

import io
import json
import lzma
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import tarfile
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from sklearn.datasets import load_digits

from tests.idx_files import STEMS, idx_bytes

COMMIT = "c9b2e9119d89e749276f69cbf8f6634c3ac7fce0"
REPOSITORY = Path(__file__).parents[2]
ARCHIVE = Path(__file__).with_name("c9b2e91.tar.xz")
PLACE = Path("/tmp/foldwise-past")  # noqa: S108 - a neutral place, that the archive may name
PROJECT = PLACE / "project"

_PARAMS: dict[str, Any] = {
    "seed": 1,
    "prepare": {"source": "idx", "name": "past", "path": "data/raw"},
    "tune": {"folds": 3, "trials": 4, "startup_trials": 2, "c_low": 0.03, "c_high": 30.0},
    "evaluate": {"bootstrap": 50},
    "promotion": {
        "min_accuracy": 0.3,
        "max_log_loss": 2.0,
        "max_calibration_error": 0.5,
        "accuracy_margin": 0.1,
        "alpha": 0.9,
        "bootstrap": 500,
    },
}
_CLASSIFIER = {
    "knn": {
        "estimator": "sklearn.neighbors.KNeighborsClassifier",
        "title": "k nearest neighbours",
        "trials": 2,
        "startup_trials": 2,
        "rows": 300,
        "space": {"n_neighbors": {"integer": [1, 9]}},
    }
}
_KEPT = ("comparison", "data", "mlruns", "models", "params*.yaml", "reports")
_PICTURES = {".png", ".svg", ".html"}

# Names that the records would have from this machine.
_NEUTRAL = """
import platform, socket
platform.node = lambda: "somewhere"
socket.gethostname = lambda: "somewhere"
"""

# Imports the commit's code once, and runs each order, a line of JSON, in a fork.
_SERVER = """
import json, os, sys, traceback
from importlib import import_module
for module in (
    "foldwise.app.commands", "foldwise.app.prepare", "foldwise.app.tune",
    "foldwise.app.evaluate", "foldwise.app.compare", "matplotlib.backends.backend_agg",
    "matplotlib.backends.backend_svg", "mlflow.pyfunc", "mlflow.sklearn",
    "mlflow.store.model_registry.sqlalchemy_store", "mlflow.store.tracking.sqlalchemy_store",
    "optuna.storages._rdb.models", "skops.io",
):
    import_module(module)
for line in sys.stdin:
    order = json.loads(line)
    child = os.fork()
    if child == 0:
        for descriptor in (1, 2):
            os.dup2(os.open(order["printed"], os.O_WRONLY | os.O_CREAT | os.O_APPEND), descriptor)
        sys.argv, status = ["foldwise", *order["arguments"]], 0
        try:
            exec(order["code"], {})
        except SystemExit as end:
            status = int(end.code or 0)
        except BaseException:
            traceback.print_exc()
            status = 70
        sys.stdout.flush()
        os._exit(status)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""

# The n-th call of a function is its process's last moment: before it, or after it.
_KILLED = """
import os, signal
from importlib import import_module
holder = import_module({home!r})
*path, name = {function!r}.split(".")
for step in path:
    holder = getattr(holder, step)
original, calls = getattr(holder, name), [0]
def counted(*args, **kwargs):
    calls[0] += 1
    if calls[0] == {at} and {moment!r} == "before":
        os.kill(os.getpid(), signal.SIGKILL)
    answer = original(*args, **kwargs)
    if calls[0] == {at}:
        os.kill(os.getpid(), signal.SIGKILL)
    return answer
setattr(holder, name, counted)
"""
_CLI = "from foldwise.app.cli import main; main()"
_STAGE = "from foldwise.app.{} import main; main()"


def main() -> None:
    """Make the archive; it takes a minute or two."""
    PROJECT.mkdir(parents=True)
    _take_sources()
    _write_raw_data()
    (PROJECT / "comparison").mkdir()
    _write_yaml("comparison/params.yaml", {"models": _CLASSIFIER})
    with _serving() as world:
        _live(world)
    _tidy()
    _pack()
    sys.stdout.write(f"{ARCHIVE}: {ARCHIVE.stat().st_size:,} bytes\n")


def _live(world: "_World") -> None:
    world.search(name="twin", limit=110)
    world.cli_killed("_expect", 2, "promote", "--reason", "the first one")
    world.search(limit=60)
    world.cli("promote", "1", "--reason", "the first one")
    world.search(limit=40)
    world.cli("promote", status=2)
    world.cli("promote", "--force", "--reason", "to see whether it is missed")
    world.cli("rollback", "--reason", "it is: ümläuts were missed, too")
    world.search(limit=170)
    world.cli("promote")
    world.stage("tune")  # the search is closed: a new attempt, with the same result
    world.stage("evaluate")
    assert "nothing to do" in world.cli("promote", "4")
    world.search(limit=None)
    world.run(_STAGE.format("compare"), "knn")
    world.leave_search_open()
    world.cli("promote", "--dry-run")
    world.cli_killed("_point", 2, "promote", "--reason", "cut short")


def _take_sources() -> None:
    tree = subprocess.run(
        ["git", "archive", COMMIT, "src", "dvc.yaml"],
        cwd=REPOSITORY,
        capture_output=True,
        check=True,
    )
    with tarfile.open(fileobj=io.BytesIO(tree.stdout)) as archive:
        if hasattr(tarfile, "data_filter"):  # not in Python 3.11's first releases
            archive.extraction_filter = tarfile.data_filter
        archive.extractall(PLACE / "sources")  # noqa: S202 - of our own commit
    shutil.copy(PLACE / "sources" / "dvc.yaml", PROJECT)
    (PLACE / "neutral").mkdir()
    (PLACE / "neutral" / "sitecustomize.py").write_text(_NEUTRAL)
    (PROJECT / ".gitignore").write_text("/data\n/mlruns\n/models\n")
    _git("init", "--quiet", "--initial-branch=main")


def _write_raw_data() -> None:
    digits = load_digits()
    chosen = np.flatnonzero(np.isin(digits.target, (1, 3, 5, 8, 9)))
    # Shuffled, because each writer's digits stand together.
    chosen = np.random.default_rng(0).permutation(chosen)
    images = digits.images[chosen].reshape(-1, 4, 2, 4, 2).sum(axis=(2, 4)).astype(np.uint8)
    labels = digits.target[chosen].astype(np.uint8)
    (PROJECT / "data" / "raw").mkdir(parents=True)
    for prefix, rows in (("train", slice(None, -400)), ("t10k", slice(-400, None))):
        for kind, array in (("images", images), ("labels", labels)):
            path = PROJECT / "data" / "raw" / STEMS[prefix, kind]
            path.write_bytes(idx_bytes(array[rows]))


@contextmanager
def _serving() -> Iterator["_World"]:
    with subprocess.Popen(
        [sys.executable, "-c", _SERVER],
        cwd=PROJECT,
        env=_environment(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        yield _World(process)
        process.communicate()


class _World:
    """What people do in the project, and what is done to them."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process

    def search(self, *, name: str = "past", limit: int | None) -> None:
        """Prepare, tune and evaluate, which registers a version."""
        _set({**_PARAMS, "prepare": {**_PARAMS["prepare"], "name": name, "limit": limit}})
        for stage in ("prepare", "tune", "evaluate"):
            self.stage(stage)

    def leave_search_open(self) -> None:
        """Kill a search of other parameters after seven trials."""
        params = PROJECT / "params.yaml"
        before = yaml.safe_load(params.read_text())
        _set({**before, "seed": 2})
        shutil.copy(params, PROJECT / "params-open.yaml")
        code = _killed("foldwise.search.book", "TrialBook.add", at=7, moment="after")
        self.run(code + _STAGE.format("tune"), status=-signal.SIGKILL)
        _set(before)

    def stage(self, name: str) -> None:
        """Run a stage to its end."""
        self.run(_STAGE.format(name))

    def cli(self, *arguments: str, status: int = 0) -> str:
        """Run a command; gives what it printed."""
        return self.run(_CLI, *arguments, status=status)

    def cli_killed(self, function: str, at: int, *arguments: str) -> None:
        """Run a command and kill it before it calls a function for the n-th time."""
        code = _killed("foldwise.registry.champion", function, at=at, moment="before")
        self.run(code + _CLI, *arguments, status=-signal.SIGKILL)

    def run(self, code: str, *arguments: str, status: int = 0) -> str:
        """Run code in a process of its own; gives what it printed."""
        log = PLACE / "printed"
        log.write_text("")
        order = {"code": code, "arguments": arguments, "printed": str(log)}
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{json.dumps(order)}\n")
        self._process.stdin.flush()
        ended = int(self._process.stdout.readline())
        printed = log.read_text()
        sys.stdout.write(printed)
        sys.stdout.flush()
        assert ended == status, f"{arguments} ended with {ended}, not {status}"
        return printed


def _killed(home: str, function: str, *, at: int, moment: str) -> str:
    return _KILLED.format(home=home, function=function, at=at, moment=moment)


def _set(params: Mapping[str, Any]) -> None:
    _write_yaml("params.yaml", params)
    _git("add", ".")
    _git("commit", "--quiet", "--allow-empty", "--message=Parameters")


def _write_yaml(name: str, content: Mapping[str, Any]) -> None:
    (PROJECT / name).write_text(yaml.safe_dump(dict(content), sort_keys=False))


def _git(*arguments: str) -> None:
    subprocess.run(["git", *arguments], cwd=PROJECT, env=_environment(), check=True)


def _environment() -> dict[str, str]:
    return {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": f"{PLACE / 'neutral'}{os.pathsep}{PLACE / 'sources' / 'src'}",
        "HOME": str(PLACE / "home"),
        "LOGNAME": "someone",
        "TZ": "UTC",
        "FOLDWISE_QUIET": "1",
        "FOLDWISE_THREADS": "1",
        "GIT_CONFIG_GLOBAL": os.devnull,
        **{
            f"GIT_{who}_{what}": value
            for who in ("AUTHOR", "COMMITTER")
            for what, value in (
                ("NAME", "someone"),
                ("EMAIL", "someone@somewhere"),
                ("DATE", "2026-01-15T12:00:00+0000"),
            )
        },
    }


def _tidy() -> None:
    for path in PROJECT.rglob("*"):
        if path.suffix in _PICTURES or path.name.endswith(".lock"):
            path.unlink()
    for path in sorted(PROJECT.rglob("*"), reverse=True):
        if path.is_dir() and not any(path.iterdir()):
            path.rmdir()
    for database in (PROJECT / "mlruns").glob("*.db"):
        with closing(sqlite3.connect(database)) as connection:
            connection.execute("VACUUM")


def _pack() -> None:
    paths = sorted(path for kept in _KEPT for path in PROJECT.glob(kept))
    with (
        lzma.open(ARCHIVE, "wb", preset=9 | lzma.PRESET_EXTREME) as packed,
        tarfile.open(fileobj=packed, mode="w") as archive,
    ):
        for path in paths:
            archive.add(path, path.relative_to(PLACE), filter=_plain)


def _plain(member: tarfile.TarInfo) -> tarfile.TarInfo:
    member.uid = member.gid = member.mtime = 0
    member.uname = member.gname = ""
    member.mode = 0o755 if member.isdir() else 0o644
    return member


if __name__ == "__main__":
    main()
