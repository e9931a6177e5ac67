"""``python -m foldwise.app.compare_summary``: all classifiers beside each other."""

from foldwise.app.exits import run, say
from foldwise.app.results import read_result, save, save_pictures
from foldwise.app.workspace import Workspace
from foldwise.data.dataset import Split
from foldwise.entries import Entry, load_entries
from foldwise.errors import SearchError
from foldwise.report import contest
from foldwise.report.album import contest_pictures

_REMEDY = "run `dvc --cd comparison repro`"


def main() -> None:
    """Read every entry's result; write the tables and the picture of all."""
    work = Workspace()
    holdout = work.data("holdout")
    models = [_read(work, entry, holdout) for entry in load_entries().values()]
    tables = {
        "models.csv": contest.models_csv(models),
        "pairs.csv": contest.pairs_csv(models),
    }
    save(contest.REPORTS, {name: table.encode() for name, table in tables.items()})
    save_pictures(contest.REPORTS / "figures", contest_pictures(models, work.info))
    best_first = sorted(models, key=lambda model: -model.holdout.scores["accuracy"])
    say(*(f"{each.entry.title:<24} {each.holdout.scores['accuracy']:.4f}" for each in best_first))


def _read(work: Workspace, entry: Entry, holdout: Split) -> contest.Contestant:
    folder = contest.RESULTS / entry.name
    result, predictions = read_result(contest.EntryResult, folder, _REMEDY)
    if not result.is_of(entry, work.info):
        raise SearchError(
            f"{folder} must be the result of the entry and the data that are there now, it isn't:"
            f" {_REMEDY}"
        )
    return contest.contestant(entry, result, work.judged(holdout, predictions), work.settings)


if __name__ == "__main__":
    run(main, resume=f"{_REMEDY} again")
