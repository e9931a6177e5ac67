"""``python -m foldwise.stages.tune``: the nested search, told to MLflow as it goes."""

from foldwise.data.dataset import DataInfo, load, load_info
from foldwise.ownership import check_output
from foldwise.report.summary import summarise_search
from foldwise.search.archive import archive
from foldwise.search.identity import search_key
from foldwise.search.nested import NestedSearch
from foldwise.search.results import OuterFold, SearchResult
from foldwise.search.study.locks import search_lock
from foldwise.search.study.storage import open_book
from foldwise.settings import Settings, load_settings
from foldwise.stages.display import Display
from foldwise.stages.entry import run
from foldwise.stages.environment import (
    dask_scheduler,
    is_fresh,
    is_quiet,
    study_storage,
    threads,
)
from foldwise.stages.files import REPORTS, RUN, TUNED, SearchPlace, save, save_all, save_place
from foldwise.stages.search_files import (
    search_figures,
    search_tables,
    tell_files,
    tell_fold_figures,
)
from foldwise.stages.searching import nested_search, path_shelf, search_space
from foldwise.tracking.address import project_root
from foldwise.tracking.lineage import lineage
from foldwise.tracking.runs import Recorder
from foldwise.tracking.store import open_store

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
    key = search_key(info.development_digest, settings.tune, settings.seed)
    with search_lock(storage, key):
        book = open_book(
            storage, key, search_space(settings), fresh=is_fresh(), home=root / "mlruns"
        )
        shelf = path_shelf(root, key)
        if is_fresh():
            shelf.clear()
        described = lineage(settings, info, search_key=key, attempt=book.attempt)
        ready = nested_search(
            settings,
            development,
            len(info.classes),
            book,
            shelf=shelf,
            threads=threads(),
            dask=dask_scheduler(),
        )
        with ready as search, Recorder.open(store, described) as recorder:
            result = _follow(search, recorder, settings, info)
            summary = summarise_search(
                result,
                low=settings.tune.c_low,
                high=settings.tune.c_high,
                confidence=settings.evaluate.confidence,
                sampler=settings.tune.search,
            )
            tables = search_tables(result, summary)
            figures = search_figures(result, summary, startup=settings.tune.startup_trials)
            save_all(TUNED, archive(result))
            save(REPORTS, tables)
            save_all(FIGURES, figures)
            save_place(SearchPlace(recorder.run_id, key, book.attempt))
            tell_files(recorder, tables, figures)
        shelf.clear()


def _follow(
    search: NestedSearch, recorder: Recorder, settings: Settings, info: DataInfo
) -> SearchResult:
    """Show and record every event; the last is the result."""
    studies = tuple(study.name for study in search.plan.studies)
    classes = tuple(map(str, info.classes))
    with Display(studies, search.trials, settings.tune.metric, quiet=is_quiet()) as display:
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
