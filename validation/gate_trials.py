"""The promotion gate tried on holdouts drawn from a population whose truth is known."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from validation import own
from validation.challengers import Rival
from validation.own import (
    LOST_ROW,
    RULES,
    comparison_level,
    likelihood_bound,
)

SEQUENCE, RULES_SEED = 20, 1
DRAWS = 400
"""Bootstrap draws in each trial, where the gate itself takes 10,000."""


@dataclass(frozen=True, slots=True, eq=False)
class Pair:
    """Loss and errors of a challenger minus those of the champion, row by row."""

    losses: NDArray[np.float64]
    errors: NDArray[np.float64]

    @classmethod
    def of(cls, challenger: Rival, champion: Rival) -> "Pair":
        """Differences on the whole population."""
        errors = champion.right.astype(np.float64) - challenger.right
        return cls(challenger.losses - champion.losses, errors)

    def on(self, rows: NDArray[np.int64]) -> "Pair":
        """The pair on a holdout."""
        return Pair(self.losses[rows], self.errors[rows])


def is_better(pair: Pair, level: float, *, draws: int, seed: int) -> bool:
    """Whether the gate finds log-loss better: both of its bounds below 0, the quick one first."""
    if pair.losses.mean() >= 0 or likelihood_bound(pair.losses, level=level) >= 0:
        return False
    return _bootstrap_bound(pair.losses, level, draws=draws, seed=seed) < 0


def is_no_less_accurate(pair: Pair, level: float, *, draws: int, seed: int) -> bool:
    """Whether accuracy is found not worse than by the margin; the gate asks at alpha each time."""
    margin = RULES.accuracy_margin
    if pair.errors.mean() >= margin:
        return False
    if likelihood_bound(pair.errors, level=level, worst=LOST_ROW) >= margin:
        return False
    return _bootstrap_bound(pair.errors, level, draws=draws, seed=seed) < margin


def _bootstrap_bound(values: NDArray[np.float64], level: float, *, draws: int, seed: int) -> float:
    """The gate's; its draws are the same on every holdout, as they are with one seed."""
    means = np.sort(values @ _counts(len(values), draws, seed)) / len(values)
    return float(means[-max(1, int(level * (draws + 1)))])


@lru_cache(maxsize=2)
def _counts(rows: int, draws: int, seed: int) -> NDArray[np.float64]:
    return np.concatenate(list(own.row_counts(rows, draws=draws, seed=seed)), axis=1)


@dataclass(frozen=True, slots=True)
class FalsePromotions:
    """Shares of sequences of 20 challengers, each as good as the champion or worse.

    Attributes
    ----------
    first : float
        In which the gate promotes the first challenger.
    any : float
        In which it promotes at least one.
    any_by_loss : float
        The same without the condition on accuracy.
    any_by_student : float
        The same with Student's bound in place of the gate's.
    any_unbudgeted : float
        The same with Student's bound, every comparison at the full level.
    """

    first: float
    any: float
    any_by_loss: float
    any_by_student: float
    any_unbudgeted: float


@dataclass(frozen=True, slots=True, eq=False)
class Trial:
    """Who meets whom, on how many holdouts of how many rows.

    Attributes
    ----------
    champion : Rival
    challengers : sequence of Rival
    holdout : int
        Rows of a holdout.
    holdouts : int
    seed : int
    """

    champion: Rival
    challengers: Sequence[Rival]
    holdout: int
    holdouts: int
    seed: int

    @property
    def pairs(self) -> tuple[Pair, ...]:
        """Each challenger beside the champion."""
        return tuple(Pair.of(each, self.champion) for each in self.challengers)

    def generators(self) -> Iterator[np.random.Generator]:
        """One for each holdout."""
        for number in range(self.holdouts):
            yield np.random.default_rng((self.seed, number))


def false_promotions(trial: Trial) -> FalsePromotions:
    """On each holdout judge 20 of the challengers in turn, in an order of its own."""
    pairs = trial.pairs
    told = [_sequence(pairs, trial.holdout, random) for random in trial.generators()]
    return FalsePromotions(*np.mean(told, axis=0).tolist())


