"""Stages as processes that start in milliseconds and stop at a chosen moment."""

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.e2e.project import REPOSITORY, Ended, Project


@dataclass(frozen=True, slots=True)
class Moment:
    """When and how a stage stops itself; see `tests.e2e.stage_server.Watch`."""

    at: int = 0
    how: str = "SIGKILL"
    what: str = "."


@dataclass(frozen=True, slots=True)
class Stage:
    """A stage that was started."""

    pid: int
    log: Path

    @property
    def state(self) -> str:
        """Its letter in Linux's table of processes: T stopped, Z ended; empty without one."""
        try:
            stat = Path(f"/proc/{self.pid}/stat").read_text()
        except OSError:
            return ""
        return stat.rpartition(")")[2].split()[0]


class StageServer:
    """Talks to a `stage_server` process that has the project's sources imported."""

    def __init__(self, process: "subprocess.Popen[str]", logs: Path) -> None:
        self._process, self._logs, self._count = process, logs, 0

    def start(
        self, name: str, folder: Path, moment: Moment | None = None, **environment: str
    ) -> Stage:
        """Start a stage in a folder; with ``MOUNTS_OF`` a process, as that one sees it."""
        moment = moment or Moment()
        self._count += 1
        log = self._logs / f"{self._count:04d}-{name}"
        log.mkdir()
        pid = self._ask(
            do="start",
            stage=name,
            folder=str(folder),
            environment={"FOLDWISE_THREADS": "1", **environment},
            log=str(log),
            at=moment.at,
            how=moment.how,
            what=moment.what,
        )
        return Stage(pid, log)

    def wait(self, stage: Stage) -> Ended:
        """Wait for the stage's end; a signal's number is a negative status."""
        status = self._ask(do="wait", child=stage.pid)
        output, errors = ((stage.log / name).read_text() for name in ("out", "err"))
        return Ended(status, output, errors)

    def run(
        self, name: str, folder: Path, moment: Moment | None = None, **environment: str
    ) -> Ended:
        """Run a stage to its end."""
        return self.wait(self.start(name, folder, moment, **environment))

    def run_for(self, name: str, folder: Path, seconds: float, *, how: str = "SIGKILL") -> Ended:
        """Run a stage and send it a signal after so many seconds."""
        stage = self.start(name, folder)
        timer = threading.Timer(seconds, os.kill, (stage.pid, signal.Signals[how]))
        timer.start()
        try:
            return self.wait(stage)
        finally:
            timer.cancel()

    def count_events(self, name: str, folder: Path, what: str = ".") -> int:
        """Run a stage to its end and count the moments at which it could have been stopped."""
        stage = self.start(name, folder, Moment(what=what))
        assert self.wait(stage).status == 0
        return int((stage.log / "events").read_text())

    def _ask(self, **order: object) -> int:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{json.dumps(order)}\n")
        self._process.stdin.flush()
        return int(self._process.stdout.readline())


@contextmanager
def stage_server(project: Project, logs: Path) -> Iterator[StageServer]:
    """A server of the project's stages; its import takes some seconds."""
    logs.mkdir()
    with subprocess.Popen(
        [sys.executable, "-m", "tests.e2e.stage_server"],
        cwd=REPOSITORY,
        env=project.environment({"FOLDWISE_QUIET": "1"}),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        yield StageServer(process, logs)
        assert process.stdin is not None
        process.stdin.close()
