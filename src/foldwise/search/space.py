"""What a study draws from, and its proposals: functions of (seed, study, completed trials) alone.

The sampler, freshly seeded, is shown the completed trials in their order in a study held in
memory. So a resumed search proposes what an uninterrupted one would have. Start-up proposals don't
depend on the study: every study draws the same values first, and the fits they share are made once.
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

from foldwise.search.trials import Study, Trial, Values
from foldwise.settings import Between, Dimension, OneOf
from foldwise.stats.scores import is_loss

optuna.logging.set_verbosity(optuna.logging.WARNING)
warnings.filterwarnings("ignore", category=optuna.exceptions.ExperimentalWarning)

Sampler = Literal["tpe", "random_uniform"]


@dataclass(frozen=True, slots=True)
class Space:
    """How the values of a search's trials are drawn.

    ``tpe`` proposes by the tree-structured Parzen estimator after ``startup`` random draws;
    ``random_uniform`` draws all of them.

    Attributes
    ----------
    dimensions : mapping
        The range or the choices of each parameter.
    sampler, startup, seed
    metric : str
        What a study optimises: the mean over its inner folds.
    """

    dimensions: Mapping[str, Dimension]
    sampler: Sampler
    startup: int
    seed: int
    metric: str

    def is_drawn(self, number: int) -> bool:
        """Whether the trial with this number is drawn whatever the others gave."""
        return number < self.startup or self.sampler == "random_uniform"

    def propose(self, study: Study, number: int, completed: Sequence[Trial]) -> Values:
        """Values for the study's trial ``number``, after the completed ones (all lower numbers)."""
        drawn = self.is_drawn(number)
        seed = _seed(self.seed, "startup" if drawn else study, number)
        memory = optuna.create_study(
            sampler=self._sampler(seed, drawn=drawn), direction=direction(self.metric)
        )
        if not drawn:
            memory.add_trials([self.frozen(trial) for trial in completed])
        return dict(memory.ask(self._distributions).params)

    def frozen(self, trial: Trial, user_attrs: Mapping[str, object] | None = None) -> FrozenTrial:
        """The trial as Optuna stores it."""
        return create_trial(
            params=dict(trial.values),
            distributions=self._distributions,
            value=trial.mean(self.metric),
            user_attrs=dict(user_attrs or {}),
        )

    @property
    def ranges(self) -> dict[str, Between]:
        """The numeric parameters."""
        return {
            name: dimension
            for name, dimension in self.dimensions.items()
            if isinstance(dimension, Between)
        }

    @property
    def _distributions(self) -> dict[str, BaseDistribution]:
        return {name: _distribution(dimension) for name, dimension in self.dimensions.items()}

    def _sampler(self, seed: int, *, drawn: bool) -> BaseSampler:
        if drawn:
            return RandomSampler(seed=seed)
        return TPESampler(seed=seed, n_startup_trials=self.startup)


def direction(metric: str) -> Literal["minimize", "maximize"]:
    """Optuna's word for which way ``metric`` improves."""
    return "minimize" if is_loss(metric) else "maximize"


def _seed(*parts: object) -> int:
    """A seed that follows from its parts alone."""
    digest = hashlib.sha256("/".join(map(str, parts)).encode()).digest()
    return int.from_bytes(digest[:4], "big")


def _distribution(dimension: Dimension) -> BaseDistribution:
    if isinstance(dimension, OneOf):
        return CategoricalDistribution(dimension.options)
    low, high, is_log = dimension.low, dimension.high, dimension.is_log
    if isinstance(low, int) and isinstance(high, int):
        return IntDistribution(low, high, log=is_log)
    return FloatDistribution(low, high, log=is_log)
