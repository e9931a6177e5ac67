"""A nested search put together from settings and data."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path

from foldwise.data.dataset import Split
from foldwise.model.fitting import SolverOptions
from foldwise.model.layout import Layout
from foldwise.search.cluster import connected
from foldwise.search.engine import Engine, LocalEngine
from foldwise.search.folds import FoldPlan
from foldwise.search.nested import Book, NestedSearch
from foldwise.search.shelf import PathShelf
from foldwise.search.study.sampling import SearchSpace
from foldwise.settings import Settings


def search_space(settings: Settings) -> SearchSpace:
    """How the settings say that C is drawn."""
    tune = settings.tune
    return SearchSpace(
        tune.c_low, tune.c_high, tune.search, tune.startup_trials, settings.seed, tune.metric
    )


@contextmanager
def nested_search(
    settings: Settings,
    development: Split,
    classes: int,
    book: Book,
    *,
    shelf: PathShelf,
    threads: int,
    dask: str | None,
) -> Iterator[NestedSearch]:
    """The search that the settings describe, ready to run: here, or by a Dask cluster.

    Raises
    ------
    SearchError
        If the cluster doesn't answer.
    """
    tune = settings.tune
    plan = FoldPlan.stratified(
        development.labels,
        folds=tune.folds,
        seed=settings.seed,
        origins=development.origins,
    )
    options = SolverOptions(tune.multiclass, tune.tol, tune.max_iter, threads)
    layout = Layout.build(development.images, development.labels, plan.parts, classes=classes)
    with _engine(layout, options, dask) as engine:
        yield NestedSearch(
            images=development.images,
            labels=development.labels,
            plan=plan,
            space=search_space(settings),
            trials=tune.trials,
            engine=engine,
            book=book,
            shelf=shelf,
            threads=threads,
        )


def _engine(
    layout: Layout, options: SolverOptions, dask: str | None
) -> AbstractContextManager[Engine]:
    if dask is None:
        return nullcontext(LocalEngine(layout, options))
    return connected(dask, layout, options)


def path_shelf(root: Path, key: str) -> PathShelf:
    """Where a search keeps its paths."""
    return PathShelf((root / "mlruns").resolve() / "paths" / key)
