"""What a study draws from, and its proposals: functions of (seed, study, completed trials) alone.

Each study's next C, by Optuna's samplers.

A proposal is a function of (seed, study, completed trials) alone: the sampler, freshly seeded, is
shown the completed trials in their order in a study held in memory. So a resumed search proposes
what an uninterrupted one would have. Start-up proposals don't depend on the study: every study
draws the same values first, and the fits they share are made once.

Spaces of several parameters: what each may be, and a trial's values by Optuna's samplers.

A proposal is a function of (seed, study, completed trials) alone, as with C.
"""

import hashlib
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import optuna
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.samplers import BaseSampler, RandomSampler, TPESampler
from optuna.trial import FrozenTrial, create_trial

from foldwise.search.trials import (
    Json,
    Trial,
    Values,
    ValuesTrial,
    trial_from_json,
    trial_to_json,
    values_trial_from_json,
    values_trial_to_json,
)
from foldwise.settings import Dimension, OneOf
from foldwise.stats.scores import is_loss

optuna.logging.set_verbosity(optuna.logging.WARNING)
warnings.filterwarnings("ignore", category=optuna.exceptions.ExperimentalWarning)


@dataclass(frozen=True, slots=True)
class SearchSpace:
    """How the values of C are drawn.

    ``tpe`` samples log-uniformly on [low, high], after ``startup`` random draws by the tree-
    structured Parzen estimator; ``random_uniform`` is the reference report's linear draw.
    """

    low: float
    high: float
    sampler: Literal["tpe", "random_uniform"]
    startup: int
    seed: int
    metric: str

    def is_drawn(self, number: int) -> bool:
        """Whether the trial with this number is drawn whatever the others gave."""
        return number < self.startup or self.sampler == "random_uniform"

    def propose(self, study: str, number: int, completed: Sequence[Trial]) -> float:
        """C for the study's trial ``number``, after the completed ones (all lower numbers)."""
        drawn = self.is_drawn(number)
        seed = sampler_seed(self.seed, "startup" if drawn else study, number)
        memory = optuna.create_study(
            sampler=self._sampler(seed, drawn=drawn), direction=direction(self.metric)
        )
        if not drawn:
            memory.add_trials([self.frozen(trial) for trial in completed])
        return float(memory.ask({"C": self.distribution}).params["C"])

    @property
    def distribution(self) -> FloatDistribution:
        """Optuna's description of the range."""
        return FloatDistribution(self.low, self.high, log=self.sampler == "tpe")

    def frozen(
        self, trial: Trial, user_attrs: Mapping[str, object] | None = None
    ) -> optuna.trial.FrozenTrial:
        """The trial as Optuna stores it."""
        return create_trial(
            params={"C": trial.C},
            distributions={"C": self.distribution},
            value=trial.mean(self.metric),
            user_attrs=dict(user_attrs or {}),
        )

    def encoded(self, trial: Trial) -> Json:
        """The trial as JSON values, for storage."""
        return trial_to_json(trial)

    def decoded(self, encoded: Json) -> Trial:
        """The inverse of :meth:`encoded`."""
        return trial_from_json(encoded)

    def _sampler(self, seed: int, *, drawn: bool) -> BaseSampler:
        if drawn:
            return RandomSampler(seed=seed)
        return TPESampler(seed=seed, n_startup_trials=self.startup)


def direction(metric: str) -> Literal["minimize", "maximize"]:
    """Optuna's word for which way ``metric`` improves."""
    return "minimize" if is_loss(metric) else "maximize"


def sampler_seed(*parts: object) -> int:
    """A seed that follows from its parts alone."""
    digest = hashlib.sha256("/".join(map(str, parts)).encode()).digest()
    return int.from_bytes(digest[:4], "big")


@dataclass(frozen=True, slots=True)
class ValuesSpace:
    """What a study draws from: dimensions by parameter.

    The first ``startup`` trials are drawn at random, the others by the tree-structured Parzen
    estimator.
    """

    study: str
    dimensions: Mapping[str, Dimension]
    startup: int
    seed: int
    metric: str

    def propose(self, number: int, completed: Sequence[ValuesTrial]) -> Values:
        """Values for trial ``number``, after the completed ones (all lower numbers)."""
        seed = sampler_seed(self.seed, self.study, number)
        sampler = TPESampler(seed=seed, n_startup_trials=self.startup)
        memory = optuna.create_study(sampler=sampler, direction=direction(self.metric))
        memory.add_trials([self.frozen(trial, {}) for trial in completed])
        return dict(memory.ask(self._distributions).params)

    def frozen(self, trial: ValuesTrial, user_attrs: Mapping[str, object]) -> FrozenTrial:
        """The trial as Optuna stores it."""
        return create_trial(
            params=dict(trial.values),
            distributions=self._distributions,
            value=trial.mean(self.metric),
            user_attrs=dict(user_attrs),
        )

    def encoded(self, trial: ValuesTrial) -> Json:
        """The trial as JSON values, for storage."""
        return values_trial_to_json(trial)

    def decoded(self, encoded: Json) -> ValuesTrial:
        """The inverse of :meth:`encoded`."""
        return values_trial_from_json(encoded)

    @property
    def _distributions(self) -> dict[str, BaseDistribution]:
        return {name: _distribution(dimension) for name, dimension in self.dimensions.items()}


def _distribution(dimension: Dimension) -> BaseDistribution:
    if isinstance(dimension, OneOf):
        return CategoricalDistribution(dimension.options)
    low, high, is_log = dimension.low, dimension.high, dimension.is_log
    if isinstance(low, int) and isinstance(high, int):
        return IntDistribution(low, high, log=is_log)
    return FloatDistribution(low, high, log=is_log)
