"""The gate: whether a version may be the champion, by a list of small checks of what is known.

A check is a function of a `Case` that yields its lines; `CHECKS` has them in the order shown. It
knows no store: what a case holds was verified, and predicted on one holdout, before.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from foldwise.data.dataset import DataInfo
from foldwise.errors import PromotionError
from foldwise.registry.audit import Check, advised, all_hold, judged
from foldwise.registry.evidence import Evidence
from foldwise.registry.snapshot import Version
from foldwise.settings import Between, Settings
from foldwise.stats.intervals import prediction_interval
from foldwise.stats.paired import PairedBound, mcnemar, paired_bound
from foldwise.stats.scores import is_loss, predicted_codes, row_losses

Rows = NDArray[np.float64]
Rival = tuple[Evidence, Rows]

LOST_ROW = 1.0
"""Error of a row that only the champion predicts right, minus the champion's: none is worse."""

_TOLERATED_SHARE = 0.001
"""Of the holdout's images that may stand in the development set: data sets hold some duplicates."""
_EDGE = 0.02
"""Of a range, at either end: a value chosen there may lie outside at its best."""
_SPLITS = {"development set": "development_digest", "holdout": "holdout_digest"}


@dataclass(frozen=True, slots=True, eq=False)
class Case:
    """What a version is judged by.

    Attributes
    ----------
    predicted : float64 array (rows, classes)
        Its probabilities of the holdout, whose class codes are the ``labels`` (rows,).
    verification : tuple of Check
        What verifying it found.
    number : int
        k, how many distinct models the holdout has scored, this one included.
    before : Version or None
        The version before it, of whichever data.
    rival : Rival or None
        The champion's evidence and probabilities, if it is to be beaten.
    """

    evidence: Evidence
    predicted: Rows
    verification: tuple[Check, ...]
    labels: NDArray[np.int64]
    settings: Settings
    number: int
    before: Version | None = None
    rival: Rival | None = None

    @property
    def level(self) -> float:
        """One-sided, of both bounds against the champion."""
        return comparison_level(self.number, self.settings.promotion.alpha)

    @property
    def drawn(self) -> dict[str, Any]:
        """What both bounds are made with."""
        draws, seed = self.settings.promotion.bootstrap, self.settings.seed
        return {"level": self.level, "draws": draws, "seed": seed}

    @property
    def where(self) -> str:
        """How much of the holdout was spent, for the bounds."""
        return f"at level {self.level:.2g}, comparison {self.number} on this holdout"


def judge(case: Case) -> tuple[Check, ...]:
    """Make all checks.

    Raises
    ------
    PromotionError
        The two were scored on different holdouts, or the champion has trained on this one.
    """
    if case.rival is not None:
        _require_comparable(case.evidence.data, case.rival[0])
    return tuple(check for look in CHECKS for check in look(case))


def without_comparison(case: Case, error: Exception) -> tuple[Check, ...]:
    """Make the checks that need no champion, and tell why it wasn't compared with."""
    missing = Check("comparison with the champion", str(error), "on one holdout", "fail")
    return (*judge(replace(case, rival=None)), missing)


def comparison_level(comparison: int, alpha: float) -> float:
    """One-sided level of the comparison number k = 1, 2, ... on a holdout: 6 alpha / (pi k)^2.

    The levels of all comparisons that can ever be made add up to ``alpha``.
    """
    return 6 * alpha / (math.pi * comparison) ** 2


def changed_data(before: Version | None, data: DataInfo) -> str:
    """What differs from the data of the version before, in half a sentence; empty if nothing."""
    if before is None:
        return ""
    return ", ".join(
        f"{split} {getattr(data, digest)[:12]} instead of {before.tags[digest][:12]}"
        for split, digest in _SPLITS.items()
        if getattr(data, digest) != before.tags[digest]
    )


def _require_comparable(ours: DataInfo, champion: Evidence) -> None:
    theirs = champion.data
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


def _verification(case: Case) -> Iterator[Check]:
    """All that verifying found, in one line."""
    checks = case.verification
    failed = [check.name for check in checks if check.verdict == "fail"]
    warned = [check.name for check in checks if check.verdict == "warning"]
    figure = f"{len(checks) - len(failed)} of {len(checks)} hold"
    for word, names in (("failed", failed), ("warned", warned)):
        figure += f"; {word}: {', '.join(names)}" if names else ""
    if warned and not failed:
        yield advised("verification", figure, "all hold", holds=False)
    else:
        yield judged("verification", figure, "all hold", holds=all_hold(checks))


def _accuracy(case: Case) -> Iterator[Check]:
    found, floor = case.evidence.holdout["accuracy"], case.settings.promotion.min_accuracy
    yield judged("holdout accuracy", f"{found:.5f}", f">= {floor:g}", holds=found >= floor)


def _log_loss(case: Case) -> Iterator[Check]:
    found, most = case.evidence.holdout["log_loss"], case.settings.promotion.max_log_loss
    yield judged("holdout log-loss", f"{found:.5f}", f"<= {most:g}", holds=found <= most)


def _calibration(case: Case) -> Iterator[Check]:
    found, most = case.evidence.calibration_error, case.settings.promotion.max_calibration_error
    yield judged("calibration error", f"{found:.5f}", f"<= {most:g}", holds=found <= most)


