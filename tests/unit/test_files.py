"""Files are written whole or not at all, by one at a time, and documents survive to the bit."""

import math
import multiprocessing
import os
import signal
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from foldwise.errors import StoreError
from foldwise.files import (
    DocumentError,
    decode,
    encode,
    locked,
    plain,
    replacing,
    replacing_folder,
    write_bytes,
)

BLOCK = 4096


def test_the_new_content_takes_the_old_ones_place(tmp_path: Path) -> None:
    """Folders are made as needed, and nothing but the file is left."""
    path = tmp_path / "reports" / "a.json"
    write_bytes(path, b"old\n")
    write_bytes(path, "né\n".encode())
    assert path.read_bytes() == "né\n".encode()
    assert list(path.parent.iterdir()) == [path]


def test_a_failing_write_leaves_the_old_file_and_no_other(tmp_path: Path) -> None:
    """Whatever is raised, an interrupt too, the last good content stands."""
    path = tmp_path / "a.json"
    write_bytes(path, b"good")

    def fail() -> None:
        with replacing(path) as partial:
            partial.write_text("half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail()
    assert path.read_text() == "good"
    assert list(tmp_path.iterdir()) == [path]


def test_the_temporary_name_keeps_the_suffix(tmp_path: Path) -> None:
    """Libraries that choose a format by the suffix write what the final name says."""
    with replacing(tmp_path / "roc.png") as partial:
        assert partial.suffix == ".png"
        assert partial.parent == tmp_path
        partial.write_bytes(b"x")


def test_what_a_killed_writer_left_is_used_up_by_the_next(tmp_path: Path) -> None:
    """A longer leftover neither stays nor shows through."""
    path = tmp_path / "a.json"
    process = multiprocessing.get_context("fork").Process(target=_write_and_die, args=(path,))
    process.start()
    process.join()
    assert process.exitcode == -signal.SIGKILL
    assert not path.exists()
    assert all(left.name.startswith(".") for left in tmp_path.iterdir())
    with replacing(path) as partial, partial.open("a") as file:
        file.write("short")
    assert path.read_text() == "short"
    assert list(tmp_path.iterdir()) == [path]


def test_two_writers_of_one_file_never_mix(tmp_path: Path) -> None:
    """Each content that is ever seen is one writer's, whole."""
    path = tmp_path / "a.bin"
    fork = multiprocessing.get_context("fork")
    writers = [fork.Process(target=_write_often, args=(path, letter)) for letter in b"abc"]
    for writer in writers:
        writer.start()
    seen = set()
    while any(writer.is_alive() for writer in writers):
        if path.exists():
            seen.add(path.read_bytes())
    for writer in writers:
        writer.join()
    assert [writer.exitcode for writer in writers] == [0, 0, 0]
    assert seen <= {bytes([letter]) * 64 * BLOCK for letter in b"abc"}
    assert list(tmp_path.iterdir()) == [path]


def test_a_link_is_replaced_and_its_target_kept(tmp_path: Path) -> None:
    """DVC may link outputs to its cache, which must not be written through."""
    cached = tmp_path / "files" / "md5" / "0a" / ("1b" * 15)
    cached.parent.mkdir(parents=True)
    cached.write_text("cached")
    (tmp_path / "out").symlink_to(cached)
    write_bytes(tmp_path / "out", b"new")
    assert cached.read_text() == "cached"
    assert not (tmp_path / "out").is_symlink()


BUSY = StoreError("another process is at it: wait")


def test_a_lock_is_held_by_one_at_a_time(tmp_path: Path) -> None:
    """The second is told so, the third comes after the first; the file goes with the lock."""
    path = tmp_path / "locks" / "a.lock"
    with (
        locked(path),
        pytest.raises(StoreError, match="another process is at it"),
        locked(path, busy=BUSY),
    ):
        pass
    with locked(path, busy=BUSY):
        assert path.exists()
    assert not path.exists()


def test_a_lock_is_waited_for(tmp_path: Path) -> None:
    """No count is lost among four processes that read, add one and write."""
    counter = tmp_path / "counter"
    counter.write_text("0")
    fork = multiprocessing.get_context("fork")
    adders = [fork.Process(target=_add_often, args=(counter,)) for _ in range(4)]
    for adder in adders:
        adder.start()
    for adder in adders:
        adder.join()
    assert [adder.exitcode for adder in adders] == [0] * 4
    assert counter.read_text() == "100"


@pytest.mark.parametrize("looks", range(1, 6))
def test_a_lock_that_is_let_go_of_between_two_looks_is_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, looks: int
) -> None:
    """Its file goes with it, whenever that is: after so many looks at it."""
    path, seen, stat = tmp_path / "a.lock", [], Path.stat
    path.touch()

    def let_go(asked: Path, **how: bool) -> os.stat_result:
        found = stat(asked, **how)
        if asked == path:
            seen.append(asked)
            if len(seen) == looks:
                path.unlink()
        return found

    monkeypatch.setattr(Path, "stat", let_go)
    with locked(path, busy=BUSY):
        assert len(seen) >= looks


def test_a_killed_holder_frees_its_lock(tmp_path: Path) -> None:
    """Although its file stays."""
    path = tmp_path / "a.lock"
    process = multiprocessing.get_context("fork").Process(target=_lock_and_die, args=(path,))
    process.start()
    process.join()
    assert process.exitcode == -signal.SIGKILL
    assert path.exists()
    with locked(path, busy=BUSY):
        pass


