"""How often intervals of a nested cross-validation hold what they are meant to hold.

The population is 20,000 points with ten features and known chances of two classes, so a model's
true score is a sum over the points, without error. A data set is n points drawn from it, with
replacement, with labels drawn by their chances. On it, the whole procedure runs: stratified parts,
C's drawn log-uniformly by a new seed, C chosen by the inner folds' log-loss, outer estimates. Meant
to be held is the expected score of the procedure trained on (K-1)/K of n rows: the true score of
the outer models, averaged over all data sets.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from validation import own
from validation.newton import Fits, fit_all

FOLDS = 6
TRIALS = 5
CONFIDENCE = 0.95
METRICS = ("log_loss", "accuracy")
METHODS = ("naive", "corrected", "pooled")
POINTS, FEATURES = 20_000, 10
Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class World:
    """The population: features (points, p), the first of them ones, and chances of class 1."""

    features: Array
    chances: Array

    @classmethod
    def made(cls, seed: int) -> "World":
        """Heavy-tailed features; the logit isn't quite linear, so that no model is the true one."""
        random = np.random.default_rng(seed)
        points = random.standard_t(8, size=(POINTS, FEATURES))
        logits = (
            points @ random.normal(scale=0.6, size=FEATURES) + 0.3 * points[:, 0] * points[:, 1]
        )
        return cls(np.column_stack([np.ones(POINTS), points]), 1 / (1 + np.exp(-logits)))

    def true_scores(self, weights: Array) -> dict[str, Array]:
        """Expected log-loss and accuracy of each column of weights (p, models)."""
        scores = self.features @ weights
        chances = self.chances[:, np.newaxis]
        losses = np.logaddexp(0, scores) - chances * scores
        right = np.where(scores > 0, chances, 1 - chances)
        return {"log_loss": losses.mean(axis=0), "accuracy": right.mean(axis=0)}

    def draw(self, rows: int, random: np.random.Generator) -> "Sample":
        """Draw a data set."""
        points = random.integers(0, POINTS, rows)
        labels = random.random(rows) < self.chances[points]
        return Sample(self.features[points], labels.astype(np.float64))


@dataclass(frozen=True, slots=True, eq=False)
class Sample:
    """Rows drawn from the world: features (rows, p) and labels (rows,), 0 or 1."""

    features: Array
    labels: Array

    def row_scores(self, weights: Array) -> dict[str, Array]:
        """Log-loss of every row, and whether it is predicted right, by one model (p,)."""
        scores = self.features @ weights
        losses = np.logaddexp(0, scores) - self.labels * scores
        return {"log_loss": losses, "accuracy": ((scores > 0) == self.labels).astype(np.float64)}


@dataclass(frozen=True, slots=True, eq=False)
class Search:
    """A nested search: outer models (p, K), their row scores by part, the final model (p,)."""

    outer: Array
    rows: tuple[dict[str, Array], ...]
    final: Array

    def interval(self, method: str, metric: str) -> own.Interval:
        """The interval of the outer mean."""
        if method == "pooled":
            return own.pooled_interval(
                np.concatenate([part[metric] for part in self.rows]), CONFIDENCE
            )
        formula = {"naive": own.naive_interval, "corrected": own.corrected_interval}[method]
        return formula(self.fold_scores(metric), CONFIDENCE)

    def fold_scores(self, metric: str) -> list[float]:
        """The score of each outer fold."""
        return [float(part[metric].mean()) for part in self.rows]


def search(sample: Sample, *, seed: int) -> Search:
    """Nested cross-validation as foldwise nests it: every distinct fit once."""
    part_of = own.dealt(sample.labels.astype(np.int64), folds=FOLDS, seed=seed)
    strengths = 10 ** np.random.default_rng(seed).uniform(-3, 1, TRIALS)
    left_out = [frozenset(parts) for size in (1, 2) for parts in combinations(range(FOLDS), size)]
    wanted = [(parts, C) for parts in left_out for C in range(TRIALS)]
    fitted = _fitted(sample, part_of, wanted, strengths)

    def chosen(outer: frozenset[int]) -> int:
        inner = [part for part in range(FOLDS) if part not in outer]
        means = [
            np.mean(
                [_mean_loss(sample, part_of, fitted[outer | {part}, C], part) for part in inner]
            )
            for C in range(TRIALS)
        ]
        return int(np.argmin(means))

    outer = [fitted[frozenset({fold}), chosen(frozenset({fold}))] for fold in range(FOLDS)]
    final = _fitted(sample, part_of, [(frozenset(), best := chosen(frozenset()))], strengths)
    rows = [_part(sample, part_of, fold).row_scores(model) for fold, model in enumerate(outer)]
    return Search(np.stack(outer, axis=1), tuple(rows), final[frozenset(), best])


