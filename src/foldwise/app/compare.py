"""``python -m foldwise.app.compare NAME``: one classifier tuned, fitted and measured."""

import sys
from dataclasses import asdict, dataclass, replace
from time import perf_counter

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from foldwise.app.display import Display
from foldwise.app.exits import run
from foldwise.app.views import refresh_page
from foldwise.app.workspace import (
    REPORTS,
    fold_plan,
    is_fresh,
    is_quiet,
    save,
    study_storage,
    threads,
)
from foldwise.compare.archive import RESULTS, EntryResult, archive
from foldwise.compare.estimators import build, check_buildable
from foldwise.compare.sample import sampled
from foldwise.data.dataset import DataInfo, Split, load, load_info
from foldwise.errors import SettingsError
from foldwise.report.contest import ModelSummary, model_pictures, model_report, summarise_model
from foldwise.report.picture import picture_files
from foldwise.report.wording import json_text
from foldwise.runs.lineage import Lineage, lineage
from foldwise.runs.recorder import Recorder
from foldwise.search.book import TrialBook, open_book, search_lock
from foldwise.search.engines.estimator import EstimatorEngine, one_core_threads
from foldwise.search.jobs import Model, Predictions
from foldwise.search.nested import NestedSearch
from foldwise.search.space import Space
from foldwise.search.trials import Progress, SearchResult
from foldwise.search.version import search_key
from foldwise.settings import ENTRIES, Entry, Settings, load_entries, load_settings
from foldwise.store.address import project_root
from foldwise.store.open import open_store

_BLOCK_ROWS = 1000
_SHARED = ("seed", "prepare.", "evaluate.", "data.", "tune.folds")


@dataclass(frozen=True, slots=True, eq=False)
class _Work:
    """What the stage starts from."""

    entry: Entry
    settings: Settings
    info: DataInfo
    development: Split

    @property
    def key(self) -> str:
        parameters = {"entry": self.entry.digest, "folds": self.settings.tune.folds}
        return search_key(self.info.development_digest, parameters, self.settings.seed)

    @property
    def space(self) -> Space:
        entry, seed = self.entry, self.settings.seed
        return Space(entry.space, "tpe", entry.startup_trials, seed, entry.metric)

    def search(self, book: TrialBook) -> NestedSearch:
        """The entry's final study: tuned on a sample, refitted on all rows."""
        development, seed = self.development, self.settings.seed
        plan = sampled(fold_plan(self.settings, development), development, self.entry, seed=seed)
        engine = EstimatorEngine(
            X=development.images,
            labels=development.labels,
            classes=self.info.classes,
            plan=plan,
            build=lambda values: build(self.entry, values, seed=seed),
            threads=threads(),
        )
        trials = self.entry.trials
        return NestedSearch(development.labels, plan, self.space, trials, engine, book)


def main() -> None:
    """Tune an entry, or go on with it; fit it on all rows; ask it about the holdout.

    Its search stays open: as long as data, entry and version of the search are the same, trials
    are only made anew with ``FOLDWISE_FRESH=1``.
    """
    work = _Work(_entry(sys.argv[1:]), load_settings(), load_info(), load("development"))
    check_buildable(work.entry)
    root, key, entry = project_root(), work.key, work.entry
    storage = study_storage(root)
    store = open_store(root)
    with search_lock(storage, key):
        book = open_book(storage, key, work.space, fresh=is_fresh(), home=root / "mlruns")
        described = _lineage(work, key=key, attempt=book.attempt)
        search = work.search(book)
        studies = tuple(plan.study for plan in search.plan.studies)
        with (
            Recorder.open(store, described) as recorder,
            Display(
                f"compare {entry.name}", studies, search.trials, entry.metric, quiet=is_quiet()
            ) as display,
        ):
            result = _follow(search, recorder, display)
            summary = _measure(work, result, display)
            report = json_text(model_report(summary)).encode()
            figures = picture_files(model_pictures(summary, tuple(map(str, work.info.classes))))
            save(RESULTS / entry.name, archive(summary.result))
            save(REPORTS / "comparison", {f"{entry.name}.json": report})
            files = {f"figures/{name}": figure for name, figure in figures.items()}
            recorder.record_artifacts(None, files | {f"{entry.name}.json": report})
            recorder.log_metrics(_metrics(summary))
            display.say(f"holdout accuracy {summary.scores['accuracy']:.4f}")
        refresh_page(store, described.experiment)


