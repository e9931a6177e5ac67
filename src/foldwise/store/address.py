"""Where the tracking store is: the project's root, and MLFLOW_TRACKING_URI without its secrets."""

import os
import re
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit, urlunsplit

from foldwise.errors import StoreError
from foldwise.ownership import check_sqlite_path, foreign

_SQLITE = "sqlite:///"
_USERINFO = re.compile(r"(?<=://)\S*@")


@dataclass(frozen=True, slots=True)
class Address:
    """A tracking store's place: a SQLite file here, or a server's URL.

    ``uri`` is what MLflow is given, a user and a password taken out of it. A server has no
    ``database``.
    """

    uri: str
    database: Path | None = None
    username: str | None = None
    password: str | None = None


def project_root() -> Path:
    """Folder that holds ``mlruns/``: ``DVC_ROOT`` if that is ours, else the nearest dvc.yaml's.

    DVC names the main checkout in ``DVC_ROOT`` even while it runs a stage in a temporary copy, and
    an outer project while its stage calls us in a checkout of our own.
    """
    here = Path.cwd().resolve()
    above = (here, *here.parents)
    if named := os.environ.get("DVC_ROOT"):
        root = Path(named).resolve()
        own, *around = [folder for folder in above if (folder / ".dvc").is_dir()] or [root]
        copies = root / ".dvc" / "tmp" / "exps"
        is_copy = own.is_relative_to(copies) and not any(of.is_relative_to(copies) for of in around)
        if own == root or is_copy:
            return root
    for folder in above:
        if (folder / "dvc.yaml").is_file():
            return folder
    raise StoreError(f"no dvc.yaml in {here} or above it: run this inside the project")


def tracking_address(root: Path, uri: str | None = None) -> Address:
    """The store named by ``MLFLOW_TRACKING_URI``, by default ``<root>/mlruns/mlflow.db``.

    ``uri`` is asked in place of the environment.
    """
    uri = (os.environ.get("MLFLOW_TRACKING_URI", "") if uri is None else uri).strip()
    if not uri:
        return _sqlite(root / "mlruns" / "mlflow.db")
    if uri.startswith(_SQLITE):
        return _sqlite(root / unquote(uri.removeprefix(_SQLITE)))
    if uri.startswith(("http://", "https://")):
        return _server(uri)
    raise StoreError(
        f"MLFLOW_TRACKING_URI must be sqlite:///PATH or http(s)://HOST, got '{redacted(uri)}': "
        "put an MLflow server before any other store"
    )


def redacted(text: str) -> str:
    """The text with the user and password of every URL in it taken out."""
    return _USERINFO.sub("", text)


def _sqlite(path: Path) -> Address:
    named, path = path, Path(os.path.realpath(path))
    check_sqlite_path(path)
    is_odd = path != named or any(map(os.path.isfile, path.parents))
    if is_odd and not path.exists() and (what := foreign(named, "MLflow")):
        raise StoreError(
            f"{path} must be MLflow's database or a new file, it is {what}: make or mount what that"
            " leads to, or correct MLFLOW_TRACKING_URI"
        )
    # SQLAlchemy reads both as parts of a URL, and MLflow does not undo the quoting everywhere.
    if forbidden := {"?", "%"}.intersection(str(path)):
        raise StoreError(
            f"the tracking database's path may not contain '{min(forbidden)}', got '{path}': "
            "rename the folder"
        )
    return Address(uri=f"{_SQLITE}{path}", database=path)


def _server(uri: str) -> Address:
    wrong = StoreError(
        "MLFLOW_TRACKING_URI must be http(s)://HOST or http(s)://HOST:PORT, the port from 1 to"
        f" 65535, got '{redacted(uri)}': correct it"
    )
    try:
        parts = urlsplit(uri)
        port = parts.port
    except ValueError as error:
        # The reason may quote a piece of the password.
        raise wrong from error
    if not parts.hostname or port == 0:
        raise wrong
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    place = host if port is None else f"{host}:{port}"
    return Address(
        uri=urlunsplit((parts.scheme, place, parts.path.rstrip("/"), "", "")),
        username=unquote(parts.username) if parts.username else None,
        password=unquote(parts.password) if parts.password else None,
    )
