"""A project folder of a test's own: the sources as they are here, on digits, with nothing run."""

import os
import shutil
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.waiting import PATIENCE

REPOSITORY = Path(__file__).parents[2]
DIGITS: dict[str, dict[str, Any]] = {
    "prepare": {"source": "digits", "name": "digits", "holdout": 900},
    "tune": {"folds": 3, "trials": 4, "startup_trials": 2},
}
# Figures take longer than all else that a stage does; test_rendering and test_staleness see to
# them. Of a search they are made, but not drawn; of others what they would show is told in words.
_SKETCHED = """

_styled, _drawn = styled, drawn

def styled(draw: Callable[P, Figure]) -> Callable[P, Figure]:
    real = _styled(draw)

    @wraps(draw)
    def sketched(*args: P.args, **kwargs: P.kwargs) -> Figure:
        if args and hasattr(args[0], "trials") or _is_drawn():
            return real(*args, **kwargs)
        return Figure(label=f"{draw.__name__}{_told((args, sorted(kwargs.items())))}.")

    return sketched


def _is_drawn() -> bool:
    return "DRAWN" in __import__("os").environ


def _told(seen: Any) -> str:
    if isinstance(seen, list | tuple):
        return "(" + " ".join(map(_told, seen)) + ")"
    if hasattr(seen, "__dataclass_fields__"):
        return _told([getattr(seen, name) for name in seen.__dataclass_fields__])
    if hasattr(seen, "dtype") and seen.dtype.kind in "biuf":
        return f"{seen.shape} {float(seen.sum()):.3g}"
    return f"{seen:.3g}" if isinstance(seen, float) else str(seen)


def drawn(name: str, figure: Figure, *place: str, with_svg: bool = True) -> Picture:
    if _is_drawn():
        return _drawn(name, figure, *place, with_svg=with_svg)
    words = f"{figure.get_label()} {figure.get_suptitle()}."
    picture = b"<svg></svg>" + words.encode().ljust(30_000)
    return Picture(name, words, picture, picture if with_svg else None, *place)
"""
_OUTSIDE = ("DVC_", "FOLDWISE_", "MLFLOW_", "PYTHON", "GIT_", "XDG_")


@dataclass(frozen=True, slots=True)
class Ended:
    """How a command ended; ``errors`` is its stderr."""

    status: int
    output: str
    errors: str

    @property
    def said(self) -> list[str]:
        """The lines of ours on stderr that end a command: warnings and progress left out."""
        return [line for line in self.errors.splitlines() if line.startswith("foldwise: ")]


