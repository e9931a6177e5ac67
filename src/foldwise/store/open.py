"""Which MLflow: the store opened, checked and ready, or one line on what is wrong with it."""

import os
import re
import shlex
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING, Any

from foldwise.errors import StoreError
from foldwise.store import database
from foldwise.store.address import project_root, tracking_address
from foldwise.store.faults import import_mlflow, store_faults

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run


_PAGE = 1000


def all_pages(search: Callable[..., Any], *query: Any, **options: Any) -> list[Any]:
    """All that one of MLflow's searches finds, however much."""
    found: list[Any] = []
    token: str | None = None
    while True:
        page = search(*query, max_results=_PAGE, page_token=token, **options)
        found.extend(page)
        token = page.token
        if not token:
            return found


def search_runs(client: "MlflowClient", experiment_id: str, query: str) -> list["Run"]:
    """All runs an MLflow filter finds, oldest first."""
    oldest = ["attributes.start_time ASC"]
    return all_pages(client.search_runs, [experiment_id], query, order_by=oldest)


_EXPERIMENT = "/api/2.0/mlflow/experiments/get-by-name"
_NOBODYS = {"experiment_name": "foldwise asks whether this is MLflow"}
_UNKNOWN = "RESOURCE_DOES_NOT_EXIST"
_CORRECT = "correct MLFLOW_TRACKING_URI"
# By what the fault says, the first that fits: why, and what to do.
_UNREACHED = {
    "proxy": (
        "the proxy that HTTP_PROXY or HTTPS_PROXY names doesn't let us through",
        "correct it, or name the server's host in NO_PROXY",
    ),
    "invalid url": (
        "it, or the proxy, is no address",
        f"{_CORRECT}, or what HTTP_PROXY and HTTPS_PROXY name",
    ),
    "resolve": ("unknown host", _CORRECT),
    "wrong version number": ("it speaks http, not https", f"{_CORRECT} to http://"),
    "record layer failure": ("it speaks http, not https", f"{_CORRECT} to http://"),
    "certificate": (
        "its certificate isn't trusted",
        "name the certificate of its authority in MLFLOW_TRACKING_SERVER_CERT_PATH",
    ),
    "badstatusline": ("it speaks no HTTP", _CORRECT),
    "refused": ("connection refused", f"start it, or {_CORRECT}"),
    "timed out": ("no answer in time", f"start it, or {_CORRECT}"),
}


def check_server(uri: str, *, seconds: float = 10.0) -> None:
    """Ask the server for an experiment that it can't know, before any work begins.

    Of another program's JSON MLflow's client would make an empty store. The answer, the look-up of
    the name included, is waited for so many seconds. Credentials come from MLflow's variables.
    """
    import_mlflow()  # which takes long enough to be taken for the server's delay
    from mlflow.exceptions import MlflowException
    from mlflow.utils.credentials import get_default_host_creds
    from mlflow.utils.rest_utils import http_request
    from requests.exceptions import RequestException

    answers: list[tuple[int, str]] = []
    faults: list[tuple[str, str]] = []
    credentials = get_default_host_creds(uri)  # type: ignore[no-untyped-call]
    once = {"max_retries": 0, "timeout": seconds / 2, "raise_on_status": False}

    def ask() -> None:
        try:
            found = http_request(  # type: ignore[no-untyped-call]
                credentials, _EXPERIMENT, "GET", params=_NOBODYS, **once
            )
        except (MlflowException, RequestException, OSError, ValueError) as error:
            told = str(error).lower()
            known = (why for sign, why in _UNREACHED.items() if sign in told)
            unknown = (type(error.__cause__ or error).__name__, f"start it, or {_CORRECT}")
            faults.append(next(known, unknown))
        else:
            answers.append((found.status_code, found.text))

    # A look-up of a name has no time limit of its own, hence the thread.
    asking = Thread(target=ask, daemon=True)
    asking.start()
    asking.join(seconds)
    if not answers:
        late = (f"no answer within {seconds:g} s", f"start it, or {_CORRECT}")
        why, remedy = faults[0] if faults else late
        raise StoreError(f"the tracking server can't be reached, {uri} ({why}): {remedy}")
    status, text = answers[0]
    if status in (401, 403):
        raise StoreError(
            f"the tracking server {uri} refuses the login (HTTP {status}): "
            "set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD"
        )
    if status != 404 or not re.search(rf'"error_code":\s*"{_UNKNOWN}"', text):
        raise StoreError(
            f"{uri} doesn't answer as an MLflow server (HTTP {status}): correct MLFLOW_TRACKING_URI"
        )


_MLFLOW_SETS = ("MLFLOW_TRACKING_URI", "MLFLOW_REGISTRY_URI")


