"""``python -m foldwise.app.compare NAME``: one classifier tuned, fitted and measured."""

import sys
from dataclasses import asdict, replace
from time import perf_counter

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from foldwise.app.display import Display
from foldwise.app.drawing import Tuned, Verdict, holdout_metrics
from foldwise.app.entries import check_buildable, ready, sampled
from foldwise.app.evaluate import count_look, submit
from foldwise.app.exits import run
from foldwise.app.results import save, save_result
from foldwise.app.versus import tell_outline
from foldwise.app.workspace import Workspace, fitting_bank
from foldwise.entries import ENTRIES, Entry, load_entries
from foldwise.errors import SettingsError
from foldwise.files import check_writable
from foldwise.registry.registration import require_same_kind
from foldwise.registry.snapshot import Snapshot
from foldwise.registry.stored_files import RECORDS
from foldwise.registry.stored_model import require_servable
from foldwise.report import contest
from foldwise.report.album import outcome_pictures, search_pictures
from foldwise.report.judged import Judged
from foldwise.report.picture import picture_files
from foldwise.report.tables import curve_csv, trials_csv
from foldwise.report.wording import escaped, json_text
from foldwise.runs.lineage import Lineage
from foldwise.runs.recorder import Recorder
from foldwise.search.curve import starts
from foldwise.search.engines.estimator import one_core_threads
from foldwise.search.jobs import Model, Predictions
from foldwise.search.nested import Book, NestedSearch
from foldwise.search.space import Space, curve_range
from foldwise.search.trials import Progress
from foldwise.threads import threads

_BLOCK_ROWS = 250
_STARTS_OF_TPE = 6
_SHARED = ("seed", "prepare.", "evaluate.", "data.", "tune.folds")


def main() -> None:
    """Tune an entry, or go on with it; fit it on all rows; ask it about the holdout.

    Its search stays open: as long as data, entry and version of the search are the same, trials
    are only made anew with ``FOLDWISE_FRESH=1``.
    """
    work, entry = Workspace(), _entry(sys.argv[1:])
    check_buildable(entry)
    records = [work.root / RECORDS] if entry.register else []
    report = contest.REPORTS / f"{entry.name}.json"
    check_writable(report, *records, folders=[contest.RESULTS / entry.name])
    if work.info.table is not None:
        raise SettingsError(
            "the comparison needs images, got a table as prepare.source: compare classifiers of a"
            " table in Python, by foldwise.NestedSearchCV"
        )
    if entry.pixels == "filters":
        place, remedy = f"models.{entry.name}.filters", f"edit {ENTRIES}"
        fitting_bank(entry.filters, work.info.image_shape, key=place, remedy=remedy)
    space = entry_space(entry, work.settings.seed)
    same = replace(entry, trials=1, startup_trials=space.startup).digest
    key = work.key({"entry": same, "folds": work.settings.tune.folds})
    with work.held(key) as lease:
        book = work.book(key, space, trials=entry.trials)
        described = _lineage(work.lineage(key, book.attempt, space), entry)
        with (
            work.recorder(described, lease) as recorder,
            Display.of(f"compare {entry.name}") as display,
        ):
            result = display.follow(entry_search(work, entry, space, book), recorder.record)
            final = replace(result.final, model=ready(result.final.model))
            result = replace(result, final=final)
            tuned = Tuned(work, result)
            verdict = tuned.verdict(recorder.run_id, described.tags)
            if entry.register:
                _count(tuned, verdict)
            judged, seconds = _judge(tuned, display)
            told = contest.EntryResult.of(
                entry, work.info, result, seconds=seconds, threads=threads()
            )
            model = contest.contestant(entry, told, judged, work.settings)
            said = Predictions(judged.probabilities, judged.are_probabilities)
            save_result(contest.RESULTS / entry.name, told, said)
            _report(tuned, model, judged, recorder)
            display.say(f"holdout accuracy {model.holdout.scores['accuracy']:.4f}")
            if entry.register:
                evidence, card = tuned.evidence(judged), contest.model_card(model, work.info)
                version = submit(tuned, verdict, evidence=evidence, card=card, kind=entry.name)
                display.say(f"registered: version {version.number}")


