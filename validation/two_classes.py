"""How often the intervals of what two classes have besides hold what they are meant to hold.

On the data sets of :mod:`validation.coverage`, and meant to be held is the same: the score of the
outer models on the whole population, averaged over all data sets. A point of the population is two
rows, one of each class, which count by its chance. Calibration is that of all outer models' rows
together, as it is estimated.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from scipy.special import expit

from validation import own
from validation.coverage import CONFIDENCE, FOLDS, Array, Cover, Draw, World

POSITIVE = 1
Estimate = tuple[float, own.Interval]


@dataclass(frozen=True, slots=True, eq=False)
class Told:
    """Of one score: its expectation, how often its interval is told, and how often it then holds.

    The interval isn't told where a part, or the whole, leaves the score undefined.
    """

    expected: float
    told: float
    cover: Cover


def true_scores(world: World, weights: Array) -> dict[str, float]:
    """Expected scores of the outer models (K, p), their mean; calibration that of all together."""
    stated, chances = world.features @ weights.T, world.chances
    ranked = [_ranked(scores, chances) for scores in stated.T]
    slope, intercept = _calibration(stated.T.ravel(), np.tile(chances, len(weights)))
    return {
        **{name: float(np.mean([each[name] for each in ranked])) for name in ranked[0]},
        "calibration_slope": slope,
        "calibration_intercept": intercept,
    }


def _ranked(scores: Array, chances: Array) -> dict[str, float]:
    order = np.argsort(-scores)
    found, alarms = np.cumsum(chances[order]), np.cumsum(1 - chances[order])
    stated = expit(scores)
    specific = alarms <= (1 - own.SPECIFICITY) * alarms[-1]
    return {
        "average_precision": float(chances[order] @ (found / (found + alarms)) / found[-1]),
        "brier": float(np.mean(chances * (1 - stated) ** 2 + (1 - chances) * stated**2)),
        "sensitivity": float(found[specific].max() / found[-1]),
    }


def _calibration(stated: Array, chances: Array) -> tuple[float, float]:
    """Slope of logit P(positive) = a + b stated, and the intercept where b is 1, by Newton."""
    line, level = np.zeros(2), 0.0
    design = np.column_stack([np.ones(len(stated)), stated])
    for _ in range(30):
        by_line, by_level = expit(design @ line), expit(level + stated)
        curve = (design.T * (by_line * (1 - by_line))) @ design
        step = np.linalg.solve(curve, design.T @ (chances - by_line))
        up = float((chances - by_level).sum() / (by_level * (1 - by_level)).sum())
        line, level = line + step, level + up
        if max(np.abs(step).max(), abs(up)) < 1e-10:
            break
    return float(line[1]), level


def estimates(draw: Draw, groups: own.Codes | None) -> dict[str, Estimate]:
    """Each score's mean and interval, as a search tells them, clustered by groups."""
    folds = draw.folds()
    values = [
        own.two_class_scores(fold.probabilities[:, POSITIVE], fold.labels == POSITIVE)
        for fold in folds
    ]
    reached = [each["sensitivity"] for each in values]
    corrected = own.possible(
        "sensitivity", own.corrected_interval(reached, CONFIDENCE, folds=FOLDS)
    )
    return {
        **own.two_class_intervals(folds, POSITIVE, CONFIDENCE, groups),
        "sensitivity": (float(np.mean(reached)), corrected),
    }


def two_class_coverage(found: Iterator[Draw], world: World) -> tuple[int, dict[str, Told]]:
    """Hold the intervals of each draw against the expected scores; how many draws, and by score."""
    truths, made = [], []
    for draw in found:
        truths.append(true_scores(world, draw.weights))
        made.append(estimates(draw, world.groups(len(draw.labels))))
    return len(made), {
        name: _told([each[name] for each in made], [each[name] for each in truths])
        for name in (truths[0] if truths else ())
    }


def _told(made: list[Estimate], truths: list[float]) -> Told:
    truth = float(np.mean(truths))
    told = [(mean, of) for mean, of in made if np.isfinite([mean, of.low, of.high]).all()]
    spread = np.std([mean for mean, _ in told], ddof=1) if len(told) > 1 else np.nan
    held = np.mean([of.low <= truth <= of.high for _, of in told]) if told else np.nan
    half = np.mean([(of.high - of.low) / 2 for _, of in told]) if told else np.nan
    return Told(truth, len(told) / len(made), Cover(float(held), float(half / spread)))
