"""``python -m foldwise.app.tune``: the nested search, told to MLflow as it goes."""

from dataclasses import asdict

from foldwise.app.display import Display
from foldwise.app.exits import run
from foldwise.app.views import refresh_page
from foldwise.app.workspace import (
    REPORTS,
    RUN,
    TUNED,
    SearchPlace,
    dask_scheduler,
    is_fresh,
    is_quiet,
    nested_search,
    path_shelf,
    save,
    save_all,
    save_place,
    search_figures,
    search_space,
    search_tables,
    study_storage,
    tell_files,
    tell_fold_figures,
    threads,
)
from foldwise.data.dataset import DataInfo, load, load_info
from foldwise.ownership import check_output
from foldwise.runs.lineage import lineage
from foldwise.runs.recorder import Recorder
from foldwise.search.archive import archive
from foldwise.search.book import open_book, search_lock
from foldwise.search.nested import NestedSearch
from foldwise.search.summary import outer_estimates
from foldwise.search.trials import OuterFold, SearchResult
from foldwise.search.version import search_key
from foldwise.settings import Settings, load_settings
from foldwise.store.address import project_root
from foldwise.store.open import open_store

FIGURES = REPORTS / "figures" / "tune"


def main() -> None:
    """Search, or go on with an open search, as params.yaml says."""
    for place in (TUNED, RUN, FIGURES):
        check_output(place)
    settings, info = load_settings(), load_info()
    root = project_root()
    storage = study_storage(root)
    store = open_store(root)
    development = load("development")
    key = search_key(info.development_digest, asdict(settings.tune), settings.seed)
    with search_lock(storage, key):
        book = open_book(
            storage, key, search_space(settings), fresh=is_fresh(), home=root / "mlruns"
        )
        shelf = path_shelf(root, key)
        if is_fresh():
            shelf.clear()
        described = lineage(
            settings, info, space=search_space(settings), search_key=key, attempt=book.attempt
        )
        ready = nested_search(
            settings,
            development,
            len(info.classes),
            book,
            shelf=shelf,
            threads=threads(),
            dask=dask_scheduler(),
        )
        with (
            ready as search,
            Recorder.open(store, described) as recorder,
        ):
            result = _follow(search, recorder, settings, info)
            outer = outer_estimates(result, confidence=settings.evaluate.confidence)
            tables = search_tables(result, outer)
            figures = search_figures(result, outer)
            save_all(TUNED, archive(result))
            save(REPORTS, tables)
            save_all(FIGURES, figures)
            save_place(SearchPlace(recorder.run_id, key, book.attempt))
            tell_files(recorder, tables, figures)
        refresh_page(store, info.name)
        shelf.clear()


def _follow(
    search: NestedSearch, recorder: Recorder, settings: Settings, info: DataInfo
) -> SearchResult:
    """Show and record every event; the last is the result."""
    studies = tuple(plan.study for plan in search.plan.studies)
    classes = tuple(map(str, info.classes))
    with Display("tune", studies, search.trials, settings.tune.metric, quiet=is_quiet()) as display:
        for event in search.run():
            display.show(event)
            recorder.record(event)
            if isinstance(event, OuterFold):
                tell_fold_figures(recorder, event, classes)
            elif isinstance(event, SearchResult):
                return event
    raise AssertionError("a search ends with its result")


if __name__ == "__main__":
    run(main, resume="run `dvc repro` again, completed trials are kept")
