"""`foldwise ui`: MLflow's server in this very process, and links that land where it pays."""

import os
import signal
import socket
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from foldwise.app.exits import tell
from foldwise.app.views import page_links, recorded_data
from foldwise.errors import StoreError
from foldwise.registry.champion import reconcile
from foldwise.registry.snapshot import model_name
from foldwise.store.address import project_root
from foldwise.store.database import registering
from foldwise.store.open import Store, open_store

if TYPE_CHECKING:
    from uvicorn import Server

_LOOPBACK = ("127.0.0.1", "localhost", "::1")


def serve_ui(*, host: str = "127.0.0.1", port: int = 5000, root: Path | None = None) -> None:
    """Serve the UI until interrupted, or only print the links if the store is a server already.

    Whoever reaches ``host``, the interface to listen on, may change and delete runs.
    """
    root = root or project_root()
    store = open_store(root, creates=False)
    names = recorded_data(store)
    if not names:
        raise StoreError(f"nothing was recorded yet: run {registering(root)}")
    for name in names:
        reconcile(store, model_name(name))
    if store.is_server:
        tell(_listing(store, names, store.tracking_uri) + "\n")
        return
    with _listen(host, port) as listening:
        if host not in _LOOPBACK:
            tell(f"Careful: whoever reaches {host}:{port} can change and delete runs.\n")
        # As a browser on this machine reaches it.
        home = "127.0.0.1" if host in ("0.0.0.0", "::") else host  # noqa: S104 - warned about
        base = f"http://{f'[{home}]' if ':' in home else home}:{port}"
        tell(f"Starting MLflow on {base} ...\n")
        server = _server(store)
        tell(f"{_listing(store, names, base)}\nCtrl-C ends it.\n")
        server.run(sockets=[listening])


def _listen(host: str, port: int) -> socket.socket:
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        return socket.create_server((host, port), family=family)
    except OSError as error:
        raise StoreError(
            f"can't listen on {host}:{port} ({error}): "
            f"end what runs there, or choose another, `foldwise ui --port {port % 65535 + 1}`"
        ) from error


def _listing(store: Store, names: tuple[str, ...], base: str) -> str:
    lines: list[str] = []
    for name in names:
        lines.append(f"\n{name}")
        links = page_links(store, name)
        width = max(len(link.name) for link in links)
        lines.extend(f"  {link.name:<{width}}  {base}/{link.path}" for link in links)
    return "\n".join(lines)


def _server(store: Store) -> "Server":
    """MLflow's application as `mlflow server` starts it, which would leave a child behind a kill.

    Faults are told on the terminal, requests are not.
    """
    # Jobs are for language models; without them the server starts sooner.
    os.environ.setdefault("MLFLOW_SERVER_ENABLE_JOB_EXECUTION", "false")
    with warnings.catch_warnings(action="ignore"):
        import uvicorn
        from mlflow.server.fastapi_app import app
        from mlflow.server.handlers import initialize_backend_stores

    class Server(uvicorn.Server):
        @contextmanager
        def capture_signals(self) -> Iterator[None]:
            """End well on them, but leave those ignored that were, as a background job's are."""
            for number in (signal.SIGINT, signal.SIGTERM):
                if signal.getsignal(number) is not signal.SIG_IGN:
                    signal.signal(number, self.handle_exit)
            yield

    initialize_backend_stores(store.tracking_uri, store.tracking_uri, str(store.artifacts))
    return Server(
        uvicorn.Config(
            app, lifespan="off", log_level="warning", access_log=False, timeout_graceful_shutdown=3
        )
    )
