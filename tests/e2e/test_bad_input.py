"""Bad input ends ``dvc repro`` with one line, and costs nothing that was there before."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.e2e.outcome import outcome
from tests.e2e.project import Ended, Project
from tests.e2e.reproduced import Reproduced
from tests.idx_files import write_idx_folder

pytestmark = pytest.mark.e2e

IDX = {"source": "idx", "name": "toys", "path": "data/toys", "holdout": None}


@contextmanager
def changed(project: Project, section: str, values: dict[str, object]) -> Iterator[None]:
    """Change params.yaml meanwhile."""
    path = project.folder / "params.yaml"
    before = path.read_bytes()
    project.change(section, **values)
    try:
        yield
    finally:
        path.write_bytes(before)


def refused(reproduced: Reproduced, section: str, values: dict[str, object], **env: str) -> Ended:
    """Run ``dvc repro`` with what it must refuse; see that nothing of before is touched."""
    project = reproduced.project
    before = outcome(project.folder), (project.folder / "dvc.lock").read_bytes()
    with changed(project, section, values):
        ended = project.dvc("repro", **env)
    assert ended.status != 0
    assert "Traceback" not in ended.errors
    assert "exited with 1" in ended.errors
    assert len(ended.said) == 1
    assert (outcome(project.folder), (project.folder / "dvc.lock").read_bytes()) == before
    return ended


@pytest.mark.parametrize(
    ("section", "values", "words"),
    [
        ("tune", {"foldz": 5}, "tune.foldz"),
        ("tune", {"folds": 100}, "every class needs at least tune.folds = 100 rows"),
    ],
)
def test_an_impossible_parameter(
    reproduced: Reproduced, section: str, values: dict[str, object], words: str
) -> None:
    """Unknown, which every stage refuses, or too much for the data, which the search does."""
    assert words in refused(reproduced, section, values).said[0]


def test_a_truncated_image_file(reproduced: Reproduced) -> None:
    """A download that broke off."""
    folder = write_idx_folder(reproduced.project.folder / "data" / "toys")
    images = folder / "train-images-idx3-ubyte"
    images.write_bytes(images.read_bytes()[:-7])
    said = refused(reproduced, "prepare", dict(IDX)).said[0]
    assert "data/toys/train-images-idx3-ubyte" in said


def test_a_file_with_another_checksum(reproduced: Reproduced) -> None:
    """What calls itself MNIST must be it."""
    write_idx_folder(reproduced.project.folder / "data" / "toys")
    said = refused(reproduced, "prepare", {**IDX, "name": "mnist"}).said[0]
    assert "SHA-256" in said


@pytest.fixture
def mute() -> Iterator[socket.socket]:
    """A server that takes connections and never says anything."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0)
        yield server


def test_a_tracking_server_that_never_answers(reproduced: Reproduced, mute: socket.socket) -> None:
    """Told when it was asked once, before a trial is made."""
    ended = refused(
        reproduced,
        "tune",
        {"trials": 5},
        MLFLOW_TRACKING_URI=f"http://user:secret@127.0.0.1:{mute.getsockname()[1]}",
    )
    assert "the tracking server can't be reached" in ended.said[0]
    assert "secret" not in ended.output + ended.errors
    mute.accept()[0].close()
    with pytest.raises(BlockingIOError):
        mute.accept()