def _fits(case: Case) -> Iterator[Check]:
    fits = case.evidence.fits
    ended = fits.converged + fits.stalled + fits.exhausted
    if not ended:
        yield Check("fits", f"{fits.distinct} made, of a kind that doesn't tell", "", "pass")
        return
    figure = f"{fits.converged} of {fits.distinct} converged"
    figure += f", {fits.stalled} stalled" if fits.stalled else ""
    figure += f", {fits.exhausted} exhausted" if fits.exhausted else ""
    if fits.exhausted:
        yield judged("fits", figure, "none exhausted", holds=False)
    else:
        yield advised("fits", figure, "all converged", holds=fits.stalled == 0)


def _ranges(case: Case) -> Iterator[Check]:
    """Each number that was searched: whether it was chosen inside its range."""
    for name, searched in case.evidence.space.items():
        chosen = [values[name] for values in case.evidence.chosen if name in values]
        numbers = [float(value) for value in chosen if isinstance(value, int | float)]
        if not isinstance(searched, Between) or not numbers:
            continue
        outside = sum(not _EDGE <= searched.place(number) <= 1 - _EDGE for number in numbers)
        yield judged(
            f"chosen {name}",
            f"{min(numbers):.3g} to {max(numbers):.3g}, {outside} of {len(numbers)} at an edge",
            f"inside [{searched.low:g}, {searched.high:g}]",
            holds=outside == 0,
        )


def _shared_rows(case: Case) -> Iterator[Check]:
    shared, rows = case.evidence.shared_rows, case.evidence.data.holdout_rows
    figure, bound = f"{shared} of {rows}", f"<= {_TOLERATED_SHARE:.1%}"
    if shared > _TOLERATED_SHARE * rows:
        yield judged("holdout images trained on", figure, bound, holds=False)
    else:
        yield advised("holdout images trained on", figure, bound, holds=shared == 0)


def _expectation(case: Case) -> Iterator[Check]:
    """The holdout's score against where the outer folds say that a new part's score lies."""
    evidence, metric = case.evidence, case.evidence.metric
    name = f"holdout {metric} as the outer folds foretell"
    if not evidence.outer:
        yield Check(name, "no outer folds", "a search with outer folds", "warning")
        return
    found = evidence.holdout[metric]
    scores = [each[metric] for each in evidence.outer]
    expected = prediction_interval(scores, case.settings.evaluate.confidence)
    bad_side = found > expected.high if is_loss(metric) else found < expected.low
    bound = f"in [{expected.low:.5f}, {expected.high:.5f}] ({expected.confidence:.0%})"
    if bad_side:
        yield judged(name, f"{found:.5f}, worse", bound, holds=False)
        return
    is_inside = expected.low <= found <= expected.high
    yield advised(name, f"{found:.5f}" + ("" if is_inside else ", better"), bound, holds=is_inside)


def loss_bound(
    ours: Rows, theirs: Rows, labels: NDArray[np.int64], *, level: float, draws: int, seed: int
) -> PairedBound:
    """Bound a model's log-loss minus another's, on the same rows: better is below 0."""
    losses = row_losses(ours, labels) - row_losses(theirs, labels)
    return paired_bound(losses, level=level, draws=draws, seed=seed)


def error_bound(
    ours: Rows, theirs: Rows, labels: NDArray[np.int64], *, level: float, draws: int, seed: int
) -> PairedBound:
    """Bound a model's share of wrong predictions minus another's: better is below 0."""
    errors = (predicted_codes(theirs) == labels).astype(np.float64)
    errors -= predicted_codes(ours) == labels
    return paired_bound(errors, level=level, worst=LOST_ROW, draws=draws, seed=seed)


def _log_loss_against(case: Case) -> Iterator[Check]:
    if case.rival is not None:
        found = loss_bound(case.predicted, case.rival[1], case.labels, **case.drawn)
        yield judged(
            "log-loss against champion",
            f"{found.mean:+.5f}, at most {found.upper:+.5f}",
            f"< 0 {case.where}",
            holds=found.upper < 0,
        )


def _accuracy_against(case: Case) -> Iterator[Check]:
    """As challenger's minus champion's."""
    if case.rival is not None:
        margin = case.settings.promotion.accuracy_margin
        found = error_bound(case.predicted, case.rival[1], case.labels, **case.drawn)
        yield judged(
            "accuracy against champion",
            # Taken from zero, because minus zero would be shown with its sign.
            f"{0 - found.mean:+.5f}, at least {0 - found.upper:+.5f}",
            f"> {-margin:g} {case.where}",
            holds=found.upper < margin,
        )


def _mcnemar(case: Case) -> Iterator[Check]:
    if case.rival is not None:
        ours, theirs = (
            predicted_codes(of) == case.labels for of in (case.predicted, case.rival[1])
        )
        test = mcnemar(ours, theirs)
        yield advised(
            "McNemar's exact test",
            f"{test.gained} rows gained, {test.lost} lost, p = {test.p:.2g}",
            "reported; warns of a loss",
            holds=test.gained >= test.lost or test.p >= case.level,
        )


def _data(case: Case) -> Iterator[Check]:
    """Whether the data are those of the version before; nothing where there is none."""
    if case.before is not None:
        changed = changed_data(case.before, case.evidence.data)
        bound = f"version {case.before.number}'s"
        yield advised("data", changed or "unchanged", bound, holds=not changed)


CHECKS: tuple[Callable[[Case], Iterator[Check]], ...] = (
    _verification,
    _accuracy,
    _log_loss,
    _calibration,
    _fits,
    _ranges,
    _shared_rows,
    _expectation,
    _log_loss_against,
    _accuracy_against,
    _mcnemar,
    _data,
)
"""All checks; one more is one more function here."""
