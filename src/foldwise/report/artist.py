"""An artist: draws in a process of its own, beside other work, where there is a core for both."""

import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from subprocess import DEVNULL, Popen
from typing import Any, ParamSpec, Self, TypeVar

from foldwise.threads import threads

P = ParamSpec("P")
T = TypeVar("T")


class Artist:
    """Draws what it is asked for, in that order; open it in a ``with`` statement.

    With one thread (`foldwise.threads`) all is drawn here, when it is collected. So is what the
    other process can't be begun for or fails at, killed for its memory, say, and all after it:
    what is wrong with a picture shows here.
    """

    def __init__(self) -> None:
        self._process: Popen[bytes] | None = None
        self._asking = ThreadPoolExecutor(1)

    def draw(self, what: Callable[P, T], *seen: P.args, **how: P.kwargs) -> Callable[[], T]:
        """Begin to draw; what is given back waits for the picture.

        ``what`` is a module's own function, and what it is given can be sent to another process.
        """
        job = partial(what, *seen, **how)
        if self._process is None and threads() > 1:
            with suppress(OSError):
                self._process, self._line = _begun()
        if self._process is None:
            return job
        asked = self._asking.submit(_ask, self._process, self._line, job)

        def collected() -> T:
            with suppress(Exception):  # whatever it failed with
                return asked.result()
            return job()

        return collected

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """End the process, whatever it is at."""
        if self._process is not None:
            self._process.kill()
        self._asking.shutdown(cancel_futures=True)
        if self._process is not None:
            self._process.wait()
            self._line.close()


def _begun() -> tuple[Popen[bytes], Connection]:
    """The process, and our end of the pipe to it: whichever ends, the other finds it closed."""
    ours, theirs = Pipe()
    with theirs:
        end = theirs.fileno()
        command = [sys.executable, "-m", __name__, str(end)]
        process = Popen(command, pass_fds=[end], stdin=DEVNULL, stdout=DEVNULL, stderr=DEVNULL)
    return process, ours


def _ask(process: Popen[bytes], line: Connection, job: Callable[[], T]) -> T:
    try:
        line.send(job)
        drawn: T = line.recv()
    except BaseException:
        process.kill()  # its next answer could be to this
        raise
    return drawn


def _serve(line: Connection) -> None:
    """Draw until nobody asks any more."""
    from foldwise.report.figures import columns, holdout, images, search  # noqa: F401 - meanwhile

    while True:
        try:
            job: Callable[[], Any] = line.recv()
        except EOFError:
            return
        line.send(job())


if __name__ == "__main__":
    _serve(Connection(int(sys.argv[1])))
