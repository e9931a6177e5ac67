"""foldwise as the benchmarks use it: the only module here that knows the library."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import dataclass, fields
from functools import cache
from time import perf_counter, process_time
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from benchmarks.work import ROOT, Model, Parts, Size, Task, Wanted, Work, seconds_of
from foldwise.app.workspace import transformed
from foldwise.data.features import FilterBank
from foldwise.data.idx import read_idx_folder
from foldwise.estimator import NestedSearchCV
from foldwise.registry.stored_model import as_served
from foldwise.search.curve import walk
from foldwise.search.engines.batched import (
    Backend,
    BatchedEngine,
    LinearClassifier,
    LocalBackend,
)
from foldwise.search.engines.dask import DaskBackend, connected
from foldwise.search.nested import NestedSearch
from foldwise.search.plan import Plan
from foldwise.search.space import Space
from foldwise.search.summary import Estimates, outer_estimates
from foldwise.search.trials import SearchResult, Study, Trial, number_of
from foldwise.settings import Between, Settings
from foldwise.solver.fits import MOST_COLUMNS, FitRequest, SolverOptions
from foldwise.solver.layout import Layout
from foldwise.solver.linear import Fit, probabilities
from foldwise.solver.objective import Batch, evaluate, softmax_link, tiling
from foldwise.solver.paths import RegularisationPath, Stretch, anchors
from foldwise.stats.scores import score

LOW, HIGH = 1e-4, 10.0
RANGE = Between(LOW, HIGH, is_log=True)
CLASSES = 10
SHAPE = (28, 28)
MOST_FITS = MOST_COLUMNS // CLASSES
TIGHT = 1e-6
"""The objective's excess falls with the gradient's square: at 1e-4 it is 10,000 times as large."""

T = TypeVar("T")


def load(size: Size) -> Work:
    """MNIST's first ``size.rows`` development rows, dealt to parts and laid out."""
    development = read_idx_folder(ROOT / "data" / "raw", name="mnist").development
    images = np.ascontiguousarray(development.images[: size.rows])
    return dealt(size, images, np.asarray(development.labels[: size.rows], dtype=np.int64))


def filtered(size: Size) -> tuple[Work, float]:
    """The same rows as filter features, and the seconds that all of these take."""
    raw, began = load(size), perf_counter()
    features = transformed(FilterBank(SHAPE), raw.images)
    return dealt(size, features, raw.labels), perf_counter() - began


def dealt(size: Size, images: NDArray[np.uint8], labels: NDArray[np.int64]) -> Work:
    """Deal rows to parts and arrange them, which no timing includes."""
    plan = Plan.stratified(labels, folds=size.folds, seed=1)
    work = Work(size, images, labels, plan.part_of[0])
    layout(work)
    return work


@cache
def layout(work: Work) -> Layout:
    """The rows as the solver arranges them."""
    parts = [work.scored_rows(part) for part in range(work.size.folds)]
    return Layout.build(work.images, work.labels, parts, classes=CLASSES)


def engine(work: Work, **options: Any) -> LocalBackend:
    """The solver on this machine's cores, at the benchmark's tolerance unless told otherwise."""
    options = {"tol": work.size.tol, "threads": work.threads} | options
    return LocalBackend(layout(work), SolverOptions(**options))


def remote(work: Work, address: str) -> AbstractContextManager[DaskBackend]:
    """The same on the Dask cluster at an address."""
    return connected(address, layout(work), SolverOptions(tol=work.size.tol))


class _Watched:
    """An engine that adds up the seconds spent in it, and keeps what it made."""

    def __init__(self, engine: Backend) -> None:
        self._engine = engine
        self.seconds = 0.0
        self.made: list[object] = []

    def trace(self, stretches: Sequence[Stretch]) -> Iterator[Any]:
        return self._watch(self._engine.trace(stretches))

    def solve(self, requests: Sequence[FitRequest]) -> Iterator[Any]:
        return self._watch(self._engine.solve(requests))

    def _watch(self, working: Iterator[T]) -> Iterator[T]:
        while True:
            began = perf_counter()
            event = next(working, None)
            self.seconds += perf_counter() - began
            if event is None:
                return
            self.made.append(event)
            yield event


@dataclass(frozen=True, slots=True, eq=False)
class Searched:
    """A whole search: its values of C, evaluations of each path and distinct fit, and seconds.

    ``trial_seconds`` is when every study had 1, 2, ... completed trials, ``processor_seconds`` the
    time of all cores.
    """

    task: Task
    paths: Mapping[Parts, float]
    fits: Mapping[tuple[Parts, float], float]
    seconds: float
    solve_seconds: float
    processor_seconds: float
    trial_seconds: tuple[float, ...]
    estimates: Estimates

    @property
    def outer_loss(self) -> float:
        """Mean log-loss of the outer folds."""
        return self.estimates["log_loss"].mean


