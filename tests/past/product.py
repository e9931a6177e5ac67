"""How what people run is called: the one place that the tests of the past know it from."""

import io
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from importlib import import_module
from pathlib import Path

import pytest

from foldwise.app.cli import main

_STAGES = "foldwise.app.{}"
_SETTINGS = {"FOLDWISE_QUIET": "1", "FOLDWISE_THREADS": "1"}
_OUTSIDE = ("DVC_", "FOLDWISE_", "MLFLOW_")


def command(folder: Path, *arguments: str, status: int = 0) -> str:
    """Run ``foldwise ARGUMENTS`` in a folder; gives what it printed.

    In this process: importing MLflow takes longer than all that is done here.
    """
    printed, errors = io.StringIO(), io.StringIO()
    with _inside(folder), redirect_stdout(printed), redirect_stderr(errors):
        ended = _status_of(arguments)
    assert ended == status, f"{arguments}: {ended}\n{printed.getvalue()}{errors.getvalue()}"
    return printed.getvalue()


def stage(folder: Path, name: str) -> None:
    """Run a stage in a folder, as DVC would, but for the pixels of its pictures."""
    with _inside(folder), pytest.MonkeyPatch.context() as patch:
        patch.setattr("foldwise.report.figures.style._saved", lambda *_: b"pixels")
        import_module(_STAGES.format(name)).main()


@contextmanager
def _inside(folder: Path) -> Iterator[None]:
    # Every command takes the signals over.
    before = {each: signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM)}
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith(_OUTSIDE)]:
            patch.delenv(name)
        for name, value in _SETTINGS.items():
            patch.setenv(name, value)
        patch.chdir(folder)
        try:
            yield
        finally:
            for each, handler in before.items():
                signal.signal(each, handler)


def _status_of(arguments: tuple[str, ...]) -> object:
    try:
        main(arguments)
    except SystemExit as ended:
        return ended.code
    return 0
