"""An IDX file gives exactly its values, or one line that says what is wrong with it."""

import gzip
import hashlib
import os
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from foldwise.data.idx import Kind, read_idx
from foldwise.errors import DataError
from tests.idx_files import idx_bytes, toy_images

IMAGES = toy_images(7)
LABELS = np.arange(7, dtype=np.uint8)


def refused(path: Path, content: bytes, kind: Kind = "images") -> str:
    """Write a file and say why it is refused."""
    path.write_bytes(content)
    with pytest.raises(DataError) as caught:
        read_idx(path, kind)
    assert str(path) in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("shape", [(4,), (5, 4), (2, 3, 3)])
@pytest.mark.parametrize("packed", [False, True])
def test_values_and_shape_are_those_of_the_file(
    tmp_path: Path, shape: tuple[int, ...], *, packed: bool
) -> None:
    """Images may have one, two or three dimensions; read-only, compressed or not."""
    images = toy_images(7, shape=shape)
    path = tmp_path / ("a.gz" if packed else "a")
    path.write_bytes(gzip.compress(idx_bytes(images)) if packed else idx_bytes(images))
    array, digest = read_idx(path, "images")
    assert np.array_equal(array, images)
    assert not array.flags.writeable
    assert digest == hashlib.sha256(idx_bytes(images)).hexdigest()


def test_a_compressed_file_larger_than_one_chunk_is_read_whole(tmp_path: Path) -> None:
    """Two and a half megabytes, in chunks of one."""
    images = toy_images(2500, shape=(1000,))
    (tmp_path / "a.gz").write_bytes(gzip.compress(idx_bytes(images), 1))
    assert np.array_equal(read_idx(tmp_path / "a.gz", "images")[0], images)


def test_an_uncompressed_file_stays_on_the_disk(tmp_path: Path) -> None:
    """Large data is mapped, not read."""
    (tmp_path / "a").write_bytes(idx_bytes(IMAGES))
    assert isinstance(read_idx(tmp_path / "a", "images")[0], np.memmap)


@pytest.mark.parametrize("packed", [False, True])
def test_a_file_cut_within_its_header_is_refused(tmp_path: Path, *, packed: bool) -> None:
    """Wherever the cut falls."""
    path = tmp_path / ("a.gz" if packed else "a")
    for length in range(16):
        content = idx_bytes(IMAGES)[:length]
        assert "must be an IDX file" in refused(path, gzip.compress(content) if packed else content)


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda b: b[:-1], "declares 140 values and ends after 139: fetch it again"),
        (lambda b: b + b"\0", "goes on after the 140 values it declares: fetch it again"),
        (lambda b: b"\1" + b[1:], "begins with the bytes '01 00 08 03' instead of '00 00 08'"),
        (
            lambda b: b[:2] + b"\x0d" + b[3:],
            "are 32-bit floats, not unsigned bytes, 0x08: write the pixels scaled to",
        ),
        (lambda b: b[:2] + b"\x0b" + b[3:], "are 16-bit integers, not unsigned bytes"),
        (
            lambda b: b[:2] + b"\x0a" + b[3:],
            "have the type 0x0a, which there isn't: fetch it again",
        ),
        (lambda b: b[:3] + b"\0" + b[4:], "declares 0 dimensions"),
        (lambda b: b[:3] + b"\7" + b[4:] + b"\1" * 16, "declares 7 dimensions"),
        (lambda b: b[:4] + bytes(4) + b[8:], "declares the sizes (0, 5, 4)"),
        (lambda b: b[:4] + b"\xff" * 12 + b[16:], "declares "),
        (lambda _: idx_bytes(LABELS), "holds labels where images belong: have files been mixed"),
    ],
)
def test_a_wrong_file_is_refused_by_name_and_reason(
    tmp_path: Path, change: Callable[[bytes], bytes], said: str, *, packed: bool
) -> None:
    """Cut, continued, of another type, of absurd sizes, or the file of labels."""
    content = change(idx_bytes(IMAGES))
    path = tmp_path / ("a.gz" if packed else "a")
    assert said in refused(path, gzip.compress(content) if packed else content)


