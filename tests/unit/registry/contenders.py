"""Cases for the gate with predictions of any quality, sound unless told otherwise."""

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from foldwise.data.dataset import DataInfo
from foldwise.registry.audit import Check
from foldwise.registry.evidence import Evidence, labels_digest
from foldwise.registry.gate import Case
from foldwise.search.trials import FitCounts
from foldwise.settings import Between, PromotionSettings, Settings
from foldwise.stats.scores import calibration_error, score

ROWS, CLASSES = 400, 3
LABELS: NDArray[np.int64] = np.arange(ROWS) % CLASSES
DATA = DataInfo(
    name="toy",
    classes=(0, 1, 2),
    image_shape=(2, 2),
    development_rows=1200,
    development_digest="d" * 64,
    holdout_rows=ROWS,
    holdout_digest="e" * 64,
)
SETTINGS = Settings(
    promotion=PromotionSettings(
        min_accuracy=0.5,
        max_log_loss=2,
        max_calibration_error=1,
        accuracy_margin=0.02,
        bootstrap=100,
    )
)
VERIFIED = (Check("stored files", "abc", "abc", "pass"),)


def predicted(seed: int, *, skill: float = 2.0) -> NDArray[np.float64]:
    """Softmax probabilities; the larger the skill, the nearer to the labels."""
    scores = np.random.default_rng(seed).normal(size=(ROWS, CLASSES))
    scores[np.arange(ROWS), LABELS] += skill
    weights = np.exp(scores)
    return np.asarray(weights / weights.sum(axis=1, keepdims=True))


def towards_truth(
    probabilities: NDArray[np.float64], share: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Move each row's probabilities by its share (rows,) of the way to certainty and truth."""
    truth = np.eye(CLASSES)[LABELS]
    return np.asarray(probabilities + share[:, np.newaxis] * (truth - probabilities))


def evidence_of(probabilities: NDArray[np.float64], **changes: Any) -> Evidence:
    """Evidence whose outer folds scored as the holdout did, give or take a little."""
    labels = np.resize(LABELS, len(probabilities))
    scores = score(probabilities, labels)
    outer = tuple(
        {
            **scores,
            "log_loss": scores["log_loss"] + step,
            "accuracy": scores["accuracy"] + step,
        }
        for step in (-0.01, 0.0, 0.01)
    )
    evidence = Evidence(
        data=DATA,
        shared_rows=0,
        parameters_digest="f" * 64,
        metric="log_loss",
        space={"C": Between(1e-4, 10.0, is_log=True)},
        chosen=tuple({"C": C} for C in (0.01, 0.02, 0.01, 0.012)),
        fits=FitCounts(logical=30, distinct=20, converged=20, stalled=0, exhausted=0),
        final_status="converged",
        outer=outer,
        holdout=scores,
        calibration_error=calibration_error(probabilities, labels),
        labels_digest=labels_digest(probabilities),
    )
    return replace(evidence, **changes)


def case(
    challenger: NDArray[np.float64],
    champion: NDArray[np.float64] | None = None,
    *,
    number: int = 1,
    verification: tuple[Check, ...] = VERIFIED,
    settings: Settings = SETTINGS,
    of_champion: Mapping[str, Any] = MappingProxyType({}),
    groups: NDArray[np.int64] | None = None,
    **changes: Any,
) -> Case:
    """What the gate sees, with changes of the challenger's and of the champion's evidence."""
    rival = None if champion is None else (evidence_of(champion, **of_champion), champion)
    return Case(
        evidence=evidence_of(challenger, **changes),
        predicted=challenger,
        verification=verification,
        labels=LABELS,
        settings=settings,
        number=number,
        groups=groups,
        rival=rival,
    )
