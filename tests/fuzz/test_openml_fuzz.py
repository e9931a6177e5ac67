"""Whatever OpenML answers, it becomes images and labels or one line."""

import gzip
import hashlib
import json
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from foldwise.data.openml import read_openml
from foldwise.errors import DataError
from tests.openml_server import FakeOpenml, serve_toy, toy_arff

NOWHERE = "http://127.0.0.1:9"
FILES = {
    "/api/v1/json/data/list/data_name/toy/limit/2/data_version/2": "listing.json.gz",
    "/api/v1/json/data/77": "description.json.gz",
    "/api/v1/json/data/features/77": "features.json.gz",
    "/data/v1/download/99/toy.arff": "data.arff.gz",
}

leaves = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.sampled_from(["", "0", "1", "true", "77", "file:///etc/passwd", NOWHERE, "\ud800"])
)
trees = st.recursive(
    leaves,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner),
    max_leaves=8,
)
fields = st.sampled_from(
    [
        *(b"0", b"255", b"256", b"-1", b"1.0", b"0.5", b"?", b"", b"nan", b"1e400", b"7" * 400),
        *(b"'a'", b'"a', b"a,b", b"{1 2}", b"%", b"\r", b"\0", b"\xff", b"@data"),
    ]
)


def _places(tree: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    items = tree.items() if isinstance(tree, dict) else enumerate(tree)
    here = []
    for key, value in items:
        here.append((*path, key))
        if isinstance(value, dict | list):
            here += _places(value, (*path, key))
    return here


def _changed_json(draw: st.DrawFn, content: bytes) -> bytes:
    try:
        tree = json.loads(content)
    except ValueError:  # an earlier change
        return content
    places = _places(tree) if isinstance(tree, dict) else []
    if not places:
        return content
    *path, last = draw(st.sampled_from(places))
    holder = tree
    for key in path:
        holder = holder[key]
    if draw(st.booleans()):
        del holder[last]
    else:
        holder[last] = draw(trees)
    return json.dumps(tree).encode("utf-8", errors="surrogatepass")


def _changed_arff(draw: st.DrawFn, content: bytes) -> bytes:
    lines = content.split(b"\n")
    place = draw(st.integers(0, len(lines) - 1))
    parts = lines[place].split(b",")
    parts[draw(st.integers(0, len(parts) - 1))] = draw(fields)
    lines[place] = b",".join(parts)
    return b"\n".join(lines)


@st.composite
def answers(draw: st.DrawFn) -> tuple[dict[str, bytes], bytes]:
    """Draw the answers of a server, one or two of them changed; and the ARFF as it is sent."""
    server = FakeOpenml(address=NOWHERE)
    serve_toy(server, toy_arff(12, pixels=4, classes="ab"), pixels=4)
    given_answers = dict(server.answers)
    description, arff = list(FILES)[1], list(FILES)[3]
    changes = st.lists(st.sampled_from([arff, arff, arff, *FILES]), max_size=2)
    for path in draw(changes):
        content = given_answers[path]
        kind = draw(st.sampled_from(["inside"] * 6 + ["cut", "bytes"]))
        if kind == "inside" and path == arff:
            content = _changed_arff(draw, content)
        elif kind == "inside":
            content = _changed_json(draw, content)
        elif kind == "cut":
            content = content[: draw(st.integers(0, len(content)))]
        else:
            content = draw(st.binary(max_size=30))
        given_answers[path] = content
    if draw(st.integers(0, 4)):  # mostly the checksum is that of what was sent
        checksum = hashlib.md5(given_answers[arff], usedforsecurity=False).hexdigest()
        before = hashlib.md5(server.answers[arff], usedforsecurity=False).hexdigest()
        given_answers[description] = given_answers[description].replace(
            before.encode(), checksum.encode()
        )
    return given_answers, given_answers[arff]


def ends_well(drawn: tuple[dict[str, bytes], bytes]) -> None:
    """Read the answers from the cache: as many rows as were sent, or the error is one line."""
    contents, arff = drawn
    said = ""
    with tempfile.TemporaryDirectory() as folder:
        for path, name in FILES.items():
            file = Path(folder) / "toy-2" / name
            file.parent.mkdir(exist_ok=True)
            file.write_bytes(gzip.compress(contents[path]))
        try:
            raw = read_openml("toy", 2, holdout=3, cache=Path(folder), server=NOWHERE)
        except DataError as error:
            said = str(error)
        else:
            rows = arff.lower().split(b"@data", 1)[1].split(b"\n")[1:]
            data = [line for line in rows if line.strip() and not line.lstrip().startswith(b"%")]
            assert len(raw.development.labels) + len(raw.holdout.labels) == len(data)
            assert raw.development.images.dtype == np.uint8
            assert raw.development.images.shape[1] == int(np.prod(raw.image_shape))
    assert len(said.splitlines()) <= 1
    assert len(said) < 600


@settings(max_examples=80, deadline=None)
@given(answers())
def test_any_answers_end_in_data_or_one_line(drawn: tuple[dict[str, bytes], bytes]) -> None:
    """Parts missing, of other types, cut, or fields that are no pixels."""
    ends_well(drawn)


@pytest.mark.soak
@settings(max_examples=800, deadline=None)
@given(answers())
def test_any_answers_end_in_data_or_one_line_at_length(
    drawn: tuple[dict[str, bytes], bytes],
) -> None:
    """The same, ten times as often."""
    ends_well(drawn)
