"""Runs projects' Python commands in forks of one process that has imported everything once.

A program: it listens on a socket, where the client of `warm.py` hands in a command with its folder,
its environment and its three streams, and then whatever signal it gets. If the client is killed, so
is the command.
"""

import hashlib
import json
import os
import pickle
import runpy
import signal
import socket
import sys
import traceback
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from threading import Thread
from typing import Any, NoReturn

from ruamel.yaml import YAML

from foldwise.store.database import create_once
from tests.e2e.preloaded import STAGES, preload

COMMANDS = (
    "celery.result",
    "dulwich.porcelain",
    "dvc.cachemgr",
    "dvc.cli.parser",
    "dvc.commands.repro",
    "dvc.data_cloud",
    "dvc.repo.brancher",
    "dvc.repo.experiments.executor.local",
    "dvc.repo.experiments.queue.celery",
    "dvc.repo.experiments.queue.tempdir",
    "dvc.repo.graph",
    "dvc.repo.plots",
    "dvc.render",
    "dvc.render.match",
    "dvc.utils.hydra",
    "dvc.utils.strictyaml",
    "dvc_render.plotly",
    "foldwise.app.cli",
    "foldwise.app.commands",
    "foldwise.app.compare",
    "foldwise.app.compare_summary",
    "foldwise.app.show",
    "foldwise.registry.verify",
    "foldwise.report.figures.columns",
    "foldwise.report.figures.versus",
    "hydra.core.override_parser.overrides_parser",
    "networkx",
    "sklearn.ensemble",
    "sklearn.neighbors",
    "sklearn.svm",
)
ENTRIES = {"dvc": "dvc.cli", "foldwise": "foldwise.app.cli"}


def _remember_yaml(folder: Path) -> None:
    """Read no text twice: DVC reads each of its files ten times, half of what it takes to run."""
    read: Any = YAML.load
    folder.mkdir()

    def load(yaml: YAML, text: Any) -> Any:
        if yaml.typ != ["safe"] or not isinstance(text, str):
            return read(yaml, text)
        known = folder / hashlib.sha256(text.encode()).hexdigest()
        if not known.exists():
            beside = known.with_suffix(f".{os.getpid()}")
            beside.write_bytes(pickle.dumps(read(yaml, text)))
            beside.rename(known)
        return pickle.loads(known.read_bytes())  # noqa: S301 - our own, for a copy each

    YAML.load = load  # type: ignore[assignment, method-assign]


def _serve(address: str, client: str) -> None:
    _remember_yaml(Path(address).with_name("yaml"))
    create_once(Path(address).with_name("mlflow.db"))
    preload((*STAGES, *COMMANDS))
    sys.executable = client  # what a command starts in its turn is as fast
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(address)
        listening.listen()
        listening.settimeout(0.2)
        sys.stdout.write("\n")
        sys.stdout.flush()
        while True:
            _reap()  # soon: by its process DVC tells whether the owner of a lock lives
            try:
                connection, _ = listening.accept()
            except TimeoutError:
                continue
            if os.fork() == 0:
                listening.close()
                _become(connection)
            connection.close()


def _reap() -> None:
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        pass


def _become(connection: socket.socket) -> NoReturn:
    told, streams, _, _ = socket.recv_fds(connection, 1 << 20, 3)
    order = json.loads(told)
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    os.setsid()
    Thread(target=_hear, args=(connection,), daemon=True).start()
    os.chdir(order["folder"])
    os.environ.clear()
    os.environ.update(order["environment"])
    status = _status(lambda: _run(order["arguments"]))
    sys.stdout.flush()
    sys.stderr.flush()
    connection.sendall(bytes([status]))
    os._exit(0)


def _hear(connection: socket.socket) -> None:
    """Get the signals that the client gets."""
    while told := connection.recv(1):
        os.killpg(0, ord(told))
    os.killpg(0, signal.SIGKILL)


def _run(arguments: list[str]) -> object:
    name, *rest = arguments
    sys.argv = [name, *rest]
    if name in ENTRIES:
        main: Callable[..., object] = import_module(ENTRIES[name]).main
        return main(rest)
    sys.modules.pop(name, None)  # runpy warns of a main module that was imported before
    runpy.run_module(name, run_name="__main__", alter_sys=True)
    return 0


def _status(command: Callable[[], object]) -> int:
    try:
        code = command()
    except SystemExit as end:
        code = end.code
    except Exception:  # noqa: BLE001 - as the interpreter would, told and status 1
        traceback.print_exc()
        return 1
    return int(code) & 255 if isinstance(code, int) else int(code is not None)


if __name__ == "__main__":
    _serve(*sys.argv[1:])
