"""How much each row moves each metric: influence functions, from which variances follow.

A metric is a mean of terms: one a class for the macro averages and ROC AUC, a single one for
accuracy and log-loss. A term is a function of the rows' distribution, and the influence function
psi its derivative towards one row (Hampel, 1974, "The influence curve and its role in robust
estimation"): with other rows the term would be larger by about the mean of their psi, and over the
given rows psi sums to 0. So mean(psi^2) / n is the term's variance over data sets of n rows.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Codes = NDArray[np.int64]
Flags = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class Terms:
    """The terms whose mean is a metric; a single NaN if it isn't defined.

    ``softened`` are the values if half an error more had been seen and half a hit, so never 0 or 1,
    losses as they are; ``least`` the variance that each value then has: what is left when no error
    was seen, and psi is 0.
    """

    values: Array  # (terms,)
    influence: Array  # (rows, terms): each row's psi; every column sums to 0
    softened: Array  # (terms,)
    least: Array  # (terms,)

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


def loss_terms(losses: Array) -> Terms:
    """A mean over rows: psi = loss - mean loss.

    The least variance is what one more row adds that loses the mean once more.
    """
    mean = losses.mean(keepdims=True)
    return Terms(mean, (losses - mean)[:, np.newaxis], mean, (mean / len(losses)) ** 2)


def share_terms(part: Flags, whole: Flags) -> Terms:
    """Terms sum(part) / sum(whole), by column; 0 where the whole is.

    psi = n / sum(whole) ([part] - share [whole])
    """
    hits, sizes = part.sum(axis=0), whole.sum(axis=0)
    values = hits / np.maximum(sizes, 1)
    influence = len(part) / np.maximum(sizes, 1) * (part - values * whole)
    softened = (hits + 0.5) / (sizes + 1)
    return Terms(values, influence, softened, softened * (1 - softened) / (sizes + 1))


def f1_terms(is_true: Flags, is_found: Flags) -> Terms:
    """F1 = 2J / (1 + J), J being the share of hits among the rows of either kind (Jaccard's).

    psi = n / (true + found) (2 [both] - F1 ([true] + [found]))
    """
    shares = share_terms(is_true & is_found, is_true | is_found)
    return Terms(
        2 * shares.values / (1 + shares.values),
        2 / (1 + shares.values) ** 2 * shares.influence,
        2 * shares.softened / (1 + shares.softened),
        (2 / (1 + shares.softened) ** 2) ** 2 * shares.least,
    )


def area_terms(probabilities: Array, labels: Codes, part_of: Codes | None) -> Terms:
    """ROC AUC of the classes that have rows and others in some part; of two, of the second.

        psi = n / t (below - AUC)           for a row of the class, which has t,
              n / (n - t) (above - AUC)     for another one,

    ``below`` being the share of the other rows that a row of the class is ranked above, ``above``
    the share of its rows that are ranked above another one, ties counting half, all of one part:
    the placement values of DeLong et al. (1988, "Comparing the areas under two or more correlated
    receiver operating characteristic curves").
    """
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
