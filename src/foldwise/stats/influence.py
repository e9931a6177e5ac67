"""How much each row moves each metric: influence functions, from which variances follow.

A metric is a mean of terms: one a class for the macro averages and ROC AUC, a single one for
accuracy and log-loss. A term is a function of the rows' distribution, and the influence function
psi its derivative towards one row (Hampel, 1974, "The influence curve and its role in robust
estimation"): with other rows the term would be larger by about the mean of their psi, and over the
given rows psi sums to 0. So mean(psi^2) / n is the term's variance over data sets of n rows.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from foldwise.stats.scores import predicted_codes, row_losses

Array = NDArray[np.float64]
Codes = NDArray[np.int64]
Flags = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class Terms:
    """The terms whose mean is a metric; a single NaN if it isn't defined.

    Attributes
    ----------
    values : array (terms,)
    influence : array (rows, terms)
        Each row's psi; every column sums to 0.
    softened : array (terms,)
        The values if half an error more had been seen and half a hit, so never 0 or 1; losses as
        they are.
    least : array (terms,)
        The variance that each value then has: what is left when no error was seen, and psi is 0.
    """

    values: Array
    influence: Array
    softened: Array
    least: Array

    @property
    def value(self) -> float:
        """The metric."""
        return float(self.values.mean())

    @property
    def rows(self) -> Array:
        """Each row's influence on the metric (rows,)."""
        return np.asarray(self.influence.mean(axis=1))

    @property
    def unseen(self) -> float:
        """What the least variances add to the metric's."""
        rows, number = self.influence.shape
        seen = (self.influence**2).sum(axis=0) / (rows * (rows - 1))
        return float(np.maximum(0, self.least - seen).sum() / number**2)


def metric_terms(
    probabilities: Array, labels: Codes, part_of: Codes | None = None
) -> Mapping[str, Terms]:
    """The metrics as means of terms, with each row's influence on them.

    With t_c rows of class c, p_c predicted as it, and n in all,

        accuracy    psi = [hit] - accuracy
        log-loss    psi = loss - mean loss
        recall      psi_c = n / t_c [of c] ([hit] - recall_c)
        precision   psi_c = n / p_c [predicted c] ([hit] - precision_c)
        F1          psi_c = n / (t_c + p_c) (2 [both] - F1_c ([of c] + [predicted c]))
        ROC AUC     psi_c = n / t_c (below - AUC_c)         for a row of c,
                            n / (n - t_c) (above - AUC_c)   for another one,

    ``below`` being the share of the other rows that a row of c is ranked above, ``above`` the share
    of c's rows that are ranked above another one, ties counting half: the placement values of
    DeLong et al. (1988, "Comparing the areas under two or more correlated receiver operating
    characteristic curves"). The terms are those that :func:`foldwise.stats.scores.score` averages.

    Parameters
    ----------
    probabilities : array (rows, classes)
    labels : int array (rows,)
    part_of : int array (rows,), optional
        Which model predicted each row: ROC AUC ranks a row only among those of the same.
    """
    found = predicted_codes(probabilities)
    codes = np.union1d(labels, found)
    is_true, is_found = labels[:, np.newaxis] == codes, found[:, np.newaxis] == codes
    is_hit = is_true & is_found
    every = np.ones((len(labels), 1), dtype=np.bool_)
    return {
        "accuracy": _shares((found == labels)[:, np.newaxis], every),
        "precision": _shares(is_hit, is_found),
        "recall": _shares(is_hit, is_true),
        "f1": _f1(is_true, is_found),
        "roc_auc": _areas(probabilities, labels, part_of),
        "log_loss": _losses(row_losses(probabilities, labels)),
    }


def class_f1_terms(probabilities: Array, labels: Codes) -> tuple[Terms, ...]:
    """Each class's F1 as a metric of its own, by class code."""
    codes = range(probabilities.shape[1])
    found = predicted_codes(probabilities)
    return tuple(
        _f1(*((each == code)[:, np.newaxis] for each in (labels, found))) for code in codes
    )


