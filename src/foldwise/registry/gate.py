"""Judging a version for promotion: what is checked, and the decision.

What a model must show by itself: it verifies, keeps the floors, comes from a healthy search.

Challenger against champion on one holdout: log-loss must be better, accuracy not worse.

The decision: nothing to do, refused or promoted, with every check that led to it.

Judging a version for promotion: what the registry holds of it, brought before the decision.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from foldwise.errors import PromotionError, StoreError
from foldwise.registry.audit import Check, advised, all_hold, judged
from foldwise.registry.evidence import Evidence
from foldwise.registry.predecessor import data_checks, version_before
from foldwise.registry.snapshot import Version, count_holdout_use, holdout_uses
from foldwise.registry.verify import Holdout, Verification, verify
from foldwise.settings import Between, PromotionSettings, Settings
from foldwise.stats.intervals import prediction_interval
from foldwise.stats.paired import McNemar, PairedBound, mcnemar, paired_bound
from foldwise.stats.scores import is_loss, predicted_codes, row_losses
from foldwise.store.open import Store

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
    accuracy, loss = evidence.holdout["accuracy"], evidence.holdout["log_loss"]
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
    searched = Between(low, high, is_log=True)
    outside = sum(not 0.02 <= searched.place(C) <= 0.98 for C in evidence.chosen)
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
    found = evidence.holdout[metric]
    expected = prediction_interval([each[metric] for each in evidence.outer], confidence)
    bad_side = found > expected.high if is_loss(metric) else found < expected.low
    name = f"holdout {metric} as the outer folds foretell"
    bound = f"in [{expected.low:.5f}, {expected.high:.5f}] ({expected.confidence:.0%})"
    if bad_side:
        return judged(name, f"{found:.5f}, worse", bound, holds=False)
    is_inside = expected.low <= found <= expected.high
    return advised(name, f"{found:.5f}" + ("" if is_inside else ", better"), bound, holds=is_inside)


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


_LONGEST_REASON = 1000


@dataclass(frozen=True, slots=True)
class Request:
    """What the user asked for.

    Attributes
    ----------
    reason : str
        Goes into the record.
    is_dry : bool
        Judge, but write nothing.
    is_forced : bool
        Promote whatever the judgement; the version must verify all the same.
    """

    reason: str = ""
    is_dry: bool = False
    is_forced: bool = False

    def __post_init__(self) -> None:
        check_reason(self.reason, is_needed=self.is_forced)


@dataclass(frozen=True, slots=True)
class Judgement:
    """The checks, and whether the version is at least what was evaluated."""

    checks: tuple[Check, ...]
    is_verified: bool


def check_reason(reason: str, *, is_needed: bool) -> None:
    """Refuse a reason that is missing where one is needed, or too long for a tag."""
    if is_needed and not reason.strip():
        raise PromotionError("--reason must say why, got nothing: add --reason TEXT")
    if len(reason) > _LONGEST_REASON:
        raise PromotionError(
            f"--reason must be at most {_LONGEST_REASON} characters, got {len(reason)}: shorten it"
        )


def judge(
    store: Store,
    version: Version,
    champion: Version | None,
    *,
    holdout: Holdout,
    settings: Settings,
    request: Request,
) -> Judgement:
    """Verify a version, count its look at the holdout, and have it decided on.

    A champion that it can't be compared with is an error, or a failed check if the user forces.
    """
    found = verify(store, version, holdout, settings)
    if not found.holds or found.evidence is None or found.probabilities is None:
        return Judgement(found.checks, is_verified=False)
    challenger = Contender(version.content, found.evidence, found.probabilities, found.checks)
    number = _look(store, version, holdout, is_dry=request.is_dry)
    data = (*data_checks(version_before(store, version.name, version.run_id), found.evidence.data),)

    def against(rival: Contender | None) -> tuple[Check, ...]:
        decision = decide(challenger, rival, holdout.labels, settings=settings, number=number)
        return (*decision.checks, *data)

    try:
        if champion is None:
            return Judgement(against(None), is_verified=True)
        rival = _rival(champion, verify(store, champion, holdout, settings))
        return Judgement(against(rival), is_verified=True)
    except (PromotionError, StoreError) as error:
        if not request.is_forced:
            raise
        missing = Check("comparison with the champion", str(error), "on one holdout", "fail")
        return Judgement((*against(None), missing), is_verified=True)


def _look(store: Store, version: Version, holdout: Holdout, *, is_dry: bool) -> int:
    if is_dry:
        return holdout_uses(store, holdout.digest, including=version.content)
    return count_holdout_use(
        store,
        version.name,
        holdout_digest=holdout.digest,
        content_digest=version.content,
        run_id=version.run_id,
    )


def _rival(champion: Version, found: Verification) -> Contender:
    predicted = found.probabilities
    if found.evidence is None or (predicted is not None and not found.holds):
        raise PromotionError(
            f"the champion, version {champion.number}, must verify to be compared with, and"
            " doesn't: see `foldwise verify champion`, then roll back, or force with a reason"
        )
    # Without predictions its holdout is another, which the decision says before it looks at any.
    nothing = np.empty((0, 0))
    return Contender(
        champion.content, found.evidence, nothing if predicted is None else predicted, found.checks
    )