def _fitted(
    sample: Sample,
    part_of: NDArray[np.int64],
    wanted: Sequence[tuple[frozenset[int], int]],
    strengths: Array,
) -> dict[tuple[frozenset[int], int], Array]:
    masks = np.stack([~np.isin(part_of, list(parts)) for parts, _ in wanted], axis=1)
    at = strengths[[C for _, C in wanted]]
    weights = fit_all(Fits(sample.features, sample.labels, masks.astype(np.float64), at))
    return dict(zip(wanted, weights.T, strict=True))


def _part(sample: Sample, part_of: NDArray[np.int64], part: int) -> Sample:
    rows = part_of == part
    return Sample(sample.features[rows], sample.labels[rows])


def _mean_loss(sample: Sample, part_of: NDArray[np.int64], weights: Array, part: int) -> float:
    return float(_part(sample, part_of, part).row_scores(weights)["log_loss"].mean())


@dataclass(frozen=True, slots=True)
class Cover:
    """Of one interval: the share of data sets where it held the truth, and its mean half-width."""

    share: float
    half_width: float


@dataclass(frozen=True, slots=True, eq=False)
class Coverage:
    """What many data sets of one size told.

    Attributes
    ----------
    rows : int
    truth : by metric
        The expected score of the procedure trained on (K-1)/K of the rows.
    spread : by metric
        Standard deviation of the outer mean over data sets.
    covers : by method and metric
    alarms : by metric
        How often a new part's score of the final model lay on the bad side of the prediction
        interval, though all was well.
    """

    rows: int
    truth: dict[str, float]
    spread: dict[str, float]
    covers: dict[tuple[str, str], Cover]
    alarms: dict[str, float]


@dataclass(frozen=True, slots=True, eq=False)
class _Trial:
    search: Search
    true: dict[str, float]
    new_part: dict[str, float]


def coverage(world: World, *, rows: int, draws: int, seed: int) -> Coverage:
    """Run the procedure on ``draws`` data sets of ``rows`` rows, each with its own seeds."""
    trials = [
        _trial(world, rows, np.random.default_rng((seed, rows, draw))) for draw in range(draws)
    ]
    truth = {metric: float(np.mean([t.true[metric] for t in trials])) for metric in METRICS}
    means = {m: [np.mean(t.search.fold_scores(m)) for t in trials] for m in METRICS}
    return Coverage(
        rows,
        truth,
        {metric: float(np.std(means[metric], ddof=1)) for metric in METRICS},
        {
            (method, metric): _cover(
                [t.search.interval(method, metric) for t in trials], truth[metric]
            )
            for method in METHODS
            for metric in METRICS
        },
        {metric: float(np.mean([_alarms(t, metric) for t in trials])) for metric in METRICS},
    )


def _trial(world: World, rows: int, random: np.random.Generator) -> _Trial:
    found = search(world.draw(rows, random), seed=int(random.integers(2**32)))
    new_part = world.draw(rows // FOLDS, random).row_scores(found.final)
    return _Trial(
        found,
        {metric: float(each.mean()) for metric, each in world.true_scores(found.outer).items()},
        {metric: float(each.mean()) for metric, each in new_part.items()},
    )


def _cover(intervals: Sequence[own.Interval], truth: float) -> Cover:
    held = np.mean([each.low <= truth <= each.high for each in intervals])
    return Cover(float(held), float(np.mean([(each.high - each.low) / 2 for each in intervals])))


def _alarms(trial: _Trial, metric: str) -> bool:
    expected = own.prediction_interval(trial.search.fold_scores(metric), CONFIDENCE)
    found = trial.new_part[metric]
    return found > expected.high if metric == "log_loss" else found < expected.low
