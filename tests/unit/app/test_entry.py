"""A command ends with a status and at most one line, whatever happens in it."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

SRC = Path(__file__).parents[3] / "src"


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
        "from foldwise.errors import DataError\n"
        "from foldwise.app.exits import run\n"
        "def wait():\n"
        "    pathlib.Path('ready').touch()\n"
        "    time.sleep(30)\n"
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
        while not (tmp_path / "ready").exists():
            time.sleep(0.01)
        (tmp_path / "ready").unlink()
        process.send_signal(number)
    return process.wait(timeout=20), process.communicate()[1]


def test_a_command_that_ends_well_says_nothing(tmp_path: Path) -> None:
    """Status 0, no words."""
    assert outcome(tmp_path, "    pass") == (0, "")


def test_a_word_that_is_no_answer_is_refused_by_every_command(tmp_path: Path) -> None:
    """By one that has nothing to keep quiet, too."""
    status, words = outcome(tmp_path, "    pass", within=("env", "FOLDWISE_QUIET=maybe"))
    assert status == 1
    assert words.startswith("foldwise: FOLDWISE_QUIET must be one of 1, on, true, yes or 0,")


def test_our_own_error_is_one_line(tmp_path: Path) -> None:
    """Even if its text had a newline."""
    body = "    raise DataError('rule,\\n value: remedy')"
    assert outcome(tmp_path, body) == (1, "foldwise: rule, value: remedy\n")


def test_an_error_can_not_steer_the_terminal(tmp_path: Path) -> None:
    """It may quote what lies in a store."""
    body = "    raise DataError('got \\x1b[2Jverified')"
    assert outcome(tmp_path, body) == (1, "foldwise: got ?[2Jverified\n")


def test_a_fault_of_the_system_is_one_line(tmp_path: Path) -> None:
    """A full disk or a missing permission is the user's to mend, not a bug."""
    status, words = outcome(tmp_path, "    raise OSError(28, 'No space left on device', 'a.npy')")
    assert status == 1
    assert words == (
        "foldwise: the system refused: [Errno 28] No space left on device: 'a.npy':"
        " mend that, then run the same command again\n"
    )


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


def test_a_bug_keeps_its_traceback(tmp_path: Path) -> None:
    """What the user can't mend is shown in full."""
    status, words = outcome(tmp_path, "    raise KeyError('x')")
    assert status == 1
    assert "Traceback" in words


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
    one = f"{__file__}::{test_a_second_sigint_ends_at_once.__name__}"
    command = [*IN_BACKGROUND, sys.executable, "-m", "pytest", "-q", "-p", "no:xdist", one]
    ended = subprocess.run(
        command, cwd=SRC.parent, capture_output=True, text=True, check=False, timeout=120
    )
    assert ended.returncode == 0, ended.stdout