def search(work: Work, **options: Any) -> Searched:
    """Run the nested search as the tune stage does, without a store."""
    watched, began, used = _Watched(engine(work, **options)), perf_counter(), process_time()
    plan = Plan(work.part_of[np.newaxis].copy(), np.ones(len(work.labels), dtype=bool))
    batched = BatchedEngine(
        work.images, work.labels, plan, watched, LOW, HIGH, threads=work.threads
    )
    ended, result = np.zeros(work.size.trials), None
    for event in NestedSearch(work.labels, plan, _space(work), work.size.trials, batched).run():
        if isinstance(event, Trial):
            ended[event.number] = perf_counter() - began
        if isinstance(event, SearchResult):
            result = event
    seconds, used = perf_counter() - began, process_time() - used
    assert result is not None
    tried = {
        _left_out(s.study): sorted(map(_strength, result.study_trials(s.study)))
        for s in plan.studies
    }
    best = {_left_out(outer.study): _strength(outer.best) for outer in result.outer}
    fits = [made for made in watched.made if isinstance(made, Fit)]
    paths = [made for made in watched.made if isinstance(made, RegularisationPath)]
    return Searched(
        Task(work, tried, best | {frozenset(): _strength(result.final.best)}),
        {path.left_out: path.evaluations for path in paths},
        {(fit.left_out, fit.model.C): fit.outcome.evaluations for fit in fits},
        seconds,
        watched.seconds,
        used,
        tuple(np.maximum.accumulate(ended).tolist()),
        outer_estimates(result, confidence=Settings().evaluate.confidence),
    )


def search_filters(work: Work) -> Searched:
    """As params.yaml has it for filters."""
    return search(work, scale_floor=Settings().tune.scale_floor)


def registered(work: Work, C: float) -> Callable[[NDArray[Any]], Any]:
    """What would be registered of filter features: probabilities of raw pixels."""
    solver = engine(work, scale_floor=Settings().tune.scale_floor)
    [fit] = solver.solve(_on_paths(solver, [(frozenset(), C)], HIGH))
    model = LinearClassifier(fit.model, FilterBank(SHAPE))
    answer: Callable[[NDArray[Any]], Any] = as_served(model, range(CLASSES)).predict_proba
    return answer


def _left_out(study: Study) -> Parts:
    return frozenset() if study.fold is None else frozenset({study.fold})


def _strength(trial: Trial) -> float:
    return number_of(trial.values, "C")


def _space(work: Work) -> Space:
    return Space({"C": RANGE}, "curve", work.size.startup, 1, "log_loss")


def in_one_go(task: Task) -> None:
    """Make every distinct fit in one call of the solver, and score it wherever it is wanted."""
    work, solver = task.work, engine(task.work)
    parts: dict[tuple[Parts, float], set[int | None]] = defaultdict(set)
    for fit in task.wanted:
        parts[fit.left_out, fit.C].add(fit.scored)
    for made in solver.solve(_on_paths(solver, parts, HIGH)):
        for part in parts[made.left_out, made.model.C]:
            if part is None:
                continue
            rows = work.scored_rows(part)
            score(probabilities(made.model, work.images[rows]), work.labels[rows])


@cache
def models(work: Work, wanted: tuple[Wanted, ...]) -> Mapping[Wanted, Model]:
    """Fits as the search makes them, to the bit: a fit doesn't depend on its company."""
    return _models(engine(work), wanted, HIGH)


@cache
def tight(
    work: Work, wanted: tuple[Wanted, ...], scaled_outside: Parts | None = None
) -> Mapping[Wanted, Model]:
    """Float64 solutions at a hundredth of the tolerance.

    Standardised by their own rows, or by all rows but those of the parts ``scaled_outside``.
    """
    arranged = layout(work)
    if scaled_outside is not None:
        arranged = _scaled(arranged, scaled_outside)
    options = SolverOptions(
        tol=min(TIGHT, work.size.tol / 100), max_iter=20_000, threads=work.threads, double=True
    )
    return _models(LocalBackend(arranged, options), wanted, max(fit.C for fit in wanted))


def _scaled(arranged: Layout, outside: Parts) -> Layout:
    """A layout whose fits standardise by more rows than their own: scaled first, then split."""
    mean, spread, _ = arranged.standardisation(outside)

    class Scaled(Layout):
        def standardisation(self, left_out: Parts) -> Any:
            return mean, spread, arranged.standardisation(left_out)[2]

    return Scaled(*(getattr(arranged, each.name) for each in fields(Layout) if each.init))


def _models(solver: Backend, wanted: Sequence[Wanted], high: float) -> Mapping[Wanted, Model]:
    asked, names = {(fit.left_out, fit.C): fit for fit in wanted}, fields(Model)
    return {
        asked[fit.left_out, fit.model.C]: Model(*(getattr(fit.model, n.name) for n in names))
        for fit in solver.solve(_on_paths(solver, asked, high))
    }


