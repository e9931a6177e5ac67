"""Each study's next C, by Optuna's samplers.

A proposal is a function of (seed, study, completed trials) alone: the sampler, freshly seeded, is
shown the completed trials in their order in a study held in memory. So a resumed search proposes
what an uninterrupted one would have. Start-up proposals don't depend on the study: every study
draws the same values first, and the fits they share are made once.
"""

import hashlib
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import optuna
from optuna.distributions import FloatDistribution
from optuna.samplers import BaseSampler, RandomSampler, TPESampler
from optuna.trial import create_trial

from foldwise.model.scores import is_loss
from foldwise.search.encoding import Json, trial_from_json, trial_to_json
from foldwise.search.results import Trial

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
