"""How every command starts, speaks and ends: an error is one line, a signal a clean stop."""

import os
import signal
import sys
from collections.abc import Callable
from types import FrameType
from typing import NoReturn, TextIO

from foldwise.errors import FoldwiseError
from foldwise.store.faults import import_mlflow
from foldwise.threads import variable

_YES, _NO = {"1", "on", "true", "yes"}, {"0", "false", "no", "off"}


class Stopped(KeyboardInterrupt):
    """SIGINT or SIGTERM asked us to stop; caught wherever KeyboardInterrupt is."""

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.number = number


def is_quiet() -> bool:
    """Whether ``FOLDWISE_QUIET`` asks for silence while nothing is wrong."""
    return is_on("FOLDWISE_QUIET")


def is_on(switch: str) -> bool:
    """Whether a variable of the environment, which must say yes or no, switches something on."""
    rule = f"one of {', '.join(sorted(_YES))} or {', '.join(sorted(_NO))}"
    return variable(switch, rule, lambda told: told.lower() in _YES | _NO).lower() in _YES


def say(*lines: str) -> None:
    """Write lines, but empty ones, unless asked to be quiet."""
    if not is_quiet():
        tell("".join(f"{line}\n" for line in lines if line))


def tell(words: str, stream: TextIO | None = None) -> None:
    """Write to stdout, or another stream; that it can't be told undoes nothing that was done.

    A reader that has gone, as in ``foldwise history | head``, has heard enough.
    """
    stream = stream or sys.stdout
    if stream is None:  # closed by who started us
        return
    try:
        stream.write(words)
        stream.flush()
    except OSError as error:
        # What is still in the buffer would be tried again, and fail, when the process ends.
        with open(os.devnull, "w") as nowhere:  # noqa: PTH123 - no path of a file
            os.dup2(nowhere.fileno(), stream.fileno())
        if not isinstance(error, BrokenPipeError) and stream is not sys.stderr:
            tell(f"foldwise: this can't be shown ({error}); what was done stands\n", sys.stderr)


def printable(words: str) -> str:
    """The words with ``?`` for what would steer the terminal: they may have lain in a store."""
    return "".join(each if each.isprintable() or each == "\n" else "?" for each in words)


def import_slim_mlflow() -> None:
    """Import MLflow as its slim edition, which knows no pandas, is: for who needs no models."""
    if "mlflow" in sys.modules or "pandas" in sys.modules:
        return
    sys.modules["pandas"] = None  # type: ignore[assignment]
    try:
        import_mlflow()
    finally:
        del sys.modules["pandas"]


def run(main: Callable[[], None], *, resume: str = "run the same command again") -> None:
    """Run a command's main function and turn how it ends into words and an exit status.

    1 for a FoldwiseError or an OSError (disk full, no permission, connection lost), 130 for SIGINT,
    143 for SIGTERM; each with one line on stderr, which says how to ``resume``, an imperative. Any
    other exception is a bug of ours and keeps its traceback.

    SIGINT and SIGTERM reach the command as `Stopped`, so that ``finally`` blocks and handlers of
    KeyboardInterrupt run. A second SIGINT ends the process at once. A signal that was ignored when
    the process began stays ignored: so a shell without job control starts what runs in the
    background, and Ctrl-C is then meant for others.
    """
    for number in (signal.SIGINT, signal.SIGTERM):
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _stop)
    try:
        is_quiet()  # a word that is no answer is refused by who stays silent anyway, too
        main()
    except FoldwiseError as error:
        _end(str(error), status=1)
    except OSError as error:
        _end(f"the system refused: {error}: mend that, then {resume}", status=1)
    except Stopped as stop:
        _end(f"stopped by {stop}: to go on, {resume}", status=128 + stop.number)


def _stop(number: int, _frame: FrameType | None) -> NoReturn:
    # A process group may get SIGTERM twice; the second must not break into the clean-up.
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    raise Stopped(number)


def _end(words: str, *, status: int) -> NoReturn:
    tell(f"foldwise: {printable(' '.join(words.split()))}\n", sys.stderr)
    raise SystemExit(status)
