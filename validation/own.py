"""foldwise as it is validated: the only module here that knows the library."""

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from time import process_time
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.special import logsumexp

from foldwise.data.idx import read_idx
from foldwise.data.sources import read_digits
from foldwise.registry.gate import LOST_ROW, comparison_level
from foldwise.search.curve import starts
from foldwise.search.engines.batched import BatchedEngine, LinearClassifier, LocalBackend
from foldwise.search.jobs import Done, Job, Task
from foldwise.search.nested import NestedSearch
from foldwise.search.plan import Plan
from foldwise.search.space import Space
from foldwise.search.summary import best_trials
from foldwise.search.trials import OuterFold, Part, SearchResult, number_of
from foldwise.settings import Between, PromotionSettings, TuneSettings
from foldwise.solver.fits import FitRequest, SolverOptions
from foldwise.solver.layout import Layout
from foldwise.solver.linear import LinearModel, decision_scores, probabilities
from foldwise.stats.intervals import (
    Difference,
    Fold,
    Interval,
    corrected_interval,
    outer_intervals,
    paired_differences,
    possible,
    score_intervals,
    two_class_intervals,
)
from foldwise.stats.paired import likelihood_bound, row_counts
from foldwise.stats.scores import (
    calibration_error,
    completed,
    predicted_codes,
    reliability,
    row_losses,
    score,
)
from foldwise.stats.two_classes import SPECIFICITY, two_class_scores

ROOT = Path(__file__).resolve().parent.parent
KEPT = ROOT / "build" / "calibration"
RULES = PromotionSettings()
METRICS = ("accuracy", "precision", "recall", "f1", "roc_auc", "log_loss")
"""Those whose truth is written out here; of any other nothing is told."""
RANGE = (1e-4, 10.0)

Codes = NDArray[np.int64]
SCALE_FLOOR = TuneSettings().scale_floor
Strengths = NDArray[np.float64]
Data = tuple[NDArray[np.uint8], Codes]


def mnist() -> Data:
    """The 60,000 development images and their class codes; the holdout is never read."""
    raw = ROOT / "data" / "raw"
    images, _ = read_idx(raw / "train-images-idx3-ubyte.gz", "images")
    labels, _ = read_idx(raw / "train-labels-idx1-ubyte.gz", "labels")
    return images.reshape(len(images), -1), labels.astype(np.int64)


def digits(*, holdout: int) -> Data:
    """The development images of scikit-learn's digits and their class codes."""
    development = read_digits(holdout=holdout).development
    return development.images, development.labels.astype(np.int64)


def dealt(labels: Codes, *, folds: int, seed: int, groups: Codes | None = None) -> Codes:
    """The stratified part of each row; groups never part."""
    part_of: Codes = Plan.stratified(labels, folds=folds, seed=seed, groups=groups).part_of[0]
    return part_of


def predictions(
    data: Data, part_of: Codes, wanted: Iterable[tuple[frozenset[int], float]]
) -> dict[tuple[frozenset[int], float, int], NDArray[np.float64]]:
    """Fit each model wanted, by the parts it leaves out and its C, and predict those parts.

    Probabilities (rows of the part, classes), by the fit and the part.
    """
    return {
        (left_out, C, part): probabilities(model, data[0][part_of == part])
        for (left_out, C), model in models(data, part_of, wanted).items()
        for part in left_out
    }


def models(
    data: Data,
    part_of: Codes,
    wanted: Iterable[tuple[frozenset[int], float]],
    *,
    scale_floor: float = 0.0,
) -> dict[tuple[frozenset[int], float], LinearModel]:
    """Fit each model wanted, by the parts it leaves out and its C."""
    images, labels = data
    rows = [np.flatnonzero(part_of == part) for part in range(part_of.max() + 1)]
    arranged = Layout.build(images, labels, rows, classes=int(labels.max()) + 1)
    options = SolverOptions(threads=os.cpu_count() or 1, scale_floor=scale_floor)
    engine = LocalBackend(arranged, options)
    solved = engine.solve([FitRequest(parts, C) for parts, C in wanted])
    return {(fit.left_out, fit.model.C): fit.model for fit in solved}


def outer_folds(
    data: Data, floor: float, seed: int, groups: Codes | None = None
) -> list[OuterFold]:
    """The outer folds of the default search with this ``tune.scale_floor``; groups never part."""
    images, labels = data
    tune = TuneSettings()
    plan = Plan.stratified(labels, folds=tune.folds, seed=seed, groups=groups)
    parts = [plan.rows(part) for part in plan.parts]
    arranged = Layout.build(images, labels, parts, classes=int(labels.max()) + 1)
    options = SolverOptions(tol=tune.tol, threads=os.cpu_count() or 1, scale_floor=floor)
    backend = LocalBackend(arranged, options)
    engine = BatchedEngine(images, labels, plan, backend, tune.c_low, tune.c_high)
    searched = Between(tune.c_low, tune.c_high, is_log=True)
    space = Space({"C": searched}, tune.search, starts(tune.trials), seed, tune.metric)
    search = NestedSearch(labels, plan, space, tune.trials, engine)
    return [event for event in search.run() if isinstance(event, OuterFold)]


