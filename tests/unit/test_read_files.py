"""Whatever lies where a file of ours is read, it gives one line: no traceback, and no waiting."""

import json
import os
import shutil
import socket
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from threading import Thread
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from foldwise.app.blocks import blocks_of
from foldwise.app.drawing import Verdict
from foldwise.app.results import SearchPlace, read_result, save_result
from foldwise.app.show import show
from foldwise.data.dataset import load, load_info
from foldwise.errors import FoldwiseError, SearchError
from foldwise.registry.snapshot import Version
from foldwise.registry.stored_files import record
from foldwise.report.reference import read_reference
from foldwise.search.archive import archive, restore
from foldwise.search.jobs import Predictions
from foldwise.settings import load_settings
from tests.factories import make_result
from tests.unit.data.test_dataset import draft, write

VERSION = Version("m", 1, "r", "m", (), {"content_digest": "c", "evidence_digest": "e"})
READERS: dict[str, Callable[[], object]] = {
    "params.yaml": lambda: load_settings(Path("params.yaml")),
    "reference.json": lambda: read_reference("digits", 10, Path("reference.json")),
    "data/prepared/development/info.json": load_info,
    "data/prepared/development/images.npy": lambda: load("development"),
    "data/prepared/development/labels.npy": lambda: load("development"),
    "models/run.json": SearchPlace.read,
    "models/tuned/search.json": lambda: restore(Path("models/tuned")),
    "models/tuned/arrays.npz": lambda: restore(Path("models/tuned")),
    "models/evaluated/result.json": lambda: read_result(dict, Path("models/evaluated"), "run"),
    "models/evaluated/holdout.npz": lambda: read_result(dict, Path("models/evaluated"), "run"),
    "reports/data.json": show,
    "reports/registered.json": lambda: record(Path(), VERSION, ()),
}
STORED: Any = SimpleNamespace(
    evidence=SimpleNamespace(data=SimpleNamespace(image_shape=(8, 8), table=None))
)
ARRAYS = [name for name in READERS if name.endswith(".npz")]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with all that is read."""
    folder = tmp_path_factory.mktemp("whole")
    for name in ("models/tuned", "models/evaluated", "reports"):
        (folder / name).mkdir(parents=True)
    for split in ("development", "holdout"):
        write(folder / "data" / "prepared" / split, draft())
    for name, content in archive(make_result()).items():
        (folder / "models" / "tuned" / name).write_bytes(content)
    verdict = Verdict("m", "h", "r", {})
    save_result(folder / "models" / "evaluated", verdict, Predictions(np.eye(2)))
    place = SearchPlace("0" * 32, "0123abcd" * 4, 2)
    for name, text in (("dvc.yaml", ""), ("params.yaml", "seed: 1"), ("reference.json", "{}")):
        (folder / name).write_text(text)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        place.save()
    record(folder, VERSION, ())
    (folder / "reports" / "data.json").write_text("{}")
    return folder


@pytest.fixture
def project(whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of this test's own, to work in."""
    monkeypatch.chdir(shutil.copytree(whole, tmp_path / "project"))
    monkeypatch.delenv("DVC_ROOT", raising=False)
    return Path()


@contextmanager
def pipe(path: Path) -> Iterator[None]:
    """A pipe that whoever reads it finds empty, so that a fault ends this test and doesn't hang."""
    os.mkfifo(path)
    writer = Thread(target=lambda: os.close(os.open(path, os.O_WRONLY)))
    writer.start()
    try:
        yield
    finally:
        reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        writer.join()
        os.close(reader)


@pytest.mark.parametrize("name", READERS)
def test_a_pipe_is_not_waited_for(project: Path, name: str) -> None:
    """It is named, as what it is."""
    path = project / name
    path.unlink()
    with pipe(path), pytest.raises(FoldwiseError, match="neither") as raised:
        READERS[name]()
    assert len(str(raised.value).splitlines()) == 1


@pytest.mark.parametrize("name", READERS)
def test_a_folder_in_a_files_place_is_said_in_words(project: Path, name: str) -> None:
    """Not by the system's number."""
    path = project / name
    path.unlink()
    path.mkdir()
    with pytest.raises(FoldwiseError) as raised:
        READERS[name]()
    assert len(str(raised.value).splitlines()) == 1
    assert "Errno" not in str(raised.value)


