"""The gate: whether a version may be the champion, by a list of small checks of what is known.

A check is a function of a `Case` that yields its lines; `CHECKS` has them in the order shown. It
knows no store: what a case holds was verified, and predicted on one holdout, before.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from foldwise.data.dataset import DataInfo
from foldwise.errors import PromotionError
from foldwise.registry.audit import Check, advised, graded, judged
from foldwise.registry.evidence import Evidence
from foldwise.registry.snapshot import Version
from foldwise.settings import TOLERATED_SHARE, Between, Settings
from foldwise.stats.intervals import possible, prediction_interval
from foldwise.stats.paired import PairedBound, likelihood_bound, mcnemar, paired_bound, rows_to_show
from foldwise.stats.scores import (
    Scores,
    calibration_error,
    is_loss,
    metric_label,
    predicted_codes,
    row_losses,
    score,
)

Rows = NDArray[np.float64]
Rival = tuple[Evidence, Rows]
"""The champion's evidence and probabilities."""

DIGITS = 6
LOST_ROW = 1.0
"""Error of a row that only the champion predicts right, minus the champion's: none is worse."""

_SPLITS = {"development set": "development_digest", "holdout": "holdout_digest"}


@dataclass(frozen=True, slots=True, eq=False)
class Case:
    """What a version is judged by."""

    evidence: Evidence
    predicted: Rows  # its probabilities (rows, classes) of the holdout
    verification: tuple[Check, ...]  # what verifying it found
    labels: NDArray[np.int64]  # class codes (rows,)
    settings: Settings
    number: int  # k, the comparison's on this holdout, see `Snapshot.spent`
    groups: NDArray[np.int64] | None = None  # (rows,): those of one number were drawn together
    before: Version | None = None  # the version before it, of whichever data
    rival: Rival | None = None  # the champion, if it is to be beaten
    digits: int = DIGITS  # of the holdout's figures in the lines; few before a decision is made

    @property
    def level(self) -> float:
        """One-sided, of the bound on log-loss."""
        return comparison_level(self.number, self.settings.promotion.alpha)

    @property
    def drawn(self) -> dict[str, Any]:
        """What both bounds are made with, beside their levels."""
        drawn = {"draws": self.settings.promotion.bootstrap, "seed": self.settings.seed}
        return drawn | {"groups": self.groups}

    @property
    def scores(self) -> Scores:
        """The holdout's, by what the registered model predicts now: evidence has few digits."""
        return score(self.predicted, self.labels)

    def told(self, figure: float, sign: Literal["", "+"] = "") -> str:
        """A figure of the holdout in a line."""
        return f"{figure:{sign}.{self.digits}f}"

    def at_most(self, name: str, found: float, most: float, key: str) -> Check:
        """A check of a figure of the holdout that must not be larger than a parameter."""
        bound, value = f"<= {most:g}", round(found, self.digits)
        bound += _set_by(key, holds=found <= most)
        return judged(name, self.told(found), bound, holds=found <= most, value=value)


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
    missing = Check("comparison with the champion", f"none; {error}", "on one holdout", "fail")
    return (*judge(replace(case, rival=None)), missing)


def comparison_level(comparison: int, alpha: float) -> float:
    """One-sided level of the comparison number k = 1, 2, ... on a holdout.

        10 alpha / ((k + 9) (k + 10)) = 10 alpha (1/(k + 9) - 1/(k + 10))

    The levels of all comparisons that can ever be made add up to ``alpha``, of which the first ten
    share a half.
    """
    return 10 * alpha / ((comparison + 9) * (comparison + 10))


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
    yield graded("verification", figure, "all hold", fails=bool(failed), warns=bool(warned))