def _sequence(
    pairs: Sequence[Pair], holdout: int, random: np.random.Generator
) -> tuple[bool, bool, bool, bool, bool]:
    rows = random.integers(0, len(pairs[0].losses), holdout)
    order = random.permutation(len(pairs))[:SEQUENCE]
    first = by_gate = by_loss = by_student = unbudgeted = False
    for number, each in enumerate(order, start=1):
        pair, level = pairs[each].on(rows), comparison_level(number, RULES.alpha)
        t = _student(pair.losses)
        by_student |= t < ndtri(level)
        unbudgeted |= t < ndtri(RULES.alpha)
        if is_better(pair, level, draws=DRAWS, seed=RULES_SEED):
            by_loss = True
            promoted = is_no_less_accurate(pair, RULES.alpha, draws=DRAWS, seed=RULES_SEED)
            by_gate |= promoted
            first |= promoted and number == 1
    return first, by_gate, by_loss, by_student, unbudgeted


@dataclass(frozen=True, slots=True)
class Power:
    """Shares of holdouts: on which a challenger is promoted, and found better in log-loss."""

    promoted: float
    better: float


def power(trial: Trial, numbers: Sequence[int]) -> list[Power]:
    """How often the gate promotes the first challenger as comparison number so and so, ascending.

    Whom a later comparison finds better, an earlier one does too, with the same draws.
    """
    pair = trial.pairs[0]
    promoted, better = np.zeros(len(numbers)), np.zeros(len(numbers))
    for random in trial.generators():
        drawn = pair.on(random.integers(0, len(pair.losses), trial.holdout))
        found = [False] * len(numbers)
        for at in reversed(range(len(numbers))):
            level = comparison_level(numbers[at], RULES.alpha)
            found[at] = any(found) or is_better(drawn, level, draws=DRAWS, seed=RULES_SEED)
        better += found
        if any(found) and is_no_less_accurate(drawn, RULES.alpha, draws=DRAWS, seed=RULES_SEED):
            promoted += found
    shares = zip(promoted / trial.holdouts, better / trial.holdouts, strict=True)
    return [Power(float(both), float(one)) for both, one in shares]


@dataclass(frozen=True, slots=True)
class Disagreement:
    """Two models on a population: the share of rows that only one of them predicts right.

    ``difference`` is the challenger's accuracy minus the champion's.
    """

    share: float
    difference: float

    def counts(self, rows: int, random: np.random.Generator) -> tuple[int, int]:
        """How many of so many rows drawn only the challenger has right, and only the champion."""
        chances = [(self.share + sign * self.difference) / 2 for sign in (1, -1)]
        gained, lost, _ = random.multinomial(rows, [*chances, 1 - self.share])
        return int(gained), int(lost)


def accuracy_bounds(
    given: Disagreement, *, holdout: int, holdouts: int, seed: int
) -> NDArray[np.float64]:
    """By how much accuracy may have been lost, as the gate bounds it on each holdout drawn."""
    random, found = np.random.default_rng(seed), np.empty(holdouts)
    for each in range(holdouts):
        found[each] = accuracy_bound(*given.counts(holdout, random), holdout, random)
    return found


def accuracy_bound(gained: int, lost: int, rows: int, random: np.random.Generator) -> float:
    """The gate's bound of the net share of rows lost; its bootstrap draws counts, not rows."""
    errors = np.repeat([-1.0, 1.0, 0.0], [gained, lost, rows - gained - lost])
    likely = likelihood_bound(errors, level=RULES.alpha, worst=LOST_ROW)
    chances = [gained / rows, lost / rows, 1 - (gained + lost) / rows]
    drawn = random.multinomial(rows, chances, size=DRAWS)
    means = np.sort((drawn[:, 1] - drawn[:, 0]) / rows)
    return max(likely, float(means[-int(RULES.alpha * (DRAWS + 1))]))


def calibration_errors(
    true: NDArray[np.float64], stated: NDArray[np.float64], rows: int, *, samples: int, seed: int
) -> NDArray[np.float64]:
    """Calibration error of ``stated`` (population, classes) on labels that come as ``true`` says.

    An array (samples, 2): as Guo et al. define it, and without what chance adds.
    """
    found = np.empty((samples, 2))
    for sample in range(samples):
        random = np.random.default_rng((seed, rows, sample))
        drawn = random.integers(0, len(true), rows)
        reached = np.cumsum(true[drawn], axis=1) >= random.random(rows)[:, np.newaxis]
        reached[:, -1] = True
        labels = reached.argmax(axis=1)
        table = own.reliability(stated[drawn], labels)
        plain = sum(each.rows * abs(each.accuracy - each.confidence) for each in table) / rows
        found[sample] = plain, own.calibration_error(stated[drawn], labels)
    return found


def _student(differences: NDArray[np.float64]) -> float:
    error = differences.std(ddof=1) / np.sqrt(len(differences))
    return float(differences.mean() / error) if error > 0 else 0.0
