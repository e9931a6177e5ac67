"""A real ``mlflow server`` on loopback, for tests: started, hung, killed, started again."""

import os
import signal
import subprocess
import sys
import urllib.request
from contextlib import suppress
from pathlib import Path

from tests.waiting import free_port, tail, wait_until


class TrackingServer:
    """A server with a store of its own in a folder.

    Attributes
    ----------
    url : str
        The same, however often the server is started.
    database, artifacts : Path
        What it keeps.
    """

    def __init__(self, folder: Path) -> None:
        self._folder, self._log = folder, folder / "team.log"
        self.database = folder / "team.db"
        self.artifacts = folder / "team-artifacts"
        self.url = f"http://127.0.0.1:{free_port()}"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it and wait until it answers."""
        command = (
            *(sys.executable, "-m", "mlflow", "server", "--workers", "1"),
            *("--backend-store-uri", f"sqlite:///{self.database}"),
            *("--artifacts-destination", str(self.artifacts)),
            *("--port", self.url.rpartition(":")[2]),
        )
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                command,
                cwd=self._folder,
                env={**os.environ, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"},
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        process = self._process
        wait_until(
            self._is_up,
            "the server's first answer",
            ended=lambda: process.poll() is not None,
            told=lambda: tail(self._log),
        )

    def _is_up(self) -> bool:
        with suppress(OSError), urllib.request.urlopen(f"{self.url}/health", timeout=5):  # noqa: S310
            return True
        return False

    def signal(self, number: int) -> None:
        """Send a signal to the server and its workers."""
        assert self._process is not None
        os.killpg(self._process.pid, number)

    def kill(self) -> None:
        """End it at once, if it runs."""
        if self._process is None:
            return
        with suppress(ProcessLookupError):
            self.signal(signal.SIGKILL)
        self._process.wait()
        self._process = None
