"""Whatever bytes a file of arrays has, they give numpy's arrays or one line."""

import io
import tracemalloc
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from foldwise.files import DocumentError, decode_arrays, map_array

ARRAYS: Mapping[str, NDArray[Any]] = {
    "plan/part_of": np.arange(12, dtype=np.int16).reshape(1, 12),
    "final/weights": np.asfortranarray(np.linspace(-1, 1, 6, dtype=np.float32).reshape(2, 3)),
    "are_probabilities": np.array(True),  # noqa: FBT003 - what the array holds
    "none": np.zeros((0, 4)),
}


def packed(*, is_compressed: bool) -> bytes:
    """The arrays as numpy stores them."""
    buffer = io.BytesIO()
    (np.savez_compressed if is_compressed else np.savez)(buffer, allow_pickle=False, **ARRAYS)
    return buffer.getvalue()


def single(content: bytes, *changes: int) -> Iterator[bytes]:
    """The content with one byte changed, each in each of these ways."""
    for place, byte in enumerate(content):
        for change in changes:
            yield content[:place] + bytes([byte ^ change]) + content[place + 1 :]


def several(content: bytes, times: int) -> Iterator[bytes]:
    """The content with two to four bytes changed, half of them in the archive's directory."""
    draw = Random(0)
    start = content.find(b"PK\x01\x02") % len(content)
    for _ in range(times):
        changed = bytearray(content)
        for _ in range(draw.randint(2, 4)):
            changed[
                draw.choice([draw.randrange(len(content)), draw.randrange(start, len(content))])
            ] = draw.randrange(256)
        yield bytes(changed)


def said_of(read: Callable[[], object]) -> str:
    """The one line that reading ends in; empty if it ends well."""
    try:
        read()
    except DocumentError as error:
        return str(error)
    return ""


def holds(content: bytes) -> None:
    """See that what is found is as it was, though there may be less of it."""
    for name, array in decode_arrays(content).items():
        assert (array.dtype, array.shape) == (ARRAYS[name].dtype, ARRAYS[name].shape)
        np.testing.assert_array_equal(array, ARRAYS[name])
        assert not array.flags.writeable


def ends_well(contents: Iterator[bytes]) -> None:
    """Each gives arrays as they were, or one line, and takes no memory."""
    tracemalloc.start()
    said = [said_of(partial(holds, content)) for content in contents]
    assert tracemalloc.get_traced_memory()[1] < 4 << 20
    tracemalloc.stop()
    assert any(said)
    assert max(len(line.splitlines()) for line in said) == 1


@pytest.mark.parametrize("is_compressed", [False, True])
def test_any_damage_to_arrays_leaves_them_whole_or_is_one_line(*, is_compressed: bool) -> None:
    """The archive's own checksums guard what the arrays hold."""
    content = packed(is_compressed=is_compressed)
    found = decode_arrays(content)
    assert found.keys() == ARRAYS.keys()
    ends_well(single(content, 1, 0x80))
    ends_well(several(content, 500))
    ends_well(content[:length] for length in range(len(content)))


def test_an_archive_that_would_fill_the_memory_is_not_unpacked(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Neither one large array nor many small ones; zeros are packed to a thousandth."""
    monkeypatch.setattr("foldwise.files._ALWAYS_ALLOWED", 1 << 20)
    for arrays in ([np.zeros(4 << 20, np.uint8)], [np.zeros(1 << 19, np.uint8)] * 8):
        buffer = io.BytesIO()
        np.savez_compressed(buffer, *arrays)
        content = buffer.getvalue()
        tracemalloc.start()
        said = said_of(partial(decode_arrays, content))
        assert tracemalloc.get_traced_memory()[1] < 1 << 19
        tracemalloc.stop()
        assert "unpacked, more than the 1,048,576 it can hold" in said


@pytest.mark.soak
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("is_compressed", [False, True])
def test_any_damage_to_arrays_is_one_line_at_length(*, is_compressed: bool) -> None:
    """Each byte in each way."""
    content = packed(is_compressed=is_compressed)
    ends_well(single(content, *range(1, 256)))
    ends_well(several(content, 100_000))


def test_any_damage_to_a_mapped_array_fits_its_file_or_is_one_line(tmp_path: Path) -> None:
    """It has no checksum of its own, so its values are the reader's to digest."""
    path = tmp_path / "a.npy"
    for array in ARRAYS.values():
        np.save(path, array)
        content = path.read_bytes()
        np.testing.assert_array_equal(map_array(path), array)
        said = []
        for changed in (*single(content, 1, 0x80), *several(content, 300)):
            path.write_bytes(changed)
            said.append(said_of(partial(fits, path, len(content))))
        assert sum(map(bool, said)) > len(content) / 2
        assert max(len(line.splitlines()) for line in said) == 1


def fits(path: Path, size: int) -> None:
    """See that what is mapped are numbers, and no more than the file holds."""
    found = map_array(path)
    assert found.nbytes <= size
    assert found.dtype.kind in "biuf"


@pytest.mark.parametrize(
    "array", [np.array([object()]), np.array(["word"]), np.zeros(2, "<f4, <i8"), np.array([1j])]
)
def test_what_is_no_array_of_numbers_is_one_line(tmp_path: Path, array: NDArray[Any]) -> None:
    """A pickle least of all."""
    buffer = io.BytesIO()
    np.savez(buffer, array)
    np.save(tmp_path / "a.npy", array)
    with pytest.raises(DocumentError, match="arrays must be as numpy wrote them, got ValueError"):
        decode_arrays(buffer.getvalue())
    with pytest.raises(DocumentError, match="an array must be as numpy wrote it, got ValueError"):
        map_array(tmp_path / "a.npy")
