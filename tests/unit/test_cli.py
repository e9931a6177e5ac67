"""The command line: fast help with examples, and errors in one line."""

import shlex
import subprocess
import sys
from dataclasses import replace
from importlib import import_module
from inspect import signature
from typing import Any

import pytest

from foldwise.app.cli import foldwise, main
from foldwise.app.commands import check_table, columns, history_table
from foldwise.registry.audit import Check, Decision, Unrecorded

COMMANDS = (
    "ui",
    "compare",
    "promote",
    "rollback",
    "history",
    "verify",
    "checks",
    "draw",
    "relocate",
)
SLOW = ("numpy", "sklearn", "mlflow", "optuna", "matplotlib", "scipy", "sqlalchemy")

RECORD = Decision(
    id="20261124T120000.000000Z-0000",
    at="2026-11-24T12:00:00.000+00:00",
    who="ann@host",
    action="promote",
    decision="promoted",
    state="applied",
    champion=None,
    previous=None,
    version=1,
    reason="",
    checks=(Check("accuracy", "0.93", ">= 0.9", "pass"), Check("fits", "3", "0", "fail")),
)


def test_help_answers_before_anything_slow_is_imported() -> None:
    """Whoever asks for help gets it at once."""
    program = (
        "import sys\n"
        "from foldwise.app.cli import main\n"
        "main(['--help'])\n"
        f"print([name for name in {SLOW} if name in sys.modules])\n"
    )
    answer = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert answer.stdout.endswith("\n[]\n")


def test_searches_are_made_and_compared_without_what_they_do_not_need() -> None:
    """Half a second each: what a table, an optimum or a registered model needs, and figures."""
    slow = ("matplotlib", "pandas", "scipy.optimize", "sklearn")
    program = (
        "import sys, foldwise.app.evaluate, foldwise.app.tune, foldwise.app.versus\n"
        "foldwise.app.tune.import_slim_mlflow()\n"
        f"print([name for name in {slow} if name in sys.modules])\n"
    )
    answer = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert answer.stdout == "[]\n"


