"""``python -m foldwise.app.tune``: the nested search, told to MLflow as it goes."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace

from foldwise.app import results, workspace
from foldwise.app.display import Display
from foldwise.app.drawing import OF_SEARCH, Drawn, Tuned, fold_pictures, tell_folds
from foldwise.app.exits import import_slim_mlflow, run, say
from foldwise.app.versus import tell_champion, tell_outline
from foldwise.data.columns import Columns
from foldwise.files import check_writable
from foldwise.report.artist import Artist
from foldwise.report.findings import edge_caution, unseen_caution
from foldwise.report.tables import SEARCH_FILES
from foldwise.search.archive import archive
from foldwise.search.engines import batched
from foldwise.search.jobs import Done, Engine, Job, Task
from foldwise.search.nested import Book, NestedSearch
from foldwise.search.space import KIND
from foldwise.search.trials import Event, OuterFold, Part, Study, Values
from foldwise.settings import LOGISTIC
from foldwise.solver.fits import SolverOptions, arranged
from foldwise.solver.layout import Layout
from foldwise.stats.scores import Scores
from foldwise.threads import device, threads


def main() -> None:
    """Search, or go on with an open search, as params.yaml says."""
    reports = (results.REPORTS / name for name in SEARCH_FILES)
    check_writable(results.RUN, *reports, folders=[results.TUNED, OF_SEARCH])
    import_slim_mlflow()
    work = workspace.Workspace()
    _ = work.bank  # filters that do not fit begin no search
    space, key = workspace.search_space(work.settings), work.search_key
    shelf, began = work.shelf(key), time.monotonic()
    with work.held(key) as lease:
        book = work.book(key, space, trials=len(space.numbers(work.settings.tune.trials)))
        if workspace.is_fresh():
            shelf.clear()
        with (
            nested_search(work, book, shelf) as search,
            work.recorder(work.lineage(key, book.attempt, space), lease) as recorder,
            Display.of("tune") as display,
            Artist() as artist,
        ):
            folds: dict[Study, Drawn] = {}

            def tell(event: Event) -> None:
                recorder.record(event)
                if isinstance(event, OuterFold):
                    folds[event.study] = fold_pictures(work, artist, event)

            kept = sum(len(book.completed(each.study)) for each in search.plan.studies)
            result = display.follow(search, tell)
            seconds = round(time.monotonic() - began, 1)
            tuned = Tuned(work, result)
            pictures = tuned.pictures(artist)
            untuned = tuple(untuned_scores(search, display.show))
            tables = tuned.tables()
            results.save_all(results.TUNED, archive(result))
            results.save(results.REPORTS, tables)
            figures = results.save_pictures(OF_SEARCH, pictures())
            results.SearchPlace(recorder.run_id, key, book.attempt, seconds, kept, untuned).save()
            tell_folds(recorder, folds)
            recorder.record_artifacts(None, tables | figures)
            tell_outline(recorder, result, work.clusters(tuned.development))
            tell_champion(work, recorder, result)
            display.say(edge_caution(result))
        shelf.clear()


def untuned_scores(search: NestedSearch, shown: Callable[[Event], None]) -> Iterator[Scores]:
    """Score C = 1 on each outer part: what the search is worth. Nothing if it lies outside.

    The fits go the paths that are there, and no further than that.
    """
    space = search.space
    name = f"{LOGISTIC}.C" if space.kinds else "C"
    if not 0 <= space.ranges[name].place(1.0) <= 1:
        return
    values: Values = {name: 1.0, **({KIND: LOGISTIC} if space.kinds else {})}
    parts = [study.study.part for study in search.plan.studies if study.study.part is not None]
    tasks = [Task(Job.of(frozenset({part}), values), (part,)) for part in parts]
    scores: dict[Part, Scores] = {}
    for event in search.engine.run(tasks):
        if isinstance(event, Done):
            scores |= event.scores
        else:
            shown(event)
    yield from (scores[part] for part in parts)


@contextmanager
def nested_search(
    work: workspace.Workspace, book: Book, shelf: batched.PathShelf
) -> Iterator[NestedSearch]:
    """The search that the settings describe, ready to run: here, or by a Dask cluster."""
    tune, development = work.settings.tune, work.data("development")
    plan, space = work.plan(development), workspace.search_space(work.settings)
    parts = [plan.rows(part) for part in plan.parts]
    images, labels, bank = development.images, development.labels, work.bank
    options = SolverOptions(
        tune.multiclass, tune.tol, tune.max_iter, threads(), scale_floor=tune.scale_floor
    )
    features: batched.Features | None = bank
    classes, is_table = len(work.info.classes), work.info.table is not None
    if is_table:
        encoder = Columns.ranked(images)
        features, images = encoder, encoder.transform(images)
        layout, options = arranged(
            images, labels, parts, replace(options, scale_floor=0.0), classes=classes,
            is_scaled=encoder.is_scaled,
        )  # fmt: skip
    else:
        if bank is not None:
            images = workspace.transformed(bank, images)
            say(unseen_caution(development.images, images))
        layout = Layout.build(images, labels, parts, classes=classes)
    with _backend(layout, options, workspace.dask_scheduler()) as (backend, scorer_of):
        scored = [plan.scored_rows(part) for part in plan.parts]
        scorer = scorer_of and scorer_of([(images[rows], labels[rows]) for rows in scored])
        logistic = batched.BatchedEngine(
            images, labels, plan, backend, tune.c_low, tune.c_high, shelf, threads(), features,
            scorer=scorer,
        )  # fmt: skip
        engine: Engine = logistic
        if tune.candidates:
            from foldwise.search.engines.estimator import Kinds  # scikit-learn: two seconds

            engine = Kinds({LOGISTIC: logistic, **work.candidates(plan)})
        yield NestedSearch(labels, plan, space, tune.trials, engine, book)


@contextmanager
def _backend(
    layout: Layout, options: SolverOptions, cluster: str | None
) -> Iterator[tuple[batched.Backend, batched.Opener | None]]:
    """Who makes the fits; and who scores on rows and labels of each part, if these don't."""
    if cluster is not None:
        # The package distributed is an extra: without it the import says so.
        from foldwise.search.engines.dask import connected

        with connected(cluster, layout, options, device=device()) as remote:
            yield remote, None
        return
    yield batched.computing(device(), layout, options)


if __name__ == "__main__":
    run(main, resume="run `dvc repro` again, completed trials are kept")
