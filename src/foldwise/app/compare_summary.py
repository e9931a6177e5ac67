"""``python -m foldwise.app.compare_summary``: all classifiers beside each other."""

import sys

from foldwise.app.exits import run
from foldwise.app.workspace import REPORTS, is_quiet, save, save_all
from foldwise.compare.archive import RESULTS, restore
from foldwise.data.dataset import load, load_info
from foldwise.errors import SearchError
from foldwise.report.contest import (
    ModelSummary,
    contest_pictures,
    models_csv,
    pairs_csv,
    summarise_model,
    summarise_pairs,
)
from foldwise.report.picture import picture_files
from foldwise.settings import Entry, load_entries, load_settings


def main() -> None:
    """Read every entry's result; write the tables and the picture of all."""
    models = [_summary(entry) for entry in load_entries().values()]
    info = load_info()
    pictures = contest_pictures(models, rows=info.development_rows, holdout=info.holdout_rows)
    folder = REPORTS / "comparison"
    tables = {"models.csv": models_csv(models), "pairs.csv": pairs_csv(summarise_pairs(models))}
    save(folder, {name: table.encode() for name, table in tables.items()})
    save_all(REPORTS / "figures" / "comparison", picture_files(pictures))
    if not is_quiet():
        for model in sorted(models, key=lambda model: -model.scores["accuracy"]):
            sys.stdout.write(f"{model.entry.title:<24} {model.scores['accuracy']:.4f}\n")


def _summary(entry: Entry) -> ModelSummary:
    settings, info = load_settings(), load_info()
    result = restore(RESULTS / entry.name)
    made_of = (result.digest, result.development_digest, result.holdout_digest)
    if made_of != (entry.digest, info.development_digest, info.holdout_digest):
        raise SearchError(
            f"{RESULTS / entry.name} must be the result of the entry and the data that are there"
            " now, it isn't: run `dvc repro comparison/dvc.yaml`"
        )
    evaluate = settings.evaluate
    return summarise_model(
        entry,
        result,
        load("holdout").labels,
        draws=evaluate.bootstrap,
        confidence=evaluate.confidence,
        seed=settings.seed,
    )


if __name__ == "__main__":
    run(main, resume="run `dvc repro comparison/dvc.yaml` again")
