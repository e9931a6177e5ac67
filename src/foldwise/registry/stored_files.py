"""A version's files before any is opened: fetched, digested, and held to what may be there.

Three things know what was registered: the store's files, its tags, and `RECORDS`, a small file
that git keeps with the checkout. Who can write the store alone can't make them agree.
"""

import hashlib
import json
import os
import posixpath
import re
import stat
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass, replace
from importlib.metadata import version as installed
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory
from typing import Any, Literal
from urllib.parse import unquote, urlsplit

from foldwise.errors import StoreError
from foldwise.files import DocumentError, decode, encode, read_bytes, write_bytes
from foldwise.ownership import check_output
from foldwise.registry.audit import Check, Decision, judged, same_digest
from foldwise.registry.snapshot import Version
from foldwise.store.faults import StoreRefused, store_faults
from foldwise.store.open import Store

EVIDENCE, CARD, SKOPS = "evidence.json", "card.md", "model.skops"
RECORDS = Path("reports", "registered.json")
AUDIT = "audit"
"""Folder beside the model's files for copies of decisions, written after registration."""

LOADED = "registered_model_meta"
"""MLflow writes it into the stored folder whenever somebody loads the version by its name."""

LOADER, PREDICT = "mlflow.sklearn", "predict_proba"
SERVED_WITH = ("mlflow", "numpy", "scikit-learn", "skops")

_LOGGED = re.compile(r"m-[0-9a-f]+")
_ADDED_LATER = {AUDIT, LOADED}
_FILES = {
    *("MLmodel", SKOPS, EVIDENCE, CARD, "requirements.txt", "conda.yaml", "python_env.yaml"),
    *("input_example.json", "serving_input_example.json"),
}
_UNKNOWN = "pull the record of who registered it, or evaluate again"
_LONGEST = 100_000
_SHOWN = 3


@dataclass(frozen=True, slots=True, order=True)
class Record:
    """What a checkout knows of a version; its number is the store's alone to give."""

    name: str
    content_digest: str
    evidence_digest: str
    schema: Literal[1] = 1

    @classmethod
    def of(cls, version: Version) -> "Record":
        """As the version's tags tell it."""
        return cls(version.name, version.content, version.tags.get("evidence_digest", ""))


def required() -> list[str]:
    """What a version registered here needs to be served, with the versions of here."""
    return [f"{name}=={installed(name)}" for name in SERVED_WITH]


def serving(requirements: Iterable[str]) -> dict[str, str]:
    """How a version is served: what decides it among what ``MLmodel`` says."""
    return {
        "loader_module": LOADER,
        "model_path": SKOPS,
        "predict_fn": PREDICT,
        "requirements": " ".join(requirements),
    }


def files_digest(folder: Path) -> str:
    """SHA-256 (hexadecimal) over the names and contents of a model's files as registered."""
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder)
        if path.is_file() and name.parts[0] not in _ADDED_LATER:
            digest.update(name.as_posix().encode() + b"\0")
            digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()


def fetch_files(store: Store, version: Version, folder: Path) -> Path:
    """Where the files that the registry serves for a version lie: in ``folder``, if it is a server.

    A local store's files are read in place.
    """
    import mlflow.artifacts

    doing = f"fetching version {version.number} of {version.name}"
    with store.as_default(), store_faults(doing):
        place = store.client.get_model_version_download_uri(version.name, str(version.number))
        elsewhere = f"{doing}: a model's files must lie in MLflow's store, got {place[:100]}"
        if not _may_lie_at(store, version, place):
            raise StoreRefused(elsewhere)
        try:
            found = mlflow.artifacts.download_artifacts(
                artifact_uri=place, dst_path=str(folder) if store.is_server else None
            )
        except (ValueError, ImportError) as error:  # a scheme that nobody here knows
            raise StoreRefused(elsewhere) from error
    return _absolute(found)


def _may_lie_at(store: Store, version: Version, place: str) -> bool:
    """Whether a version may lie there: on a server, where its experiment keeps its own.

    An address of MLflow's own, or of another HTTP server, is given the reader's login.
    """
    if store.artifacts is not None:
        from mlflow.utils.file_utils import local_file_uri_to_path

        path: str = local_file_uri_to_path(place)  # type: ignore[no-untyped-call]
        return _absolute(path).is_relative_to(store.artifacts)
    if not _LOGGED.fullmatch(version.model_id):
        return False
    logged = store.client.get_logged_model(version.model_id)
    home = store.client.get_experiment(logged.experiment_id).artifact_location
    own, (kind, host, inside) = urlsplit(store.tracking_uri).netloc, _parted(place)
    is_asked = "http" in kind or kind == "mlflow-artifacts"
    return (
        (kind, host) == _parted(home)[:2]
        and inside.is_relative_to(_parted(home)[2])
        and not (is_asked and host not in ("", own))
    )


def _parted(place: str) -> tuple[str, str, PurePosixPath]:
    """Of an address the scheme, the host, and the path without dots."""
    parts = urlsplit(place)
    path = posixpath.normpath(unquote(parts.path))
    return parts.scheme.lower(), parts.netloc, PurePosixPath(path)


def _absolute(path: str) -> Path:
    # As the path says it: a link in the store is told as one.
    return Path(os.path.abspath(path))  # noqa: PTH100 - resolve would follow links


