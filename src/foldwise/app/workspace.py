"""The folder that a stage or command works in: its files, its stores, what the environment says.

The environment says where and how to run, never what the result is.
"""

import math
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from foldwise.app.exits import is_on
from foldwise.app.views import refresh_page
from foldwise.data import dataset
from foldwise.entries import Entry, candidates, of_search
from foldwise.errors import SearchError, SettingsError
from foldwise.registry.snapshot import model_name
from foldwise.report.judged import Judged
from foldwise.runs.lineage import Lineage, lineage
from foldwise.runs.recorder import Recorder
from foldwise.search.book import TrialBook, close_attempt, open_book, search_lock
from foldwise.search.curve import starts
from foldwise.search.engines.batched import PathShelf
from foldwise.search.jobs import Predictions
from foldwise.search.plan import Plan
from foldwise.search.space import Space
from foldwise.search.version import search_key
from foldwise.settings import LOGISTIC, Between, FilterSettings, Settings, load_settings
from foldwise.store.address import project_root
from foldwise.store.mutex import Lease, held
from foldwise.store.open import Store, open_store
from foldwise.threads import one_blas_thread, threads, variable

if TYPE_CHECKING:
    from foldwise.data.features import FilterBank
    from foldwise.search.engines.estimator import EstimatorEngine

_STARTS_OF_TPE = 5
_SQLITE = "sqlite:///"
_BLOCK_ROWS = 2000
_ADDRESS = re.compile(r"[a-z]+://[^\s/]+:\d+")


@dataclass(frozen=True)
class Workspace:
    """What stages and commands work with; each part is opened when it is first asked for.

    ``folder`` holds parameters, data and results: a stage's is the one it was started in, which
    `dvc exp run --temp` makes a copy. The stores lie in the project's root.
    """

    folder: Path = Path()

    @cached_property
    def root(self) -> Path:
        """The folder that holds ``mlruns/``."""
        return project_root()

    @cached_property
    def settings(self) -> Settings:
        """What params.yaml says."""
        return load_settings(self.folder / "params.yaml")

    @cached_property
    def info(self) -> dataset.DataInfo:
        """Facts of the prepared data."""
        return dataset.load_info(self.folder / dataset.PREPARED)

    @cached_property
    def classes(self) -> tuple[str, ...]:
        """The classes' names."""
        return tuple(map(str, self.info.classes))

    @cached_property
    def store(self) -> Store:
        """MLflow's store."""
        return open_store(self.root)

    def data(self, split: dataset.SplitName) -> dataset.Split:
        """A split's rows. Each use of the holdout spends some of it."""
        return dataset.load(split, self.folder / dataset.PREPARED)

    def judged(self, holdout: dataset.Split, said: Predictions) -> Judged:
        """The holdout with what a model said of it."""
        return Judged(
            holdout.images,
            holdout.labels,
            said.values,
            self.classes,
            self.info.image_shape,
            said.are_probabilities,
            self.clusters(holdout),
        )

    def clusters(self, split: dataset.Split) -> NDArray[np.int64] | None:
        """The groups that variances are clustered by: those that a table names."""
        return None if self.info.table is None else split.groups

    @property
    def model_name(self) -> str:
        """Name of the registered model."""
        return model_name(self.settings.prepare.name)

    def key(self, parameters: Mapping[str, object]) -> str:
        """The key of a search of the development set with these parameters.

        How many trials it makes is none of them: a search that goes on is the same.
        """
        return search_key(self.info.development_digest, parameters, self.settings.seed)

    @cached_property
    def search_key(self) -> str:
        """The key of the search that the settings describe."""
        told, startup = of_search(self.settings), search_space(self.settings).startup
        del told["trials"]
        return self.key({**told, "startup_trials": startup})

    def plan(self, development: dataset.Split) -> Plan:
        """The parts that the settings say."""
        folds, seed = self.settings.tune.folds, self.settings.seed
        return Plan.stratified(
            development.labels,
            folds=folds,
            seed=seed,
            groups=development.origins if development.groups is None else development.groups,
            is_scored=development.is_original,
            classes=self.info.classes,
        )

    @cached_property
    def bank(self) -> "FilterBank | None":
        """The filters that the settings ask for, which must fit the images; None for pixels."""
        tune = self.settings.tune
        if self.info.table is not None and (tune.candidates or tune.features != "pixels"):
            name, wanted = ("candidates", "[]") if tune.candidates else ("features", "pixels")
            raise SettingsError(
                f"tune.{name} must be {wanted} when prepare.source is table, because filters and"
                f" candidates are for images, got {getattr(tune, name)}: edit params.yaml"
            )
        if tune.features == "pixels":
            return None
        shape, remedy = self.info.image_shape, "edit params.yaml, or set tune.features to pixels"
        return fitting_bank(self.settings.filters, shape, key="filters", remedy=remedy)

    def engine(self, entry: Entry, plan: Plan, *, is_calibrated: bool = False) -> "EstimatorEngine":
        """Who makes the fits of an entry of the comparison."""
        from foldwise.app.entries import build  # scikit-learn: two seconds
        from foldwise.search.engines.estimator import EstimatorEngine

        shape, classes, seed = self.info.image_shape, self.info.classes, self.settings.seed
        made = partial(build, entry, seed=seed, shape=shape, is_calibrated=is_calibrated)
        ours = self.data("development")
        return EstimatorEngine(ours.images, ours.labels, classes, plan, made, threads())

    def candidates(self, plan: Plan) -> "dict[str, EstimatorEngine]":
        """Who makes the fits of the candidates beside logistic regression, by name."""
        from foldwise.app.entries import check_buildable

        engines: dict[str, EstimatorEngine] = {}
        for entry in candidates(self.settings):
            # Whatever the comparison asks of it: here it is calibrated, if it has no probabilities.
            check_buildable(replace(entry, metric="accuracy", register=False))
            engines[entry.name] = self.engine(entry, plan, is_calibrated=True)
        return engines

    def shelf(self, key: str) -> PathShelf:
        """Where a search keeps its paths."""
        return PathShelf((self.root / "mlruns").resolve() / "paths" / key)

    @contextmanager
    def held(self, key: str) -> Iterator[Lease]:
        """Hold a search: no other process that shares its trials or its runs is at it meanwhile."""
        store = self.store  # what is wrong with MLflow's is told first, and nothing is locked then
        with (
            search_lock(study_storage(self.root), key),
            held(store, f"search-{key}", f"run the search {key[:12]}") as lease,
        ):
            yield lease

    def book(self, key: str, space: Space, *, trials: int) -> TrialBook:
        """Open a search's completed trials; with FOLDWISE_FRESH, begin it anew."""
        storage, home = study_storage(self.root), self.root / "mlruns"
        return open_book(storage, key, space, trials=trials, fresh=is_fresh(), home=home)

    def close(self, key: str, attempt: int, space: Space) -> None:
        """Close a search whose version is registered."""
        home = self.root / "mlruns"
        close_attempt(study_storage(self.root), key, attempt, space, home=home)
        self.shelf(key).clear()

    def lineage(self, key: str, attempt: int, space: Space) -> Lineage:
        """What a search's run comes from."""
        return lineage(self.settings, self.info, space=space, search_key=key, attempt=attempt)

    @contextmanager
    def recorder(self, described: Lineage, lease: Lease) -> Iterator[Recorder]:
        """Record a run, and let MLflow's page of its experiment show it when it has ended."""
        with Recorder.open(self.store, described, lease=lease) as recorder:
            yield recorder
        refresh_page(self.store, described.experiment)


