"""Two classes: how well the positive one is found, and whether its probability can be believed.

``values`` (rows,) are the positive class's probabilities, or any scores that rank rows, and
``positive`` (rows,) says which are of it. What isn't defined, for want of a class, is NaN.
"""

import math
from collections.abc import Mapping

import numpy as np
from scipy.special import expit, logit

from foldwise.stats.influence import Array, Codes, Flags, Terms
from foldwise.stats.scores import METRIC, Figure, ThresholdCurve

SPECIFICITY = 0.9
_EQUAL = 1e-9
"""Logits that are closer tell no slope."""
_TABLE = (
    Figure("average_precision", "average_precision", "order", like="roc_auc"),
    Figure("brier", "neg_brier_score", "probabilities", is_loss=True, like="log_loss"),
    Figure("sensitivity", f"sensitivity_at_specificity_{SPECIFICITY}", "order"),
    # Of all rows together: those of one part often leave them undetermined.
    *(
        Figure(name, name, "probabilities", lowest=-math.inf, highest=math.inf)
        for name in ("calibration_slope", "calibration_intercept")
    ),
)
TWO_CLASS: Mapping[str, Figure] = {figure.name: figure for figure in _TABLE}
"""What two classes have besides the metrics."""
FIGURES: Mapping[str, Figure] = {**METRIC, **TWO_CLASS}


def two_class_scores(values: Array, positive: Flags) -> dict[str, float]:
    """All of the below, by name; ``sensitivity`` is that at :data:`SPECIFICITY`."""
    terms = two_class_terms(values, positive, np.zeros(len(values), dtype=np.int64))
    found = {name: each.value for name, each in terms.items()}
    found["sensitivity"] = sensitivity_at(SPECIFICITY, values, positive)
    return {name: found[name] for name in TWO_CLASS}


def sensitivity_at(specificity: float, values: Array, positive: Flags) -> float:
    """Largest recall of the thresholds whose specificity is at least so much; 0 if none's is.

    The ordinate of the empirical ROC curve (Pepe, 2003, "The statistical evaluation of medical
    tests for classification and prediction", section 5.2). Its influence function has the ratio of
    the densities of both classes at the threshold, which a curve of steps doesn't tell.
    """
    if positive.all() or not positive.any():
        return float("nan")
    curve = ThresholdCurve.of(values, positive)
    reached = (curve.alarms[-1] - curve.alarms) / curve.alarms[-1] >= specificity
    return float(curve.recall[reached].max(initial=0))


def two_class_terms(values: Array, positive: Flags, part_of: Codes) -> Mapping[str, Terms]:
    """What has an influence function, with each row's influence on it.

    Brier's score is the mean squared difference of probability and outcome (Brier, 1950,
    "Verification of forecasts expressed in terms of probability"). With w_i the weight of row i,
    T_i that of the positive rows ranked no lower, F_i that of all, the derivative of AP = sum over
    positives of w_i T_i / F_i / P towards a row k is

        AP     psi_k = n / P ([k positive] (T_k / F_k - AP) + sum_i ([k positive] - T_i/F_i) / F_i)
        Brier  psi_k = squared difference - Brier score,

    i running over the positives ranked no higher than k; :func:`calibration_terms` has its own. A
    row is ranked among those of its part in ``part_of`` (rows,), which the same model predicted:
    average precision is the parts' mean, and so is Brier's score.
    """
    lost, squares = np.zeros(len(values)), (values - positive) ** 2
    parts = [part_of == part for part in np.unique(part_of)]
    for part in parts:
        share = len(values) / len(parts) / part.sum()  # of the mean, a row of this part has
        lost[part] = share * (squares[part] - squares[part].mean())
    mean = np.mean([squares[part].mean() for part in parts], keepdims=True)
    slope, intercept = calibration_terms(values, positive)
    return {
        "average_precision": average_precision_terms(values, positive, part_of),
        "brier": Terms(mean, lost[:, np.newaxis], mean, (mean / len(values)) ** 2),
        "calibration_slope": slope,
        "calibration_intercept": intercept,
    }


