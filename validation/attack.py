"""Challengers built from published holdout scores: how many looks fool the gate.

An author shows the holdout a champion's logits with noise of some size, a new one at each look, and
reads what is printed of each. Then the noises are added up: either those that were printed better
than the champion itself, or all, each weighed by how much better than the average it was printed.
A confusion matrix is read by columns: each class's noise is weighed by how many more of the rows
that were called so were rightly called so. The sum, shrunk to a small size, fits the holdout's rows
by luck; on any other rows it is noise, and makes a model truly worse. Every look counts, so the sum
is comparison number looks + 1.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from validation import own
from validation.gate_trials import DRAWS, Pair, is_better, is_no_less_accurate

Array = NDArray[np.float32]
FINAL = 0.03
"""Standard deviation of the sum's noise, in nats of a logit."""


@dataclass(frozen=True, slots=True, eq=False)
class Told:
    """Of one look: mean log-loss, accuracy, and by class the rows rightly less wrongly called so.

    The last (classes,) as a share of all rows.
    """

    loss: float
    accuracy: float
    called: NDArray[np.float64]


Shown = Callable[[Told], float | NDArray[np.float64]]
SHOWN: dict[str, Shown] = {
    "log-loss, six decimals": lambda told: round(told.loss, 6),
    "log-loss, three decimals": lambda told: round(told.loss, 3),
    "accuracy": lambda told: -told.accuracy,
    "confusion": lambda told: -told.called,
}


@dataclass(frozen=True, slots=True)
class Attack:
    """What is read of each look, how large the noise is, and whether looks are weighed or kept."""

    shown: str
    noise: float
    weighs: bool


SIX, THREE, ACCURACY, CONFUSION = SHOWN
ATTACKS = (
    Attack(SIX, 0.003, weighs=False),
    Attack(THREE, 0.003, weighs=False),
    Attack(THREE, 0.03, weighs=False),
    Attack(SIX, 0.3, weighs=True),
    Attack(THREE, 0.3, weighs=True),
    Attack(ACCURACY, 0.3, weighs=True),
    Attack(CONFUSION, 0.3, weighs=True),
)


@dataclass(slots=True)
class _Sums:
    """The sum of the looks' noises so far, kept or weighed; smaller scores are better."""

    kept: Array
    all: Array
    total: float | NDArray[np.float64] = 0.0
    number: int = 0

    def add(self, noise: Array, better: float | NDArray[np.float64], *, weighs: bool) -> None:
        weight = np.asarray(better if weighs else better < 0, dtype=np.float64)
        self.kept += weight.astype(np.float32) * noise
        self.all += noise
        self.total, self.number = self.total + weight, self.number + 1

    def built(self, *, weighs: bool) -> Array:
        """The noise to promote, of the final size; nothing if nothing was told."""
        mean = np.asarray(self.total / self.number, dtype=np.float32)
        found = mean * self.all - self.kept if weighs else self.kept
        size = float(found.std())
        return np.asarray(found * np.float32(FINAL / size) if size else found)


def fooled(
    champion: Array, labels: own.Codes, looks: Sequence[int], *, holdouts: int, rows: int, seed: int
) -> dict[tuple[Attack, int], float]:
    """Share of holdouts on which the sum is promoted, by attack and number of looks.

    ``champion`` has its logits on all rows of a population, ``rows`` of which make a holdout.
    """
    found: dict[tuple[Attack, int], float] = dict.fromkeys(
        ((attack, number) for attack in ATTACKS for number in looks), 0.0
    )
    for holdout in range(holdouts):
        random = np.random.default_rng((seed, holdout))
        drawn = random.integers(0, len(champion), rows)
        for each in _promoted(champion[drawn], labels[drawn], looks, random):
            found[each] += 1 / holdouts
    return found


def truly_worse(champion: Array, labels: own.Codes, seed: int) -> float:
    """By how much noise of the final size raises the mean log-loss, as a share."""
    noise = _noise(np.random.default_rng(seed), champion.shape)
    before, after = (_losses(each, labels).mean() for each in (champion, champion + FINAL * noise))
    return float(after / before - 1)


def _promoted(
    logits: Array, labels: own.Codes, looks: Sequence[int], random: np.random.Generator
) -> list[tuple[Attack, int]]:
    sums = {attack: _Sums(np.zeros_like(logits), np.zeros_like(logits)) for attack in ATTACKS}
    base, found = _told(logits, labels), []
    for number in range(1, max(looks) + 1):
        noise = _noise(random, logits.shape)
        told = {size: _told(logits + np.float32(size) * noise, labels) for size in _sizes()}
        for attack, each in sums.items():
            shown = SHOWN[attack.shown]
            each.add(noise, shown(told[attack.noise]) - shown(base), weighs=attack.weighs)
            if number in looks:
                built = logits + each.built(weighs=attack.weighs)
                if _is_promoted(logits, built, labels, number):
                    found.append((attack, number))
    return found


def _sizes() -> set[float]:
    return {attack.noise for attack in ATTACKS}


def _is_promoted(champion: Array, built: Array, labels: own.Codes, number: int) -> bool:
    errors = (built.argmax(axis=1) != labels).astype(np.float64)
    errors -= champion.argmax(axis=1) != labels
    pair = Pair(_losses(built, labels) - _losses(champion, labels), errors)
    level, alpha = own.comparison_level(number + 1, own.RULES.alpha), own.RULES.alpha
    drawn = {"draws": DRAWS, "seed": 1}
    return is_better(pair, level, **drawn) and is_no_less_accurate(pair, alpha, **drawn)


def _told(logits: Array, labels: own.Codes) -> Told:
    found = logits.argmax(axis=1)
    is_right = found == labels
    called = np.bincount(found, np.where(is_right, 1.0, -1.0), logits.shape[1]) / len(labels)
    return Told(float(_losses(logits, labels).mean()), float(is_right.mean()), called)


def _losses(logits: Array, labels: own.Codes) -> NDArray[np.float64]:
    top = logits.max(axis=1)
    sums = np.exp(logits - top[:, np.newaxis]).sum(axis=1, dtype=np.float64)
    return np.asarray(np.log(sums) + top - logits[np.arange(len(labels)), labels])


def _noise(random: np.random.Generator, shape: tuple[int, ...]) -> Array:
    return random.standard_normal(shape, dtype=np.float32)
