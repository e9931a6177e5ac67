"""The command line: what may be typed, with examples; a command's code is imported once chosen."""

import re
import sys
from collections.abc import Callable, Sequence
from functools import wraps
from importlib import import_module
from pathlib import Path
from typing import Any, NoReturn

import click

from foldwise import __version__
from foldwise.app.exits import run

_EMPTY = re.compile(r"(--[a-z-]+=)?")
"""What an unset variable of the shell leaves: no version, and for an address to listen on any."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command that was typed; ends with SystemExit where its status isn't 0."""
    given = sys.argv[1:] if arguments is None else list(arguments)
    try:
        if empty := [each for each in given if _EMPTY.fullmatch(each)]:
            raise click.UsageError(f"no argument may be empty, got {empty[0]!r}: name it or none")
        # Not click's own main: it ends with 2, which means refused here, and hides a signal.
        with foldwise.make_context("foldwise", given) as context:
            run(lambda: foldwise.invoke(context))
    except click.exceptions.Exit as ended:
        if ended.exit_code:
            raise SystemExit(ended.exit_code) from None
    except click.UsageError as error:
        _end(error)


def _end(error: click.UsageError) -> NoReturn:
    message = " ".join(error.format_message().split()).rstrip(".")
    command = error.ctx.command_path if error.ctx else "foldwise"
    sys.stderr.write(f"foldwise: {message}: see `{command} --help`\n")
    raise SystemExit(1)


def _examples(*lines: str) -> str:
    told = [f"  {line}" for line in lines]
    return "\n".join(("\b\nexamples:", *told, "\nExit status: 0 done, 1 error, 2 refused."))


_model = click.option(
    "--model", metavar="NAME", help="registered model  [default: that of params.yaml]"
)


@click.group(
    no_args_is_help=False,
    epilog=_examples(
        "foldwise show                  the result, and what to do next",
        "foldwise ui                    look at what `make repro` made",
        "foldwise verify challenger     is what is registered what was evaluated?",
        "foldwise promote --dry-run     would it become the champion, and by which checks?",
    ),
)
@click.version_option(__version__, message="foldwise %(version)s")
def foldwise() -> None:
    """Judge, promote, verify and show the models that `dvc repro` has registered."""


def _command(place: str, *examples: str) -> Callable[[Callable[[], None]], click.Command]:
    """Make a command that hands what was typed to a function of this room, by its names."""

    def made(described: Callable[[], None]) -> click.Command:
        @wraps(described)
        def call(**given: Any) -> None:
            module, _, name = place.partition(".")
            getattr(import_module(f"foldwise.app.{module}"), name)(**given)

        return foldwise.command(epilog=_examples(*examples))(call)

    return made


@_command(
    "show.show",
    "foldwise show                  the result in this folder",
    "foldwise show --model digits-classifier",
)
@_model
def show() -> None:
    """Show the result, the model's status, and what to do next."""


@_command(
    "ui.serve_ui",
    "foldwise ui                    on 127.0.0.1, port 5000",
    "foldwise ui --port 5001",
)
@click.option("--host", default="127.0.0.1", show_default=True, help="address to listen on")
@click.option(
    "--port",
    type=click.IntRange(1, 65535),
    default=5000,
    show_default=True,
    help="port to listen on",
)
def ui() -> None:
    """Show runs and models in the browser."""


@_command(
    "commands.promote",
    "foldwise promote               the challenger, if every check holds",
    "foldwise promote --dry-run     show the checks, change nothing",
    "foldwise promote 3             version 3",
    "foldwise promote --force --reason 'the holdout was relabelled'",
)
@click.argument("which", metavar="[VERSION]", default="challenger")
@click.option(
    "--dry-run", "is_dry", is_flag=True, help="show what would be decided; change nothing"
)
@click.option(
    "--force", "is_forced", is_flag=True, help="promote although checks fail; needs --reason"
)
@click.option("--reason", default="", metavar="TEXT", help="kept in the record")
@_model
def promote() -> None:
    """Judge a version and make it the champion.

    VERSION is the number or alias of the version to judge, by default challenger.
    """


