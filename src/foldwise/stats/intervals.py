"""Intervals around scores: of outer folds, of their rows, and of a holdout by the bootstrap.

What each of them means, and how often it covers, is measured in docs/statistics.md.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit

from foldwise.stats.bootstrap import bootstrap_class_f1, bootstrap_scores
from foldwise.stats.scores import METRICS


@dataclass(frozen=True, slots=True)
class Interval:
    """An interval, the confidence it claims (0.95, say), and the method that made it."""

    low: float
    high: float
    confidence: float
    method: str


def naive_interval(values: Sequence[float], confidence: float) -> Interval:
    """Student's interval of the mean of K fold scores, as if the folds were independent.

    mean +- t(K-1) s / sqrt(K), s being their standard deviation. The folds share training rows, so
    it claims more than it can know.
    """
    return _student(values, confidence, 1 / len(values), "naive")


def corrected_interval(values: Sequence[float], confidence: float) -> Interval:
    """Nadeau and Bengio's corrected interval of the mean of K fold scores.

    mean +- t(K-1) s sqrt(1/K + 1/(K-1)): the second term is the rows scored over the rows trained
    on, and stands for what the folds have in common. Conservative when the score depends little on
    which rows were drawn for training (Nadeau and Bengio, 2003, "Inference for the generalization
    error").
    """
    folds = len(values)
    return _student(values, confidence, 1 / folds + 1 / (folds - 1), "corrected (Nadeau-Bengio)")


def prediction_interval(values: Sequence[float], confidence: float) -> Interval:
    """Where the score of one more part should lie: mean +- t(K-1) s sqrt(1 + 1/K)."""
    return _student(values, confidence, 1 + 1 / len(values), "prediction")


def pooled_interval(values: NDArray[np.float64], confidence: float) -> Interval:
    """Interval of a mean over rows, those of all outer folds pooled: mean +- t(n-1) s / sqrt(n).

    ``values`` (n,) are the rows' log-losses, or 1 where the prediction was right and 0 elsewhere.
    Models are taken as given: how they vary with the training rows is left out.
    """
    return _student(values, confidence, 1 / len(values), "pooled rows")


def bootstrap_intervals(
    probabilities: NDArray[np.float64],
    labels: NDArray[np.int64],
    *,
    draws: int,
    confidence: float,
    seed: int,
) -> dict[str, Interval]:
    """Percentile bootstrap of the six metrics over rows drawn anew, by metric's name.

    A draw in which ROC AUC isn't defined, for want of a second class, doesn't count for it.
    """
    drawn = bootstrap_scores(probabilities, labels, draws=draws, seed=seed)
    return {metric: _percentile(drawn[metric], confidence) for metric in METRICS}


def class_f1_intervals(
    probabilities: NDArray[np.float64],
    labels: NDArray[np.int64],
    *,
    draws: int,
    confidence: float,
    seed: int,
) -> tuple[Interval, ...]:
    """Percentile bootstrap of each class's F1, by class code."""
    drawn = bootstrap_class_f1(probabilities, labels, draws=draws, seed=seed)
    return tuple(_percentile(values, confidence) for values in drawn.T)


def _student(
    values: Sequence[float] | NDArray[np.float64], confidence: float, factor: float, method: str
) -> Interval:
    """Mean +- t s sqrt(factor); ``values`` are at least two."""
    mean, spread = float(np.mean(values)), float(np.std(values, ddof=1))
    reach = float(stdtrit(len(values) - 1, (1 + confidence) / 2)) * spread * factor**0.5
    return Interval(mean - reach, mean + reach, confidence, method)


def _percentile(values: NDArray[np.float64], confidence: float) -> Interval:
    tail = (1 - confidence) / 2
    defined = values[~np.isnan(values)]
    if not len(defined):
        return Interval(float("nan"), float("nan"), confidence, "bootstrap")
    low, high = np.quantile(defined, [tail, 1 - tail])
    return Interval(float(low), float(high), confidence, "bootstrap")
