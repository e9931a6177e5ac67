"""Data of OpenML is read from its server once and from the cache ever after."""

import json
import socket
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from sklearn.datasets import _openml

from foldwise.data.dataset import Dataset
from foldwise.data.sources import OPENML, read_openml
from foldwise.errors import DataError
from tests.openml_server import FakeOpenml, fake_openml, serve_toy, toy_arff

API = "/api/v1/json/data"
LISTING = f"{API}/list/data_name/toy/limit/2/data_version/2"
ARFF = "/data/v1/download/99/toy.arff"
# scikit-learn warns of what it asks for again.
pytestmark = pytest.mark.filterwarnings("ignore:A network error", "ignore:Invalid cache")


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeOpenml]:
    """A server with the toy data, on this machine, whatever proxy the environment names."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setattr(_openml.time, "sleep", lambda _: None)
    with fake_openml() as fake:
        serve_toy(fake, toy_arff())
        yield fake


def read(server: FakeOpenml, home: Path, *, name: str = "toy", holdout: int = 30) -> Dataset:
    """Read the toy data."""
    return read_openml(name, 2, holdout=holdout, cache=home / "openml", server=server.address)


def said(server: FakeOpenml, home: Path) -> str:
    """Say why the toy data is refused."""
    with pytest.raises(DataError) as caught:
        read(server, home)
    assert len(str(caught.value).splitlines()) == 1
    return str(caught.value)


def test_the_last_rows_are_the_holdout(server: FakeOpenml, tmp_path: Path) -> None:
    """In their order; nine pixels are three by three; names don't tell Toy from toy."""
    data = read(server, tmp_path, name="Toy")
    assert (data.image_shape, data.classes) == ((3, 3), ("a", "b", "c"))
    expected = np.random.default_rng(5).integers(0, 256, (90, 9))
    assert np.array_equal(data.development.images, expected[:60])
    assert np.array_equal(data.holdout.images, expected[60:])
    assert data.holdout.labels[:4].tolist() == [0, 1, 2, 0]


def test_a_count_of_pixels_that_is_no_square_is_one_dimension(
    server: FakeOpenml, tmp_path: Path
) -> None:
    """Nothing is known of such an image's sides."""
    serve_toy(server, toy_arff(pixels=8), pixels=8)
    assert read(server, tmp_path).image_shape == (8,)


def test_a_second_reading_asks_nothing(server: FakeOpenml, tmp_path: Path) -> None:
    """The cache is enough, without any network."""
    first = read(server, tmp_path)
    asked = len(server.asked)
    server.answers.clear()
    assert np.array_equal(first.holdout.images, read(server, tmp_path).holdout.images)
    assert len(server.asked) == asked


def test_classes_are_told_apart_by_their_text(server: FakeOpenml, tmp_path: Path) -> None:
    """07 is not 7, and integers are integers."""
    arff = (
        toy_arff().replace(b",a\n", b",7\n").replace(b",b\n", b",07\n").replace(b"{a,b,", b"{7,07,")
    )
    serve_toy(server, arff)
    assert read(server, tmp_path / "text").classes == ("07", "7", "c")
    arff = toy_arff()
    for number, letter in enumerate(b"abc"):
        arff = arff.replace(b"," + bytes([letter]) + b"\n", b",%d\n" % number)
    serve_toy(server, arff.replace(b"{a,b,c}", b"{0,1,2}"))
    assert read(server, tmp_path / "integers").classes == (0, 1, 2)
    serve_toy(server, arff.replace(b"{a,b,c}", b"numeric"))
    features = json.loads(server.answers[f"{API}/features/77"])
    features["data_features"]["feature"][-1]["data_type"] = "numeric"
    server.answers[f"{API}/features/77"] = json.dumps(features).encode()
    assert read(server, tmp_path / "numbers").classes == (0, 1, 2)


def test_what_is_changed_in_scikit_learn_is_put_back(server: FakeOpenml, tmp_path: Path) -> None:
    """Whoever asks it afterwards asks the server they expect, for as long as they expect."""
    read(server, tmp_path)
    server.answers.clear()
    said(server, tmp_path / "again")
    assert _openml._SEARCH_NAME.startswith(OPENML)
    assert socket.getdefaulttimeout() is None


def test_an_unknown_name_is_one_line(server: FakeOpenml, tmp_path: Path) -> None:
    """It says which parameters to look at."""
    server.answers.clear()
    assert said(server, tmp_path) == (
        "OpenML's toy in version 2 must exist, and doesn't: check prepare.name and prepare.version"
    )


def test_a_server_that_recovers_is_asked_again(server: FakeOpenml, tmp_path: Path) -> None:
    """Two faults of its own are no reason to give up."""
    server.status[ARFF] = [500, 503]
    read(server, tmp_path)
    assert server.asked.count(ARFF) == 3


@pytest.mark.parametrize("status", [500, 403])
def test_a_server_that_refuses_is_one_line(server: FakeOpenml, tmp_path: Path, status: int) -> None:
    """With its own word for it."""
    server.status[ARFF] = [status] * 9
    assert f"must be reachable, got 'HTTP Error {status}" in said(server, tmp_path)


