"""``foldwise draw`` and ``foldwise checks``: kept results looked at anew; no model is scored."""

import json
import os
import subprocess
import sys
from itertools import chain
from textwrap import fill

from foldwise.app.drawing import OF_MODEL, OF_SEARCH, PAGE, Tuned, Verdict, the_page
from foldwise.app.exits import printable, say, tell
from foldwise.app.results import EVALUATED, REPORTS, TUNED, read_result, save, save_pictures
from foldwise.app.workspace import Workspace
from foldwise.errors import SearchError
from foldwise.report.artist import Artist
from foldwise.store.address import project_root

_REMEDY = "run `dvc repro` or `dvc pull`"


def draw() -> None:
    """Draw all pictures and the page anew from kept results; no model is scored again.

    DVC takes the new files for the stages' own, unless a stage has other changes to be run for.
    What is kept of another model or holdout than those that are there is refused.
    """
    os.chdir(project_root())
    tuned = Tuned.read(Workspace())
    verdict, predictions = read_result(Verdict, EVALUATED, _REMEDY)
    made_of = (verdict.model_digest, verdict.holdout_digest)
    digest = tuned.model.digest(tuned.work.info.classes)
    if made_of != (digest, tuned.work.info.holdout_digest):
        raise SearchError(
            f"{EVALUATED} must be of the model in {TUNED} and of this holdout, it isn't: {_REMEDY}"
        )
    judged = tuned.judged(predictions)
    summary = tuned.summary(judged)
    with Artist() as artist:
        drawn = tuned.pictures(artist), *tuned.model_pictures(artist, summary, judged)
        findings = tuned.findings(summary, verdict)
        of_search, *others = (pictures() for pictures in drawn)
    of_model = tuple(chain(*others))
    save_pictures(OF_SEARCH, of_search)
    save_pictures(OF_MODEL, of_model)
    save(REPORTS, the_page(findings, (*of_search, *of_model)))
    say(f"drawn: {REPORTS}/report.html, {OF_SEARCH} and {OF_MODEL}", *_committed())


def _committed() -> tuple[str, ...]:
    """Enter the new files into dvc.lock, where nothing else would make the stages run."""
    told = _dvc("status", "--json", "tune", "evaluate")
    if told is None:
        return ("dvc.lock doesn't have them: DVC gave no answer",)
    changes = [change for stage in json.loads(told).values() for change in stage]
    others = [each for each in changes if not _is_drawn(each)]
    if others or _dvc("commit", "--quiet", "--force", "tune", "evaluate") is None:
        return ("dvc.lock doesn't have them: `dvc status` tells what else has changed",)
    return ()


def checks() -> None:
    """Print what the checks of the search and its data say; no model is scored on the holdout."""
    os.chdir(project_root())
    remarks = Tuned.read(Workspace()).remarks
    for each in remarks:
        tell(f"{each.name} (matters: {each.matters})\n")
        told = {"saw": each.saw} if each.matters == "no" else {"saw": each.saw, "do": each.remedy}
        for name, words in told.items():
            first = f"  {name:5}"
            tell(f"{fill(printable(words), 80, initial_indent=first, subsequent_indent=' ' * 7)}\n")
    much, little = (sum(each.matters == of for each in remarks) for of in ("yes", "a little"))
    tell(f"of {len(remarks)} checks {much or 'none'} matter much, {little or 'none'} a little\n")


def _is_drawn(change: object) -> bool:
    drawn = {OF_SEARCH.as_posix(), OF_MODEL.as_posix(), (REPORTS / PAGE).as_posix()}
    outs = change.get("changed outs") if isinstance(change, dict) and len(change) == 1 else None
    return isinstance(outs, dict) and set(outs) <= drawn


def _dvc(*arguments: str) -> str | None:
    command = [sys.executable, "-m", "dvc", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.stdout if done.returncode == 0 else None