@dataclass(frozen=True, slots=True)
class Store:
    """An MLflow tracking store and registry that was found in order, of the project in ``root``.

    Its address has neither user nor password, so that it may be shown. ``artifacts`` is where this
    process writes artifacts itself; None if a server takes them.
    """

    root: Path
    tracking_uri: str
    artifacts: Path | None

    @property
    def client(self) -> "MlflowClient":
        """MLflow's client for this store and its registry."""
        return _client(self.tracking_uri)

    @property
    def is_server(self) -> bool:
        """Whether the store is reached over HTTP."""
        return self.artifacts is None

    def check(self) -> None:
        """Raise a StoreError within seconds if the store can't be used now.

        MLflow alone would wait for a locked file for 20 seconds, for a server for minutes.
        """
        if self.is_server:
            check_server(self.tracking_uri, seconds=5.0)
        else:
            path = Path(self.tracking_uri.removeprefix("sqlite:///"))
            database.check_database(path, self.root)

    def find_experiment(self, name: str) -> str | None:
        """Id of the experiment, or None if there is none yet."""
        with store_faults(f"looking for experiment '{name}'"):
            experiment = self.client.get_experiment_by_name(name)
        if experiment is None:
            return None
        if experiment.lifecycle_stage != "active":
            raise StoreError(
                f"experiment '{experiment.name}' was deleted in MLflow: run"
                f" `MLFLOW_TRACKING_URI={shlex.quote(self.tracking_uri)} mlflow experiments restore"
                f" -x {experiment.experiment_id}`"
            )
        if self.artifacts and experiment.artifact_location.startswith("mlflow-artifacts:"):
            raise StoreError(
                f"experiment '{experiment.name}' keeps its artifacts behind a server: "
                "set MLFLOW_TRACKING_URI to that server"
            )
        return str(experiment.experiment_id)

    def experiment(self, name: str) -> str:
        """Id of the experiment of this name, created if need be."""
        from mlflow.exceptions import MlflowException

        if (known := self.find_experiment(name)) is not None:
            return known
        with store_faults(f"creating experiment '{name}'"):
            try:
                return self.client.create_experiment(
                    name,
                    artifact_location=str(self.artifacts / name) if self.artifacts else None,
                    tags={database.LOCATION_TAG: name} if self.artifacts else None,
                )
            except MlflowException:
                # Another process was faster, or the fault shows again in the look-up.
                if (known := self.find_experiment(name)) is None:
                    raise
                return known

    def artifact(self, run_id: str, name: str, folder: str) -> Path:
        """Where a file beside a run lies: in ``folder``, if a server has to be asked for it."""
        if self.is_server:
            return Path(self.client.download_artifacts(run_id, name, folder))
        from mlflow.utils.file_utils import local_file_uri_to_path

        run = self.client.get_run(run_id)
        return Path(local_file_uri_to_path(run.info.artifact_uri), name)  # type: ignore[no-untyped-call]

    @contextmanager
    def as_default(self) -> Iterator[None]:
        """Let MLflow's module-level functions, such as ``log_model``, use this store meanwhile."""
        import_mlflow()
        import mlflow

        before = {name: os.environ.get(name) for name in _MLFLOW_SETS}
        mlflow.set_tracking_uri(self.tracking_uri)
        mlflow.set_registry_uri(self.tracking_uri)
        try:
            yield
        finally:
            mlflow.set_tracking_uri(None)  # type: ignore[arg-type]
            mlflow.set_registry_uri(None)  # type: ignore[arg-type]
            for name, value in before.items():
                os.environ.pop(name, None)
                if value is not None:
                    os.environ[name] = value


def open_store(
    root: Path | None = None,
    *,
    uri: str | None = None,
    creates: bool = True,
    writes: bool = True,
) -> Store:
    """Open the store that ``uri``, else ``MLFLOW_TRACKING_URI`` names, or the project's own.

    A database that isn't there is made if it ``creates``, and must be writable if it ``writes``.

    Raises
    ------
    StoreError
        Within 15 seconds if a server doesn't answer; if the database is damaged, locked,
        read-only, of another MLflow, or was moved. Nothing has been written then.
    """
    root = (root or project_root()).resolve()
    address = tracking_address(root, uri)
    if address.database is None:
        # Where MLflow looks for them: never in a message or tag.
        if address.username is not None:
            os.environ["MLFLOW_TRACKING_USERNAME"] = address.username
            os.environ["MLFLOW_TRACKING_PASSWORD"] = address.password or ""
        check_server(address.uri)
        return Store(root=root, tracking_uri=address.uri, artifacts=None)
    with store_faults(f"opening {address.database}"):
        if creates:
            database.create_once(address.database)
        database.check_database(address.database, root, writes=writes)
        database.check_not_moved(address.database)
    return Store(
        root=root, tracking_uri=address.uri, artifacts=database.artifacts_of(address.database)
    )


@cache
def _client(tracking_uri: str) -> "MlflowClient":
    import_mlflow()
    from mlflow import MlflowClient

    return MlflowClient(tracking_uri=tracking_uri, registry_uri=tracking_uri)
