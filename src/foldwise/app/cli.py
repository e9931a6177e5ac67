"""The command line: what can be asked, parsed and printed.

Plain text that reads well on a terminal, in a pipe and in a log.

What may be typed, with examples; the commands' own code is imported once one is chosen.

The command line: ``foldwise ui | promote | rollback | history | verify | draw | relocate``.
"""

import argparse
from collections.abc import Callable, Iterable, Sequence
from typing import NoReturn

from foldwise import __version__
from foldwise.app.exits import run
from foldwise.registry.audit import CHAMPION, Check, Decision, Unrecorded


def columns(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Rows under a head, each column as wide as it must be; the last one isn't padded."""
    table = [tuple(head), *map(tuple, rows)]
    widths = [max(len(row[column]) for row in table) for column in range(len(head))]
    table.insert(1, tuple("-" * width for width in widths))
    lines = ("  ".join(map(str.ljust, row, widths)).rstrip() for row in table)
    return "".join(f"{line}\n" for line in lines)


def check_table(checks: Iterable[Check]) -> str:
    """Checks with figure, bound and verdict."""
    return columns(
        ("check", "figure", "bound", "verdict"),
        ((check.name, check.figure, check.bound or "-", check.verdict) for check in checks),
    )


def history_table(entries: Iterable[Decision | Unrecorded]) -> str:
    """Decisions and unrecorded changes, oldest first."""
    return columns(
        ("when", "who", "decision", "champion", "failed", "reason"),
        (_told(entry) for entry in entries),
    )


def _told(entry: Decision | Unrecorded) -> tuple[str, ...]:
    if isinstance(entry, Unrecorded):
        return _unrecorded(entry)
    state = f" ({entry.state})" if entry.state in ("pending", "abandoned") else ""
    gone = " (deleted since)" if entry.is_short else ""
    moved = entry.state == "applied"
    failed = ", ".join(check.name for check in entry.checks if check.verdict == "fail")
    return (
        entry.at,
        entry.who,
        f"{entry.decision}{state} {entry.version}{gone}",
        _move(entry.champion, entry.version if moved else entry.champion),
        failed or "-",
        " ".join(entry.reason.split()) or "-",
    )


def _unrecorded(entry: Unrecorded) -> tuple[str, ...]:
    move, reason = _move(entry.recorded, entry.found), f"{entry.alias} set outside foldwise"
    if entry.alias != CHAMPION:
        move, reason = "-", f"{reason}: {move}"
    return (f"before {entry.before}", "?", "unrecorded", move, "-", reason)


def _move(before: int | None, after: int | None) -> str:
    return f"{before or 'none'} -> {after or 'none'}" if before != after else f"{after or 'none'}"


_ABOUT = "Judge, promote, verify and show the models that `dvc repro` has registered."
_LAST_PORT = 65535
_STATUS = "Exit status: 0 done, 1 error, 2 refused."


class Parser(argparse.ArgumentParser):
    """A parser whose errors are one line and exit status 1, because 2 means refused."""

    def error(self, message: str) -> NoReturn:
        """End with one line on stderr."""
        self.exit(1, f"foldwise: {message}: see `{self.prog} --help`\n")


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command that was typed; ends with SystemExit where its status isn't 0."""
    given = make_parser().parse_args(arguments)
    command: Callable[[argparse.Namespace], None] = getattr(_commands(), given.command)
    run(lambda: command(given))


def make_parser() -> Parser:
    """The parser of all commands."""
    parser = Parser(
        prog="foldwise",
        description=_ABOUT,
        epilog=_epilog(_FIRST),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"foldwise {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    def add(name: str, summary: str, *examples: str) -> argparse.ArgumentParser:
        return commands.add_parser(
            name,
            help=summary[0].lower() + summary[1:].rstrip("."),
            description=summary,
            epilog=_epilog(examples),
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )

    _add_ui(add("ui", "Show runs and models in the browser.", *_UI))
    _add_promote(add("promote", "Judge a version and make it the champion.", *_PROMOTE))
    _add_rollback(add("rollback", "Make the previous champion the champion again.", *_ROLLBACK))
    add("history", "List the decisions on the model, and changes without one.", *_HISTORY)
    _add_verify(add("verify", "See whether what serves is what was evaluated.", *_VERIFY))
    add("draw", "Draw all pictures and the page anew from kept results.", *_DRAW)
    add("relocate", "Mend the store's paths after its folder was moved.", *_RELOCATE)
    return parser


_FIRST = (
    "foldwise ui                    look at what `make repro` made",
    "foldwise verify challenger     is what is registered what was evaluated?",
    "foldwise promote --dry-run     would it become the champion, and by which checks?",
)
_UI = (
    "foldwise ui                    on 127.0.0.1, port 5000",
    "foldwise ui --port 5001",
)
_PROMOTE = (
    "foldwise promote               the challenger, if every check holds",
    "foldwise promote --dry-run     show the checks, change nothing",
    "foldwise promote 3             version 3",
    "foldwise promote --force --reason 'the holdout was relabelled'",
)
_ROLLBACK = ("foldwise rollback --reason 'errors on scanned forms'",)
_HISTORY = ("foldwise history",)
_VERIFY = (
    "foldwise verify                the champion, or the challenger if there is none",
    "foldwise verify challenger     whoever holds this alias",
    "foldwise verify 3              version 3",
)
_DRAW = ("foldwise draw                  after a change of colours or words",)
_RELOCATE = ("foldwise relocate",)


def _epilog(examples: Sequence[str]) -> str:
    lines = "".join(f"  {example}\n" for example in examples)
    return f"examples:\n{lines}\n{_STATUS}"


def _port(text: str) -> int:
    if not (text.isascii() and text.isdigit() and 1 <= int(text) <= _LAST_PORT):
        raise argparse.ArgumentTypeError(f"must be a number from 1 to {_LAST_PORT}, got {text!r}")
    return int(text)


def _add_ui(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--host", default="127.0.0.1", help="address to listen on (default: %(default)s)"
    )
    parser.add_argument(
        "--port", type=_port, default=5000, help="port to listen on (default: %(default)s)"
    )


def _add_promote(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "version",
        nargs="?",
        default="challenger",
        metavar="VERSION",
        help="number or alias of the version to judge (default: %(default)s)",
    )
    parser.add_argument(
        "--dry-run", action="store_true", help="show what would be decided; change nothing"
    )
    parser.add_argument(
        "--force", action="store_true", help="promote although checks fail; needs --reason"
    )
    parser.add_argument("--reason", default="", metavar="TEXT", help="kept in the record")


def _add_rollback(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--reason", required=True, metavar="TEXT", help="kept in the record")


def _add_verify(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "version",
        nargs="?",
        metavar="ALIAS|VERSION",
        help="alias or number (default: champion, or challenger if there is none)",
    )


def _commands() -> object:
    from foldwise.app import commands

    return commands