@dataclass(frozen=True, slots=True)
class Project:
    """A folder with dvc.yaml, params.yaml and src.

    Attributes
    ----------
    folder : Path
    commands : Path, optional
        Where `tests.e2e.warm` serves ``python -m``, ``dvc`` and ``foldwise``: there they start at
        once, with the sources that were there first.
    is_drawn : bool
        Whether pictures hold pixels; else words.
    """

    folder: Path
    commands: Path | None = None
    is_drawn: bool = False

    def change(self, section: str, **values: object) -> None:
        """Set parameters of one section of params.yaml."""
        path = self.folder / "params.yaml"
        params = yaml.safe_load(path.read_text())
        params[section] |= values
        path.write_text(yaml.safe_dump(params))

    def environment(self, given: Mapping[str, str]) -> dict[str, str]:
        """The developer's environment without what it says of stores, and with our sources."""
        inherited = {k: v for k, v in os.environ.items() if not k.startswith(_OUTSIDE)}
        beside = self.folder.parent
        # DVC's stages say `python`.
        places = [self.commands or Path(sys.executable).parent, Path(sys.executable).parent]
        return {
            **inherited,
            "PATH": os.pathsep.join([*map(str, places), os.environ["PATH"]]),
            # On digits a second thread costs more than it gives.
            **({"FOLDWISE_THREADS": "1"} if self.commands else {}),
            **({"DRAWN": "1"} if self.is_drawn else {}),
            "PYTHONPATH": str(self.folder / "src"),
            "DVC_SITE_CACHE_DIR": str(beside / "dvc-site"),
            "DVC_GLOBAL_CONFIG_DIR": str(beside / "dvc-global"),
            "DVC_SYSTEM_CONFIG_DIR": str(beside / "dvc-system"),
            "GIT_CONFIG_GLOBAL": os.devnull,
            # Equal sources give equal commits.
            "GIT_AUTHOR_DATE": "2026-01-15T12:00:00+0000",
            "GIT_COMMITTER_DATE": "2026-01-15T12:00:00+0000",
            "GIT_AUTHOR_NAME": "test",
            "GIT_AUTHOR_EMAIL": "test@localhost",
            "GIT_COMMITTER_NAME": "test",
            "GIT_COMMITTER_EMAIL": "test@localhost",
            **given,
        }

    def start(self, *command: str, **given: str) -> "subprocess.Popen[str]":
        """Start a command in the folder, in a process group of its own."""
        return subprocess.Popen(
            command,
            cwd=self.folder,
            env=self.environment(given),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def run(self, *command: str, **given: str) -> Ended:
        """Run a command to its end."""
        with self.start(*command, **given) as process:
            return ended(process)

    def shell(self, script: str, *, timeout: float = PATIENCE, **given: str) -> Ended:
        """Run a script to its end, as far as its commands end well."""
        with self.start("bash", "-ec", script, **given) as process:
            return ended(process, timeout)

    def dvc(self, *arguments: str, **given: str) -> Ended:
        """Run DVC."""
        return self.run("dvc", *arguments, **given)

    def stage(self, name: str, **given: str) -> Ended:
        """Run a stage as DVC would."""
        return self.run(*stage_command(name), **given)


def stage_command(name: str) -> tuple[str, ...]:
    """The command of a stage."""
    return ("python", "-m", f"foldwise.app.{name}")


def ended(process: "subprocess.Popen[str]", timeout: float = PATIENCE) -> Ended:
    """Wait for a command's end."""
    try:
        output, errors = process.communicate(timeout=timeout)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        pytest.fail(f"not ended within {timeout:.0f} s: {process.args!r}: {process.communicate()}")
    return Ended(process.returncode, output, errors)


def make_project(
    folder: Path,
    params: Mapping[str, Mapping[str, Any]] = DIGITS,
    *,
    commands: Path | None = None,
    is_drawn: bool = False,
) -> Project:
    """Copy the sources as they are in the working tree and set parameters.

    The MNIST files are left out: 11 MB that digits don't need. With ``commands`` there is an empty
    tracking store. Unless ``is_drawn``, pictures hold words in place of pixels.
    """
    for source in _sources():
        target = folder / source
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(REPOSITORY / source, target, follow_symlinks=False)
    with (folder / "src/foldwise/report/figures/style.py").open("a") as file:
        file.write(_SKETCHED)
    if commands:
        put_empty_store(commands, folder)
    project = Project(folder, commands, is_drawn)
    for section, values in params.items():
        project.change(section, **values)
    return project


def put_empty_store(commands: Path, folder: Path) -> None:
    """Copy the one that lies beside the commands."""
    runs = folder / "mlruns"
    runs.mkdir(exist_ok=True)
    shutil.copy(commands / "mlflow.db", runs)
    with closing(sqlite3.connect(runs / "mlflow.db")) as connection, connection:
        location = (str(runs / "artifacts" / "0"),)
        connection.execute("UPDATE experiments SET artifact_location = ?", location)


def commit(project: Project) -> Project:
    """Make the project a git repository with all of it committed, for DVC."""
    for command in (
        ("git", "init", "--quiet", "--initial-branch=main"),
        ("git", "add", "--all"),
        ("git", "commit", "--quiet", "--message=As it is"),
    ):
        done = project.run(*command)
        assert done.status == 0, done.errors
    return project


def _sources() -> Iterator[str]:
    # A wheel of tests without git has no such list; make test runs in a clone.
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=True,
    )
    skipped = ("data/raw/", "tests/", "benchmarks/", "validation/", "docs/", "reports/")
    yield "data/raw/README.md"
    for name in sorted(set(listed.stdout.split("\0")) - {"", "dvc.lock"}):
        path = REPOSITORY / name
        if not name.startswith(skipped) and (path.is_file() or path.is_symlink()):
            yield name
