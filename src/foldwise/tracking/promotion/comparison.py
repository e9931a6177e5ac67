"""Challenger against champion on one holdout: log-loss must be better, accuracy not worse."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from foldwise.model.scores import predicted_codes, row_losses
from foldwise.search.mcnemar import McNemar, mcnemar
from foldwise.settings import PromotionSettings
from foldwise.tracking.checks import Check, advised, judged
from foldwise.tracking.promotion.paired import PairedBound, paired_bound

LOST_ROW = 1.0
"""Error of a row that only the champion predicts right, minus the champion's: none is worse."""


def comparison_level(comparison: int, alpha: float) -> float:
    """One-sided level of the comparison number k = 1, 2, ... on a holdout: 6 alpha / (pi k)^2.

    The levels of all comparisons that can ever be made add up to ``alpha``.
    """
    return 6 * alpha / (math.pi * comparison) ** 2


@dataclass(frozen=True, slots=True)
class Comparison:
    """What the paired rows tell.

    Attributes
    ----------
    number : int
        k, how many distinct models the holdout has scored, this one included.
    level : float
        One-sided, of both bounds.
    log_loss : PairedBound
        Challenger's minus champion's: better is below 0.
    errors : PairedBound
        Challenger's share of wrong predictions minus champion's: better is below 0.
    mcnemar : McNemar
    margin : float
        How much accuracy may be lost.
    """

    number: int
    level: float
    log_loss: PairedBound
    errors: PairedBound
    mcnemar: McNemar
    margin: float

    @property
    def is_better(self) -> bool:
        """Whether log-loss is better, at the level."""
        return self.log_loss.upper < 0

    @property
    def is_no_less_accurate(self) -> bool:
        """Whether accuracy is not worse than by the margin, at the level."""
        return self.errors.upper < self.margin

    def checks(self) -> Iterator[Check]:
        """As the table shows them: accuracies as challenger's minus champion's."""
        where = f"at level {self.level:.2g}, comparison {self.number} on this holdout"
        yield judged(
            "log-loss against champion",
            f"{self.log_loss.mean:+.5f}, at most {self.log_loss.upper:+.5f}",
            f"< 0 {where}",
            holds=self.is_better,
        )
        yield judged(
            "accuracy against champion",
            # Taken from zero, because minus zero would be shown with its sign.
            f"{0 - self.errors.mean:+.5f}, at least {0 - self.errors.upper:+.5f}",
            f"> {-self.margin:g} {where}",
            holds=self.is_no_less_accurate,
        )
        test = self.mcnemar
        yield advised(
            "McNemar's exact test",
            f"{test.gained} rows gained, {test.lost} lost, p = {test.p:.2g}",
            "reported; warns of a loss",
            holds=test.gained >= test.lost or test.p >= self.level,
        )


def compare(
    challenger: NDArray[np.float64],
    champion: NDArray[np.float64],
    labels: NDArray[np.int64],
    *,
    rules: PromotionSettings,
    number: int,
    seed: int,
) -> Comparison:
    """Compare two models' probabilities (rows, classes) of the same rows."""
    level = comparison_level(number, rules.alpha)
    right = predicted_codes(challenger) == labels
    champion_right = predicted_codes(champion) == labels
    losses = row_losses(challenger, labels) - row_losses(champion, labels)
    errors = champion_right.astype(np.float64) - right
    drawn = {"draws": rules.bootstrap, "seed": seed}
    return Comparison(
        number=number,
        level=level,
        log_loss=paired_bound(losses, level=level, **drawn),
        errors=paired_bound(errors, level=level, worst=LOST_ROW, **drawn),
        mcnemar=mcnemar(right, champion_right),
        margin=rules.accuracy_margin,
    )
