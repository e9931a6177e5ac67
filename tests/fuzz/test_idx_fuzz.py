"""Whatever bytes an IDX file has, they give the declared values or one line."""

import gzip
import math
import tempfile
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from foldwise.data.idx import Kind, read_idx
from foldwise.errors import DataError
from tests.idx_files import idx_bytes

shapes = st.lists(st.integers(1, 6), min_size=1, max_size=4)
sizes = st.sampled_from([0, 1, 7, 10**4, 2**31 - 1, 2**32 - 1])


@st.composite
def plain(draw: st.DrawFn) -> bytes:
    """Draw a good file, changed in nothing, its type, dimensions, a size, or its length."""
    shape = draw(shapes)
    values = bytes(draw(st.binary(min_size=1, max_size=8)) * math.prod(shape))[: math.prod(shape)]
    head = bytearray([0, 0, 0x08, len(shape)]) + np.array(shape, dtype=">u4").tobytes()
    match draw(st.sampled_from(["", "", "", "byte", "size", "shorter", "longer", "any"])):
        case "byte":
            head[draw(st.integers(0, 3))] = draw(st.integers(0, 15) | st.just(255))
        case "size":
            place = 4 + 4 * draw(st.integers(0, len(shape) - 1))
            head[place : place + 4] = draw(sizes).to_bytes(4, "big")
        case "shorter":
            return bytes(head + values)[: draw(st.integers(0, len(head + values) - 1))]
        case "longer":
            values += draw(st.binary(min_size=1, max_size=20))
        case "any":
            return draw(st.binary(max_size=40))
    return bytes(head) + values


@st.composite
def packed(draw: st.DrawFn) -> bytes:
    """Draw a gzip stream: whole, cut anywhere, a byte changed, doubled, or a bomb."""
    content = draw(plain())
    content += draw(st.sampled_from([b""] * 9 + [bytes(3 << 20)]))
    stream = gzip.compress(content, mtime=0)
    place = draw(st.integers(0, len(stream) - 1))
    changed = bytes([stream[place] ^ draw(st.integers(1, 255))])
    ways = {
        "cut": stream[:place],
        "changed": stream[:place] + changed + stream[place + 1 :],
        "doubled": stream * 2,
        "followed": stream + draw(st.binary(max_size=20)),
    }
    return ways.get(draw(st.sampled_from(["whole"] * 4 + [*ways])), stream)


def ends_well(content: bytes, kind: Kind, *, is_packed: bool) -> None:
    """Read the file: its values are those behind its header, or the error is one line."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / ("a.gz" if is_packed else "a")
        path.write_bytes(content)
        tracemalloc.start()
        try:
            array, _ = read_idx(path, kind)
        except DataError as error:
            said = str(error)
        else:
            said = ""
            whole = gzip.decompress(content) if is_packed else content
            assert idx_bytes(np.array(array)) == whole
            assert array.ndim in (range(2, 5) if kind == "images" else [1])
        finally:
            peak = tracemalloc.get_traced_memory()[1]
            tracemalloc.stop()
    assert len(said.splitlines()) <= 1
    assert peak < 8 << 20


cases = given(
    content=st.tuples(st.just(value=False), plain()) | st.tuples(st.just(value=True), packed()),
    kind=st.sampled_from(["images", "images", "labels"]),
)


@settings(max_examples=80, deadline=None)
@cases
def test_any_idx_file_ends_in_its_values_or_one_line(
    content: tuple[bool, bytes], kind: Kind
) -> None:
    """Sizes, types, lengths, gzip streams; and never more memory than a few megabytes."""
    ends_well(content[1], kind, is_packed=content[0])


@pytest.mark.soak
@pytest.mark.timeout(3600)
@settings(max_examples=800, deadline=None)
@cases
def test_any_idx_file_ends_in_its_values_or_one_line_at_length(
    content: tuple[bool, bytes], kind: Kind
) -> None:
    """The same, ten times as often."""
    ends_well(content[1], kind, is_packed=content[0])