def test_a_folder_is_replaced_whole(tmp_path: Path) -> None:
    """Strange files go, folders within too have their files; nothing else is left beside."""
    path = tmp_path / "a"
    (path / "inner").mkdir(parents=True)
    (path / "inner" / "old").write_text("x")
    with replacing_folder(path, seal="z", busy=BUSY) as stage:
        (stage / "inner").mkdir()
        for name in ("z", "new"):
            (stage / "inner" / name).write_text(name)
        assert (path / "inner" / "old").exists()
    assert sorted(file.name for file in (path / "inner").iterdir()) == ["new", "z"]
    assert [*tmp_path.iterdir()] == [path]


@dataclass(frozen=True, slots=True)
class Fold:
    """A document within a document."""

    part: int
    loss: float
    weights: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class Study:
    """A document of each type that ours have."""

    folds: tuple[Fold, ...]
    left_out: frozenset[int]
    values: Mapping[str, bool | int | float | str | None]
    by_part: Mapping[int, float]
    metric: Literal["log_loss", "f1"]
    note: str | None = None
    schema: Literal[1] = 1


STUDY = Study(
    (Fold(0, math.inf), Fold(1, -0.0, (5e-324, -math.inf))),
    frozenset({10, 9}),
    {"a": True, "b": 1, "c": 1.0, "d": "é\n\u2028", "e": None},
    {10: 0.1, 9: 1e22},
    "f1",
)


def test_a_document_survives_with_its_types() -> None:
    """True, 1 and 1.0 stay what they are; tuples, sets and keys too."""
    again = decode(Study, encode(STUDY))
    assert again == STUDY
    assert repr(again) == repr(replace(STUDY, left_out=again.left_out))
    assert decode(tuple[Study, ...], encode([STUDY, STUDY])) == (STUDY, STUDY)


@given(st.floats())
def test_a_float_survives_to_the_bit(value: float) -> None:
    """Subnormal numbers, signed zeros and infinities too; NaN stays NaN."""
    again = decode(Fold, encode(Fold(0, value))).loss
    assert math.isnan(again) if math.isnan(value) else _bits(again) == _bits(value)


def test_equal_documents_give_equal_text() -> None:
    """In whatever order a mapping or a set was made."""
    turned = replace(
        STUDY, left_out=frozenset([9, 10]), values=dict(reversed([*STUDY.values.items()]))
    )
    assert encode(turned) == encode(STUDY)


@pytest.mark.parametrize(
    "value", [np.float64(1), np.int64(1), np.True_, np.zeros(2), 1j, object(), Path(), Fold]
)
@pytest.mark.parametrize("place", [lambda x: x, lambda x: [x], lambda x: {"a": x}])
def test_what_is_not_plain_is_refused(value: object, place: Callable[[object], object]) -> None:
    """Numpy's numbers print like Python's and would come back as others."""
    with pytest.raises(TypeError, match="made of Python's own values, got"):
        encode(place(value))
    with pytest.raises(TypeError):
        encode({(1, 2): 3})


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"metric": "auc"}, "metric must be as Study has it: input should be 'log_loss' or 'f1'"),
        ({"metric": None}, "metric must be"),
        (
            {"metric": "auc", "schema": 2},
            "schema must be as Study has it: input should be 1, got 2, read it by the version",
        ),
        ({"colour": "red"}, "colour must be as Study has it: unexpected"),
        ({"left_out": [True]}, "left_out.0 must be as Study has it: input should be a valid int"),
        ({"folds": [{"part": 1.0, "loss": 0.5}]}, "folds.0.part must be"),
        ({"folds": [{"part": 1, "loss": "0.5"}]}, "folds.0.loss must be"),
        ({"folds": [{"part": 1}]}, "folds.0.loss must be as Study has it: field required"),
        ({"folds": [3]}, "folds.0 must be"),
    ],
)
def test_what_is_no_such_document_is_one_line(changes: dict[str, object], said: str) -> None:
    """The place, what it must be, and what it is."""
    with pytest.raises(DocumentError) as caught:
        decode(Study, encode(plain(STUDY) | changes))
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("text", ["", "{", "[]", "null", "7", "\x00", b"\xff", "[" * 9999])
def test_a_damaged_text_is_one_line(text: str | bytes) -> None:
    """Half a file, or JSON of another shape."""
    with pytest.raises(DocumentError, match="must be as Study has it") as caught:
        decode(Study, text)
    assert "\n" not in str(caught.value)


def test_a_later_versions_field_is_passed_over_when_told_so() -> None:
    """At every depth; one that is missing still is an error, a default is taken."""
    later = plain(STUDY) | {"colour": "red"}
    later["folds"][0]["seconds"] = 3
    del later["note"]
    assert decode(Study, encode(later), tolerant=True) == STUDY
    with pytest.raises(DocumentError, match="metric must be as Study has it: field required"):
        decode(Study, encode({key: later[key] for key in later if key != "metric"}), tolerant=True)


def _bits(value: float) -> bytes:
    return struct.pack("d", value)


def _add_often(counter: Path) -> None:
    for _ in range(25):
        with locked(counter.with_suffix(".lock")):
            counter.write_text(str(int(counter.read_text()) + 1))


def _lock_and_die(path: Path) -> None:
    with locked(path):
        os.kill(os.getpid(), signal.SIGKILL)


def _write_and_die(path: Path) -> None:
    with replacing(path) as partial:
        partial.write_text("half of something long")
        os.kill(os.getpid(), signal.SIGKILL)


def _write_often(path: Path, letter: int) -> None:
    for _ in range(20):
        with replacing(path) as partial, partial.open("wb") as file:
            for _ in range(64):
                file.write(bytes([letter]) * BLOCK)
                file.flush()
