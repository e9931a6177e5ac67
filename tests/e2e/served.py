"""A model served by MLflow: by a server of its own or by this process; ask it, end it."""

import signal
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import requests
import uvicorn

from tests.waiting import PATIENCE, end_group, free_port, tail, wait_until

if TYPE_CHECKING:
    from mlflow.pyfunc import PyFuncModel


@contextmanager
def serving(
    command: Sequence[str], port: int, *, folder: Path, environment: Mapping[str, str]
) -> Iterator[str]:
    """The address that the command serves at, which is ended afterwards with all it started."""
    address, log = f"http://127.0.0.1:{port}", folder / "served.log"
    with log.open("wb") as printed:
        server = subprocess.Popen(
            command,
            cwd=folder,
            env=environment,
            stdout=printed,
            stderr=printed,
            start_new_session=True,
        )
    try:
        wait_until(
            lambda: _is_up(address),
            f"an answer at {address}",
            ended=lambda: server.poll() is not None,
            told=lambda: tail(log),
        )
        yield address
    finally:
        end_group(server, signal.SIGTERM)


@contextmanager
def serving_here(model: "PyFuncModel") -> Iterator[str]:
    """The address at which MLflow's own application serves a loaded model, in a thread."""
    from mlflow.pyfunc.scoring_server import init

    port = free_port()
    server = uvicorn.Server(uvicorn.Config(init(model), port=port, log_level="critical"))
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        while not server.started:
            assert thread.is_alive()
            time.sleep(0.05)
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        thread.join()


def _is_up(address: str) -> bool:
    """Whether the model answers there, however slowly."""
    with suppress(requests.ConnectionError, requests.Timeout):
        return requests.get(f"{address}/ping", timeout=5).ok
    return False


def post(address: str, body: object) -> requests.Response:
    """Ask for predictions."""
    return requests.post(f"{address}/invocations", json=body, timeout=PATIENCE)
