"""A real Dask cluster on loopback: a scheduler and worker processes that tests may kill."""

import os
import signal
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib import import_module
from multiprocessing import get_context
from multiprocessing.context import ForkServerProcess

from tests.waiting import PATIENCE, free_port, wait_until

# Forked of one process that has imported what isn't ours, which takes longer than all else here.
_FORKS = get_context("forkserver")
_FORKS.set_forkserver_preload(
    ["distributed.cli.dask_scheduler", "distributed.cli.dask_worker", "optuna", "sklearn.pipeline"]
)


@dataclass
class Cluster:
    """A scheduler at ``address`` and the workers started so far."""

    address: str
    scheduler: ForkServerProcess
    workers: list[ForkServerProcess] = field(default_factory=list)

    def add_worker(self, *, threads: int = 1, before: str = "") -> None:
        """Start a worker of so many threads; ``before`` is Python that it runs first."""
        options = (f"--nthreads={threads}", "--no-nanny", "--no-dashboard", "--host=127.0.0.1")
        self.workers.append(_start("worker", self.address, *options, before=before))

    def freeze(self, worker: int) -> None:
        """Stop a worker with what it has in its hands."""
        os.kill(self.workers[worker].pid or 0, signal.SIGSTOP)

    def wait_for_workers(self, count: int) -> None:
        """Until so many have joined."""
        from distributed import Client

        with Client(self.address, set_as_default=False) as client:
            client.wait_for_workers(count, timeout=PATIENCE)

    def kill(self) -> None:
        """End what still runs, stopped processes too."""
        for process in (*self.workers, self.scheduler):
            process.kill()
            process.join()


@contextmanager
def cluster(workers: int = 2) -> Iterator[Cluster]:
    """A cluster of so many workers."""
    port = free_port()
    where = ("--host", "127.0.0.1", "--port", str(port), "--no-dashboard")
    running = Cluster(f"tcp://127.0.0.1:{port}", _start("scheduler", *where))
    try:
        for _ in range(workers):
            running.add_worker()
        wait_until(
            lambda: _is_taken(port),
            "the scheduler",
            ended=lambda: not running.scheduler.is_alive(),
        )
        if workers:
            running.wait_for_workers(workers)
        yield running
    finally:
        running.kill()


def _start(what: str, *arguments: str, before: str = "") -> ForkServerProcess:
    process = _FORKS.Process(target=_become, args=(what, arguments, before), daemon=True)
    process.start()
    return process


def _become(what: str, arguments: tuple[str, ...], before: str) -> None:
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in (1, 2):
        os.dup2(nowhere, stream)
    exec(before, {})  # noqa: S102 - the tests' own
    command = f"dask_{what}"
    sys.argv = [command, *arguments]
    import_module(f"distributed.cli.{command}").main()


def _is_taken(port: int) -> bool:
    """Whether somebody listens there."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
