"""Intervals around scores: of outer folds, and of predictions by one model.

The default rests on influence functions (:mod:`foldwise.stats.influence`). With variance V of a
metric whose value is m, its ends are those of the scale on which the metric is about normal:
Wilson's for a share (Wilson, 1927, "Probable inference, the law of succession, and statistical
inference"), the logarithm's for a loss. So they never leave [0, 1], nor fall below 0, and lean the
way on which the long tail lies. What each interval means, and how often it covers, is measured in
docs/statistics.md.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.special import stdtr, stdtrit

from foldwise.stats.influence import Array, Codes, Terms
from foldwise.stats.scores import (
    METRIC,
    METRICS,
    Figure,
    Rows,
    Scores,
    class_f1_terms,
    metric_terms,
)
from foldwise.stats.two_classes import FIGURES, average_precision_terms, two_class_terms


@dataclass(frozen=True, slots=True)
class Interval:
    """An interval, the confidence it claims (0.95, say), and the method that made it."""

    low: float
    high: float
    confidence: float
    method: str


@dataclass(frozen=True, slots=True, eq=False)
class Fold:
    """What an outer fold tells of the procedure's score.

    ``inner`` are means over its inner folds at the values chosen: the estimate without this part.
    """

    repeat: int  # which partition it belongs to
    rows: Codes  # (n,): numbers of the rows scored, of all partitions the same ones
    labels: Codes  # (n,)
    probabilities: Array  # (n, classes)
    scores: Scores
    inner: Scores


def outer_intervals(
    folds: Sequence[Fold], confidence: float, groups: Codes | None = None
) -> dict[str, Interval]:
    """Intervals of the metrics' means over the outer folds, by name.

    The variance is that of rows scored and of rows trained on,

        V  = P + share max(0, J - J0)                share 1/2, for accuracy 1/4
        P  = mean(psi^2) / (n - 1)                   over all rows, psi their influence
        J  = (K - 1) / K sum_o (theta_o - mean)^2    the jackknife that leaves a part out
        J0 = s^2 / K                                 what of it lies in the rows scored,

    with theta_o the inner mean of fold o and s the standard deviation of the outer scores. P alone
    is the all-pairs interval of Bayle et al. (2020, "Cross-validation confidence intervals for test
    error"), exact for the models at hand. What one part does to another's score, the jackknife
    counts from both sides (Efron and Stein, 1981, "The jackknife estimate of variance"): hence a
    half. Accuracy's flips of rows at the border mostly cancel, and count for less. The shares were
    found by trials. Student's quantile has Satterthwaite's degrees of freedom, n - 1 being those of
    P and K - 1 those of the rest. With repeated partitions a row's psi are averaged before they are
    squared, and the rest after.

    Parameters
    ----------
    folds : sequence of Fold
        Those of all partitions.
    confidence : float
    groups : int array (rows,), optional
        Group of each row by its number: rows of a group are drawn together, so that their psi are
        summed before they are squared.
    """
    pooled = [metric_terms(*_sorted(each)) for each in _repeats(folds)]
    group_of = _groups_of(folds, groups)
    found = {}
    for metric in METRICS:
        terms = [each[metric] for each in pooled]
        scores, inner = _by_fold(metric, folds)
        variance = _variance(metric, terms, scores, inner, groups=group_of)
        found[metric] = _interval(
            metric, float(scores.mean()), terms, variance, confidence=confidence
        )
    return found


@dataclass(frozen=True, slots=True)
class Difference:
    """One metric of two searches on the same parts: the second less the first."""

    value: float  # mean over the outer folds
    interval: Interval  # by influence
    p: float  # that there is no difference in expectation
    corrected: Interval  # Nadeau and Bengio's, shown beside it
    corrected_p: float
    folds: tuple[float, ...]  # the differences of the outer folds' scores


def paired_differences(
    first: Sequence[Fold], second: Sequence[Fold], confidence: float, groups: Codes | None = None
) -> dict[str, Difference]:
    """Differences of the metrics' means between two searches on the same parts, by name.

    All is as in :func:`outer_intervals`, of differences: psi is the row's influence on the one
    metric less that on the other, theta_o and the outer scores are differences of each fold. A
    difference is about normal on its own scale, so that its ends are d -+ t sqrt(V).

    Procedures that are nearly the same differ in few rows' classes, and four of these on one side
    are no sign of anything, though psi says that they are. So metrics of counts are given two
    rows more that differ, one won and one lost (Bonett and Price, 2012, "Adjusted Wald confidence
    interval for a difference of binomial proportions based on paired data"): with the change w/n
    that one row makes to a term, 2 (w/n)^2 is added to the term's variance.

    Parameters
    ----------
    first, second : sequence of Fold
        Those of all partitions, of the same rows in the same order.
    confidence : float
    groups : int array (rows,), optional
        As in :func:`outer_intervals`.
    """
    group_of = _groups_of(first, groups)
    pairs = [
        (metric_terms(*_sorted(one)), metric_terms(*_sorted(other)))
        for one, other in zip(_repeats(first), _repeats(second), strict=True)
    ]
    found = {}
    for metric in METRICS:
        terms = [_contrast(metric, one[metric], other[metric], group_of) for one, other in pairs]
        scores, inner = (
            other - one
            for one, other in zip(_by_fold(metric, first), _by_fold(metric, second), strict=True)
        )
        variance = _variance(metric, terms, scores, inner, groups=group_of)
        found[metric] = _difference(scores, variance, confidence)
    return found


def two_class_intervals(
    folds: Sequence[Fold], positive: int, confidence: float, groups: Codes | None = None
) -> dict[str, tuple[float, Interval]]:
    """Estimates of what two classes have besides over the outer folds, with intervals, by name.

    As in :func:`outer_intervals`, but inner folds tell none of these. What other rows to train on
    would change is taken to be in the same proportion to P as it is for the metric that is most
    alike: log-loss for the Brier score, ROC AUC for average precision. Calibration, which is that
    of all rows of a partition together, has V = P, the models being given.

    A part with few positive rows has an average precision that is too good, because each row counts
    itself among those ranked no lower. So its interval reaches as far as that around the average
    precision of all rows together, too. NaN where a fold leaves something undefined.
    """
    repeats = [_sorted(each) for each in _repeats(folds)]
    group_of = _groups_of(folds, groups)
    stated = [
        (values[:, positive], labels == positive, part_of) for values, labels, part_of in repeats
    ]
    pooled = [two_class_terms(*each) for each in stated]
    together = [average_precision_terms(*each[:2]) for each in stated]
    rows = [Rows(*each) for each in repeats]
    added = {
        metric: _added(FIGURES[metric].like, folds, rows, group_of) if FIGURES[metric].like else 0.0
        for metric in pooled[0]
    }

    def around(metric: str, terms: Sequence[Terms]) -> tuple[float, Interval]:
        mean = float(np.mean([each.value for each in terms]))
        seen = _Variance.of_rows(terms, group_of)
        trained = _Variance(added[metric] * seen.value, len(folds) // len(repeats) - 1)
        return mean, _interval(metric, mean, terms, seen.plus(trained), confidence=confidence)

    found = {}
    for metric in pooled[0]:
        mean, interval = around(metric, [each[metric] for each in pooled])
        method = "influence" if FIGURES[metric].like else "influence, models given"
        found[metric] = mean, replace(interval, method=method)
    mean, parts = found["average_precision"]
    _, whole = around("average_precision", together)
    low, high = np.minimum(parts.low, whole.low), np.maximum(parts.high, whole.high)
    found["average_precision"] = mean, replace(parts, low=float(low), high=float(high))
    return found


def score_intervals(
    probabilities: Array, labels: Codes, confidence: float, groups: Codes | None = None
) -> dict[str, Interval]:
    """Intervals of one model's metrics, by name: how they'd move with other rows.

    V = P as in :func:`outer_intervals`, the model being given. NaN where ROC AUC isn't defined.
    """
    found = metric_terms(probabilities, labels)
    return {metric: _given(metric, found[metric], confidence, groups) for metric in METRICS}


def f1_intervals(
    probabilities: Array, labels: Codes, confidence: float, groups: Codes | None = None
) -> tuple[Interval, ...]:
    """Intervals of each class's F1, by class code."""
    of_class = class_f1_terms(probabilities, labels)
    return tuple(_given("f1", terms, confidence, groups) for terms in of_class)


def corrected_interval(
    values: Sequence[float], confidence: float, *, folds: int | None = None
) -> Interval:
    """Nadeau and Bengio's corrected interval of the mean of fold scores.

    mean +- t(J-1) s sqrt(1/J + 1/(K-1)): of J scores, all of one partition or of several, in K
    folds each. The second term is the rows scored over the rows trained on, and stands for what the
    folds have in common. Conservative when the score depends little on which rows were drawn for
    training (Nadeau and Bengio, 2003, "Inference for the generalization error"); too narrow with a
    rare class, as stratified parts' scores vary less than data sets do.

    Parameters
    ----------
    values : sequence of float
    confidence : float
    folds : int, optional
        K, unless there is one partition.
    """
    factor = 1 / len(values) + 1 / ((folds or len(values)) - 1)
    return _student(values, confidence, factor, "corrected (Nadeau-Bengio)")


def prediction_interval(values: Sequence[float], confidence: float, parts: float) -> Interval:
    """Where the score of so many ``parts``' rows should lie, K of which scored ``values``.

    mean +- t(K-1) s sqrt(1/K + 1/parts): a tenth of a part's rows vary ten times as much.
    """
    return _student(values, confidence, 1 / len(values) + 1 / parts, "prediction")


def possible(metric: str, interval: Interval) -> Interval:
    """Cut off what a metric can't be; NaN where scores that are all alike told of no width."""
    if interval.low == interval.high:
        return replace(interval, low=math.nan, high=math.nan)
    of = FIGURES[metric]
    return replace(interval, low=max(of.lowest, interval.low), high=min(of.highest, interval.high))


@dataclass(frozen=True, slots=True)
class _Variance:
    """A variance, and the degrees of freedom with which it is known."""

    value: float
    freedom: float

    @classmethod
    def of_rows(cls, terms: Sequence[Terms], groups: Codes | None) -> "_Variance":
        """P: the rows' influence averaged over the repeats ``terms``, and summed by group."""
        psi = np.mean([each.rows for each in terms], axis=0)
        if groups is None:
            sums = psi
        else:
            sums = np.bincount(np.unique(groups, return_inverse=True)[1], weights=psi)
        drawn = len(sums)
        seen = drawn / (drawn - 1) * float(sums @ sums) / len(psi) ** 2
        return cls(seen + float(np.mean([each.unseen for each in terms])), drawn - 1)

    def plus(self, other: "_Variance") -> "_Variance":
        """The sum, with Satterthwaite's degrees of freedom (1946)."""
        total = self.value + other.value
        inverse = self.value**2 / self.freedom + other.value**2 / other.freedom
        if not inverse:
            return self
        return _Variance(total, total**2 / inverse)


def _repeats(folds: Sequence[Fold]) -> list[list[Fold]]:
    numbers = sorted({fold.repeat for fold in folds})
    return [[fold for fold in folds if fold.repeat == number] for number in numbers]


def _groups_of(folds: Sequence[Fold], groups: Codes | None) -> Codes | None:
    """The group of each row that is scored, sorted by the rows' numbers."""
    if groups is None:
        return None
    rows = np.sort(np.concatenate([fold.rows for fold in _repeats(folds)[0]]))
    return np.asarray(groups[rows])


def _by_fold(metric: str, folds: Sequence[Fold]) -> tuple[Array, Array]:
    """Outer scores and inner means, both (repeats, folds)."""
    repeats = _repeats(folds)
    scores = [[fold.scores[metric] for fold in each] for each in repeats]
    return np.array(scores), np.array([[fold.inner[metric] for fold in each] for each in repeats])


def _variance(
    metric: str, terms: Sequence[Terms], scores: Array, inner: Array, *, groups: Codes | None
) -> _Variance:
    """V, of rows scored and of rows trained on."""
    trained = _Variance(METRIC[metric].trained * _increment(scores, inner), scores.shape[1] - 1)
    return _Variance.of_rows(terms, groups).plus(trained)


def _added(
    metric: str, folds: Sequence[Fold], repeats: Sequence[Rows], groups: Codes | None
) -> float:
    """What the rows trained on add to a metric's variance, as a share of P."""
    added = METRIC[metric].trained * _increment(*_by_fold(metric, folds))
    seen = _Variance.of_rows([METRIC[metric].terms(rows) for rows in repeats], groups)
    return added / seen.value if seen.value else 0.0


def _contrast(metric: str, first: Terms, second: Terms, groups: Codes | None) -> Terms:
    """The terms' difference; of counts, with two rows more that differ, or groups of them."""
    influence = second.influence - first.influence
    rows = len(influence)
    seen = (influence**2).sum(axis=0) / (rows * (rows - 1))
    step = np.zeros(influence.shape[1])
    if METRIC[metric].counts:
        together = 1 if groups is None else rows / len(np.unique(groups))
        widest = np.maximum(np.ptp(first.influence, axis=0), np.ptp(second.influence, axis=0))
        step = widest / rows * together
    values = second.values - first.values
    return Terms(values, influence, values, seen + 2 * step**2)


def _difference(scores: Array, variance: _Variance, confidence: float) -> Difference:
    value, error, folds = float(scores.mean()), variance.value**0.5, scores.shape[1]
    reach = float(stdtrit(variance.freedom, (1 + confidence) / 2)) * error
    flat = tuple(scores.ravel().tolist())
    corrected = corrected_interval(flat, confidence, folds=folds)
    spread = float(np.std(flat, ddof=1)) * (1 / len(flat) + 1 / (folds - 1)) ** 0.5
    return Difference(
        value,
        Interval(value - reach, value + reach, confidence, "influence"),
        _p(value, error, variance.freedom),
        corrected,
        _p(value, spread, len(flat) - 1),
        flat,
    )


def _p(value: float, error: float, freedom: float) -> float:
    """Student's two-sided p-value; 1 where nothing differs at all."""
    return 2 * float(stdtr(freedom, -abs(value) / error)) if error else float(value == 0)


def _sorted(folds: Sequence[Fold]) -> tuple[Array, Codes, Codes]:
    """Probabilities, labels and part of all rows of one partition, sorted by their numbers."""
    order = np.argsort(np.concatenate([fold.rows for fold in folds]))
    part_of = np.repeat(np.arange(len(folds)), [len(fold.rows) for fold in folds])
    return (
        np.concatenate([fold.probabilities for fold in folds])[order],
        np.concatenate([fold.labels for fold in folds])[order],
        part_of[order],
    )


def _increment(scores: Array, inner: Array) -> float:
    """max(0, J - J0), both (repeats, folds), averaged over the repeats."""
    folds = scores.shape[1]
    jackknife = (folds - 1) * inner.var(axis=1)
    return float(np.maximum(0, jackknife - scores.var(axis=1, ddof=1) / folds).mean())


def _given(metric: str, terms: Terms, confidence: float, groups: Codes | None) -> Interval:
    """Around the score of a model that is given."""
    variance = _Variance.of_rows([terms], groups)
    return _interval(metric, terms.value, [terms], variance, confidence=confidence)


def _interval(
    metric: str, mean: float, terms: Sequence[Terms], variance: _Variance, *, confidence: float
) -> Interval:
    reach = float(stdtrit(variance.freedom, (1 + confidence) / 2)) * variance.value**0.5
    of = FIGURES[metric]
    if of.is_loss:
        low, high = _stretched(mean, reach)
    elif math.isinf(of.lowest):
        low, high = mean - reach, mean + reach
    else:
        low, high = _wilson(mean, reach, terms, of)
    return Interval(low, high, confidence, "influence")


def _stretched(mean: float, reach: float) -> tuple[float, float]:
    """Ends as far apart on the scale of the logarithm; NaN where no row has lost anything."""
    if mean == 0 or reach / mean > 700:  # or what cutting off just below 1 costs: exp ends there
        return math.nan, math.nan
    factor = math.exp(reach / mean)
    return mean / factor, mean * factor


def _wilson(mean: float, reach: float, terms: Sequence[Terms], of: Figure) -> tuple[float, float]:
    """Wilson's ends: of a share of so many rows that its variance is the one given.

    That is z^2 / rows = reach^2 / (p (1 - p)), p being the share with half an error more. What
    goes from other ends than 0 and 1 is a share of the way from one to the other.
    """
    width = of.highest - of.lowest
    mean, reach = (mean - of.lowest) / width, reach / width
    share = (np.mean([each.softened.mean() for each in terms]) - of.lowest) / width
    lean = reach**2 / (share * (1 - share))
    centre = (mean + lean / 2) / (1 + lean)
    half = np.sqrt(lean * mean * (1 - mean) + lean**2 / 4) / (1 + lean)
    low, high = np.minimum(centre - half, mean), np.maximum(centre + half, mean)
    ends = np.maximum(low, 0), np.minimum(high, 1)
    return float(of.lowest + width * ends[0]), float(of.lowest + width * ends[1])


def _student(
    values: Sequence[float] | Array, confidence: float, factor: float, method: str
) -> Interval:
    """Mean +- t s sqrt(factor); ``values`` are at least two."""
    mean, spread = float(np.mean(values)), float(np.std(values, ddof=1))
    reach = float(stdtrit(len(values) - 1, (1 + confidence) / 2)) * spread * factor**0.5
    return Interval(mean - reach, mean + reach, confidence, method)
