"""The decision: nothing to do, refused or promoted, with every check that led to it."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from foldwise.errors import PromotionError
from foldwise.settings import Settings
from foldwise.tracking.checks import Check, all_hold
from foldwise.tracking.evidence import Evidence
from foldwise.tracking.promotion.comparison import Comparison, compare
from foldwise.tracking.promotion.soundness import (
    floor_checks,
    search_checks,
    verification_check,
)


@dataclass(frozen=True, slots=True, eq=False)
class Contender:
    """A model that is judged.

    Attributes
    ----------
    content : str
        Digest of the model's numbers.
    evidence : Evidence
    probabilities : float64 array (rows, classes)
        Predicted on the holdout.
    verification : tuple of Check
        What verifying it found.
    """

    content: str
    evidence: Evidence
    probabilities: NDArray[np.float64]
    verification: tuple[Check, ...]


@dataclass(frozen=True, slots=True)
class Decision:
    """What was decided and why; ``comparison`` is None where there was no champion to meet."""

    outcome: Literal["promoted", "refused", "nothing to do"]
    checks: tuple[Check, ...]
    comparison: Comparison | None


def decide(
    challenger: Contender,
    champion: Contender | None,
    labels: NDArray[np.int64],
    *,
    settings: Settings,
    number: int,
) -> Decision:
    """Judge a challenger by itself, and against the champion if there is one.

    Parameters
    ----------
    challenger, champion
    labels : int64 array (rows,)
        The holdout's class codes.
    settings : Settings
        Its rules of promotion, confidence of intervals, and seed.
    number : int
        How many distinct models this holdout has scored, the challenger included.

    Raises
    ------
    PromotionError
        The two were scored on different holdouts, or the champion has trained on this one.
    """
    if champion is not None and champion.content == challenger.content:
        return Decision("nothing to do", (), None)
    rules = settings.promotion
    checks = [
        verification_check(challenger.verification),
        *floor_checks(challenger.evidence, rules),
        *search_checks(challenger.evidence, settings.evaluate.confidence),
    ]
    comparison = None
    if champion is not None:
        _require_comparable(challenger.evidence, champion.evidence)
        comparison = compare(
            challenger.probabilities,
            champion.probabilities,
            labels,
            rules=rules,
            number=number,
            seed=settings.seed,
        )
        checks.extend(comparison.checks())
    return Decision("promoted" if all_hold(checks) else "refused", tuple(checks), comparison)


def _require_comparable(challenger: Evidence, champion: Evidence) -> None:
    ours, theirs = challenger.data, champion.data
    if ours.holdout_digest != theirs.holdout_digest:
        raise PromotionError(
            "challenger and champion must be scored on one holdout, got"
            f" {ours.holdout_digest[:12]} and {theirs.holdout_digest[:12]}: evaluate the"
            " champion's search on the challenger's data, or force with a reason"
        )
    if champion.shared_rows and ours.development_digest != theirs.development_digest:
        raise PromotionError(
            "the champion must not have trained on the holdout,"
            f" {champion.shared_rows} of its images are in the champion's development set"
            f" {theirs.development_digest[:12]}: take a new holdout, or force with a reason"
        )