def _entry(arguments: list[str]) -> Entry:
    entries = load_entries()
    if len(arguments) != 1 or arguments[0] not in entries:
        raise SettingsError(
            f"compare takes one of {', '.join(entries)}, got {' '.join(arguments) or 'nothing'}:"
            f" name an entry of {ENTRIES}"
        )
    return entries[arguments[0]]


def entry_space(entry: Entry, seed: int) -> Space:
    """How the entry says that its values are drawn."""
    few = starts(entry.trials) if curve_range(entry.space) else _STARTS_OF_TPE
    return Space(entry.space, "curve", entry.startup_trials or few, seed, entry.metric)


def entry_search(work: Workspace, entry: Entry, space: Space, book: Book) -> NestedSearch:
    """The entry's search: tuned on a sample, refitted on all rows."""
    development = work.data("development")
    plan = sampled(work.plan(development), development, entry, seed=work.settings.seed)
    engine = work.engine(entry, plan)
    return NestedSearch(development.labels, plan, space, entry.trials, engine, book)


def _lineage(base: Lineage, entry: Entry) -> Lineage:
    """What the entry's run came from: its own parameters, and those it shares."""
    own = {"model": entry.name, **entry.plan} | {
        **{f"fixed.{name}": value for name, value in entry.fixed.items()},
        **{f"space.{name}": asdict(dimension) for name, dimension in entry.space.items()},
    }
    shared = {key: value for key, value in base.params.items() if key.startswith(_SHARED)}
    return replace(
        base,
        experiment=experiment_name(base.experiment),
        params=shared | {name: str(value) for name, value in own.items()},
        tags={**base.tags, "model": entry.name},
        note=f"**{escaped(entry.title)}**: {entry.trials} trials, then the holdout.",
        stem=entry.name,
    )


def experiment_name(data: str) -> str:
    """Name of the experiment that holds the comparison on the data of this name."""
    return f"{data}-comparison"


def _count(tuned: Tuned, verdict: Verdict) -> None:
    """Count the look at the holdout, unless the model couldn't be registered anyway."""
    work = tuned.work
    require_servable(tuned.model, work.info.classes, tuned.development.images[:1])
    registry = Snapshot.read(work.store, work.model_name)
    require_same_kind(work.store, registry, work.info)
    count_look(work, registry, verdict)


def _judge(tuned: Tuned, display: Display) -> tuple[Judged, dict[str, float]]:
    """Open the holdout and predict it; what fit and predictions took, in seconds of wall time."""
    holdout = tuned.work.data("holdout")
    display.say(f"predicting {len(holdout.labels):,} images of the holdout")
    began = perf_counter()
    said = _predict(tuned.model, holdout.images, display)
    seconds = {
        "fit_seconds": round(float(tuned.result.final.facts["seconds"]), 1),
        "predict_seconds": round(perf_counter() - began, 1),
    }
    return tuned.work.judged(holdout, said), seconds


def _report(tuned: Tuned, model: contest.Contestant, judged: Judged, recorder: Recorder) -> None:
    result = tuned.result
    report = {f"{model.entry.name}.json": json_text(contest.model_report(model)).encode()}
    save(contest.REPORTS, report)
    tables = {"trials.csv": trials_csv(result).encode(), "curve.csv": curve_csv(result).encode()}
    # The intervals are those of probabilities.
    is_estimated = bool(result.outer) and model.holdout.are_probabilities
    outer = tuned.outer if is_estimated else {}
    pictures = (*search_pictures(result, outer), *outcome_pictures(judged))
    recorder.record_artifacts(None, report | tables | picture_files(pictures, "figures/"))
    if result.outer:
        tell_outline(recorder, result)
    recorder.log_metrics({**holdout_metrics(model.holdout), **model.result.seconds})


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


if __name__ == "__main__":
    run(main, resume="run `dvc --cd comparison repro` again, completed trials are kept")
