"""A model served by MLflow: by a server of its own or by this process; ask it, end it."""

import os
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import requests
import uvicorn

if TYPE_CHECKING:
    from mlflow.pyfunc import PyFuncModel


def free_port() -> int:
    """A port of this machine that nobody listens on."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


@contextmanager
def serving(
    command: Sequence[str], port: int, *, folder: Path, environment: Mapping[str, str]
) -> Iterator[str]:
    """The address that the command serves at, which is ended afterwards with all it started."""
    server = subprocess.Popen(
        command,
        cwd=folder,
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        yield _wait_until_up(f"http://127.0.0.1:{port}", server)
    finally:
        with suppress(ProcessLookupError):
            os.killpg(server.pid, signal.SIGTERM)
        server.wait(30)


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


def _wait_until_up(address: str, server: subprocess.Popen[bytes]) -> str:
    """Give the address when something answers there."""
    for _ in range(240):
        assert server.poll() is None, "the server ended"
        with suppress(requests.ConnectionError):
            if requests.get(f"{address}/ping", timeout=5).ok:
                return address
        time.sleep(0.25)
    pytest.fail("the server didn't come up within a minute")


def post(address: str, body: object) -> requests.Response:
    """Ask for predictions."""
    return requests.post(f"{address}/invocations", json=body, timeout=30)