def _on_paths(
    solver: Backend, asked: Iterable[tuple[Parts, float]], high: float
) -> list[FitRequest]:
    """Requests for fits (left out, C), each with its start on a path traced as far as ``high``."""
    wanted = list(asked)
    sets = sorted({left_out for left_out, _ in wanted}, key=sorted)
    traced = solver.trace(_whole(sets, anchors(LOW, high)))
    paths = {path.left_out: path for path in traced if isinstance(path, RegularisationPath)}
    return [FitRequest(left_out, C, paths[left_out].at(C)) for left_out, C in wanted]


def trace(solver: Backend, work: Work, *, smallest: int | None = None) -> list[RegularisationPath]:
    """The paths of all the search's training sets, or their anchors of so many smallest C's."""
    traced = solver.trace(_whole(work.training_sets, anchors(LOW, HIGH)[:smallest]))
    return [event for event in traced if isinstance(event, RegularisationPath)]


def _whole(sets: Iterable[Parts], knots: NDArray[np.float64]) -> list[Stretch]:
    return [Stretch(RegularisationPath(left_out, knots), len(knots)) for left_out in sets]


def startup_round(work: Work, paths: Sequence[RegularisationPath]) -> list[FitRequest]:
    """The distinct fits of all studies' start-up trials, none skipped."""
    by_set = {path.left_out: path for path in paths}
    drawn = [RANGE.at(place) for place in walk(work.size.startup, 0.5)]
    sets = sorted({left_out for s in work.studies for left_out, _ in work.inner(s)}, key=sorted)
    return [FitRequest(left_out, C, by_set[left_out].at(C)) for C in drawn for left_out in sets]


def side_by_side(work: Work, fits: int, **options: Any) -> list[Fit]:
    """Make so many distinct fits together."""
    sets = [left_out for left_out in work.training_sets if left_out]
    requests = [FitRequest(sets[fit % len(sets)], 1.0 + fit // len(sets)) for fit in range(fits)]
    return list(engine(work, **options).solve(requests))


def bits(paths: Iterable[RegularisationPath], fits: Iterable[Fit]) -> set[tuple[object, ...]]:
    """What was made, to be compared to the bit."""
    return {(path.left_out, np.stack(path.solutions).tobytes()) for path in paths} | {
        (fit.left_out, fit.model.C, fit.model.coefficients.tobytes()) for fit in fits
    }


def operations(work: Work, left_out: Parts) -> NDArray[np.float64]:
    """Of one fit's evaluation: for every pixel that is lit anywhere, and those really multiplied.

    Two products, each a multiplication and an addition.
    """
    arranged = layout(work)
    used = [lanes for part, lanes in enumerate(arranged.lanes) if part not in left_out]
    pixels = sum(block.pixels.size for lanes in used for lane in lanes for block in lane)
    tile = tiling(np.dtype(np.float32)).width
    rows = len(work.training_rows(left_out))
    needed = 4.0 * rows * lit_pixels(arranged) * CLASSES
    return np.array([needed, 4.0 * pixels * -(-CLASSES // tile) * tile])


def lit_pixels(arranged: Layout) -> int:
    """How many pixels are lit in any row."""
    return len(set().union(*arranged.columns)) - 1


def evaluation(work: Work, fits: int) -> tuple[Callable[[int], float], NDArray[np.float64]]:
    """Evaluate so many fits of the search's training sets once, at arbitrary weights.

    A function from threads to seconds, and the operations.
    """
    arranged, sets = layout(work), [left_out for left_out in work.training_sets if left_out]
    left_out = [sets[fit % len(sets)] for fit in range(fits)]
    weights = np.random.default_rng(0).normal(0, 1e-4, (fits, CLASSES, arranged.width))
    used = [[part not in out for out in left_out] for part in range(work.size.folds)]
    batch = Batch(weights.astype(np.float32), np.array(used))

    def seconds(threads: int) -> float:
        with threadpool_limits(1, user_api="blas"), ThreadPoolExecutor(threads) as pool:
            return seconds_of(lambda: evaluate(arranged, batch, softmax_link, pool))

    return seconds, np.sum([operations(work, out) for out in left_out], axis=0)


__all__ = ["Backend", "Fit", "RegularisationPath"]


@dataclass(frozen=True)
class TableFound:
    """What a search of a table came upon.

    ``strengths`` are the values of C by outer fold, -1 for the final study; ``part_of`` (rows,);
    ``outer_loss`` is the outer folds' mean log-loss.
    """

    strengths: Mapping[int, list[float]]
    part_of: NDArray[np.int64]
    outer_loss: float


def table_search(X: Any, y: Any, *, groups: Any = None, **options: Any) -> TableFound:
    """The search of a notebook."""
    search = NestedSearchCV(random_state=1, **options).fit(X, y, groups=groups)
    trials = search.inner_results_.fillna({"fold": -1}).drop_duplicates(["fold", "trial"])
    strengths = {int(fold): [*of["C"]] for fold, of in trials.groupby("fold")}
    loss = -float(search.outer_scores_["neg_log_loss"].mean())
    return TableFound(strengths, search.result_.plan.part_of[0], loss)