@pytest.mark.parametrize("command", ["", *COMMANDS])
def test_each_command_explains_itself_with_examples(
    command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """The examples are lines that can be typed: the parser takes every one of them."""
    main([*command.split(), "--help"])
    text = capsys.readouterr().out
    examples = [line.strip() for line in text.splitlines() if line.startswith("    foldwise ")]
    assert examples
    for example in examples:
        _, name, *given = shlex.split(example.split("  ")[0])
        assert name == (command or name)
        foldwise.commands[name].make_context(name, given)


@pytest.mark.parametrize("command", foldwise.commands)
def test_what_is_typed_fits_the_function_that_it_is_handed_to(
    command: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By names, which nobody compares before: each example reaches its function."""
    bound: list[Any] = []

    class Module:
        """A module of the application whose functions do nothing but take what they are given."""

        def __init__(self, name: str) -> None:
            self.real = import_module(name)

        def __getattr__(self, name: str) -> Any:
            taken = signature(getattr(self.real, name))
            return lambda **given: bound.append(taken.bind(**given))

    monkeypatch.setattr("foldwise.app.cli.import_module", Module)
    told = (foldwise.commands[command].epilog or "").splitlines()
    lines = [line.strip().partition("  ")[0] for line in told]
    examples = [line for line in lines if line.startswith("foldwise ")]
    for example in examples:
        main(shlex.split(example)[1:])
    assert len(bound) == len(examples) > 0


@pytest.mark.parametrize("port", ["0", "65536", "-1"])
def test_a_port_that_can_not_be_is_refused_with_the_range(
    port: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Before a server is started, in one line."""
    with pytest.raises(SystemExit) as ended:
        main(["ui", f"--port={port}"])
    assert ended.value.code == 1
    assert f"{port} is not in the range 1<=x<=65535: see" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["nonsense"], "No such command 'nonsense'"),
        ([], "Missing command"),
        (["rollback"], "Missing option '--reason'"),
        (["ui", "--port", "x"], "Invalid value for '--port': 'x' is not"),
        (["promote", "1", "2"], "unexpected extra argument (2)"),
    ],
)
def test_a_mistyped_command_is_one_line_and_status_1(
    arguments: list[str], complaint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Status 2 is kept for a refusal, so that scripts can tell them apart."""
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 1
    output = capsys.readouterr()
    assert output.out == ""
    (line,) = output.err.splitlines()
    assert line.startswith("foldwise: ")
    assert complaint in line
    assert "--help" in line


@pytest.mark.parametrize("command", ["promote", "rollback", "history", "verify"])
def test_each_command_on_a_model_takes_its_name(command: str) -> None:
    """A store may hold more than params.yaml names."""
    given = ["--model", "knn", *(["--reason", "x"] if command == "rollback" else [])]
    assert foldwise.commands[command].make_context(command, given).params["model"] == "knn"


def test_the_ui_is_for_this_machine_unless_told_otherwise() -> None:
    """Whoever reaches it may delete runs."""
    for given, host in (([], "127.0.0.1"), (["--host", "::"], "::")):
        assert foldwise.commands["ui"].make_context("ui", given).params["host"] == host


def test_columns_are_as_wide_as_their_widest_cell() -> None:
    """No cell is cut, and no line ends in blanks."""
    assert columns(("a", "b"), [("xyz", "1"), ("", "22")]) == (
        "a    b\n"
        "---  --\n"
        "xyz  1\n"
        "     22\n"
    )  # fmt: skip


def test_no_line_of_a_table_is_wider_than_a_hundred_characters() -> None:
    """Whatever a version is called, and whoever says why: nothing of it is lost."""
    long = Check("log-loss as the outer folds foretell " * 2, "0.3 " * 20, "in [0, 1] " * 9, "fail")
    unbroken = replace(long, figure="x" * 150)
    talkative = replace(RECORD, who="w" * 90, reason="because " * 120)
    for table in (check_table([long, unbroken]), history_table([talkative])):
        assert max(map(len, table.splitlines())) <= 100
        assert table.splitlines()[1].startswith("----")
    assert "".join(history_table([talkative]).split()).count("because") == 120


def test_what_follows_from_a_figure_stands_below_its_row() -> None:
    """First the value, then why, and what to do."""
    table = check_table([Check("accuracy", "-0.1; too few rows", "> 0 each; take more", "fail")])
    assert table.splitlines()[2:] == [
        "accuracy  -0.1    > 0 each  fail",
        "    too few rows",
        "    take more",
    ]


def test_nothing_that_lies_in_a_store_steers_the_terminal() -> None:
    """A file's name could otherwise write another verdict over its own."""
    table = check_table([Check("stored files", "a\x1b[1A\rb\x9b2K", "no others", "fail")])
    assert "a?[1A?b?2K" in table


def test_a_check_is_shown_with_figure_bound_and_verdict() -> None:
    """A check without a bound shows a dash."""
    table = check_table([Check("fits", "30 of 30", "all", "pass"), Check("note", "x", "", "fail")])
    assert table.splitlines()[2:] == [
        "fits   30 of 30  all    pass",
        "note   x         -      fail",
    ]


def test_the_history_shows_moves_refusals_and_what_nobody_recorded() -> None:
    """One line each; below it the failed checks by name, and the reason."""
    refused = replace(
        RECORD, decision="refused", state="none", champion=1, version=2, reason="a\ntry; or two"
    )
    abandoned = replace(RECORD, state="abandoned", champion=1, version=3)
    gone = replace(RECORD, champion=1, version=4).shortened()
    by_hand = [
        Unrecorded("champion", "now", recorded=4, found=3),
        Unrecorded("previous_champion", "now", recorded=1, found=None),
    ]
    table = history_table([RECORD, refused, abandoned, gone, *by_hand])
    shown = [[cell.strip() for cell in line.split("  ") if cell] for line in table.splitlines()[2:]]
    when = RECORD.at
    assert shown == [
        [when, "ann@host", "promoted 1", "none -> 1"],
        ["failed: fits"],
        [when, "ann@host", "refused 2", "1"],
        ["failed: fits"],
        ["reason: a try; or two"],
        [when, "ann@host", "promoted (abandoned) 3", "1"],
        ["failed: fits"],
        [when, "ann@host", "promoted 4 (deleted since)", "1 -> 4"],
        ["failed: fits"],
        ["before now", "?", "unrecorded", "4 -> 3"],
        ["champion set outside foldwise"],
        ["before now", "?", "unrecorded", "-"],
        ["previous_champion set outside foldwise: 1 -> none"],
    ]
