"""A file is written whole or not at all."""

import multiprocessing
import os
import signal
from pathlib import Path

import pytest

from foldwise.atomic import replacing, write_bytes, write_text

BLOCK = 4096


def test_the_new_content_takes_the_old_ones_place(tmp_path: Path) -> None:
    """Folders are made as needed, and nothing but the file is left."""
    path = tmp_path / "reports" / "a.json"
    write_text(path, "old\n")
    write_text(path, "né\n")
    assert path.read_bytes() == "né\n".encode()
    assert list(path.parent.iterdir()) == [path]


def test_a_failing_write_leaves_the_old_file_and_no_other(tmp_path: Path) -> None:
    """Whatever is raised, an interrupt too, the last good content stands."""
    path = tmp_path / "a.json"
    write_text(path, "good")

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
    assert len(list(tmp_path.iterdir())) == 1
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