@pytest.mark.usefixtures("server")
def test_an_unreachable_server_is_one_line(tmp_path: Path) -> None:
    """Nobody listens on the port of a server that has ended."""
    with fake_openml() as ended:
        pass
    message = said(ended, tmp_path)
    assert "Connection refused" in message
    assert "check the network and FOLDWISE_OPENML_SERVER, or use another source" in message


@pytest.mark.parametrize(
    ("path", "content"),
    [
        (LISTING, b"<html>"),
        (LISTING, b"\xff"),
        (LISTING, b'{"data": {"dataset": []}}'),
        (f"{API}/77", b"{}"),
        (f"{API}/77", b'{"data_set_description": {"url": 3, "md5_checksum": "x"}}'),
        (f"{API}/features/77", b'{"data_features": {"feature": [{"index": "1"}]}}'),
        (ARFF, b"no data"),
    ],
)
def test_an_unexpected_answer_is_one_line(
    server: FakeOpenml, tmp_path: Path, path: str, content: bytes
) -> None:
    """No JSON, or of another form, or another file than its checksum says."""
    server.answers[path] = content
    assert "must be image data in ARFF and UTF-8, described as OpenML does" in said(
        server, tmp_path
    )


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (b"\n132,", b"\n132.5,", "must be a pixel, an integer from 0 to 255, got 132.5"),
        (b"\n132,", b"\n256,", "row 1, column 1 must be a pixel"),
        (b"\n132,", b"\n-1,", "must be a pixel"),
        (b"\n132,", b"\n?,", "must be a pixel, an integer from 0 to 255, got nan"),
        (b"\n132,", b"\n", "must be image data"),
        (b",a\n", b",?\n", "must have a label in each row, got rows without"),
    ],
)
def test_rows_that_are_no_images_with_a_label_are_refused(
    server: FakeOpenml, tmp_path: Path, *, old: bytes, new: bytes, message: str
) -> None:
    """Nothing is cast that would lose something; nothing is missing."""
    arff = toy_arff()
    first = arff[arff.index(b"@DATA\n") + 5 :].split(b",")[0] + b","
    serve_toy(server, arff.replace(first if old.startswith(b"\n") else old, new, 1))
    assert message in said(server, tmp_path)


def test_labels_that_are_not_utf_8_are_refused_by_row_and_column(
    server: FakeOpenml, tmp_path: Path
) -> None:
    """In Latin-1 two of its letters were taken for one class."""
    arff = toy_arff().decode().replace(",a\n", ",ä\n").replace(",b\n", ",ö\n")
    serve_toy(server, arff.replace("{a,b,", "{ä,ö,").encode("latin-1"))
    told = said(server, tmp_path)
    assert "must be image data in ARFF and UTF-8" in told
    assert "can't decode byte 0xe4" in told
    assert "in row 12, column 19 of toy.arff.gz" in told
    serve_toy(server, arff.replace("{a,b,", "{ä,ö,").encode())
    assert read(server, tmp_path / "utf-8").classes == ("c", "ä", "ö")


def test_labels_that_only_look_alike_are_refused_by_their_rows(
    server: FakeOpenml, tmp_path: Path
) -> None:
    """In two spellings of Unicode's one class would be two."""
    arff = toy_arff().decode().replace(",a\n", ",\u00e9\n").replace(",b\n", ",e\u0301\n")
    serve_toy(server, arff.replace("{a,b,", "{\u00e9,e\u0301,").encode())
    told = said(server, tmp_path)
    assert "has the label '\u00e9' in two of Unicode's spellings" in told
    assert "in row 1 and row 2: choose data that spell it in one way" in told


def test_columns_in_words_are_refused(server: FakeOpenml, tmp_path: Path) -> None:
    """Their numbers would only be the order of the words."""
    serve_toy(
        server,
        toy_arff().replace(
            b"pixel1 numeric", b"pixel1 {%s}" % b",".join(b"%d" % value for value in range(256))
        ),
    )
    features = json.loads(server.answers[f"{API}/features/77"])
    features["data_features"]["feature"][0]["data_type"] = "nominal"
    server.answers[f"{API}/features/77"] = json.dumps(features).encode()
    assert "9 other columns, 1 of them in words" in said(server, tmp_path)


def test_there_must_be_one_label_column(server: FakeOpenml, tmp_path: Path) -> None:
    """A label for each of two questions is none."""
    features = json.loads(server.answers[f"{API}/features/77"])
    features["data_features"]["feature"][-1]["is_target"] = "false"
    server.answers[f"{API}/features/77"] = json.dumps(features).encode()
    assert "got 0 labels" in said(server, tmp_path)


def test_a_damaged_cache_is_filled_again(server: FakeOpenml, tmp_path: Path) -> None:
    """Cut anywhere, the file goes and is fetched anew."""
    read(server, tmp_path)
    path = tmp_path / "openml" / "openml.org" / ARFF.lstrip("/")
    path = path.with_name(f"{path.name}.gz")
    path.write_bytes(path.read_bytes()[:30])
    assert len(read(server, tmp_path).holdout.labels) == 30