def _losses(losses: Array) -> Terms:
    """The least variance is what one more row adds that loses the mean once more."""
    mean = losses.mean(keepdims=True)
    return Terms(mean, (losses - mean)[:, np.newaxis], mean, (mean / len(losses)) ** 2)


def _shares(part: Flags, whole: Flags) -> Terms:
    """Terms sum(part) / sum(whole), by column; 0 where the whole is."""
    hits, sizes = part.sum(axis=0), whole.sum(axis=0)
    values = hits / np.maximum(sizes, 1)
    influence = len(part) / np.maximum(sizes, 1) * (part - values * whole)
    softened = (hits + 0.5) / (sizes + 1)
    return Terms(values, influence, softened, softened * (1 - softened) / (sizes + 1))


def _f1(is_true: Flags, is_found: Flags) -> Terms:
    """F1 = 2J / (1 + J), J being the share of hits among the rows of either kind (Jaccard's)."""
    shares = _shares(is_true & is_found, is_true | is_found)
    return Terms(
        2 * shares.values / (1 + shares.values),
        2 / (1 + shares.values) ** 2 * shares.influence,
        2 * shares.softened / (1 + shares.softened),
        (2 / (1 + shares.softened) ** 2) ** 2 * shares.least,
    )


def _areas(probabilities: Array, labels: Codes, part_of: Codes | None) -> Terms:
    """Of the classes that have rows and others in some part; with two classes, of the second."""
    part_of = np.zeros_like(labels) if part_of is None else part_of
    parts = [part_of == part for part in np.unique(part_of)]
    codes = [1] if probabilities.shape[1] == 2 else np.unique(labels)
    each = [_area(probabilities[:, code], labels == code, parts) for code in codes]
    terms = [area for area in each if not np.isnan(area.value)] or each[:1]
    return Terms(
        np.concatenate([area.values for area in terms]),
        np.concatenate([area.influence for area in terms], axis=1),
        np.concatenate([area.softened for area in terms]),
        np.concatenate([area.least for area in terms]),
    )


def _area(ranked: Array, is_class: Flags, parts: Sequence[Flags]) -> Terms:
    """One class's term.

    Its least variance is DeLong's, unbiased, with half a pair of rows more in the wrong order.
    """
    placed = np.full(len(ranked), np.nan)
    for part in parts:
        ours, others = part & is_class, part & ~is_class
        if ours.any() and others.any():
            placed[ours] = _share_below(ranked[ours], ranked[others])
            placed[others] = 1 - _share_below(ranked[others], ranked[ours])
    kinds = (~np.isnan(placed) & is_class, ~np.isnan(placed) & ~is_class)
    sizes = [int(kind.sum()) for kind in kinds]
    pairs = sizes[0] * sizes[1]
    if not pairs:
        nothing = np.array([np.nan])
        return Terms(nothing, np.full((len(ranked), 1), np.nan), nothing, nothing)
    psi = np.zeros(len(ranked))
    for kind, size in zip(kinds, sizes, strict=True):
        psi[kind] = len(ranked) / size * (placed[kind] - placed[kind].mean())
    area = placed[kinds[0]].mean()
    unbiased = [
        placed[kind].var() / max(1, size - 1) for kind, size in zip(kinds, sizes, strict=True)
    ]
    return Terms(
        np.array([area]),
        psi[:, np.newaxis],
        np.array([(area * pairs + 0.5) / (pairs + 1)]),
        np.array([sum(unbiased) + 0.5 / pairs / min(sizes)]),
    )


def _share_below(values: Array, among: Array) -> Array:
    """Share of ``among`` that lies below each value; what is level counts half."""
    order = np.sort(among)
    below = np.searchsorted(order, values, "left") + np.searchsorted(order, values, "right")
    return np.asarray(below / (2 * len(among)))
