"""The command line: what may be typed, with examples; a command's code is imported once chosen."""

import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

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


@foldwise.command(epilog=_examples("foldwise show"))
def show() -> None:
    """Show the result, the model's status, and what to do next."""
    from foldwise.app import show as screen

    screen.show()


@foldwise.command(
    epilog=_examples(
        "foldwise ui                    on 127.0.0.1, port 5000", "foldwise ui --port 5001"
    )
)
@click.option("--host", default="127.0.0.1", show_default=True, help="address to listen on")
@click.option(
    "--port",
    type=click.IntRange(1, 65535),
    default=5000,
    show_default=True,
    help="port to listen on",
)
def ui(host: str, port: int) -> None:
    """Show runs and models in the browser."""
    from foldwise.app.ui import serve_ui

    serve_ui(host=host, port=port)


@foldwise.command(
    epilog=_examples(
        "foldwise promote               the challenger, if every check holds",
        "foldwise promote --dry-run     show the checks, change nothing",
        "foldwise promote 3             version 3",
        "foldwise promote --force --reason 'the holdout was relabelled'",
    )
)
@click.argument("version", default="challenger")
@click.option("--dry-run", is_flag=True, help="show what would be decided; change nothing")
@click.option("--force", is_flag=True, help="promote although checks fail; needs --reason")
@click.option("--reason", default="", metavar="TEXT", help="kept in the record")
@_model
def promote(version: str, *, dry_run: bool, force: bool, reason: str, model: str | None) -> None:
    """Judge a version and make it the champion.

    VERSION is the number or alias of the version to judge, by default challenger.
    """
    from foldwise.app import commands

    commands.promote(version, model=model, reason=reason, is_dry=dry_run, is_forced=force)


@foldwise.command(
    epilog=_examples(
        "foldwise rollback --reason 'errors on scanned forms'",
        "foldwise rollback --force --reason 'errors in use, and a promotion hangs'",
    )
)
@click.option("--reason", required=True, metavar="TEXT", help="kept in the record")
@click.option(
    "--force", is_flag=True, help="wait for no other decision, and ask nothing of the checkout"
)
@_model
def rollback(*, reason: str, force: bool, model: str | None) -> None:
    """Make the previous champion the champion again."""
    from foldwise.app import commands

    commands.rollback(model=model, reason=reason, is_forced=force)


@foldwise.command(epilog=_examples("foldwise history"))
@_model
def history(model: str | None) -> None:
    """List the decisions on the model, and changes without one."""
    from foldwise.app import commands

    commands.history(model=model)


@foldwise.command(
    epilog=_examples(
        "foldwise compare champion challenger",
        "foldwise compare HEAD~1 workspace        what the last change did",
        "foldwise compare 3 bold-fox --output compared.html",
        "foldwise compare champion A B C --metric accuracy",
    )
)
@click.argument("searches", nargs=-1, required=True)
@click.option("--metric", metavar="NAME", help="what decides  [default: what the first chose by]")
@click.option(
    "--margin", type=float, help="no difference to speak of  [default: 1 % of the first's loss]"
)
@click.option("--output", type=click.Path(path_type=Path), help="write a page, one HTML file")
def compare(
    searches: tuple[str, ...], *, metric: str | None, margin: float | None, output: Path | None
) -> None:
    """Compare searches by their outer folds: which is better, and what can be luck.

    SEARCHES are at least two, the reference first: a run's id or name, the name of an experiment, a
    commit, a registered version or alias, or workspace.
    """
    from foldwise.app import versus

    versus.compare_named(searches, metric=metric, margin=margin, output=output)


@foldwise.command(
    epilog=_examples(
        "foldwise verify                the champion, or the challenger if there is none",
        "foldwise verify challenger     whoever holds this alias",
        "foldwise verify 3              version 3",
    )
)
@click.argument("version", required=False)
@_model
def verify(version: str | None, model: str | None) -> None:
    """See whether what serves is what was evaluated.

    VERSION is an alias or a number, by default champion, or challenger if there is none.
    """
    from foldwise.app import commands

    commands.verify(version, model=model)


@foldwise.command(epilog=_examples("foldwise checks                after `dvc repro`"))
def checks() -> None:
    """Check the search and its data: leaks, duplicates, shift, folds that disagree."""
    from foldwise.app import drawing

    drawing.checks()


@foldwise.command(
    epilog=_examples(
        "foldwise predict images.idx --output answers.csv",
        "foldwise predict visits.csv --output answers.parquet --errors keep",
        "foldwise predict pictures --output answers.csv --by 3",
    )
)
@click.argument("file", type=click.Path(path_type=Path))
@click.option(
    "--output", required=True, type=click.Path(path_type=Path), help="CSV, or Parquet: *.parquet"
)
@click.option("--by", "which", metavar="VERSION", help="number or alias  [default: as of verify]")
@click.option(
    "--errors",
    type=click.Choice(["stop", "keep"]),
    default="stop",
    show_default=True,
    help="end at a row that doesn't fit, or keep such rows and why in OUTPUT.errors.csv",
)
@_model
def predict(file: Path, *, output: Path, which: str | None, errors: str, model: str | None) -> None:
    """Predict the rows of a file.

    FILE is CSV or Parquet, images as IDX, or a folder of PNG files. Pixels go from 0 to 255, as in
    the files that the model was made of.
    """
    from foldwise.app import predict as prediction

    keeps = errors == "keep"
    prediction.predict(file, output=output, which=which, model=model, keeps_errors=keeps)


@foldwise.command(
    epilog=_examples("foldwise draw                  after a change of colours or words")
)
def draw() -> None:
    """Draw all pictures and the page anew from kept results."""
    from foldwise.app import drawing

    drawing.draw()


@foldwise.command(
    epilog=_examples(
        "foldwise init digits           scikit-learn's digits",
        "foldwise init ward --table visits.csv --target outcome --group patient",
    )
)
@click.argument("name")
@click.option("--table", type=click.Path(path_type=Path), help="CSV or Parquet, copied")
@click.option("--target", metavar="COLUMN", help="of the table: its classes")
@click.option("--group", metavar="COLUMN", help="of the table: rows that belong together")
def init(name: str, *, table: Path | None, target: str | None, group: str | None) -> None:
    """Make a project in the empty folder NAME, which the data are called by."""
    from foldwise.app import init as beginning

    beginning.init(name, table=table, target=target, group=group)


@foldwise.command(
    epilog=_examples("foldwise doctor                exit status 1 if something is wrong")
)
def doctor() -> None:
    """Look what a project lacks, and say what to do about it."""
    from foldwise.app import doctor as physician

    physician.doctor()


@foldwise.command(epilog=_examples("foldwise relocate"))
def relocate() -> None:
    """Mend the store's paths after its folder was moved."""
    from foldwise.app import commands

    commands.relocate()
