"""A command ends with a status and at most one line, whatever happens in it."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from foldwise.app.exits import run, say
from foldwise.errors import DataError
from tests.waiting import PATIENCE, wait_until

SRC = Path(__file__).parents[3] / "src"
AGAIN = "run the same command again"


def outcome(
    tmp_path: Path,
    body: str,
    *,
    kill: tuple[signal.Signals, ...] = (),
    within: tuple[str, ...] = (),
) -> tuple[int, str]:
    """Run a command in a process of its own, with signals once it is ready.

    ``within`` is a command that becomes the one it is given.
    """
    program = (
        "import time, pathlib\n"
        "from foldwise.app.exits import run\n"
        "def wait():\n"
        "    pathlib.Path('ready').touch()\n"
        "    time.sleep(600)\n"
        f"def main():\n{body}\n"
        "run(main)\n"
    )
    process = subprocess.Popen(
        [*within, sys.executable, "-c", program],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(SRC)},
        stderr=subprocess.PIPE,
        text=True,
    )
    for number in kill:
        wait_until((tmp_path / "ready").exists, "ready", ended=lambda: process.poll() is not None)
        (tmp_path / "ready").unlink()
        process.send_signal(number)
    return process.wait(timeout=PATIENCE), process.communicate()[1]


@pytest.fixture
def handlers() -> Iterator[None]:
    """The signals' handlers as they were, once a command has run in this process."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.usefixtures("handlers")
@pytest.mark.parametrize(
    ("error", "words"),
    [
        (DataError("rule,\n value: remedy"), "rule, value: remedy"),
        (DataError("got \x1b[2Jverified"), "got ?[2Jverified"),
        (
            OSError(28, "No space left on device"),
            f"the system refused: [Errno 28] No space left on device: mend that, then {AGAIN}",
        ),
    ],
    ids=["ours", "what steers the terminal", "the system's"],
)
def test_a_fault_that_is_the_user_s_to_mend_is_one_line(
    error: Exception, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Even if its text, which may quote what lies in a store, had a newline."""

    def fail() -> None:
        raise error

    with pytest.raises(SystemExit) as ended:
        run(fail)
    assert ended.value.code == 1
    assert capsys.readouterr() == ("", f"foldwise: {words}\n")


@pytest.mark.usefixtures("handlers")
def test_what_ends_well_says_nothing_and_a_bug_keeps_its_traceback(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """What the user can't mend is shown in full."""

    def fail() -> None:
        raise KeyError("x")

    run(lambda: None)
    with pytest.raises(KeyError):
        run(fail)
    assert capsys.readouterr() == ("", "")


@pytest.mark.usefixtures("handlers")
def test_a_word_that_is_no_answer_is_refused_by_every_command(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """By one that has nothing to keep quiet, too."""
    monkeypatch.setenv("FOLDWISE_QUIET", "maybe")
    with pytest.raises(SystemExit) as ended:
        run(lambda: None)
    assert ended.value.code == 1
    words = "foldwise: FOLDWISE_QUIET must be one of 1, on, true, yes or 0,"
    assert capsys.readouterr().err.startswith(words)


@pytest.mark.parametrize(("quiet", "said"), [("1", ""), ("", "prepared\n")])
def test_who_asks_for_silence_hears_of_no_result(
    quiet: str, said: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """What a stage says of its work is for people, and stands in its files."""
    monkeypatch.setenv("FOLDWISE_QUIET", quiet)
    say("prepared", "")
    assert capsys.readouterr() == (said, "")


@pytest.mark.parametrize("where", [">&-", "> /dev/full", "| true", "2>&-", "2> /dev/full"])
def test_who_has_heard_enough_stops_nothing(tmp_path: Path, where: str) -> None:
    """A pipe without a reader, a full disk, a closed stream: the work is done, the status 0."""
    program = (
        "import pathlib, sys, time\n"
        "from foldwise.app.exits import run, say, tell\n"
        "def main():\n"
        "    for number in range(20):\n"
        "        say('x' * 10_000)\n"
        "        tell('x' * 10_000, sys.stderr)\n"
        "        time.sleep(0.01)\n"
        "    pathlib.Path('done').touch()\n"
        "run(main)\n"
    )
    (tmp_path / "program.py").write_text(program)
    command = f'"{sys.executable}" program.py {where}'
    done = subprocess.run(
        ["bash", "-o", "pipefail", "-c", command],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(SRC)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, (tmp_path / "done").exists()) == (0, True), done.stderr
    assert "Traceback" not in done.stderr
    assert "Exception" not in done.stderr


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_lets_the_command_clean_up(tmp_path: Path, number: signal.Signals) -> None:
    """Its handlers of KeyboardInterrupt run, then it ends with 128 plus the signal's number."""
    body = (
        "    try: wait()\n"
        "    except KeyboardInterrupt:\n"
        "        pathlib.Path('cleaned').touch()\n"
        "        raise"
    )
    status, words = outcome(tmp_path, body, kill=(number,))
    assert status == 128 + number
    assert words == f"foldwise: stopped by {number.name}: to go on, run the same command again\n"
    assert (tmp_path / "cleaned").exists()


def test_a_second_sigterm_does_not_break_into_the_clean_up(tmp_path: Path) -> None:
    """A process group may be sent it twice."""
    body = (
        "    try: wait()\n"
        "    finally:\n"
        "        pathlib.Path('ready').touch()\n"
        "        time.sleep(0.3)\n"
        "        pathlib.Path('cleaned').touch()"
    )
    assert outcome(tmp_path, body, kill=(signal.SIGTERM, signal.SIGTERM))[0] == 143
    assert (tmp_path / "cleaned").exists()


def test_a_second_sigint_ends_at_once(tmp_path: Path) -> None:
    """Whoever presses Ctrl-C again does not wait for the clean-up."""
    body = "    try: wait()\n    finally: wait()"
    status, _ = outcome(tmp_path, body, kill=(signal.SIGINT, signal.SIGINT))
    assert status == -signal.SIGINT


IN_BACKGROUND = ("sh", "-c", 'trap "" INT; exec "$@"', "sh")
"""As a shell without job control starts ``command &``."""


def test_in_the_background_sigint_stays_ignored(tmp_path: Path) -> None:
    """Ctrl-C is for what runs in the foreground; SIGTERM still stops the command cleanly."""
    body = (
        "    try: wait()\n"
        "    finally:\n"
        "        pathlib.Path('ready').touch()\n"
        "        time.sleep(0.3)\n"
        "        pathlib.Path('cleaned').touch()"
    )
    kill = (signal.SIGTERM, signal.SIGINT)
    assert outcome(tmp_path, body, kill=kill, within=IN_BACKGROUND)[0] == 143
    assert (tmp_path / "cleaned").exists()
    body = "    pathlib.Path('ready').touch()\n    time.sleep(0.5)"
    assert outcome(tmp_path, body, kill=(signal.SIGINT,), within=IN_BACKGROUND) == (0, "")


def test_a_suite_in_the_background_tests_signals_all_the_same() -> None:
    """What the tests start has SIGINT as from a terminal, however they were started."""
    ask = "import signal; print(signal.getsignal(signal.SIGINT) is signal.SIG_IGN)"
    started = (
        f"import subprocess, sys, tests.conftest; subprocess.run([sys.executable, '-c', {ask!r}])"
    )
    command = [*IN_BACKGROUND, sys.executable, "-c", started]
    ended = subprocess.run(command, cwd=SRC.parent, capture_output=True, text=True, check=True)
    assert ended.stdout == "False\n"
