"""What a floor under the scale of a pixel does to the outer folds, and at one C to others."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from validation.own import (
    Codes,
    Data,
    digits,
    mnist,
    models,
    outer_folds,
    probabilities,
    raw_losses,
    score,
    unclipped,
)

FLOORS = (0.0, 0.01, 0.02, 0.04, 0.08, 0.12, 0.16, 0.25, 0.5)
FLOOR_DATA: dict[str, tuple[Callable[[], Data], int]] = {
    "15,000 of MNIST": (mnist, 15_000),
    "digits": (lambda: digits(holdout=297), 1500),
}


@dataclass(frozen=True, slots=True)
class Floored:
    """Means over the outer folds, and the largest loss of a single row, which isn't clipped."""

    log_loss: float
    accuracy: float
    largest: float


def sample(data: Data, rows: int, seed: int) -> Data:
    """So many rows, drawn at random."""
    images, labels = data
    drawn = np.sort(np.random.default_rng(seed).permutation(len(labels))[:rows])
    return images[drawn], labels[drawn]


def with_floor(data: Data, floor: float, seed: int) -> Floored:
    """Run the default search on all of the data."""
    folds = outer_folds(data, floor, seed)
    return Floored(
        float(np.mean([fold.scores["log_loss"] for fold in folds])),
        float(np.mean([fold.scores["accuracy"] for fold in folds])),
        max(float(raw_losses(fold, data).max()) for fold in folds),
    )


STRENGTHS = (0.01, 0.59)
"""About what a search chooses, and what the reference report took."""


@dataclass(frozen=True, slots=True)
class OnOthers:
    """What one model does on images that it wasn't fitted on; ``log_loss`` isn't clipped."""

    log_loss: float
    clipped: float
    largest: float
    accuracy: float


def on_others(data: Data, fitted: int, *, C: float, floor: float, seed: int) -> OnOthers:
    """Fit so many of the rows, drawn at random, and score all others."""
    images, labels = data
    part_of: Codes = np.ones(len(labels), dtype=np.int64)
    part_of[np.random.default_rng(seed).permutation(len(labels))[:fitted]] = 0
    others = part_of == 1
    ((_, model),) = models(data, part_of, [(frozenset({1}), C)], scale_floor=floor).items()
    losses = unclipped(model, images[others], labels[others])
    scores = score(probabilities(model, images[others]), labels[others])
    return OnOthers(
        float(losses.mean()), scores["log_loss"], float(losses.max()), scores["accuracy"]
    )