@_command(
    "commands.rollback",
    "foldwise rollback --reason 'errors on scanned forms'",
    "foldwise rollback --force --reason 'errors in use, and a promotion hangs'",
)
@click.option("--reason", required=True, metavar="TEXT", help="kept in the record")
@click.option(
    "--force",
    "is_forced",
    is_flag=True,
    help="wait for no other decision, and ask nothing of the checkout",
)
@_model
def rollback() -> None:
    """Make the previous champion the champion again."""


@_command("commands.history", "foldwise history")
@_model
def history() -> None:
    """List the decisions on the model, and changes without one."""


@_command(
    "versus.compare_named",
    "foldwise compare champion challenger",
    "foldwise compare HEAD~1 workspace        what the last change did",
    "foldwise compare 3 bold-fox --output compared.html",
    "foldwise compare champion A B C --metric accuracy",
)
@click.argument("names", metavar="SEARCHES...", nargs=-1, required=True)
@click.option("--metric", metavar="NAME", help="what decides  [default: what the first chose by]")
@click.option(
    "--margin", type=float, help="no difference to speak of  [default: 1 % of the first's loss]"
)
@click.option("--output", type=click.Path(path_type=Path), help="write a page, one HTML file")
def compare() -> None:
    """Compare searches by their outer folds: which is better, and what can be luck.

    SEARCHES are at least two, the reference first: a run's id or name, the name of an experiment, a
    commit, a registered version or alias, or workspace.
    """


@_command(
    "commands.verify",
    "foldwise verify                the champion, or the challenger if there is none",
    "foldwise verify challenger     whoever holds this alias",
    "foldwise verify 3              version 3",
)
@click.argument("which", metavar="[VERSION]", required=False)
@_model
def verify() -> None:
    """See whether what serves is what was evaluated.

    VERSION is an alias or a number, by default champion, or challenger if there is none.
    """


@_command("anew.checks", "foldwise checks                after `dvc repro`")
def checks() -> None:
    """Check the search and its data: leaks, duplicates, shift, folds that disagree."""


@_command(
    "predict.predict",
    "foldwise predict images.idx --output answers.csv",
    "foldwise predict visits.csv --output answers.parquet --errors keep",
    "foldwise predict pictures --output answers.csv --by 3",
)
@click.argument("file", type=click.Path(path_type=Path))
@click.option(
    "--output", required=True, type=click.Path(path_type=Path), help="CSV, or Parquet: *.parquet"
)
@click.option("--by", "which", metavar="VERSION", help="number or alias  [default: as of verify]")
@click.option(
    "--errors",
    "keeps_errors",
    callback=lambda _context, _option, word: word == "keep",
    type=click.Choice(["stop", "keep"]),
    default="stop",
    show_default=True,
    help="end at a row that doesn't fit, or keep such rows and why in OUTPUT.errors.csv",
)
@_model
def predict() -> None:
    """Predict the rows of a file.

    FILE is CSV or Parquet, images as IDX, or a folder of PNG files. Pixels go from 0 to 255, as in
    the files that the model was made of.
    """


@_command("anew.draw", "foldwise draw                  after a change of colours or words")
def draw() -> None:
    """Draw all pictures and the page anew from kept results."""


@_command(
    "init.init",
    "foldwise init digits           scikit-learn's digits",
    "foldwise init ward --table visits.csv --target outcome --group patient",
)
@click.argument("name")
@click.option("--table", type=click.Path(path_type=Path), help="CSV or Parquet, copied")
@click.option("--target", metavar="COLUMN", help="of the table: its classes")
@click.option("--group", metavar="COLUMN", help="of the table: rows that belong together")
def init() -> None:
    """Make a project in the empty folder NAME, which the data are called by."""


@_command("doctor.doctor", "foldwise doctor                exit status 1 if something is wrong")
def doctor() -> None:
    """Look what a project lacks, and say what to do about it."""


@_command("commands.relocate", "foldwise relocate")
def relocate() -> None:
    """Mend the store's paths after its folder was moved."""