def test_a_pipe_among_pictures_is_a_row_that_does_not_fit(tmp_path: Path) -> None:
    """Who predicts a folder may have got it from anywhere."""
    with pipe(tmp_path / "a.png"):
        rows, blocks = blocks_of(tmp_path, STORED)
        (block,) = blocks
    assert (rows, list(block.faults)) == (1, [0])
    assert "Is neither a file nor a folder" in block.faults[0]


@pytest.mark.parametrize("name", [name for name in READERS if name != "reports/registered.json"])
@pytest.mark.parametrize("kind", ["socket", "device"])
def test_a_socket_or_device_is_one_line(project: Path, name: str, kind: str) -> None:
    """A device gives what it likes, for ever."""
    path = project / name
    path.unlink()
    if kind == "socket":
        with closing(socket.socket(socket.AF_UNIX)) as server:
            server.bind(os.path.relpath(path))
    else:
        path.symlink_to("/dev/zero")
    with pytest.raises(FoldwiseError, match=r"[Nn]either a file nor a folder"):
        READERS[name]()


DOCUMENTS: dict[str, Callable[[], object]] = {
    **{name: READERS[name] for name in READERS if name.startswith("models") and "json" in name},
    "models/evaluated/result.json": lambda: read_result(Verdict, Path("models/evaluated"), "run"),
    "data/prepared/development/info.json": load_info,
    "reports/registered.json": READERS["reports/registered.json"],
}


@pytest.mark.parametrize("name", DOCUMENTS)
def test_what_a_later_version_wrote_is_refused_and_earlier_ones_are_read(
    project: Path, name: str
) -> None:
    """By its schema; of the first, a document may bear none."""
    path = project / name
    told = json.loads(path.read_text())
    document = told[0] if isinstance(told, list) else told
    is_ours = name in ("data/prepared/development/info.json", "models/tuned/search.json")
    assert is_ours or document.pop("schema") == 1
    path.write_text(json.dumps(told))
    DOCUMENTS[name]()
    document["schema"] = 9
    path.write_text(json.dumps(told))
    with pytest.raises(
        FoldwiseError, match="9, read it by the version of foldwise that wrote"
    ) as r:
        DOCUMENTS[name]()
    assert len(str(r.value).splitlines()) == 1


@pytest.mark.parametrize("name", READERS)
@pytest.mark.parametrize("content", [b"[" * 200_000, b'{"a":' * 200_000, b"", b"\xff\0\x01" * 99])
def test_what_is_no_document_is_one_line(project: Path, name: str, content: bytes) -> None:
    """However deeply it nests."""
    (project / name).write_bytes(content)
    if content == b"" and name == "params.yaml":
        return  # all parameters have defaults
    with pytest.raises(FoldwiseError) as raised:
        READERS[name]()
    assert len(str(raised.value).splitlines()) == 1


@pytest.mark.parametrize("name", ["data", "tuning", "evaluation"])
@pytest.mark.parametrize("told", ["{}", '{"name": 1, "intervals": 3, "range": 4, "fits": 1}'])
def test_reports_that_tell_no_result_are_one_line(project: Path, name: str, told: str) -> None:
    """As an edit, or a merge, may leave them."""
    for other in ("data", "tuning", "evaluation"):
        (project / "reports" / f"{other}.json").write_text("{}")
    (project / "reports" / f"{name}.json").write_text(told)
    with pytest.raises(SearchError, match=r"must tell a result, reading gave .*run `dvc repro`"):
        show()


DAMAGES: dict[str, Callable[[bytes, int], bytes]] = {
    "a later version": lambda content, at: content[: at + 6] + b"\xff" + content[at + 7 :],
    "a password": lambda content, at: content[: at + 8] + b"\1" + content[at + 9 :],
    "patches": lambda content, at: content[: at + 8] + b"\x20" + content[at + 9 :],
    "another compression": lambda content, at: content[: at + 10] + b"\x0e" + content[at + 11 :],
    "a stream that isn't one": lambda content, _: content[:60] + b"\xff" * 9 + content[69:],
    "a shorter stream": lambda content, at: content[: at + 20] + b"\1\0" + content[at + 22 :],
}


@pytest.mark.parametrize("name", ARRAYS)
@pytest.mark.parametrize("damage", DAMAGES)
def test_damaged_arrays_are_one_line(project: Path, name: str, damage: str) -> None:
    """Python's zipfile has many words for what it can't read."""
    path = project / name
    content = path.read_bytes()
    READERS[name]()
    path.write_bytes(DAMAGES[damage](content, content.index(b"PK\1\2")))
    with pytest.raises(FoldwiseError, match="must hold a") as raised:
        READERS[name]()
    assert len(str(raised.value).splitlines()) == 1
