"""What a study draws from, and its proposals: functions of (seed, study, completed trials) alone.

Optuna's sampler, freshly seeded, is shown the completed trials in their order in a study held in
memory; the curve needs no more than their losses. So a resumed search proposes what an
uninterrupted one would have. Start-up proposals don't
depend on the study: every study draws the same values first, and the fits they share are made once.
"""

import hashlib
import math
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, Self

import numpy as np
import optuna
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.samplers import RandomSampler, TPESampler
from optuna.trial import FrozenTrial, TrialState, create_trial

from foldwise.errors import InputError
from foldwise.files import Value
from foldwise.search.curve import Point, next_place, walk, walked
from foldwise.search.trials import Study, Trial, Values, best_trial, number_of
from foldwise.settings import Between, Dimension, OneOf
from foldwise.stats.scores import METRIC, is_loss

optuna.logging.set_verbosity(optuna.logging.WARNING)
warnings.filterwarnings("ignore", category=optuna.exceptions.ExperimentalWarning)

Sampler = Literal["curve", "tpe", "random_uniform"]
Select = Literal["best", "one_se"]

_WIDEST = 1e300
_STARTS_OF_TPE = 5
KIND = "candidate"
"""The value that says which kind of model a trial is of, where a space has kinds."""


@dataclass(frozen=True, slots=True)
class Space:
    """How the values of a search's trials are drawn.

    ``curve`` asks ``startup`` values from the smallest up, then minima of the curve through all;
    ``tpe`` proposes by the tree-structured Parzen estimator after ``startup`` random draws;
    ``random_uniform`` draws all of them.

    Attributes
    ----------
    dimensions : mapping
        The range or the choices of each parameter.
    metric : str
        What a study optimises: the mean over its inner folds.
    kinds : tuple of str
        Of models, the simplest first, if the space is conditional: the kind is a value like any
        other, and ``svm.C`` is a dimension of the kind ``svm`` alone. Trials take turns, and each
        kind's are those that it would have without the others.

    Examples
    --------
    >>> from foldwise import Between, OneOf, Space
    >>> dimensions = {"C": Between(0.01, 1.0, is_log=True), "kernel": OneOf(("linear", "rbf"))}
    >>> list(Space(dimensions, "tpe", 5, seed=1, metric="log_loss").ranges)
    ['C']
    """

    dimensions: Mapping[str, Dimension]
    sampler: Sampler
    startup: int
    seed: int
    metric: str
    kinds: tuple[str, ...] = ()

    def among(self, kinds: Mapping[str, Mapping[str, Dimension]]) -> Self:
        """The conditional space of these kinds, drawn in this way; none has a dot in its name."""
        own = {f"{kind}.{name}": of for kind, each in kinds.items() for name, of in each.items()}
        return replace(self, dimensions={KIND: OneOf(tuple(kinds)), **own}, kinds=tuple(kinds))

    def of(self, kind: str) -> "Space":
        """The space of one kind, by its own names."""
        own = own_values({**self.dimensions, KIND: kind})
        is_walked = self.sampler != "curve" or curve_range(own) is not None
        startup = self.startup if is_walked else _STARTS_OF_TPE
        return replace(self, dimensions=own, startup=startup, kinds=())

    def own_trials(self, kind: str, trials: Sequence[Trial]) -> list[Trial]:
        """A kind's trials as it would have them alone."""
        return [
            replace(trial, number=trial.number // len(self.kinds), values=own_values(trial.values))
            for trial in trials
            if trial.values[KIND] == kind
        ]

    def numbers(self, trials: int) -> Sequence[int]:
        """The numbers of a study's trials, so many of each kind; one where nothing is searched."""
        if not self.dimensions:
            return range(1)
        turns = len(self.kinds) or 1
        fixed = {turn for turn, kind in enumerate(self.kinds) if not self.of(kind).dimensions}
        every = range(trials * turns)
        return [n for n in every if n < turns or n % turns not in fixed] if fixed else every

    def ready(self, missing: Sequence[int]) -> list[int]:
        """Of the trials that a study lacks those that can be made now: no kind waits for others."""
        turns = len(self.kinds) or 1
        each = [[number for number in missing if number % turns == turn] for turn in range(turns)]
        return [n for own in each for n in [n for n in own if self.is_drawn(n)] or own[:1]]

    @property
    def method(self) -> Sampler:
        """The sampler in use: a curve needs one real number, elsewhere TPE takes its place."""
        is_curve = self.sampler == "curve"
        return "tpe" if is_curve and curve_range(self.dimensions) is None else self.sampler

    @property
    def is_stepped(self) -> bool:
        """Whether the metric moves in steps, a row at a time: its curve is then smoothed."""
        return self.metric not in METRIC or METRIC[self.metric].counts

    def is_drawn(self, number: int) -> bool:
        """Whether the trial with this number is drawn whatever the others gave."""
        if turns := len(self.kinds):
            return self.of(self.kinds[number % turns]).is_drawn(number // turns)
        method = self.method
        return method == "random_uniform" or (method == "tpe" and number < self.startup)

    def startup_trials(self, trials: Sequence[Trial]) -> int:
        """How many of a study's trials, the first ones of each kind, are start-up trials."""
        if self.kinds:
            own = ((self.of(kind), self.own_trials(kind, trials)) for kind in self.kinds)
            return sum(space.startup_trials(told) for space, told in own)
        if curve := self._curve:
            return walked(self._points(curve, trials), len(curve.places))
        return sum(self.is_drawn(trial.number) for trial in trials)

    def skipped(self, trials: Sequence[Trial]) -> tuple[float, ...]:
        """Start-up values of ``curve`` that a study's trials didn't need, ascending."""
        asked, curve = self.startup_trials(trials), self._curve
        if curve is None or asked == len(trials):
            return ()
        return tuple(map(curve.at, curve.places[asked:]))

    def propose(self, study: Study, number: int, completed: Sequence[Trial]) -> Values:
        """Values for the study's trial ``number``, after the completed ones (all lower numbers)."""
        if turns := len(self.kinds):
            kind = self.kinds[number % turns]
            told = self.own_trials(kind, completed)
            values = self.of(kind).propose(study, number // turns, told)
            return {KIND: kind, **{f"{kind}.{name}": value for name, value in values.items()}}
        if curve := self._curve:
            (name,), points = self.dimensions, self._points(curve, completed)
            return {name: curve.at(next_place(points, curve.places, is_stepped=self.is_stepped))}
        drawn = self.is_drawn(number)
        seed = _seed(self.seed, "startup" if drawn else study, number)
        parzen = TPESampler(seed=seed, n_startup_trials=self.startup)
        sampler = RandomSampler(seed=seed) if drawn else parzen
        memory = optuna.create_study(sampler=sampler, direction=direction(self.metric))
        if not drawn:
            memory.add_trials([self.frozen(trial) for trial in completed])
        return dict(memory.ask(self._distributions).params)

    def frozen(self, trial: Trial, user_attrs: Mapping[str, object] | None = None) -> FrozenTrial:
        """The trial as Optuna stores it: one without a score has failed."""
        value = trial.mean(self.metric)
        has_failed = math.isnan(value)
        return create_trial(
            state=TrialState.FAIL if has_failed else TrialState.COMPLETE,
            value=None if has_failed else value,
            params=dict(trial.values),
            distributions={name: self._distributions[name] for name in trial.values},
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

    def chosen(self, trials: Sequence[Trial], select: Select = "best") -> Trial:
        """The trial that a study's values are: the best, or the simplest within one standard error.

        Of equals it is one of the first kind, and then the first trial. With ``one_se`` it is, of
        those whose mean loss is no larger than the best one's and the standard error of that,
        s / sqrt(folds) with s the deviation (ddof 1) over inner folds, one of the first kind; of
        these the smallest C, if C is all that the kind searches, and else the best (Breiman et
        al., 1984).
        """
        sign = self._sign
        each = [[t for t in trials if t.values[KIND] == kind] for kind in self.kinds]
        leaders = [best_trial(own, self.metric) for own in each or [[*trials]] if own]
        means = [sign * leader.mean(self.metric) for leader in leaders]
        best = leaders[int(np.where(np.isnan(means), np.inf, means).argmin())]
        losses = [sign * fold.scores[self.metric] for fold in best.inner]
        if select == "best" or len(losses) < 2:
            return best
        limit = sign * best.mean(self.metric) + np.std(losses, ddof=1) / math.sqrt(len(losses))

        def rank(trial: Trial) -> tuple[int, float]:
            own = own_values(trial.values) if self.kinds else trial.values
            [(name, value), *more] = own.items() or [("", None)]
            is_strength = not more and name.rpartition("__")[2] == "C"
            loss = sign * trial.mean(self.metric)
            simple = value if is_strength and isinstance(value, int | float) else loss
            return self.kinds.index(str(trial.values[KIND])) if self.kinds else 0, simple

        within = [t for t in trials if sign * t.mean(self.metric) <= limit]
        return min(within, key=rank, default=best)

    def _points(self, curve: "_Curve", trials: Sequence[Trial]) -> list[Point]:
        """The trials on the curve, with their inner folds' losses."""
        (name,), sign = self.dimensions, self._sign
        return [
            Point(
                curve.place(number_of(trial.values, name)),
                tuple([sign * fold.scores[self.metric] for fold in trial.inner]),
            )
            for trial in trials
        ]

    @property
    def _sign(self) -> int:
        """What makes a loss of the metric."""
        return 1 if is_loss(self.metric) else -1

    @property
    def _curve(self) -> "_Curve | None":
        range_ = curve_range(self.dimensions)
        if self.sampler != "curve" or range_ is None:
            return None
        return _Curve(range_, walk(self.startup, _seed(self.seed, "startup") / 2**32))


@dataclass(frozen=True, slots=True)
class _Curve:
    """The one real number of a space, and the places of its walk."""

    range_: Between
    places: tuple[float, ...]

    def at(self, place: float) -> float:
        """The value at a place."""
        low, high = self.range_.low, self.range_.high
        value = self.range_.at(place) if self.range_.is_log else low + place * (high - low)
        return min(max(value, low), high)

    def place(self, value: float) -> float:
        """The inverse of `at`."""
        low, high, is_log = self.range_.low, self.range_.high, self.range_.is_log
        # What a range is read by is logarithmic above zero, whatever it is drawn by.
        return self.range_.place(value) if is_log else (value - low) / (high - low)


def own_values(values: Mapping[str, Any]) -> dict[str, Any]:
    """A trial's values by the names that its kind has for them; as they are without kinds."""
    if KIND not in values:
        return dict(values)
    own = f"{values[KIND]}."
    return {name.removeprefix(own): of for name, of in values.items() if name.startswith(own)}


def curve_range(dimensions: Mapping[str, Dimension]) -> Between | None:
    """The range that a curve can be drawn over, if these are one real number."""
    kinds = [*dimensions.values()]
    if len(kinds) == 1 and isinstance(kinds[0], Between) and not _is_whole(kinds[0]):
        return kinds[0]
    return None


def _is_whole(range_: Between) -> bool:
    return isinstance(range_.low, int) and isinstance(range_.high, int)


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
    if _is_whole(dimension):
        return IntDistribution(int(low), int(high), log=is_log)
    return FloatDistribution(low, high, log=is_log)


def dimension(name: str, given: Any) -> Dimension:
    """The range that a notebook says: ours, Optuna's or scipy's distribution, or a list."""
    if isinstance(given, Between):
        return _checked(name, given)
    if isinstance(given, OneOf) and given.options:
        return given
    if isinstance(given, CategoricalDistribution | Sequence | np.ndarray):
        options = given.choices if isinstance(given, CategoricalDistribution) else given
        values = tuple(each.item() if isinstance(each, np.generic) else each for each in options)
        if values and not isinstance(given, str) and all(isinstance(of, Value) for of in values):
            return OneOf(values)
    if isinstance(given, FloatDistribution | IntDistribution) and given.step in (None, 1):
        return _checked(name, Between(given.low, given.high, is_log=given.log))
    kind = getattr(getattr(given, "dist", None), "name", None)  # scipy's
    if kind in ("loguniform", "reciprocal", "uniform"):
        low, high = map(float, given.support())
        return _checked(name, Between(low, high, is_log=kind != "uniform"))
    if kind == "randint":
        first, last = map(int, given.support())
        return _checked(name, Between(first, last, is_log=False))
    raise InputError(
        f"{name} must be given a range: Between, OneOf, a distribution of Optuna's without steps,"
        " scipy's loguniform, uniform or randint, or a list of numbers, words, booleans or None,"
        f" got {given!r:.60}: give it one"
    )


def _checked(name: str, given: Between) -> Dimension:
    """A range that has an inside whose places can be told as numbers; one of a single value."""
    low, high = given.low, given.high
    if low == high and math.isfinite(low):
        return OneOf((low,))
    widest = math.log10(_WIDEST)
    if not -_WIDEST < low < high < _WIDEST or (given.is_log and low <= 0):
        rule = f"between two numbers, low < high{', above 0' * given.is_log}"
    elif low > 0 and math.log10(high) - math.log10(low) > widest:
        rule = f"of at most {widest:.0f} powers of ten"
    else:
        return given
    raise InputError(f"{name} must be given a range {rule}, got {low:g} to {high:g}: correct it")
