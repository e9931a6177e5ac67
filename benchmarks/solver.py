"""foldwise's search and solver as the benchmarks use them: what a GPU machine can load of it."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cache
from time import perf_counter, process_time
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.clock import ROOT, adding_to, seconds_of
from benchmarks.work import Parts, Size, Task, Wanted, Work
from foldwise.data.idx import read_idx_folder
from foldwise.search.engines.batched import Backend, BatchedEngine, LocalBackend
from foldwise.search.nested import NestedSearch
from foldwise.search.plan import Plan
from foldwise.search.trials import Part, SearchResult, Trial, number_of
from foldwise.solver.fits import MOST_COLUMNS, FitRequest, SolverOptions
from foldwise.solver.layout import Layout
from foldwise.solver.linear import Fit, LinearModel, probabilities
from foldwise.solver.objective import Batch, evaluate, softmax_link, tiling
from foldwise.solver.paths import RegularisationPath, Stretch, anchors
from foldwise.stats.scores import Scores, score
from foldwise.threads import one_blas_thread

__all__ = ["LinearModel"]

LOW, HIGH = 1e-4, 10.0
TIGHT = 1e-6
"""The objective's excess falls with the gradient's square: at 1e-4 it is 10,000 times as large."""


def load(size: Size) -> Work:
    """MNIST's first ``size.rows`` development rows, dealt to parts and laid out."""
    development = read_idx_folder(ROOT / "data" / "raw", name="mnist").development
    images = np.ascontiguousarray(development.images[: size.rows])
    return dealt(size, images, np.asarray(development.labels[: size.rows], dtype=np.int64))


def dealt(size: Size, images: NDArray[np.uint8], labels: NDArray[np.int64]) -> Work:
    """Deal rows to parts and arrange them, which no timing includes."""
    plan = Plan.stratified(labels, folds=size.folds, seed=1)
    work = Work(size, images, labels, plan.part_of[0])
    layout(work)
    return work


@cache
def layout(work: Work) -> Layout:
    """The rows as the solver arranges them."""
    return Layout.build(work.images, work.labels, work.parts, classes=work.classes)


def cores(work: Work, **options: Any) -> LocalBackend:
    """Of this machine, at the benchmark's tolerance unless told otherwise."""
    defaults = {"tol": work.size.tol, "threads": work.threads}
    return LocalBackend(layout(work), SolverOptions(**(defaults | options)))


def paths(
    solver: Backend, sets: Iterable[Parts], high: float = HIGH, *, smallest: int | None = None
) -> dict[Parts, RegularisationPath]:
    """Paths of training sets as far as ``high``, or their anchors of so many smallest C's."""
    knots = anchors(LOW, high)[:smallest]
    whole = [Stretch(RegularisationPath(left_out, knots), len(knots)) for left_out in sets]
    traced = (event for event in solver.trace(whole) if isinstance(event, RegularisationPath))
    return {path.left_out: path for path in traced}


def models(
    solver: Backend, wanted: Iterable[Wanted], high: float = HIGH
) -> dict[tuple[Parts, float], LinearModel]:
    """Fits started on paths, as the search makes them, each distinct one once."""
    asked = sorted(
        {(fit.left_out, fit.C) for fit in wanted}, key=lambda job: (sorted(job[0]), job[1])
    )
    on = paths(solver, {left_out: None for left_out, _ in asked}, high)
    requests = [FitRequest(left_out, C, on[left_out].at(C)) for left_out, C in asked]
    return {(fit.left_out, fit.model.C): fit.model for fit in solver.solve(requests)}


@cache
def as_searched(
    work: Work, wanted: tuple[Wanted, ...]
) -> Mapping[tuple[Parts, float], LinearModel]:
    """Fits as the search makes them, to the bit: a fit doesn't depend on its company."""
    return models(cores(work), wanted)


@cache
def tight(work: Work, wanted: tuple[Wanted, ...]) -> Mapping[tuple[Parts, float], LinearModel]:
    """Float64 solutions at a hundredth of the tolerance."""
    tol = min(TIGHT, work.size.tol / 100)
    solver = cores(work, tol=tol, max_iter=20_000, double=True)
    return models(solver, wanted, max(fit.C for fit in wanted))


@dataclass(slots=True)
class _Watched:
    """A solver whose seconds are added up, and what it made kept."""

    solver: Backend
    seconds: dict[str, float] = field(default_factory=dict)
    made: list[Any] = field(default_factory=list)

    def trace(self, stretches: Sequence[Stretch]) -> Iterator[Any]:
        return self._watch(self.solver.trace(stretches), "paths")

    def solve(self, requests: Sequence[FitRequest]) -> Iterator[Any]:
        return self._watch(self.solver.solve(requests), "fits")

    def _watch(self, working: Iterator[Any], name: str) -> Iterator[Any]:
        while True:
            with adding_to(self.seconds, name):
                event = next(working, None)
            if event is None:
                return
            self.made.append(event)
            yield event


@dataclass(frozen=True, slots=True, eq=False)
class Searched:
    """A whole search: its values of C, distinct fits, and scores by what was left out, C and part.

    ``seconds`` are by the clock, "whole" and of it "paths" and "fits", "processor" of all cores;
    ``trial_seconds`` is when every study had 1, 2, ... completed trials.
    """

    task: Task
    fits: Mapping[tuple[Parts, float], Fit]
    scores: Mapping[tuple[Parts, float, int], Scores]
    seconds: Mapping[str, float]
    paths: Mapping[Parts, RegularisationPath] = field(default_factory=dict)
    trial_seconds: Sequence[float] = ()
    result: SearchResult | None = None

    @property
    def evaluations(self) -> list[tuple[Parts, float]]:
        """Of each path and fit, beside what it left out."""
        made = [(of, path.evaluations) for of, path in self.paths.items()]
        return [*made, *((of, fit.outcome.evaluations) for (of, _), fit in self.fits.items())]


