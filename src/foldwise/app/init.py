"""``foldwise init``: a project in an empty folder, whose pipeline runs the installed foldwise."""

import shutil
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import get_args

from jinja2 import Environment, PackageLoader

from foldwise.app.exits import tell
from foldwise.data.table_file import open_table
from foldwise.errors import FoldwiseError, OutputError, SettingsError
from foldwise.files import write_bytes
from foldwise.settings import Metric, load_settings
from foldwise.store.address import tracking_address

_FILES = ("dvc.yaml", "params.yaml", "README.md", ".gitignore", ".dvcignore")
_CONFIG = "[core]\n    analytics = false\n    autostage = false\n"


def init(name: str, *, table: Path | None, target: str | None, group: str | None) -> None:
    """Make the folder ``name`` a project: of the table, or of scikit-learn's digits without one.

    The table is copied into it and given to DVC, so that git never holds its rows. Nothing is
    written where the folder isn't empty, no database can lie there, or options or table won't do.
    """
    _check(table, target, group)
    folder = Path(name)
    tracking_address(folder.resolve(), "")  # its own store's, whose path not all characters suit
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise OutputError(
            f"a project begins in a folder that is empty or not there yet, {folder} is neither:"
            " name another"
        )
    path = f"data/{table.name}" if table else ""
    facts = {"name": folder.resolve().name, "path": path, "target": target, "group": group}
    facts["metrics"] = " | ".join(get_args(Metric))
    files = {at: _rendered(f"{at.lstrip('.')}.j2", facts) for at in _FILES}
    _check_parameters(files["params.yaml"])
    folder.mkdir(parents=True, exist_ok=True)
    for at, text in files.items():
        write_bytes(folder / at, text.encode())
    if top_level(folder) is None:
        _do(folder, "git", "init", "--quiet")
    _do(folder, sys.executable, "-m", *dvc_init(folder).split(), "--quiet")
    write_bytes(folder / ".dvc" / "config", _CONFIG.encode())
    if table:
        (folder / "data").mkdir()
        shutil.copyfile(table, folder / path)
        _do(folder, sys.executable, "-m", "dvc", "add", "--quiet", path)
    tell(f"made {folder}: `cd {folder}`, then `dvc repro`; README.md tells more\n")


def dvc_init(folder: Path) -> str:
    """The command that makes a folder of a git repository a DVC project."""
    is_top = top_level(folder) == folder.resolve()
    return "dvc init" if is_top else "dvc init --subdir"


def top_level(folder: Path) -> Path | None:
    """The root of the git repository that a folder lies in, if it does."""
    command = ["git", "rev-parse", "--show-toplevel"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    return None if done.returncode else Path(done.stdout.strip()).resolve()


def _check(table: Path | None, target: str | None, group: str | None) -> None:
    if table is None and (target or group):
        given = "--target" if target else "--group"
        raise SettingsError(f"{given} names a column of a table, got no table: give --table, too")
    if table is not None and target is None:
        raise SettingsError("--table needs the column of classes, got none: give --target, too")
    if table is None:
        return
    if not table.is_file():
        raise SettingsError(f"--table must be a CSV or Parquet file, got {table}: name one")
    file = open_table(table)
    for option, name in (("--target", target), ("--group", group)):
        if name is not None:
            file.require(name, option, "name another")
    if group == target:
        raise SettingsError(
            f"--group must name another column than --target, both name {group!r}: leave it out"
        )


def _rendered(template: str, facts: dict[str, str | None]) -> str:
    loader = PackageLoader("foldwise", "app/project")
    page = Environment(loader=loader, trim_blocks=True, keep_trailing_newline=True)  # noqa: S701 - no HTML
    return page.get_template(template).render(facts)


def _check_parameters(text: str) -> None:
    with TemporaryDirectory(prefix="foldwise-") as scratch:
        path = Path(scratch, "params.yaml")
        path.write_text(text)
        try:
            load_settings(path)
        except SettingsError as error:
            words = str(error).replace(f"edit {path}", "name it otherwise")
            raise SettingsError(words) from error


def _do(folder: Path, *command: str) -> None:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        said = " ".join(done.stderr.split())[-300:]
        raise FoldwiseError(
            f"{' '.join(command[-3:])} must succeed in {folder}, it said '{said}': mend that,"
            " and begin again with an empty folder"
        )
