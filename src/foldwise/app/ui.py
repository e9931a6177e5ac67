"""`foldwise ui`: MLflow's server on this machine's store, and links that land where it pays."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import NoReturn

from foldwise.app.views import page_links, recorded_data
from foldwise.errors import StoreError
from foldwise.ownership import check_output
from foldwise.registry.champion import reconcile
from foldwise.registry.snapshot import model_name
from foldwise.store.address import project_root, tracking_address
from foldwise.store.open import Store, open_store

_STARTING_SECONDS = 90
_ENDING_SECONDS = 10
_LOOPBACK = ("127.0.0.1", "localhost", "::1")
_ENDING = (signal.SIGTERM, signal.SIGHUP, signal.SIGINT)

# Jobs and their consumers are for language models; without them the server starts sooner.
_SERVER_ENVIRONMENT = {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}


def serve_ui(*, host: str = "127.0.0.1", port: int = 5000, root: Path | None = None) -> None:
    """Serve the UI until interrupted, or only print the links if the store is a server already.

    Parameters
    ----------
    host : str
        Interface to listen on. Whoever reaches it may change and delete runs.
    port : int
    root : Path, optional
        The project's folder.

    Raises
    ------
    StoreError
        Nothing was recorded yet, the port is taken, or the server ends by itself.
    """
    root = root or project_root()
    database = tracking_address(root).database
    if database is not None and not database.exists():
        raise StoreError(f"there is no tracking database {database}: run `make repro` first")
    store = open_store(root)
    names = recorded_data(store)
    if not names:
        raise StoreError("nothing was recorded yet: run `make repro` first")
    for name in names:
        reconcile(store, model_name(name))
    if store.is_server:
        _say(_listing(store, names, store.tracking_uri))
        return
    _check_free(host, port)
    base = _base(host, port)
    if host not in _LOOPBACK:
        _say(f"Careful: whoever reaches {host}:{port} can change and delete runs.")
    _say(f"Starting MLflow on {base} ...")
    log = new_log(root)
    with _interrupts(), _server(store, host, port, log) as server:
        _wait_until_it_answers(server, host, port, log)
        _say(f"{_listing(store, names, base)}\nCtrl-C ends it.")
        with suppress(KeyboardInterrupt):
            server.wait()
            raise StoreError(f"the MLflow server ended: {_last_line(log)}")


def new_log(root: Path) -> Path:
    """Where the server's log goes; an earlier one is removed, not written through its names."""
    log = (root / "mlruns").resolve() / "server.log"
    check_output(log)
    log.parent.mkdir(exist_ok=True)
    log.unlink(missing_ok=True)
    return log


def _base(host: str, port: int) -> str:
    """The server's address as a browser on this machine reaches it."""
    if host in ("0.0.0.0", "::"):  # noqa: S104 - asked for by the user, and warned about
        host = "127.0.0.1"
    return f"http://{f'[{host}]' if ':' in host else host}:{port}"


def _say(words: str) -> None:
    sys.stdout.write(f"{words}\n")
    sys.stdout.flush()


def _listing(store: Store, names: tuple[str, ...], base: str) -> str:
    lines: list[str] = []
    for name in names:
        lines.append(f"\n{name}")
        links = page_links(store, name)
        width = max(len(link.name) for link in links)
        lines.extend(f"  {link.name:<{width}}  {base}/{link.path}" for link in links)
    return "\n".join(lines)


def _check_free(host: str, port: int) -> None:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except (OSError, OverflowError) as error:
            raise StoreError(
                f"can't listen on {host}:{port} ({error}): "
                f"end what runs there, or choose another, `foldwise ui --port {port % 65535 + 1}`"
            ) from error


@contextmanager
def _interrupts() -> Iterator[None]:
    """Let SIGTERM and a closed terminal end the server as Ctrl-C does.

    A signal that was ignored when we began stays ignored: ``nohup`` and background jobs ask that.
    """

    def interrupt(_number: int, _frame: FrameType | None) -> NoReturn:
        raise KeyboardInterrupt

    before = {
        number: signal.signal(number, interrupt)
        for number in _ENDING
        if signal.getsignal(number) is not signal.SIG_IGN
    }
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def _server(store: Store, host: str, port: int, log: Path) -> Iterator["subprocess.Popen[bytes]"]:
    command = [
        *(sys.executable, "-m", "mlflow", "server"),
        *("--backend-store-uri", store.tracking_uri),
        *("--default-artifact-root", str(store.artifacts)),
        *("--host", host, "--port", str(port), "--workers", "1"),
    ]
    environment = {**os.environ, **_SERVER_ENVIRONMENT}
    with log.open("xb") as output:
        # A session of its own: its helpers can then be ended with it, whatever became of it.
        server = subprocess.Popen(
            command, stdout=output, stderr=output, env=environment, start_new_session=True
        )
    try:
        yield server
    finally:
        _end(server)


def _end(server: "subprocess.Popen[bytes]") -> None:
    with suppress(ProcessLookupError):
        os.killpg(server.pid, signal.SIGTERM)
    with suppress(subprocess.TimeoutExpired):
        server.wait(_ENDING_SECONDS)
    with suppress(ProcessLookupError):
        os.killpg(server.pid, signal.SIGKILL)
    server.wait()


def _wait_until_it_answers(
    server: "subprocess.Popen[bytes]", host: str, port: int, log: Path
) -> None:
    deadline = time.monotonic() + _STARTING_SECONDS
    while time.monotonic() < deadline:
        if server.poll() is not None:
            raise StoreError(f"the MLflow server didn't start: {_last_line(log)}")
        with suppress(OSError), socket.create_connection((host, port), timeout=1):
            return
        time.sleep(0.2)
    raise StoreError(f"the MLflow server didn't answer within {_STARTING_SECONDS} s: see {log}")


def _last_line(log: Path) -> str:
    lines = log.read_text(errors="replace").strip().splitlines()
    return f"{lines[-1]} (see {log})" if lines else f"see {log}"
