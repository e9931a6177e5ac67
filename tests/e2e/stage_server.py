"""Starts stages fast: all libraries imported once, each stage a forked process.

A program: one JSON order a line on stdin, one JSON answer a line on stdout. A stage can be told
to stop itself when it is about to do something for the n-th time: to write, rename or remove a
file below its folder, or to change or commit in a database. Such moments come again, clock or not.
"""

import ctypes
import errno
import json
import os
import re
import runpy
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from sqlalchemy import event
from sqlalchemy.engine import Engine

from tests.e2e.preloaded import STAGES, preload

_FILE_EVENTS = {"os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.truncate"}
_READING = re.compile(r"\s*(SELECT|PRAGMA)", re.IGNORECASE)


class Watch:
    """Counts what the stage is about to do, and stops it at one such moment.

    Parameters
    ----------
    folder : str
        Files elsewhere don't count.
    what : str
        Pattern of the events that count, such as ``open mlruns/.*png`` or ``sql commit``.
    at : int
        Which of them is the moment; 0 for none.
    how : str
        A signal's name, or ``disk full``: the call fails as on a full disk, this time and ever
        after.
    """

    def __init__(self, folder: str, *, what: str, at: int, how: str) -> None:
        self.seen = 0
        self._folder, self._what, self._at, self._how = folder, re.compile(what), at, how
        sys.addaudithook(self._hear)
        event.listen(Engine, "before_cursor_execute", self._hear_statement)
        event.listen(Engine, "commit", lambda _: self._count("sql commit"))

    def _hear(self, name: str, arguments: Sequence[object]) -> None:
        if name not in _FILE_EVENTS and not (name == "open" and _writes(*arguments)):
            return
        path = arguments[name == "os.rename"]
        if isinstance(path, str | os.PathLike):
            place = Path(path).absolute()
            if place.is_relative_to(self._folder):
                self._count(f"{name.removeprefix('os.')} {place.relative_to(self._folder)}")

    def _hear_statement(self, *arguments: object) -> None:
        statement = str(arguments[2])
        if not _READING.match(statement):
            self._count(f"sql {statement.split(maxsplit=1)[0]}")

    def _count(self, happening: str) -> None:
        if not self._what.search(happening):
            return
        self.seen += 1
        if self._how == "disk full":
            if 0 < self._at <= self.seen:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), happening)
        elif self.seen == self._at:
            os.kill(os.getpid(), signal.Signals[self._how])


def _writes(_path: object, mode: object, flags: object) -> bool:
    if isinstance(mode, str):
        return bool(set(mode) & set("wax+"))
    return isinstance(flags, int) and bool(flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT))


def _become(order: dict[str, str | int | dict[str, str]]) -> NoReturn:
    """Turn this forked process into the stage, as ``python -m`` would.

    An exception of the stage's passes through, to end the process as exceptions do.
    """
    os.setsid()
    folder, log = str(order["folder"]), Path(str(order["log"]))
    environment = order["environment"]
    assert isinstance(environment, dict)
    os.environ.update(environment)
    if mounts_of := os.environ.pop("MOUNTS_OF", ""):
        _join(mounts_of)
    os.chdir(folder)
    for descriptor, name in ((1, "out"), (2, "err")):
        os.dup2(os.open(log / name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), descriptor)
    watch = Watch(folder, what=str(order["what"]), at=int(str(order["at"])), how=str(order["how"]))
    status = _run(f"foldwise.app.{order['stage']}")
    (log / "events").write_text(str(watch.seen))
    sys.stdout.flush()
    sys.stderr.flush()
    # Tidying up a thousand imported modules takes two seconds, and changes nothing any more.
    os._exit(status)


def _join(process: str) -> None:
    """See what a process has mounted: ``os.setns`` is Python 3.12's."""
    for kind in ("user", "mnt"):
        with open(f"/proc/{process}/ns/{kind}") as namespace:  # noqa: PTH123 - no file, a handle
            failed = ctypes.CDLL(None).setns(namespace.fileno(), 0)
        assert not failed, f"may not join the {kind} namespace"


def _run(module: str) -> int:
    del sys.modules[module]  # runpy warns of a main module that was imported before
    try:
        runpy.run_module(module, run_name="__main__", alter_sys=True)
    except SystemExit as end:
        return int(end.code or 0)
    return 0


def _serve() -> None:
    preload(STAGES)
    for line in sys.stdin:
        order = json.loads(line)
        if order["do"] == "start":
            answer = os.fork()
            if answer == 0:
                _become(order)
        else:
            answer = os.waitstatus_to_exitcode(os.waitpid(order["child"], 0)[1])
        sys.stdout.write(f"{answer}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    _serve()
