"""An artist: draws in a process of its own, beside other work, where there is a core for both."""

import os
import pickle
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from subprocess import DEVNULL, PIPE, Popen
from typing import IO, Any, ParamSpec, Self, TypeVar

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

        ``what`` is a module's own function, and what it is given can be pickled.
        """
        job = partial(what, *seen, **how)
        if self._process is None and threads() > 1:
            command = [sys.executable, "-m", __name__]
            with suppress(OSError):
                self._process = Popen(command, stdin=PIPE, stdout=PIPE, stderr=DEVNULL)
        if self._process is None:
            return job
        asked = self._asking.submit(_ask, self._process, job)

        def collected() -> T:
            with suppress(Exception):  # whatever bytes raise that aren't its answer
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
            self._process.communicate()


def _ask(process: Popen[bytes], job: Callable[[], T]) -> T:
    assert process.stdin is not None and process.stdout is not None  # noqa: S101, PT018
    try:
        pickle.dump(job, process.stdin)
        process.stdin.flush()
        drawn: T = pickle.load(process.stdout)  # noqa: S301 - our own process wrote it
    except BaseException:
        process.kill()  # its next answer could be to this
        raise
    return drawn


def _serve(asked: IO[bytes], given: IO[bytes]) -> None:
    """Draw until nobody asks any more, their end of the pipe being closed."""
    from foldwise.report.figures import columns, holdout, images, search  # noqa: F401 - meanwhile

    while True:
        try:
            job: Callable[[], Any] = pickle.load(asked)  # noqa: S301 - who started us wrote it
        except EOFError:
            return
        pickle.dump(job(), given)
        given.flush()


if __name__ == "__main__":
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a library prints is no answer
    _serve(sys.stdin.buffer, answers)