def search(work: Work, space: Any, solver: Backend, scorer: Any = None) -> Searched:
    """Run the nested search as the tune stage does, without a store."""
    watched, used, ended = _Watched(solver), process_time(), np.zeros(work.size.trials)
    plan = Plan(work.part_of[np.newaxis].copy(), np.ones(len(work.labels), dtype=bool))
    engine = BatchedEngine(
        work.images, work.labels, plan, watched, LOW, HIGH, threads=work.threads, scorer=scorer
    )
    began = perf_counter()
    for event in NestedSearch(work.labels, plan, space, work.size.trials, engine).run():
        if isinstance(event, Trial):
            ended[event.number] = perf_counter() - began
    watched.seconds |= {"whole": perf_counter() - began, "processor": process_time() - used}
    assert isinstance(event, SearchResult)
    outer = [(of, _folds(of.best.study.part)) for of in event.outer]
    tried = {_folds(of.study.part): event.study_trials(of.study) for of in plan.studies}
    best = {study: strength(of.best) for of, study in outer}
    scores = {(study, best[study], min(study)): of.scores for of, study in outer}
    scores |= {
        (_folds(*trial.left_out(fold.part)), strength(trial), fold.part.fold): fold.scores
        for trial in event.trials for fold in trial.inner
    }  # fmt: skip
    values = {study: sorted(map(strength, trials)) for study, trials in tried.items()}
    task = Task(work, values, best | {_folds(): strength(event.final.best)})
    fits = {(of.left_out, of.model.C): of for of in watched.made if isinstance(of, Fit)}
    traced = {of.left_out: of for of in watched.made if isinstance(of, RegularisationPath)}
    times = np.maximum.accumulate(ended).tolist()
    return Searched(task, fits, scores, watched.seconds, traced, times, event)


def strength(trial: Trial) -> float:
    """A trial's C."""
    return number_of(trial.values, "C")


def _folds(*parts: Part | None) -> Parts:
    return frozenset(part.fold for part in parts if part is not None)


def mean_loss(work: Work, model: LinearModel, rows: NDArray[np.int64]) -> float:
    """Mean cross-entropy of some rows."""
    stated = probabilities(model, work.images, rows)[np.arange(len(rows)), work.labels[rows]]
    return -float(np.log(stated).mean())


def gap(work: Work, model: LinearModel, best: LinearModel, left_out: Parts) -> float:
    """Relative excess over a tight solution's mean cross-entropy plus ||W||^2 / (2 C n)."""
    rows = work.training_rows(left_out)
    mine, least = (
        mean_loss(work, m, rows) + float((m.coefficients**2).sum()) / (2 * m.C * len(rows))
        for m in (model, best)
    )
    return (mine - least) / least


def in_one_go(task: Task) -> None:
    """Make every distinct fit in one call of the solver, and score it wherever it is wanted."""
    work, parts = task.work, task.work.parts
    made = models(cores(work), task.wanted)
    for left_out, C, part in {fit for fit in task.wanted if fit.scored is not None}:
        rows = parts[part or 0]
        score(probabilities(made[left_out, C], work.images[rows]), work.labels[rows])


def most_fits(work: Work) -> int:
    """Side by side."""
    return MOST_COLUMNS // work.classes


def together(work: Work, fits: int, **options: Any) -> list[Fit]:
    """Make so many distinct fits side by side."""
    sets = [left_out for left_out in work.training_sets if left_out]
    requests = [FitRequest(sets[fit % len(sets)], 1.0 + fit // len(sets)) for fit in range(fits)]
    return list(cores(work, **options).solve(requests))


def operations(work: Work, left_out: Parts) -> NDArray[np.float64]:
    """Of one fit's evaluation: for every pixel that is lit anywhere, and those really multiplied.

    Two products, each a multiplication and an addition.
    """
    arranged = layout(work)
    used = [lanes for part, lanes in enumerate(arranged.lanes) if part not in left_out]
    pixels = sum(block.pixels.size for lanes in used for lane in lanes for block in lane)
    tile = tiling(np.dtype(np.float32)).width
    needed = 4.0 * len(work.training_rows(left_out)) * lit_pixels(work) * work.classes
    return np.array([needed, 4.0 * pixels * -(-work.classes // tile) * tile])


def lit_pixels(work: Work) -> int:
    """How many pixels are lit in any row."""
    return len(set().union(*layout(work).columns)) - 1


def evaluation(work: Work, fits: int) -> tuple[Callable[[int], float], NDArray[np.float64]]:
    """Evaluate so many fits of the search's training sets once, at arbitrary weights.

    A function from threads to seconds, and the operations.
    """
    arranged, sets = layout(work), [left_out for left_out in work.training_sets if left_out]
    left_out = [sets[fit % len(sets)] for fit in range(fits)]
    weights = np.random.default_rng(0).normal(0, 1e-4, (fits, work.classes, arranged.width))
    used = [[part not in out for out in left_out] for part in range(work.size.folds)]
    batch = Batch(weights.astype(np.float32), np.array(used))

    def seconds(threads: int) -> float:
        with one_blas_thread(), ThreadPoolExecutor(threads) as pool:
            return seconds_of(lambda: evaluate(arranged, batch, softmax_link, pool))

    return seconds, np.sum([operations(work, out) for out in left_out], axis=0)
