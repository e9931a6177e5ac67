"""A real Dask cluster on loopback: a scheduler and worker processes that tests may kill."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

_BEGIN = "import sys; from distributed.cli import dask_{0}; sys.exit(dask_{0}.main())"


@dataclass
class Cluster:
    """A scheduler at ``address`` and the workers started so far."""

    address: str
    scheduler: "subprocess.Popen[bytes]"
    workers: "list[subprocess.Popen[bytes]]" = field(default_factory=list)

    def add_worker(
        self, *, threads: int = 1, before: str = "", **environment: str
    ) -> "subprocess.Popen[bytes]":
        """Start a worker of so many threads; ``before`` is Python that it runs first."""
        options = (f"--nthreads={threads}", "--no-nanny", "--no-dashboard", "--host=127.0.0.1")
        self.workers.append(_start("worker", self.address, *options, before=before, **environment))
        return self.workers[-1]

    def wait_for_workers(self, count: int) -> None:
        """Until so many have joined."""
        from distributed import Client

        with Client(self.address, set_as_default=False) as client:
            client.wait_for_workers(count, timeout=180)

    def kill(self) -> None:
        """End what still runs, stopped processes too."""
        for process in (*self.workers, self.scheduler):
            if process.poll() is None:
                process.send_signal(signal.SIGKILL)
            process.wait()


@contextmanager
def cluster(workers: int = 2, *, threads: int = 1, **environment: str) -> Iterator[Cluster]:
    """A cluster of so many workers of so many threads each."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    where = ("--host", "127.0.0.1", "--port", str(port), "--no-dashboard")
    running = Cluster(f"tcp://127.0.0.1:{port}", _start("scheduler", *where))
    try:
        for _ in range(workers):
            running.add_worker(threads=threads, **environment)
        _wait_until_listening(port)
        if workers:
            running.wait_for_workers(workers)
        yield running
    finally:
        running.kill()


def _start(
    what: str, *arguments: str, before: str = "", **environment: str
) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(
        [sys.executable, "-c", f"{before}\n{_BEGIN.format(what)}", *arguments],
        env={**os.environ, "OMP_NUM_THREADS": "1", **environment},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def _wait_until_listening(port: int) -> None:
    deadline = time.monotonic() + 180
    while time.monotonic() < deadline:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.1)
    raise AssertionError("the scheduler didn't start")