def _entry(arguments: list[str]) -> Entry:
    entries = load_entries()
    if len(arguments) != 1 or arguments[0] not in entries:
        raise SettingsError(
            f"compare takes one of {', '.join(entries)}, got {' '.join(arguments) or 'nothing'}:"
            f" name an entry of {ENTRIES}"
        )
    return entries[arguments[0]]


def _lineage(work: _Work, *, key: str, attempt: int) -> Lineage:
    """What the entry's run came from: its own parameters, and those it shares."""
    base = lineage(work.settings, work.info, space=work.space, search_key=key, attempt=attempt)
    entry = work.entry
    own = {"model": entry.name, **entry.plan} | {
        **{f"fixed.{name}": value for name, value in entry.fixed.items()},
        **{f"space.{name}": asdict(dimension) for name, dimension in entry.space.items()},
    }
    shared = {key: value for key, value in base.params.items() if key.startswith(_SHARED)}
    return replace(
        base,
        experiment=experiment_name(work.info.name),
        params=shared | {name: str(value) for name, value in own.items()},
        tags={**base.tags, "model": entry.name},
        note=f"**{entry.title}**: {entry.trials} trials, then the holdout.",
        stem=entry.name,
    )


def experiment_name(data: str) -> str:
    """Name of the experiment that holds the comparison on the data of this name."""
    return f"{data}-comparison"


def _follow(search: NestedSearch, recorder: Recorder, display: Display) -> SearchResult:
    for event in search.run():
        display.show(event)
        recorder.record(event)
        if isinstance(event, SearchResult):
            return event
    raise AssertionError("a search ends with its result")


def _measure(work: _Work, result: SearchResult, display: Display) -> ModelSummary:
    """Open the holdout, predict and score."""
    holdout = load("holdout")
    display.say(f"predicting {len(holdout.labels):,} images of the holdout")
    began = perf_counter()
    predictions = _predict(result.final.model, holdout.images, display)
    seconds = perf_counter() - began
    entry = work.entry
    of_entry = EntryResult(
        name=entry.name,
        digest=entry.digest,
        development_digest=work.info.development_digest,
        holdout_digest=work.info.holdout_digest,
        trials=result.trials,
        best=result.final.best.number,
        predictions=predictions,
        fit_seconds=float(result.final.facts["seconds"]),
        predict_seconds=seconds,
        threads=threads(),
    )
    evaluate = work.settings.evaluate
    return summarise_model(
        entry,
        of_entry,
        holdout.labels,
        draws=evaluate.bootstrap,
        confidence=evaluate.confidence,
        seed=work.settings.seed,
    )


def _predict(model: Model, images: NDArray[np.uint8], display: Display) -> Predictions:
    """Predict blocks of rows side by side."""
    starts = range(0, len(images), _BLOCK_ROWS)
    blocks: list[Predictions] = []
    with threadpool_limits(limits=1, user_api="blas"), one_core_threads(threads()) as pool:
        for block in pool.map(lambda at: model.predict(images[at : at + _BLOCK_ROWS]), starts):
            blocks.append(block)
            done = min(len(blocks) * _BLOCK_ROWS, len(images))
            display.show(Progress(done, len(images), "images predicted"))
    values = np.concatenate([block.values for block in blocks])
    return Predictions(values, are_probabilities=blocks[0].are_probabilities)


def _metrics(summary: ModelSummary) -> dict[str, float]:
    """The holdout's figures as MLflow metrics; no log-loss where there is none."""
    metrics = {
        "fit_seconds": round(summary.result.fit_seconds, 1),
        "predict_seconds": round(summary.result.predict_seconds, 1),
    }
    for metric, interval in summary.intervals.items():
        metrics[f"holdout_{metric}"] = summary.scores[metric]
        metrics[f"holdout_{metric}_low"] = interval.low
        metrics[f"holdout_{metric}_high"] = interval.high
    if summary.calibration_error is not None:
        metrics["holdout_calibration_error"] = summary.calibration_error
    return metrics


if __name__ == "__main__":
    run(main, resume="run `dvc repro comparison/dvc.yaml` again, completed trials are kept")
