"""``python -m foldwise.app.compare NAME``: one classifier tuned, fitted and measured."""

import sys
from dataclasses import dataclass

from foldwise.app.entry_display import EntryDisplay
from foldwise.app.exits import run
from foldwise.app.workspace import REPORTS, is_fresh, is_quiet, save, study_storage, threads
from foldwise.compare.archive import RESULTS, EntryResult, archive
from foldwise.compare.estimators import check_buildable
from foldwise.compare.identity import entry_key
from foldwise.compare.measuring import Measured, measure
from foldwise.compare.sample import draw_sample
from foldwise.compare.tuning import Book, EntryStudy, values_space
from foldwise.data.dataset import DataInfo, Split, load, load_info
from foldwise.errors import SettingsError
from foldwise.report.contest import ModelSummary, model_pictures, model_report, summarise_model
from foldwise.report.picture import picture_files
from foldwise.report.wording import json_text
from foldwise.runs.entries import EntryRecorder, entry_lineage
from foldwise.search.book import open_book, search_lock
from foldwise.search.plan import FoldPlan
from foldwise.search.trials import ValuesTrial, best_trial
from foldwise.settings import ENTRIES, Entry, Settings, load_entries, load_settings
from foldwise.store.address import project_root
from foldwise.store.open import open_store


@dataclass(frozen=True, slots=True, eq=False)
class _Work:
    """What the stage starts from."""

    entry: Entry
    settings: Settings
    info: DataInfo
    development: Split

    @property
    def key(self) -> str:
        return entry_key(
            self.info.development_digest,
            self.entry,
            folds=self.settings.tune.folds,
            seed=self.settings.seed,
        )


def main() -> None:
    """Tune an entry, or go on with it; fit it on all rows; ask it about the holdout.

    Its search stays open: as long as data, entry and searching code are the same, trials are only
    made anew with ``FOLDWISE_FRESH=1``.
    """
    work = _Work(_entry(sys.argv[1:]), load_settings(), load_info(), load("development"))
    check_buildable(work.entry)
    root, key, entry = project_root(), work.key, work.entry
    storage = study_storage(root)
    store = open_store(root)
    space = values_space(entry, work.settings.seed)
    with search_lock(storage, key):
        book = open_book(storage, key, space, fresh=is_fresh(), home=root / "mlruns")
        described = entry_lineage(
            entry, work.settings, work.info, search_key=key, attempt=book.attempt
        )
        with (
            EntryRecorder.open(store, described, entry) as recorder,
            EntryDisplay(entry, quiet=is_quiet()) as display,
        ):
            trials = _tune(work, book, recorder, display)
            summary = _measure(work, trials, display)
            report = json_text(model_report(summary)).encode()
            figures = picture_files(model_pictures(summary, tuple(map(str, work.info.classes))))
            save(RESULTS / entry.name, archive(summary.result))
            save(REPORTS / "comparison", {f"{entry.name}.json": report})
            files = {f"figures/{name}": figure for name, figure in figures.items()}
            recorder.record_result(entry, summary.result, files | {f"{entry.name}.json": report})
            recorder.log_metrics(_metrics(summary))
            display.say(f"holdout accuracy {summary.scores.accuracy:.4f}")


def _entry(arguments: list[str]) -> Entry:
    entries = load_entries()
    if len(arguments) != 1 or arguments[0] not in entries:
        raise SettingsError(
            f"compare takes one of {', '.join(entries)}, got {' '.join(arguments) or 'nothing'}:"
            f" name an entry of {ENTRIES}"
        )
    return entries[arguments[0]]


def _tune(
    work: _Work, book: Book, recorder: EntryRecorder, display: EntryDisplay
) -> tuple[ValuesTrial, ...]:
    seed, development = work.settings.seed, work.development
    plan = FoldPlan.stratified(
        development.labels,
        folds=work.settings.tune.folds,
        seed=seed,
        origins=development.origins,
    )
    sample = draw_sample(development, plan, work.entry, seed=seed)
    trials = []
    for event in EntryStudy(work.entry, sample, book, seed, threads()).run():
        display.show(event)
        if isinstance(event, ValuesTrial):
            recorder.record_trial(work.entry, event)
            trials.append(event)
    return tuple(trials)


def _measure(work: _Work, trials: tuple[ValuesTrial, ...], display: EntryDisplay) -> ModelSummary:
    """Fit on all development rows, open the holdout, and score."""
    entry, settings = work.entry, work.settings
    best = best_trial(trials, entry.metric)
    display.turn_to(f"fitting {len(work.development.labels):,} rows with the best values")
    holdout = load("holdout")
    for event in measure(
        entry, best.values, work.development, holdout.images, seed=settings.seed, threads=threads()
    ):
        if isinstance(event, Measured):
            result = _result(work, trials, best, event)
            evaluate = settings.evaluate
            return summarise_model(
                entry,
                result,
                holdout.labels,
                draws=evaluate.bootstrap,
                confidence=evaluate.confidence,
                seed=settings.seed,
            )
        display.show(event)
    raise AssertionError("measuring ends with what was measured")


def _result(
    work: _Work, trials: tuple[ValuesTrial, ...], best: ValuesTrial, measured: Measured
) -> EntryResult:
    return EntryResult(
        name=work.entry.name,
        digest=work.entry.digest,
        development_digest=work.info.development_digest,
        holdout_digest=work.info.holdout_digest,
        trials=trials,
        best=best.number,
        predictions=measured.predictions,
        fit_seconds=measured.fit_seconds,
        predict_seconds=measured.predict_seconds,
        threads=threads(),
    )


def _metrics(summary: ModelSummary) -> dict[str, float]:
    """The holdout's figures as MLflow metrics; no log-loss where there is none."""
    metrics = {}
    for metric, interval in summary.intervals.items():
        metrics[f"holdout_{metric}"] = summary.scores.value(metric)
        metrics[f"holdout_{metric}_low"] = interval.low
        metrics[f"holdout_{metric}_high"] = interval.high
    if summary.calibration_error is not None:
        metrics["holdout_calibration_error"] = summary.calibration_error
    return metrics


if __name__ == "__main__":
    run(main, resume="run `dvc repro comparison/dvc.yaml` again, completed trials are kept")
