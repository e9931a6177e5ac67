"""A model served by MLflow: wait for its server, ask it."""

import subprocess
import time
from contextlib import suppress

import pytest
import requests


def wait_until_up(address: str, server: subprocess.Popen[bytes]) -> str:
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
