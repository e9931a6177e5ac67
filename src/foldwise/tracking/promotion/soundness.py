"""What a model must show by itself: it verifies, keeps the floors, comes from a healthy search."""

from collections.abc import Iterator, Sequence

from foldwise.model.scores import is_loss
from foldwise.search.intervals import prediction_interval
from foldwise.search.selection import at_edge
from foldwise.settings import PromotionSettings
from foldwise.tracking.checks import Check, advised, all_hold, judged
from foldwise.tracking.evidence import Evidence

_TOLERATED_SHARE = 0.001
"""Of the holdout's images that may stand in the development set: data sets hold some duplicates."""


def verification_check(checks: Sequence[Check]) -> Check:
    """All that verifying found, in one line."""
    failed = [check.name for check in checks if check.verdict == "fail"]
    warned = [check.name for check in checks if check.verdict == "warning"]
    figure = f"{len(checks) - len(failed)} of {len(checks)} hold"
    for word, names in (("failed", failed), ("warned", warned)):
        figure += f"; {word}: {', '.join(names)}" if names else ""
    if warned and not failed:
        return advised("verification", figure, "all hold", holds=False)
    return judged("verification", figure, "all hold", holds=all_hold(checks))


def floor_checks(evidence: Evidence, rules: PromotionSettings) -> Iterator[Check]:
    """The holdout's scores against what params.yaml asks of any champion."""
    accuracy, loss = evidence.holdout.accuracy, evidence.holdout.log_loss
    yield judged(
        "holdout accuracy", f"{accuracy:.5f}", f">= {rules.min_accuracy:g}",
        holds=accuracy >= rules.min_accuracy,
    )  # fmt: skip
    yield judged(
        "holdout log-loss", f"{loss:.5f}", f"<= {rules.max_log_loss:g}",
        holds=loss <= rules.max_log_loss,
    )  # fmt: skip
    yield judged(
        "calibration error",
        f"{evidence.calibration_error:.5f}",
        f"<= {rules.max_calibration_error:g}",
        holds=evidence.calibration_error <= rules.max_calibration_error,
    )


def search_checks(evidence: Evidence, confidence: float) -> Iterator[Check]:
    """Whether the search behind the model can be believed."""
    yield _fits(evidence)
    yield _range(evidence)
    yield _shared(evidence)
    yield _expectation(evidence, confidence)


def _fits(evidence: Evidence) -> Check:
    fits = evidence.fits
    figure = f"{fits.converged} of {fits.distinct} converged"
    figure += f", {fits.stalled} stalled" if fits.stalled else ""
    figure += f", {fits.exhausted} exhausted" if fits.exhausted else ""
    if fits.exhausted:
        return judged("fits", figure, "none exhausted", holds=False)
    return advised("fits", figure, "all converged", holds=fits.stalled == 0)


def _range(evidence: Evidence) -> Check:
    low, high = evidence.c_low, evidence.c_high
    outside = sum(at_edge(C, low, high) for C in evidence.chosen)
    smallest, largest = min(evidence.chosen), max(evidence.chosen)
    return judged(
        "chosen C",
        f"{smallest:.3g} to {largest:.3g}, {outside} of {len(evidence.chosen)} at an edge",
        f"inside [{low:g}, {high:g}]",
        holds=outside == 0,
    )


def _shared(evidence: Evidence) -> Check:
    shared, rows = evidence.shared_rows, evidence.data.holdout_rows
    figure, bound = f"{shared} of {rows}", f"<= {_TOLERATED_SHARE:.1%}"
    if shared > _TOLERATED_SHARE * rows:
        return judged("holdout images trained on", figure, bound, holds=False)
    return advised("holdout images trained on", figure, bound, holds=shared == 0)


def _expectation(evidence: Evidence, confidence: float) -> Check:
    """The holdout's score against where the outer folds say that a new part's score lies."""
    metric = evidence.metric
    found = evidence.holdout.value(metric)
    expected = prediction_interval([each.value(metric) for each in evidence.outer], confidence)
    bad_side = found > expected.high if is_loss(metric) else found < expected.low
    name = f"holdout {metric} as the outer folds foretell"
    bound = f"in [{expected.low:.5f}, {expected.high:.5f}] ({expected.confidence:.0%})"
    if bad_side:
        return judged(name, f"{found:.5f}, worse", bound, holds=False)
    is_inside = expected.low <= found <= expected.high
    return advised(name, f"{found:.5f}" + ("" if is_inside else ", better"), bound, holds=is_inside)