def raw_losses(fold: OuterFold, data: Data) -> NDArray[np.float64]:
    """Each row's log-loss by the fold's softmax, from its scores, so that it isn't clipped."""
    assert isinstance(fold.model, LinearClassifier)
    return unclipped(fold.model.numbers, data[0][fold.rows], fold.labels)


def unclipped(model: LinearModel, images: NDArray[np.uint8], labels: Codes) -> NDArray[np.float64]:
    """Each row's log-loss by the model's softmax, whatever its size."""
    scores = decision_scores(model, images)
    rows = np.arange(len(scores))
    losses: NDArray[np.float64] = logsumexp(scores, axis=1) - scores[rows, labels]
    return losses


@dataclass(frozen=True, slots=True, eq=False)
class Choices:
    """What a whole search chose.

    Attributes
    ----------
    strengths : mapping
        The C of each study, by its name.
    skipped : mapping
        How many start-up values each study did without.
    distinct : int
        Fits made.
    outer_loss : float
        The outer folds' mean log-loss.
    processor : float
        Seconds of all threads.
    """

    strengths: dict[str, float]
    skipped: dict[str, int]
    distinct: int
    outer_loss: float
    processor: float


Sampler = Literal["curve", "tpe"]


def choices(data: Data, part_of: Codes, sampler: Sampler, *, trials: int, seed: int) -> Choices:
    """Run the nested search for C as the tune stage does, without a store."""
    plan = Plan(part_of[np.newaxis].copy(), np.ones(len(part_of), dtype=bool))
    began = process_time()
    first = starts(trials) if sampler == "curve" else 5
    space = Space({"C": Between(*RANGE, is_log=True)}, sampler, first, seed, "log_loss")
    search = NestedSearch(data[1], plan, space, trials, _engine(data, plan))
    *_, result = search.run()
    processor = process_time() - began
    assert isinstance(result, SearchResult)
    return Choices(
        {str(best.study): number_of(best.values, "C") for best in best_trials(result)},
        {
            str(each.study): len(space.skipped(result.study_trials(each.study)))
            for each in plan.studies
        },
        result.fits.distinct,
        float(np.mean([fold.scores["log_loss"] for fold in result.outer])),
        processor,
    )


def inner_curves(
    data: Data, part_of: Codes, strengths: Sequence[float]
) -> dict[str, NDArray[np.float64]]:
    """Each study's mean inner log-loss at all of these values of C."""
    plan = Plan(part_of[np.newaxis].copy(), np.ones(len(part_of), dtype=bool))
    engine, losses = _engine(data, plan), {}
    for C in strengths:
        parts: dict[Job, set[Part]] = {}
        for study, part in ((each, part) for each in plan.studies for part in each.inner):
            parts.setdefault(Job.of(study.left_out(part), {"C": C}), set()).add(part)
        tasks = [Task(job, tuple(sorted(scored))) for job, scored in parts.items()]
        for done in engine.run(tasks):
            if isinstance(done, Done):
                for part, scores in done.scores.items():
                    losses[done.task.job.left_out, part, C] = scores["log_loss"]
    return {
        str(study.study): np.array(
            [np.mean([losses[study.left_out(i), i, C] for i in study.inner]) for C in strengths]
        )
        for study in plan.studies
    }


def _engine(data: Data, plan: Plan) -> BatchedEngine:
    images, labels = data
    rows = [plan.rows(part) for part in plan.parts]
    arranged = Layout.build(images, labels, rows, classes=int(labels.max()) + 1)
    threads = os.cpu_count() or 1
    options = SolverOptions(threads=threads, scale_floor=SCALE_FLOOR)
    backend = LocalBackend(arranged, options)
    return BatchedEngine(images, labels, plan, backend, *RANGE, threads=threads)


def without_training(fold: Fold) -> Fold:
    """The fold as if the estimate were the same without its part: J is 0, and P left alone."""
    return replace(fold, inner=completed(dict.fromkeys(METRICS, 0.0)))


__all__ = [
    "LOST_ROW",
    "METRICS",
    "RULES",
    "SPECIFICITY",
    "Difference",
    "Fold",
    "Interval",
    "calibration_error",
    "comparison_level",
    "completed",
    "corrected_interval",
    "likelihood_bound",
    "outer_intervals",
    "paired_differences",
    "possible",
    "predicted_codes",
    "probabilities",
    "reliability",
    "row_counts",
    "row_losses",
    "score",
    "score_intervals",
    "two_class_intervals",
    "two_class_scores",
]
