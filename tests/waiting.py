"""What tests start beside themselves: a port for it, and the wait for what it does.

A wait ends when what is waited for is there, or can't come any more; its limit is for what hangs. A
busy machine takes five times as long as a quiet one, and no test fails for it.
"""

import os
import random
import signal
import socket
import subprocess
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

PATIENCE = 240.0
"""Seconds that a test waits for anything, within pytest's own limit of 300 for a whole test."""

_PORTS = range(20_000, 32_768)
"""Below those that a system gives to whoever connects to somewhere.

A server takes ten seconds to listen at its port, in which it would be another's.
"""


def free_port() -> int:
    """A port of this machine that nobody listens on, nor is given to a connection."""
    while True:
        port = random.SystemRandom().choice(_PORTS)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port


def wait_until(
    met: Callable[[], bool],
    what: str,
    *,
    ended: Callable[[], object] = bool,
    told: Callable[[], str] = str,
) -> None:
    """Wait for something that another process does before it ends.

    Parameters
    ----------
    met : callable
        Whether it is there.
    what : str
        What is waited for, for the message.
    ended : callable
        Whatever is true once the other has ended, and so won't do it any more.
    told : callable
        What the other printed, for the message.

    Raises
    ------
    AssertionError
        The other ended without it, or it didn't come within `PATIENCE`.
    """
    limit = time.monotonic() + PATIENCE
    while not met():
        assert not (ended() and not met()), f"ended before {what}: {told()}"
        assert time.monotonic() < limit, f"not within {PATIENCE:.0f} s: {what}: {told()}"
        time.sleep(0.02)


def end_group(process: "subprocess.Popen[Any]", number: signal.Signals) -> None:
    """Send a signal to a process and all it started; what doesn't heed it is killed."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, number)
    try:
        process.wait(PATIENCE)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def tail(log: Path) -> str:
    """The end of what a process printed to a file."""
    return log.read_text(errors="replace")[-4000:]