def study_storage(root: Path) -> str:
    """Optuna's storage: ``FOLDWISE_STUDY_STORAGE``, by default ``<root>/mlruns/optuna.db``.

    A relative SQLite path lies under the root, too: DVC runs stages in other folders.
    """
    told = os.environ.get("FOLDWISE_STUDY_STORAGE", "").strip() or f"{_SQLITE}mlruns/optuna.db"
    path = told.removeprefix(_SQLITE)
    if path in ("", ":memory:", told):
        return told
    if not Path(path).is_absolute() and (wrong := {"?", "%"}.intersection(str(root))):
        raise SearchError(
            f"the study storage's path may not contain '{min(wrong)}', got '{root / path}': rename"
            " the folder, or name a storage elsewhere in FOLDWISE_STUDY_STORAGE"
        )
    return f"{_SQLITE}{root / path}"


def fitting_bank(
    numbers: FilterSettings, shape: Sequence[int], *, key: str, remedy: str
) -> "FilterBank":
    """The bank that a section of settings, of this full key, describes, if it fits the images."""
    from foldwise.data.features import FilterBank  # scikit-learn: two seconds

    bank, given = FilterBank(shape, **asdict(numbers)), " x ".join(map(str, shape))
    if dataset.picture_axes(tuple(shape)) != (0, 1):
        raise SettingsError(
            f"{key} need images of rows, columns and, last, channels, got {given}; {remedy}"
        )
    try:
        return bank.fit(np.zeros((1, math.prod(shape)), np.uint8))
    except ValueError as error:
        raise SettingsError(f"{key} must fit images of {given}: {error}; {remedy}") from error


def transformed(bank: "FilterBank", images: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Features of all images, as many blocks at a time as there are threads.

    BLAS has one thread in each: with two, such small products take three times as long.

    Raises
    ------
    SettingsError
        No image has any feature but 0.
    """
    starts = range(0, len(images), _BLOCK_ROWS)
    with one_blas_thread(), ThreadPoolExecutor(threads()) as pool:
        blocks = pool.map(lambda at: bank.transform(images[at : at + _BLOCK_ROWS]), starts)
        features = np.concatenate([*blocks])
    if not features.any():
        raise SettingsError(
            f"filters.threshold must be exceeded somewhere, {bank.threshold:g} is by none of"
            f" {len(images):,} images, whose pixels reach {images.max()} of 255: lower it"
        )
    return features


def dask_scheduler() -> str | None:
    """``FOLDWISE_DASK``: a Dask scheduler's address; None for this machine."""
    return variable("FOLDWISE_DASK", "like tcp://scheduler:8786", _ADDRESS.fullmatch) or None


def is_fresh() -> bool:
    """Whether ``FOLDWISE_FRESH`` asks to abandon an open search."""
    return is_on("FOLDWISE_FRESH")


def search_space(settings: Settings) -> Space:
    """How the settings say that C is drawn."""
    tune = settings.tune
    searched = Between(tune.c_low, tune.c_high, is_log=tune.search != "random_uniform")
    few = starts(tune.trials) if tune.search == "curve" else _STARTS_OF_TPE
    alone = Space(
        {"C": searched}, tune.search, tune.startup_trials or few, settings.seed, tune.metric
    )
    if not (others := candidates(settings)):
        return alone
    return alone.among(
        {LOGISTIC: alone.dimensions, **{entry.name: entry.space for entry in others}}
    )