def test_images_where_labels_belong_are_refused(tmp_path: Path) -> None:
    """The files of a split may be mixed up."""
    said = refused(tmp_path / "a", idx_bytes(IMAGES), "labels")
    assert "holds images where labels belong: have files been mixed up?" in said


def test_ten_declared_gigabytes_take_no_memory(tmp_path: Path) -> None:
    """The declared size is compared with the file's before anything is set aside for it."""
    bomb = bytes([0, 0, 8, 3]) + np.array([10_000, 1000, 1000], dtype=">u4").tobytes()
    tracemalloc.start()
    assert "declares 10,000,000,000 values and ends after 84" in refused(
        tmp_path / "a", bomb + bytes(84)
    )
    said = refused(tmp_path / "a.gz", gzip.compress(bomb + bytes(84)))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert "declares 10,000,000,000 bytes, more than the 268,435,456 it can hold" in said
    assert peak < 1_000_000


def test_a_stream_that_grows_beyond_its_declared_size_is_not_unpacked(tmp_path: Path) -> None:
    """A hundred megabytes of zeros behind a small image are never read."""
    bomb = gzip.compress(idx_bytes(IMAGES) + bytes(100 << 20), 9)
    assert len(bomb) < 200_000
    tracemalloc.start()
    assert "goes on after the 140 values" in refused(tmp_path / "a.gz", bomb)
    assert tracemalloc.get_traced_memory()[1] < 4 << 20
    tracemalloc.stop()


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (idx_bytes(IMAGES), "isn't compressed by gzip (Not a gzipped file (b'\\x00\\x00')): take"),
        (
            b"<html>not found</html>",
            "isn't compressed by gzip (Not a gzipped file (b'<h')): fetch it",
        ),
    ],
)
def test_a_gzip_file_that_is_none_says_what_to_do(
    tmp_path: Path, content: bytes, said: str
) -> None:
    """What is plain needs another name, anything else another download."""
    assert said in refused(tmp_path / "a.gz", content)


STREAM = gzip.compress(idx_bytes(IMAGES), mtime=0)


def test_a_gzip_stream_cut_anywhere_is_refused(tmp_path: Path) -> None:
    """In its header, its data, or the checksum at its end."""
    for length in range(len(STREAM)):
        assert "must be an IDX file" in refused(tmp_path / "a.gz", STREAM[:length])


def test_a_gzip_stream_changed_anywhere_is_refused_or_harmless(tmp_path: Path) -> None:
    """Only a time stamp, a flag or the name of a system may change without being noticed."""
    path, unnoticed = tmp_path / "a.gz", []
    for place, byte in enumerate(STREAM):
        path.write_bytes(STREAM[:place] + bytes([byte ^ 0x41]) + STREAM[place + 1 :])
        try:
            assert np.array_equal(read_idx(path, "images")[0], IMAGES)
        except DataError:
            continue
        unnoticed.append(place)
    assert max(unnoticed) < 10


def test_content_larger_than_the_memory_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The line says what helps: an uncompressed file is mapped, not read."""

    def refuse(*_: object, **__: object) -> None:
        raise MemoryError

    monkeypatch.setattr("gzip.GzipFile.read", refuse)
    assert "larger than the memory: uncompress it" in refused(tmp_path / "a.gz", STREAM)


def test_bytes_after_the_gzip_stream_are_refused(tmp_path: Path) -> None:
    """They may be the rest of something else."""
    assert "must be an IDX file" in refused(
        tmp_path / "a.gz", gzip.compress(idx_bytes(IMAGES)) + b"more"
    )


def test_a_compressed_file_without_the_ending_says_so(tmp_path: Path) -> None:
    """Browsers rename downloads."""
    said = refused(tmp_path / "a", gzip.compress(idx_bytes(IMAGES)))
    assert "give it the ending .gz" in said


@pytest.mark.parametrize("make", [Path.mkdir, os.mkfifo, lambda _: None])
def test_what_is_no_file_is_refused(tmp_path: Path, make: Callable[[Path], None]) -> None:
    """A folder, a pipe (which would wait for ever), and nothing at all."""
    make(tmp_path / "a.gz")
    with pytest.raises(DataError, match="must be a file"):
        read_idx(tmp_path / "a.gz", "images")
