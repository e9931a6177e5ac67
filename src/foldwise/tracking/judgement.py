"""Judging a version for promotion: what the registry holds of it, brought before the decision."""

from dataclasses import dataclass

import numpy as np

from foldwise.errors import PromotionError, StoreError
from foldwise.settings import Settings
from foldwise.tracking.checks import Check
from foldwise.tracking.holdout_budget import count_holdout_use, holdout_uses
from foldwise.tracking.predecessor import data_checks, version_before
from foldwise.tracking.promotion import Contender, decide
from foldwise.tracking.registry import Version
from foldwise.tracking.store import Store
from foldwise.tracking.verify import Holdout, Verification, verify

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
