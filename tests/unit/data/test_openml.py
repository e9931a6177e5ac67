"""Data of OpenML is read from its server once and from the cache ever after."""

import gzip
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from foldwise.data.download import fetch
from foldwise.data.openml import read_openml
from foldwise.data.raw import RawData
from foldwise.errors import DataError
from tests.openml_server import FakeOpenml, fake_openml, serve_toy, toy_arff

LISTING = "/api/v1/json/data/list/data_name/toy/limit/2/data_version/2"
DESCRIPTION = "/api/v1/json/data/77"
FEATURES = "/api/v1/json/data/features/77"
ARFF = "/data/v1/download/99/toy.arff"


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeOpenml]:
    """A server with the toy data, on this machine, whatever proxy the environment names."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setattr("foldwise.data.download._PAUSE", 0.0)
    with fake_openml() as fake:
        serve_toy(fake, toy_arff())
        yield fake


def read(server: FakeOpenml, cache: Path, *, name: str = "toy", holdout: int = 30) -> RawData:
    """Read the toy data."""
    return read_openml(name, 2, holdout=holdout, cache=cache, server=server.address)


def said(server: FakeOpenml, cache: Path) -> str:
    """Say why the toy data is refused."""
    with pytest.raises(DataError) as caught:
        read(server, cache)
    assert len(str(caught.value).splitlines()) == 1
    return str(caught.value)


def test_the_last_rows_are_the_holdout(server: FakeOpenml, tmp_path: Path) -> None:
    """In their order; nine pixels are three by three."""
    raw = read(server, tmp_path)
    assert raw.image_shape == (3, 3)
    assert (len(raw.development.labels), len(raw.holdout.labels)) == (60, 30)
    expected = np.random.default_rng(5).integers(0, 256, (90, 9))
    assert np.array_equal(raw.development.images, expected[:60])
    assert np.array_equal(raw.holdout.images, expected[60:])
    assert raw.holdout.labels[:4].tolist() == ["a", "b", "c", "a"]


def test_the_name_is_asked_for_in_small_letters(server: FakeOpenml, tmp_path: Path) -> None:
    """OpenML does not tell Toy from toy."""
    read(server, tmp_path, name="Toy")
    assert LISTING in server.asked


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
    second = read(server, tmp_path)
    assert np.array_equal(first.development.images, second.development.images)
    assert len(server.asked) == asked == 4


def test_a_holdout_as_large_as_the_data_is_refused(server: FakeOpenml, tmp_path: Path) -> None:
    """Nothing would be left to learn from."""
    with pytest.raises(
        DataError, match=r"more rows than the holdout's 90, got 90: set prepare\.ho"
    ):
        read(server, tmp_path, holdout=90)


def test_a_deactivated_version_is_found_too(server: FakeOpenml, tmp_path: Path) -> None:
    """Who names a version means that one."""
    server.answers[f"{LISTING}/status/deactivated"] = server.answers.pop(LISTING)
    assert len(read(server, tmp_path).holdout.labels) == 30


def test_an_unknown_name_is_one_line(server: FakeOpenml, tmp_path: Path) -> None:
    """It says which parameters to look at."""
    server.answers.clear()
    assert said(server, tmp_path) == (
        "OpenML must have the data set, and has no 'toy' in version 2:"
        " check prepare.name and prepare.version"
    )


def test_a_server_that_recovers_is_asked_again(server: FakeOpenml, tmp_path: Path) -> None:
    """Two faults of its own are no reason to give up."""
    server.status[FEATURES] = [500, 503]
    read(server, tmp_path)
    assert server.asked.count(FEATURES) == 3


@pytest.mark.parametrize(("status", "attempts"), [(500, 3), (403, 1)])
def test_a_server_that_refuses_is_one_line(
    server: FakeOpenml, tmp_path: Path, status: int, attempts: int
) -> None:
    """Its own faults are tried three times, a refusal once."""
    server.status[ARFF] = [status] * 9
    assert f"must be given out, got '{status} " in said(server, tmp_path)
    assert server.asked.count(ARFF) == attempts


@pytest.mark.usefixtures("server")
def test_an_unreachable_server_is_one_line(tmp_path: Path) -> None:
    """Nobody listens on the port of a server that has ended."""
    with fake_openml() as ended:
        pass
    message = said(ended, tmp_path)
    assert "must be reachable, got '" in message
    assert "Connection refused" in message
    assert "check the network, or use prepare.source idx" in message


def test_an_answer_that_breaks_off_is_one_line(server: FakeOpenml, tmp_path: Path) -> None:
    """Fewer bytes come than were announced; nothing of them is kept."""
    server.headers[DESCRIPTION] = {"Content-Length": "99999"}
    assert "must be reachable" in said(server, tmp_path)
    assert [path.name for path in tmp_path.glob("*/*")] == ["listing.json.gz"]


@pytest.mark.parametrize(
    ("path", "content"),
    [
        (LISTING, b"<html>"),
        (LISTING, b"\xff"),
        (LISTING, b"[" * 100_000),
        (LISTING, b'{"data": {"dataset": []}}'),
        (LISTING, b'{"data": {"dataset": [{"did": "../../etc"}]}}'),
        (DESCRIPTION, b"{}"),
        (DESCRIPTION, b'{"data_set_description": {"url": 3, "md5_checksum": "x"}}'),
        (FEATURES, b'{"data_features": {"feature": {}}}'),
        (FEATURES, b'{"data_features": {"feature": []}}'),
        (FEATURES, b'{"data_features": {"feature": [{"index": "1"}]}}'),
    ],
)
def test_an_unexpected_answer_is_one_line_and_not_kept(
    server: FakeOpenml, tmp_path: Path, path: str, content: bytes
) -> None:
    """No JSON, too deep, or of another form; the next run asks again and goes well."""
    good, server.answers[path] = server.answers[path], content
    assert "OpenML must describe image data with one label a row" in said(server, tmp_path)
    server.answers[path] = good
    assert len(read(server, tmp_path).holdout.labels) == 30


@pytest.mark.parametrize("targets", [0, 2])
def test_there_must_be_one_label_column(server: FakeOpenml, tmp_path: Path, targets: int) -> None:
    """Neither none nor several."""
    answer = json.loads(server.answers[FEATURES])
    for number, feature in enumerate(answer["data_features"]["feature"]):
        feature["is_target"] = "true" if number < targets else "false"
    server.answers[FEATURES] = json.dumps(answer).encode()
    assert f"{targets} targets" in said(server, tmp_path)


def test_there_must_be_pixels(server: FakeOpenml, tmp_path: Path) -> None:
    """A label alone is nothing to learn from."""
    answer = json.loads(server.answers[FEATURES])
    del answer["data_features"]["feature"][:-1]
    answer["data_features"]["feature"][0]["index"] = "0"
    server.answers[FEATURES] = json.dumps(answer).encode()
    assert "1 targets and 0 other columns" in said(server, tmp_path)


def test_features_in_another_order_are_refused(server: FakeOpenml, tmp_path: Path) -> None:
    """The columns of the data would be taken for others."""
    answer = json.loads(server.answers[FEATURES])
    answer["data_features"]["feature"].reverse()
    server.answers[FEATURES] = json.dumps(answer).encode()
    assert "the feature number '9' in place 0" in said(server, tmp_path)


def test_a_line_without_end_is_not_read(
    server: FakeOpenml, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It would take all memory before it could be split."""
    monkeypatch.setattr("foldwise.data.openml._LONGEST_LINE", 60)
    server.answers[ARFF] += b"0," * 30
    assert "a line of more than 60 bytes" in said(server, tmp_path)


