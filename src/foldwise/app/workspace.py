"""The folder a stage works in: environment, files, locks, the search they share.

What the environment says of where and how to run: never of what the result is.

The files between the stages: where they lie, and writing a folder's worth of them.

What a search leaves to look at: its tables and figures, and telling them to MLflow.

A nested search put together from settings and data.
"""

import json
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path

from foldwise.data.dataset import Split
from foldwise.errors import SearchError, SettingsError
from foldwise.files import write_bytes
from foldwise.ownership import check_output
from foldwise.report.album import fold_pictures, search_pictures
from foldwise.report.picture import picture_files
from foldwise.report.tables import curve_csv, trials_csv, tuning
from foldwise.report.wording import json_text
from foldwise.runs.recorder import Recorder
from foldwise.search.engines.batched import Backend, BatchedEngine, LocalBackend, PathShelf
from foldwise.search.nested import Book, NestedSearch
from foldwise.search.plan import Plan
from foldwise.search.space import Space
from foldwise.search.summary import Estimates
from foldwise.search.trials import OuterFold, SearchResult
from foldwise.settings import Between, Settings
from foldwise.solver.fits import SolverOptions
from foldwise.solver.layout import Layout

_SQLITE = "sqlite:///"
_ADDRESS = re.compile(r"[a-z]+://[^\s/]+:\d+")


def study_storage(root: Path) -> str:
    """Optuna's storage: ``FOLDWISE_STUDY_STORAGE``, by default ``<root>/mlruns/optuna.db``.

    A relative SQLite path lies under the root, too: DVC runs stages in other folders.
    """
    told = os.environ.get("FOLDWISE_STUDY_STORAGE", "").strip() or f"{_SQLITE}mlruns/optuna.db"
    path = told.removeprefix(_SQLITE)
    return told if path in ("", ":memory:", told) else f"{_SQLITE}{root / path}"


def threads() -> int:
    """``FOLDWISE_THREADS``, by default one per core this process may use.

    Raises
    ------
    SettingsError
        If it isn't a positive whole number.
    """
    told = os.environ.get("FOLDWISE_THREADS")
    if not told:
        return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else _cores()
    if not told.isdecimal() or int(told) < 1:
        raise SettingsError(
            f"FOLDWISE_THREADS must be a positive whole number, got {told!r}: correct or unset it"
        )
    return int(told)


def dask_scheduler() -> str | None:
    """``FOLDWISE_DASK``: a Dask scheduler's address; None for this machine.

    Raises
    ------
    SettingsError
        If it is no address.
    """
    told = os.environ.get("FOLDWISE_DASK", "").strip()
    if not told:
        return None
    if not _ADDRESS.fullmatch(told):
        raise SettingsError(
            f"FOLDWISE_DASK must be like tcp://scheduler:8786, got {told!r}: correct or unset it"
        )
    return told


def is_fresh() -> bool:
    """Whether ``FOLDWISE_FRESH=1`` asks to abandon an open search."""
    return os.environ.get("FOLDWISE_FRESH") == "1"


def is_quiet() -> bool:
    """Whether ``FOLDWISE_QUIET=1`` asks for no progress display."""
    return os.environ.get("FOLDWISE_QUIET") == "1"


def _cores() -> int:
    return os.cpu_count() or 1


TUNED = Path("models/tuned")
RUN = Path("models/run.json")
MODEL = Path("models/final")
REPORTS = Path("reports")


@dataclass(frozen=True, slots=True)
class SearchPlace:
    """Which search a result came from, and MLflow's run of it: what `evaluate` goes on with."""

    run_id: str
    search_key: str
    attempt: int


def save_place(place: SearchPlace) -> None:
    """Write models/run.json."""
    save(RUN.parent, {RUN.name: json.dumps(asdict(place), indent=1).encode()})


def load_place() -> SearchPlace:
    """Read models/run.json.

    Raises
    ------
    SearchError
        If it is missing or not whole.
    """
    try:
        return SearchPlace(**json.loads(RUN.read_text()))
    except (OSError, ValueError, TypeError) as error:
        raise SearchError(
            f"{RUN} must name the search that was tuned, reading gave {error}: "
            "run `dvc repro tune` or `dvc pull`"
        ) from error


