"""Runs projects' Python commands in forks of one process that has imported everything once.

A script: it listens on a socket, where the client of `warm.py` hands in a command with its folder,
its environment and its three streams.
"""

import gc
import json
import os
import pickle
import runpy
import socket
import sys
import traceback
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any, NoReturn

from ruamel.yaml import YAML
from sqlalchemy.orm import configure_mappers

from foldwise.report import page

IMPORTS = (
    "dvc.cli",
    "dvc.commands.repro",
    "dvc.repo.experiments.executor.local",
    "dvc.repo.experiments.queue.tempdir",
    "dvc.render",
    "foldwise.app.cli",
    "foldwise.app.commands",
    "foldwise.app.compare",
    "foldwise.app.compare_summary",
    "foldwise.app.evaluate",
    "foldwise.app.prepare",
    "foldwise.app.tune",
    "foldwise.registry.verify",
    "foldwise.report.figures.columns",
    "foldwise.report.figures.holdout",
    "foldwise.report.figures.images",
    "foldwise.report.figures.search",
    "foldwise.report.figures.versus",
    "foldwise.search.engines.estimator",
    "mlflow.pyfunc",
    "mlflow.sklearn",
    "mlflow.store.model_registry.sqlalchemy_store",
    "mlflow.store.tracking.sqlalchemy_store",
    "optuna.storages._rdb.models",
    "skops.io",
    "sklearn.ensemble",
    "sklearn.neighbors",
    "sklearn.svm",
)
ENTRIES = {"dvc": "dvc.cli", "foldwise": "foldwise.app.cli"}


def _remember_yaml(*files: Path) -> None:
    """Read no text twice: DVC reads each of its files ten times, half of what it takes to run."""
    read: Any = YAML.load
    known: dict[str, bytes] = {}

    def load(yaml: YAML, text: Any) -> Any:
        if yaml.typ != ["safe"] or not isinstance(text, str):
            return read(yaml, text)
        if text not in known:
            known[text] = pickle.dumps(read(yaml, text))
        return pickle.loads(known[text])  # noqa: S301 - our own, for a copy each

    YAML.load = load  # type: ignore[assignment, method-assign]
    for file in files:
        YAML(typ="safe").load(file.read_text())


def _serve(address: str, client: str) -> None:
    for module in IMPORTS:
        import_module(module)
    configure_mappers()
    for name in page._environment().list_templates(extensions=["j2"]):
        page._environment().get_template(name)
    sources = Path(address).with_name("sources")
    _remember_yaml(sources / "dvc.yaml", *(sources / "comparison").glob("dvc.*"))
    sys.executable = client  # what a command starts in its turn is as fast
    gc.freeze()
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(address)
        listening.listen()
        sys.stdout.write("\n")
        sys.stdout.flush()
        while True:
            connection, _ = listening.accept()
            if os.fork() == 0:
                listening.close()
                _become(connection)
            connection.close()
            _reap()


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
    os.chdir(order["folder"])
    os.environ.clear()
    os.environ.update(order["environment"])
    status = _status(lambda: _run(order["arguments"]))
    sys.stdout.flush()
    sys.stderr.flush()
    connection.sendall(bytes([status]))
    os._exit(0)


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