def average_precision_terms(values: Array, positive: Flags, part_of: Codes | None = None) -> Terms:
    """Area under the precision-recall curve, in steps; the mean of that of the parts, if any.

    AP = sum_k (recall_k - recall_k-1) precision_k, k running down the distinct values: nothing is
    interpolated, which would be too good (Davis and Goadrich, 2006, "The relationship between
    precision-recall and ROC curves").
    """
    parts = np.zeros(len(values), dtype=np.int64) if part_of is None else part_of
    areas, psi = [], np.zeros(len(values))
    for part in (parts == each for each in np.unique(parts)):
        area, ranked = _average_precision(values[part], positive[part])
        areas.append(area)
        psi[part] = ranked / part.mean()
    return _of_share(float(np.mean(areas)), psi / len(areas), int(positive.sum()))


def calibration_terms(values: Array, positive: Flags) -> tuple[Terms, Terms]:
    """Slope b of logit P(positive) = a + b logit(value), and the intercept a where b is 1.

    Slope 1 and intercept 0 are perfect; a slope below 1 is of probabilities too extreme, an
    intercept above 0 of ones too small on the whole (Cox, 1958, "Two further applications of a
    model for binary regression"; Van Calster et al., 2019, "Calibration: the Achilles heel of
    predictive analytics"). Both are maxima of a likelihood, so that with m the fitted probability,
    z = (1, logit(value)) for the slope and 1 for the intercept, and H = sum m (1 - m) z z',

        psi_k = n H^-1 z_k ([k positive] - m_k).

    There is no slope where a threshold tells the classes apart, or the values are all equal.
    """
    nothing = _of_line(np.nan, np.full(len(values), np.nan))
    if positive.all() or not positive.any():
        return nothing, nothing
    from scipy.optimize import (
        brentq,  # a third of a second, which more than two classes have no use for
    )

    precision = np.finfo(np.float64)
    stated = logit(np.clip(values, precision.eps, 1 - precision.eps))
    level = brentq(lambda at: expit(stated + at).sum() - positive.sum(), -100, 100, xtol=1e-13)
    fitted = expit(stated + level)
    curvature = max(float(fitted @ (1 - fitted)), precision.tiny)
    intercept = _of_line(level, len(values) * (positive - fitted) / curvature)
    ours, others = stated[positive], stated[~positive]
    is_told = ours.min() >= others.max() or others.min() >= ours.max()
    return nothing if is_told or np.ptp(stated) < _EQUAL else _slope(stated, positive), intercept


def _slope(stated: Array, positive: Flags) -> Terms:
    """The slope of a logistic regression, by Newton from a slope of 0."""
    spread = stated.std()
    design = np.column_stack([np.ones(len(stated)), (stated - stated.mean()) / spread])

    def loss(at: Array) -> float:
        scores = design @ at
        return float((np.logaddexp(0, scores) - positive * scores).sum())

    found, towards = np.zeros(2), np.zeros((2, len(design)))
    for _ in range(100):
        fitted = expit(design @ found)
        curvature = (design.T * (fitted * (1 - fitted))) @ design
        towards = np.linalg.solve(curvature, (design * (positive - fitted)[:, np.newaxis]).T)
        step = towards.sum(axis=1)
        while loss(found + step) > loss(found) * (1 + 1e-12):  # by more than rounding
            step = step / 2
        found = found + step
        if np.abs(step).max() <= 1e-12 * (1 + np.abs(found).max()):
            break
    return _of_line(found[1] / spread, len(design) * towards[1] / spread)


def _average_precision(values: Array, positive: Flags) -> tuple[float, Array]:
    """Of one part, with the influence of its rows."""
    everyone, ours = np.sort(values), np.sort(values[positive])
    if not len(ours):
        return float("nan"), np.full(len(values), np.nan)
    above = len(values) - np.searchsorted(everyone, values, "left")
    precision = (len(ours) - np.searchsorted(ours, values, "left")) / above
    among = np.flatnonzero(positive)[np.argsort(values[positive], kind="stable")]
    lower = np.searchsorted(ours, values, "right")  # positives ranked no higher
    shares = np.append(0, np.cumsum(1 / above[among]))[lower]
    losses = np.append(0, np.cumsum(precision[among] / above[among]))[lower]
    area = float(precision[positive].mean())
    psi = positive * (precision - area + shares) - losses
    return area, len(values) / len(ours) * psi


def _of_share(value: float, psi: Array, rows: int) -> Terms:
    """Softened as a share of so many rows."""
    softened = np.array([(value * rows + 0.5) / (rows + 1)])
    return Terms(
        np.array([value]), psi[:, np.newaxis], softened, softened * (1 - softened) / (rows + 1)
    )


def _of_line(value: float, psi: Array) -> Terms:
    values = np.array([value])
    return Terms(values, psi[:, np.newaxis], values, np.zeros(1))