def _floors(case: Case) -> Iterator[Check]:
    """The holdout's figures against what the settings ask for."""
    asked, scores = case.settings.promotion, case.scores
    found, floor = scores["accuracy"], asked.min_accuracy
    figure, is_enough = f"{found:.{DIGITS}f}", found >= floor
    bound = f">= {floor:g}{_set_by('min_accuracy', holds=is_enough)}"
    yield judged("holdout accuracy", figure, bound, holds=is_enough, value=found)
    most = asked.max_log_loss
    yield case.at_most("holdout log-loss", scores["log_loss"], most, "max_log_loss")
    found, most = calibration_error(case.predicted, case.labels), asked.max_calibration_error
    yield case.at_most("calibration error", found, most, "max_calibration_error")


def _set_by(key: str, *, holds: bool) -> str:
    """Which parameter a floor comes from, where it is missed."""
    return "" if holds else f"; set by promotion.{key} in params.yaml"


def _fits(case: Case) -> Iterator[Check]:
    fits = case.evidence.fits
    ended = fits.converged + fits.stalled + fits.exhausted
    if not ended:
        yield Check("fits", f"{fits.distinct} made, of a kind that doesn't tell", "", "pass")
        return
    figure = f"{fits.converged} of {fits.distinct} converged"
    figure += f", {fits.stalled} stalled" if fits.stalled else ""
    figure += f", {fits.exhausted} exhausted" if fits.exhausted else ""
    bound = "none exhausted" if fits.exhausted else "all converged"
    yield graded("fits", figure, bound, fails=fits.exhausted > 0, warns=fits.stalled > 0)


def _ranges(case: Case) -> Iterator[Check]:
    """Each number that was searched: whether it was chosen inside its range."""
    for name, searched in case.evidence.space.items():
        chosen = [values[name] for values in case.evidence.chosen if name in values]
        numbers = [float(value) for value in chosen if isinstance(value, int | float)]
        if not isinstance(searched, Between) or not numbers:
            continue
        outside = sum(map(searched.is_edge, numbers))
        yield judged(
            f"chosen {name}",
            f"{min(numbers):.3g} to {max(numbers):.3g}, {outside} of {len(numbers)} at an edge",
            f"inside [{searched.low:g}, {searched.high:g}]",
            holds=outside == 0,
        )


def _shared_rows(case: Case) -> Iterator[Check]:
    data, shared = case.evidence.data, case.evidence.shared_rows
    name, rows = f"holdout {data.unit}s trained on", data.holdout_rows
    figure, bound = f"{shared} of {rows}", f"<= {100 * TOLERATED_SHARE:.1f} %"
    # Rows of a table with few values are equal by chance.
    is_much = shared > TOLERATED_SHARE * rows and data.table is None
    yield graded(name, figure, bound, fails=is_much, warns=shared > 0)


def _expectation(case: Case) -> Iterator[Check]:
    """The holdout's score against where the outer folds say that so many new rows' score lies."""
    evidence, metric = case.evidence, case.evidence.metric
    name = f"holdout {metric_label(metric)} as the outer folds foretell"
    if not evidence.outer:
        yield Check(name, "no outer folds", "a search with outer folds", "warning")
        return
    found, data = case.scores[metric], evidence.data
    scores = [each[metric] for each in evidence.outer]
    scored = evidence.originals or data.development_rows  # copies are in no outer part
    parts = data.holdout_rows / (scored / len(scores))
    expected = possible(
        metric, prediction_interval(scores, case.settings.evaluate.confidence, parts)
    )
    if math.isnan(expected.low):
        yield Check(name, f"outer folds all {scores[0]:.5f}", "folds that differ", "warning")
        return
    bad_side = found > expected.high if is_loss(metric) else found < expected.low
    bound = f"in [{expected.low:.5f}, {expected.high:.5f}] ({100 * expected.confidence:.4g} %)"
    is_outside = not expected.low <= found <= expected.high
    word = ", worse" if bad_side else ", better" if is_outside else ""
    yield graded(name, f"{case.told(found)}{word}", bound, fails=bad_side, warns=is_outside)


