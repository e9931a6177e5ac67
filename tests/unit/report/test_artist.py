"""Pictures are drawn by another process where there is a core for it, and here where not."""

import os
import sys
import time
from functools import partial
from multiprocessing import Pipe
from threading import Thread

import pytest

from foldwise.report.artist import Artist, _serve
from tests.waiting import PATIENCE


def test_with_one_thread_nobody_else_draws(monkeypatch: pytest.MonkeyPatch) -> None:
    """Another process would only take turns with this one."""
    monkeypatch.setenv("FOLDWISE_THREADS", "1")
    with Artist() as artist:
        assert artist.draw(os.getpid)() == os.getpid()


def test_what_the_other_process_fails_at_is_drawn_here(monkeypatch: pytest.MonkeyPatch) -> None:
    """One draws all, with two threads, and may be killed for its memory; faults are told here.

    What a library prints is no answer: it would be waited for, or taken for a picture.
    """
    monkeypatch.setenv("FOLDWISE_THREADS", "2")
    with Artist() as artist:
        drawn = [artist.draw(os.getpid), artist.draw(sorted, "cab"), artist.draw(os.getpid)]
        printed, later = artist.draw(os.write, 1, b"garbage"), artist.draw(os.getpid)
        wrong, after = artist.draw(int, "no number"), artist.draw(os.getpid)
        first, words, second = (each() for each in drawn)
        assert (printed(), later()) == (len(b"garbage"), first)
        with pytest.raises(ValueError, match="no number"):
            wrong()
        assert after() == os.getpid()
    assert first == second != os.getpid()
    assert words == ["a", "b", "c"]


def test_where_no_process_can_be_begun_all_is_drawn_here(monkeypatch: pytest.MonkeyPatch) -> None:
    """A stage doesn't fail for a picture that it can draw itself."""
    monkeypatch.setenv("FOLDWISE_THREADS", "2")
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    with Artist() as artist:
        assert artist.draw(os.getpid)() == os.getpid()


def test_whoever_ends_waits_for_no_picture(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C ends a stage at once, with all that it has started."""
    monkeypatch.setenv("FOLDWISE_THREADS", "2")
    with Artist() as artist:
        artist.draw(time.sleep, 100_000.0)
    assert artist._process is not None
    assert artist._process.returncode is not None


def test_the_other_process_ends_when_nobody_asks_any_more() -> None:
    """A killed stage says nothing to it, but its end of the pipe is closed."""
    ours, theirs = Pipe()
    serving = Thread(target=_serve, args=(theirs,))
    serving.start()
    ours.send(partial(sorted, "ba"))
    assert ours.recv() == ["a", "b"]
    ours.close()
    serving.join(PATIENCE)
    assert not serving.is_alive()