def save(folder: Path, files: Mapping[str, bytes]) -> None:
    """Write files into a folder, each whole or not at all; none if one's place isn't ours."""
    for name in files:
        check_output(folder / name)
    for name, content in files.items():
        write_bytes(folder / name, content)


def save_all(folder: Path, files: Mapping[str, bytes]) -> None:
    """Write all the files of a folder; what an earlier run left there besides goes."""
    check_output(folder)
    save(folder, files)
    for path in folder.iterdir():
        if (path.is_file() or path.is_symlink()) and path.name not in files:
            path.unlink()


def search_tables(result: SearchResult, outer: Estimates) -> dict[str, bytes]:
    """The search's files in reports/, by name."""
    return {
        "tuning.json": json_text(tuning(result, outer)).encode(),
        "trials.csv": trials_csv(result).encode(),
        "curve.csv": curve_csv(result).encode(),
    }


def search_figures(result: SearchResult, outer: Estimates) -> dict[str, bytes]:
    """The search's figures, by file name."""
    return picture_files(search_pictures(result, outer))


def tell_fold_figures(recorder: Recorder, fold: OuterFold, classes: Sequence[str]) -> None:
    """Put an outer fold's figures beside its study's run."""
    figures = picture_files(fold_pictures(fold, classes))
    recorder.record_artifacts(fold.study, _among_figures(figures))


def tell_files(
    recorder: Recorder, tables: Mapping[str, bytes], figures: Mapping[str, bytes]
) -> None:
    """Put tables and figures beside the pipeline's run."""
    recorder.record_artifacts(None, tables)
    recorder.record_artifacts(None, _among_figures(figures))


def tell_search_files(
    recorder: Recorder,
    result: SearchResult,
    outer: Estimates,
    *,
    classes: Sequence[str],
) -> None:
    """Put all of a search's tables and figures beside runs that haven't got them."""
    for fold in result.outer:
        tell_fold_figures(recorder, fold, classes)
    tell_files(recorder, search_tables(result, outer), search_figures(result, outer))


def _among_figures(files: Mapping[str, bytes]) -> dict[str, bytes]:
    return {f"figures/{name}": content for name, content in files.items()}


def search_space(settings: Settings) -> Space:
    """How the settings say that C is drawn."""
    tune = settings.tune
    searched = Between(tune.c_low, tune.c_high, is_log=tune.search == "tpe")
    return Space({"C": searched}, tune.search, tune.startup_trials, settings.seed, tune.metric)


def fold_plan(settings: Settings, development: Split) -> Plan:
    """The parts that the settings say."""
    return Plan.stratified(
        development.labels,
        folds=settings.tune.folds,
        seed=settings.seed,
        origins=development.origins,
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
    plan = fold_plan(settings, development)
    options = SolverOptions(tune.multiclass, tune.tol, tune.max_iter, threads)
    parts = [plan.rows(part) for part in plan.parts]
    layout = Layout.build(development.images, development.labels, parts, classes=classes)
    with _backend(layout, options, dask) as backend:
        engine = BatchedEngine(
            images=development.images,
            labels=development.labels,
            plan=plan,
            backend=backend,
            low=tune.c_low,
            high=tune.c_high,
            shelf=shelf,
            threads=threads,
        )
        yield NestedSearch(
            labels=development.labels,
            plan=plan,
            space=search_space(settings),
            trials=tune.trials,
            engine=engine,
            book=book,
        )


def _backend(
    layout: Layout, options: SolverOptions, dask: str | None
) -> AbstractContextManager[Backend]:
    if dask is None:
        return nullcontext(LocalBackend(layout, options))
    from foldwise.search.engines.dask import connected

    return connected(dask, layout, options)


def path_shelf(root: Path, key: str) -> PathShelf:
    """Where a search keeps its paths."""
    return PathShelf((root / "mlruns").resolve() / "paths" / key)