def sealed(version: Version, folder: Path, root: Path | None) -> tuple[Check, ...]:
    """Hold a version's files to its tags, and both to the records of a checkout, if given one."""
    tags = version.tags
    if strange := [*_strangers(version, folder)]:
        more = f" and {len(strange) - _SHOWN} more" if len(strange) > _SHOWN else ""
        figure = ", ".join(strange[:_SHOWN]) + more
        return (Check("stored files", figure, "as registered, and no others", "fail"),)
    unchanged = same_digest("stored files", files_digest(folder), tags.get("bytes_digest", ""))
    if unchanged.verdict == "fail":
        return (unchanged,)
    evidence = (folder / EVIDENCE).read_bytes()
    found, told = hashlib.sha256(evidence).hexdigest(), tags.get("evidence_digest", "")
    about = _content_told(evidence)
    known = (
        same_digest("evidence", found, told)
        if about in ("", version.content)
        else same_digest("evidence", about, version.content)
    )
    return (unchanged, known, *(_recorded(root, version) if root else ()))


def fault_of(store: Store, version: Version, look: Callable[[Path], Iterable[Check]]) -> str:
    """What ``look`` finds wrong with a version's files, or that they are lost; empty if nothing."""
    with TemporaryDirectory(prefix="foldwise-") as folder:
        try:
            files = fetch_files(store, version, Path(folder))
        except StoreRefused as error:
            return str(error)
        try:
            failed = [check for check in look(files) if check.verdict == "fail"]
        except StoreError as error:
            return str(error)
    return ", ".join(f"{check.name} {check.figure}" for check in failed[:1])


def _content_told(evidence: bytes) -> str:
    """Which content the evidence tells of; none of 0.1 does, nor what isn't evidence."""
    try:
        return str(json.loads(evidence).get("content_digest", ""))
    except (ValueError, AttributeError, RecursionError):
        return ""


def _strangers(version: Version, folder: Path) -> Iterator[str]:
    """What lies there that registration, promotion or MLflow wouldn't have put there."""
    for place in (folder.parent, folder):
        if place.is_symlink():
            yield f"a link {place.name}"
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if name == AUDIT and stat.S_ISDIR(path.lstat().st_mode):
            continue
        if kind := strange_kind(path):
            yield f"{kind} {name}"
        elif not (name in _FILES or _is_copy(version, name, path) or _is_meta(name, path)):
            yield name


def strange_kind(path: Path) -> str:
    """What lies there in place of a file; empty if it is one."""
    mode = path.lstat().st_mode
    kinds = ((stat.S_ISREG, ""), (stat.S_ISLNK, "a link"), (stat.S_ISDIR, "a folder"))
    return next((word for is_kind, word in kinds if is_kind(mode)), "a pipe or device")


def _is_copy(version: Version, name: str, path: Path) -> bool:
    """Whether it is a decision's copy, as it was written before the move."""
    if (told := version.tags.get(f"audit.{Path(name).stem}")) is None:
        return False
    if name != f"{AUDIT}/{Path(name).stem}.json" or path.stat().st_size > _LONGEST:
        return False
    try:
        copy, decision = (Decision.from_json(text) for text in (path.read_bytes().decode(), told))
    except (StoreError, ValueError):
        return False
    return replace(copy, state=decision.state) == decision


def _is_meta(name: str, path: Path) -> bool:
    """Whether it says by which name MLflow loaded the version, and no more."""
    if name != LOADED or path.stat().st_size > _LONGEST:
        return False
    said = read_yaml(path)
    return isinstance(said, dict) and said.keys() == {"model_name", "model_version"}


def read_yaml(path: Path) -> Any:
    """What a small YAML file says; None if it is none."""
    import yaml

    try:
        if path.stat().st_size < _LONGEST:
            return yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, ValueError, RecursionError):
        pass
    return None


def _recorded(root: Path, version: Version) -> Iterator[Check]:
    """Whether the checkout knows the version; nothing where it knows none of that name."""
    records = [record for record in _read(root) if record.name == version.name]
    if records:
        is_known = Record.of(version) in records
        figure = f"among {len(records)}" if is_known else f"not among {len(records)}; {_UNKNOWN}"
        yield judged("checkout's record", figure, f"in {RECORDS}", holds=is_known)


def record(root: Path, version: Version, earlier: Collection[Version]) -> None:
    """Let the checkout know a version; the first one of a name with those that came before."""
    known = _read(root)
    taken = earlier if version.name not in {each.name for each in known} else ()
    records = sorted({*known, *map(Record.of, (*taken, version))})
    if records != list(known) or not (root / RECORDS).exists():
        write_bytes(root / RECORDS, f"{encode(records, indent=1)}\n".encode())


def _read(root: Path) -> tuple[Record, ...]:
    """The records; where the file was removed, those that git has."""
    path = root / RECORDS
    check_output(path)
    from foldwise.runs.lineage import committed  # Optuna, which a history is told without

    try:
        known = read_bytes(path) if path.exists() else committed(root, "HEAD", RECORDS.as_posix())
        return decode(tuple[Record, ...], "[]" if known is None else known, tolerant=True)
    except (OSError, DocumentError) as error:
        raise StoreError(
            f"{path} must list what was registered, reading gave {error}: "
            f"run `git restore {RECORDS}`"
        ) from error
