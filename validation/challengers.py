"""Real models with known differences, for the promotion gate to be tried on.

Models are fitted on parts of the development set and predict the parts they left out: of part o, a
model *sibling s* leaves out parts o and o + s (mod K), sibling 0 only o. So six siblings share a C
and differ in their training rows. Together with several C's these are models as a registry sees
them. The holdout is never read.

To make two models exactly as good as each other, or one better by a given share, their
probabilities are tempered, p^(1/T) renormalised: *cautious* with T > 1, *confident* with T < 1.
Which class is the most probable doesn't change.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq, minimize_scalar

from validation import own

STRENGTHS = (0.003, 0.01, 0.03)
PARTS = 6
Side = Literal["cautious", "confident"]


@dataclass(frozen=True, slots=True)
class Origin:
    """Which model: its C, and which other part it didn't train on either."""

    C: float
    sibling: int


@dataclass(frozen=True, slots=True, eq=False)
class Population:
    """Out-of-fold predictions (rows, classes) by model, with the rows' class codes.

    ``holdout`` is how many rows a holdout drawn from it has.
    """

    name: str
    holdout: int
    labels: NDArray[np.int64]
    models: Mapping[Origin, NDArray[np.float64]]


@cache
def mnist() -> Population:
    """The 60,000 development images of MNIST; holdouts of 10,000."""
    return _population("MNIST", 10_000, own.mnist())


def digits() -> Population:
    """The 1,500 development images of scikit-learn's digits; holdouts of 297."""
    return _population("digits", 297, own.digits(holdout=297))


def _population(name: str, holdout: int, data: own.Data, kept: Path = own.KEPT) -> Population:
    """Fit the models, or read what they predicted from where that was kept."""
    file, origins = kept / f"{name}.npz", [Origin(C, s) for C in STRENGTHS for s in range(PARTS)]
    if not file.exists():
        kept.mkdir(parents=True, exist_ok=True)
        partial = file.with_suffix(".partial.npz")
        np.savez(partial, predicted=_predicted(data, origins))
        partial.replace(file)
    with np.load(file) as arrays:
        models = dict(zip(origins, arrays["predicted"], strict=True))
    return Population(name, holdout, data[1], models)


def _predicted(data: own.Data, origins: Sequence[Origin]) -> NDArray[np.float64]:
    """Out-of-fold predictions (models, rows, classes)."""
    labels = data[1]
    part_of = own.dealt(labels, folds=PARTS, seed=1)
    left_out = {frozenset({o, (o + s) % PARTS}) for o in range(PARTS) for s in range(PARTS)}
    wanted = [(parts, C) for C in STRENGTHS for parts in sorted(left_out, key=sorted)]
    found = own.predictions(data, part_of, wanted)
    predicted = np.empty((len(origins), len(labels), int(labels.max()) + 1))
    for origin, each in zip(origins, predicted, strict=True):
        for o in range(PARTS):
            parts = frozenset({o, (o + origin.sibling) % PARTS})
            each[part_of == o] = found[parts, origin.C, o]
    return predicted


@dataclass(frozen=True, slots=True, eq=False)
class Rival:
    """A tempered model on all rows of the population: its losses, and where it is right."""

    name: str
    losses: NDArray[np.float64]
    right: NDArray[np.bool_]


def common_loss(population: Population) -> float:
    """A mean log-loss that every model can be tempered to: 2 % above the worst model's best."""
    best = [
        _best(np.log(_positive(each)), population.labels)[1] for each in population.models.values()
    ]
    return 1.02 * max(best)


def rival(population: Population, origin: Origin, side: Side, loss: float) -> Rival | None:
    """Temper a model so that its mean log-loss is ``loss``; None if it can't be that good."""
    logs, labels = np.log(_positive(population.models[origin])), population.labels
    start, least = _best(logs, labels)
    if least > loss:
        return None
    step = 0.1 if side == "cautious" else -0.1
    end = start + step
    while _tempered(logs, labels, end).mean() < loss:
        end += step
    found = brentq(lambda t: _tempered(logs, labels, t).mean() - loss, start, end, xtol=1e-10)
    return Rival(
        f"C = {origin.C:g}, sibling {origin.sibling}, {side}",
        _tempered(logs, labels, found),
        own.predicted_codes(logs) == labels,
    )


def rivals(population: Population, loss: float, origins: Sequence[Origin]) -> tuple[Rival, ...]:
    """All models tempered to ``loss``, cautiously and confidently."""
    sides: tuple[Side, ...] = ("cautious", "confident")
    found = [rival(population, origin, side, loss) for origin in origins for side in sides]
    return tuple(each for each in found if each is not None)


def _positive(predicted: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.maximum(predicted, np.finfo(np.float64).tiny)


def _best(logs: NDArray[np.float64], labels: NDArray[np.int64]) -> tuple[float, float]:
    """The logarithm of the best temperature, and the mean log-loss there."""
    found = minimize_scalar(
        lambda t: _tempered(logs, labels, t).mean(), bounds=(-1.5, 1.5), method="bounded"
    )
    return float(found.x), float(found.fun)


def _tempered(
    logs: NDArray[np.float64], labels: NDArray[np.int64], log_temperature: float
) -> NDArray[np.float64]:
    """Row losses at temperature T: of exp(logs / T), renormalised."""
    scores = logs / np.exp(log_temperature)
    scores -= scores.max(axis=1, keepdims=True)
    np.exp(scores, out=scores)
    scores /= scores.sum(axis=1, keepdims=True)
    return own.row_losses(scores, labels)