def loss_bound(ours: Rows, theirs: Rows, labels: NDArray[np.int64], **drawn: Any) -> PairedBound:
    """Bound a model's log-loss minus another's, on the same rows: better is below 0."""
    losses = row_losses(ours, labels) - row_losses(theirs, labels)
    return paired_bound(losses, **drawn)


def error_bound(ours: Rows, theirs: Rows, labels: NDArray[np.int64], **drawn: Any) -> PairedBound:
    """Bound a model's share of wrong predictions minus another's: better is below 0."""
    errors = (predicted_codes(theirs) == labels).astype(np.float64)
    errors -= predicted_codes(ours) == labels
    return paired_bound(errors, worst=LOST_ROW, **drawn)


def _log_loss_against(case: Case) -> Iterator[Check]:
    if case.rival is not None:
        pair = case.predicted, case.rival[1], case.labels
        found = loss_bound(*pair, level=case.level, **case.drawn)
        yield judged(
            "log-loss against champion",
            f"{case.told(found.mean, '+')}, at most {case.told(found.upper, '+')}",
            f"< 0 at level {case.level:.2g}, comparison {case.number} on this holdout",
            holds=found.upper < 0,
            value=round(found.mean, case.digits),
        )


def _accuracy_against(case: Case) -> Iterator[Check]:
    """As challenger's minus champion's; a guard at alpha each time, whatever was spent."""
    if case.rival is not None:
        margin, alpha = case.settings.promotion.accuracy_margin, case.settings.promotion.alpha
        pair = case.predicted, case.rival[1], case.labels
        found = error_bound(*pair, level=alpha, **case.drawn)
        holds = found.upper < margin
        yield judged(
            "accuracy against champion",
            # Taken from zero, because minus zero would be shown with its sign.
            f"{0 - found.mean:+.{DIGITS}f}, at least {0 - found.upper:+.{DIGITS}f}",
            f"> {-margin:g} at level {alpha:g}, each time"
            + ("" if holds else _why_not(case, margin)),
            holds=holds,
            value=0 - found.mean,
        )


def _why_not(case: Case, margin: float) -> str:
    """Where a missed margin is set, or that no model right on the same rows could show it here."""
    rows, level = len(case.labels), case.settings.promotion.alpha
    least = likelihood_bound(np.zeros(rows), level=level, worst=LOST_ROW)
    if case.groups is not None or least < margin:
        return _set_by("accuracy_margin", holds=False)
    more = f"take {rows_to_show(margin, level):,} holdout rows, or " if margin else ""
    return (
        f"; {rows:,} rows can't show it unless accuracy rises, for a row lost may lie outside them:"
        f" {more}set promotion.accuracy_margin to {math.ceil(least * 1e4 + 1) / 1e4:g}"
    )


def _mcnemar(case: Case) -> Iterator[Check]:
    """Not of rows that were drawn in groups: the test takes them for independent."""
    if case.rival is not None and case.groups is None:
        ours, theirs = (
            predicted_codes(of) == case.labels for of in (case.predicted, case.rival[1])
        )
        test, alpha = mcnemar(ours, theirs), case.settings.promotion.alpha
        yield advised(
            "McNemar's exact test",
            f"{test.gained} rows gained, {test.lost} lost, p = {test.p:.2g}",
            f"no loss at level {alpha:g}, else a warning",
            holds=test.gained >= test.lost or test.p >= alpha,
        )


def _data(case: Case) -> Iterator[Check]:
    """Whether the data are those of the version before; nothing where there is none."""
    if case.before is not None:
        changed = changed_data(case.before, case.evidence.data)
        bound = f"version {case.before.number}'s"
        yield advised("data", changed or "unchanged", bound, holds=not changed)


CHECKS: tuple[Callable[[Case], Iterator[Check]], ...] = (
    _verification,
    _floors,
    _fits,
    _ranges,
    _shared_rows,
    _expectation,
    _log_loss_against,
    _accuracy_against,
    _mcnemar,
    _data,
)
"""All checks; one more is one more function here. `Case.told` shows what isn't merely counted."""
