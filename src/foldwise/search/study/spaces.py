"""Spaces of several parameters: what each may be, and a trial's values by Optuna's samplers.

A proposal is a function of (seed, study, completed trials) alone, as with C.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import optuna
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.samplers import TPESampler
from optuna.trial import FrozenTrial, create_trial

from foldwise.search.encoding import Json
from foldwise.search.study.sampling import direction, sampler_seed
from foldwise.search.values import (
    Values,
    ValuesTrial,
    values_trial_from_json,
    values_trial_to_json,
)
from foldwise.settings import Dimension, OneOf


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