@pytest.mark.parametrize("flag", ["is_ignore", "is_row_identifier"])
def test_columns_that_openml_ignores_are_no_pixels(
    server: FakeOpenml, tmp_path: Path, flag: str
) -> None:
    """A row's number would give the label away."""
    answer = json.loads(server.answers[FEATURES])
    answer["data_features"]["feature"][0][flag] = "true"
    server.answers[FEATURES] = json.dumps(answer).encode()
    expected = np.random.default_rng(5).integers(0, 256, (90, 9))[:60, 1:]
    assert np.array_equal(read(server, tmp_path).development.images, expected)


def test_data_with_another_checksum_is_refused_and_fetched_again(
    server: FakeOpenml, tmp_path: Path
) -> None:
    """A damaged download does not stay in the cache."""
    good = server.answers[ARFF]
    server.answers[ARFF] = good.replace(b"% made", b"% Made")
    assert "must have OpenML's checksum" in said(server, tmp_path)
    server.answers[ARFF] = good
    assert len(read(server, tmp_path).holdout.labels) == 30


@pytest.mark.parametrize("name", ["listing.json.gz", "features.json.gz", "data.arff.gz"])
@pytest.mark.parametrize("keep", [0, 30, -4])
def test_a_damaged_cache_is_refused_and_filled_again(
    server: FakeOpenml, tmp_path: Path, name: str, keep: int
) -> None:
    """Cut anywhere, the file goes and the next run fetches it."""
    read(server, tmp_path)
    path = tmp_path / "toy-2" / name
    path.write_bytes(path.read_bytes()[:keep])
    said(server, tmp_path)
    assert len(read(server, tmp_path).holdout.labels) == 30


@pytest.mark.parametrize(
    "url", ["file:///etc/passwd", "ftp://127.0.0.1/x", "/etc/passwd", "http://["]
)
def test_no_address_but_of_the_web_is_opened(server: FakeOpenml, tmp_path: Path, url: str) -> None:
    """A server's answer can't make us read a local file."""
    answer = json.loads(server.answers[DESCRIPTION])
    answer["data_set_description"]["url"] = url
    server.answers[DESCRIPTION] = json.dumps(answer).encode()
    assert "a download must be by http or https" in said(server, tmp_path)


def test_a_download_stops_at_its_largest_size(server: FakeOpenml, tmp_path: Path) -> None:
    """However well it was compressed; nothing is left behind."""
    server.answers[ARFF] = bytes(5_000_000)
    with pytest.raises(DataError, match="must send at most 1,000,000 bytes, and sends more"):
        fetch(server.address + ARFF, tmp_path / "a.gz", largest=1_000_000)
    assert list(tmp_path.iterdir()) == []


def test_a_download_is_kept_compressed(server: FakeOpenml, tmp_path: Path) -> None:
    """Whether or not it came so, and byte for byte the same each time."""
    fetch(server.address + ARFF, tmp_path / "a.gz", largest=10**6)
    fetch(server.address + LISTING, tmp_path / "b.gz", largest=10**6)
    fetch(server.address + ARFF, tmp_path / "c.gz", largest=10**6)
    assert gzip.decompress((tmp_path / "a.gz").read_bytes()) == server.answers[ARFF]
    assert gzip.decompress((tmp_path / "b.gz").read_bytes()) == server.answers[LISTING]
    assert (tmp_path / "a.gz").read_bytes() == (tmp_path / "c.gz").read_bytes()
