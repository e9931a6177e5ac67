"""Whose is a file: nothing is written, renamed or removed that isn't recognisably ours."""

import errno
import os
import re
import shlex
import sqlite3
import stat
from collections.abc import Iterator
from contextlib import closing
from mmap import ACCESS_READ, mmap
from pathlib import Path

from foldwise.errors import OutputError

# MLflow first: a file with both schemas is MLflow's, to which Optuna's tables were added.
_SCHEMAS = {
    "MLflow": ("alembic_version", "experiments", "registered_models", "runs"),
    "Optuna": ("studies", "trial_intermediate_values", "trials"),
}
_MAGIC = b"SQLite format 3\0"
_HEADER, _MARK_AT, _MARK = 100, slice(68, 72), 0x666F6C64  # "fold"
# SQLite's own limit is 512; beside the file lie its journal and what we begin it as.
_LONGEST_PATH = 490
_NOTHING_THERE = (errno.ENOENT, errno.ENOTDIR, errno.EBADF, errno.ELOOP)
_DVC_CACHED = re.compile(r"/[0-9a-f]{2}/[0-9a-f]{30}$")


def foreign(path: Path, owner: str) -> str | None:
    """What a path holds instead of the SQLite database of its owner, "MLflow" or "Optuna".

    None if it is the owner's, whole or damaged, or if nothing is there: no link either, at the path
    or above it, behind which something would be made. Looking leaves no trace: no lock, no journal
    beside it, and no other program's half-written transaction taken back.
    """
    if not path.exists():
        if wrong := [each for each in path.parents if each.exists() and not each.is_dir()]:
            return f"to be made in {wrong[0]}, which is no folder"
        links = (place for place in (path, *path.parents) if place.is_symlink())
        lost = (link for link in links if not link.exists())
        return next((f"to be made behind {link}, a link that leads nowhere" for link in lost), None)
    mode = path.stat().st_mode
    if not stat.S_ISREG(mode):
        return "a folder" if stat.S_ISDIR(mode) else "neither a file nor a folder"
    with path.open("rb") as file:
        header = file.read(_HEADER)
    if not header.startswith(_MAGIC):
        return "no SQLite database" if header else "empty"
    tables = _tables(path)
    known = [name for name, schema in _SCHEMAS.items() if tables.issuperset(schema)]
    if not known and int.from_bytes(header[_MARK_AT]) == _MARK:
        known = ["Optuna"]
    if known[:1] == [owner]:
        return None
    return f"{known[0]}'s" if known else "another program's, or damaged beyond recognition"


def check_sqlite_path(path: Path) -> None:
    """Refuse a path that is too long for SQLite, which would only say that it can't open it."""
    if (length := len(os.fsencode(path))) > _LONGEST_PATH:
        raise OutputError(
            f"a database's path must be at most {_LONGEST_PATH} bytes long, {path.name}'s has"
            f" {length}: move the project, or the database, to a folder with a shorter path"
        )


def mark_as_optunas(database: Path) -> None:
    """Put a sign of ours into a new database's header, where most damage leaves it legible."""
    with closing(sqlite3.connect(database)) as connection:
        connection.execute(f"PRAGMA application_id = {_MARK}")


def check_output(path: Path) -> None:
    """Refuse to write what a link leads to, at the path, above it or in it.

    DVC may link files, never folders, to its cache (``cache.type``); replaced, not written
    through, they do no harm.

    Raises
    ------
    OutputError
        Naming the link, or what is neither a file nor a folder.
    """
    for place in (*path.parents, path, *_inside(path)):
        if place.is_symlink():
            target = place.readlink()
            if place in path.parents or not _DVC_CACHED.search(str(target)):
                raise OutputError(
                    f"{place} must be no link, it leads to {target}: "
                    f"run `rm {shlex.quote(str(place))}`, which keeps what it leads to, "
                    "then run this again"
                )
        elif not _is_plain(place):
            raise OutputError(
                f"{place} must be a file or folder, it is neither: "
                f"move it away, then run this again"
            )


def check_new(path: Path) -> Path:
    """Where to write what a command is told to; refuse to write over anything, it may be anybody's.

    The folder may lie behind a link, for it was named; the file itself may be none.
    """
    if path.exists() and not path.is_symlink():  # a folder is not looked into: it may be any
        raise OutputError(
            f"{path} must not be there yet, it is and keeps its content: name another file, or"
            " move that one away"
        )
    place = path.parent.resolve() / path.name
    check_output(place)
    return place


def claim_beside(path: Path, word: str) -> Path:
    """Make an empty file ``NAME.WORD-NUMBER``, the first number that nothing has yet."""
    number = 1
    while True:
        free = path.with_name(f"{path.name}.{word}-{number}")
        try:
            free.open("xb").close()
        except FileExistsError:
            number += 1
        else:
            return free


def _tables(path: Path) -> set[str]:
    address = f"{path.resolve().as_uri()}?mode=ro&immutable=1"
    try:
        with closing(sqlite3.connect(address, uri=True)) as connection:
            named = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
            return {name for (name,) in named}
    except sqlite3.Error:
        # Cut short, overwritten, or just being written: what of the schema can still be read?
        with path.open("rb") as file, mmap(file.fileno(), 0, access=ACCESS_READ) as content:
            created = re.findall(rb'CREATE TABLE "?(\w+)"?\s*\(', content)
        return {name.decode("ascii", "replace") for name in created}


def _is_plain(place: Path) -> bool:
    """Whether there is a file, a folder or nothing: by one look, as locks come and go."""
    try:
        mode = place.stat().st_mode
    except ValueError:
        return True
    except OSError as error:
        if error.errno not in _NOTHING_THERE:
            raise
        return True
    return stat.S_ISREG(mode) or stat.S_ISDIR(mode)


def _inside(path: Path) -> Iterator[Path]:
    if path.is_dir() and not path.is_symlink():
        yield from path.rglob("*")
