"""Searches on the same rows held against one of them: which is better, and what can be luck."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import combinations
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from foldwise.errors import SearchError, SettingsError
from foldwise.search.summary import Estimates, evidence, outer_estimates
from foldwise.search.trials import OuterFold, SearchResult
from foldwise.stats.intervals import Difference, Interval, paired_differences
from foldwise.stats.paired import holm
from foldwise.stats.scores import METRICS, is_loss, row_losses

if TYPE_CHECKING:
    import pandas as pd

Verdict = Literal["better", "worse", "equivalent", "can't tell"]
MARGIN = 0.01
"""Of what the reference loses, up to which a difference is none to speak of, by default."""
KINDS = ("parameters", "features", "data", "code")
PREPARED = ("prepare.augment", "prepare.drop", "prepare.columns")
"""Parameters, features' facts, that change the content of the same rows."""


@dataclass(frozen=True, slots=True, eq=False)
class Entrant:
    """A search as it enters a comparison, by the ``name`` that it was asked for by.

    Variances are clustered by ``groups`` (rows,). ``facts`` are what it came from, texts by name,
    of each of `KINDS`, ``digest`` is the development set's and ``run`` MLflow's, empty where not
    known, and ``seconds`` go by the clock, from the first fit to the final model.
    """

    name: str
    result: SearchResult = field(repr=False)
    groups: NDArray[np.int64] | None = field(default=None, repr=False)
    facts: Mapping[str, Mapping[str, str]] = field(default_factory=dict, repr=False)
    digest: str = ""
    seconds: float | None = None
    run: str = ""

    def mean(self, metric: str) -> float:
        """Mean over the outer folds; NaN where one has none."""
        return float(np.mean([fold.scores[metric] for fold in self.result.outer]))

    def labels(self) -> NDArray[np.int64]:
        """The rows that were scored, ascending, and their class codes (2, n)."""
        rows, labels, _ = self.result.pooled()
        return np.stack([rows, labels])[:, np.argsort(rows)]


@dataclass(frozen=True, slots=True, eq=False)
class Rival:
    """A search held against the reference; on other parts there are no differences, no verdict.

    ``differences``, of each metric that both have, are this search's less the reference's; ``p``,
    of the metric asked for, is Holm's for the number of rivals. ``won`` and ``lost`` are numbers of
    rows of the first partition that this search alone, or the reference alone, has right: first
    those whose log-loss differs most.
    """

    entrant: Entrant
    differences: Mapping[str, Difference] = field(default_factory=dict, repr=False)
    p: float = math.nan
    verdict: Verdict | None = None
    won: NDArray[np.int64] = field(default_factory=lambda: np.empty(0, np.int64), repr=False)
    lost: NDArray[np.int64] = field(default_factory=lambda: np.empty(0, np.int64), repr=False)


@dataclass(frozen=True, slots=True, eq=False)
class SearchComparison:
    """What the outer folds of several searches say of each other.

    Attributes
    ----------
    metric : str
        What the verdicts are by.
    margin : float
        Differences within it are none to speak of.
    confidence : float
        Of all intervals together: with several rivals each has more.
    rivals : tuple of Rival
        The others, in their order.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from foldwise import NestedSearchCV, SearchComparison, compare_searches
    >>> X, y = load_iris(return_X_y=True, as_frame=True)
    >>> whole = NestedSearchCV(cv=3, n_trials=3).fit(X, y)
    >>> half = NestedSearchCV(cv=3, n_trials=3).fit(X.iloc[:, :2], y)
    >>> found: SearchComparison = compare_searches(whole, half)
    >>> found.rivals[0].verdict
    'worse'
    """

    metric: str
    margin: float
    confidence: float
    reference: Entrant
    rivals: tuple[Rival, ...]

    @property
    def entrants(self) -> tuple[Entrant, ...]:
        """All, the reference first."""
        return (self.reference, *(rival.entrant for rival in self.rivals))

    @property
    def is_from_python(self) -> bool:
        """Whether all are fitted searches, of no project, its gate and parameters."""
        return all("cv" in each.facts.get("parameters", {}) for each in self.entrants)

    @property
    def together(self) -> tuple[Rival, ...]:
        """The rivals on the reference's parts."""
        return tuple(rival for rival in self.rivals if rival.differences)

    @property
    def metrics(self) -> tuple[str, ...]:
        """What is told of, the metric of the verdict first: with several rivals it alone."""
        told = self.rivals[0].differences if len(self.rivals) == 1 else {}
        return tuple(dict.fromkeys((self.metric, *told)))

    def estimates(self, entrant: Entrant) -> Estimates:
        """An entrant's own outer estimates."""
        return outer_estimates(entrant.result, confidence=self.confidence, groups=entrant.groups)

    def differing(self) -> tuple[tuple[str, str, tuple[str, ...]], ...]:
        """Kind, name and each entrant's value of what they were not all given alike."""
        found = []
        for kind in KINDS:
            given = [each.facts.get(kind, {}) for each in self.entrants]
            for name in dict.fromkeys(name for of in given for name in of):
                values = tuple(of.get(name, "–") for of in given)
                if len({*values}) > 1:
                    found.append((kind, name, values))
        return tuple(found)

    def frame(self) -> "pd.DataFrame":
        """Give a row for each rival and metric, for a notebook; on other parts the means alone."""
        import pandas as pd  # half a second that the command line saves

        none = Interval(math.nan, math.nan, self.confidence, "")
        nothing = Difference(math.nan, none, math.nan, none, math.nan, ())
        return pd.DataFrame(
            {
                "search": rival.entrant.name,
                "metric": metric,
                "reference": self.reference.mean(metric),
                "mean": rival.entrant.mean(metric),
                "difference": found.value,
                "low": found.interval.low,
                "high": found.interval.high,
                "p": rival.p if metric == self.metric else found.p,
                "corrected_low": found.corrected.low,
                "corrected_high": found.corrected.high,
                "corrected_p": found.corrected_p,
                "verdict": rival.verdict if metric == self.metric else None,
            }
            for rival in self.rivals
            for metric in self.metrics
            for found in (rival.differences.get(metric, nothing),)
        )


def compare(
    entrants: Sequence[Entrant],
    *,
    metric: str | None = None,
    margin: float | None = None,
    confidence: float = 0.95,
) -> SearchComparison:
    """Hold searches against the first one.

    With several rivals intervals have Bonferroni's level, 1 - (1 - confidence) / rivals, and
    p-values Holm's correction. Verdicts are by ``metric``, by default what the first selected by;
    the margin is by default `MARGIN` times the first's loss, or what its score lacks of 1.

    Raises
    ------
    SearchError
        There are too few, one comes twice, or they are of other data.
    SettingsError
        The metric isn't known, or a search has no value of it; or the margin is below 0.
    """
    if len(entrants) < 2:
        raise SearchError(f"a comparison needs two searches, got {len(entrants)}: name another one")
    first, *others = entrants
    for one, two in combinations(entrants, 2):
        if one.name == two.name:
            raise SearchError(
                f"searches must be different ones, got {one.name:.40} twice: name another"
            )
        if one.run and one.run == two.run:
            raise SearchError(
                f"searches must be different ones, got {one.name:.40} and {two.name:.40}, which are"
                " one run: name another"
            )
    for each in others:
        _check_same_data(first, each)
    metric = _metric(entrants, metric)
    reach = MARGIN * abs(first.mean(metric) - (not is_loss(metric))) if margin is None else margin
    if not reach >= 0:
        raise SettingsError(f"a margin must be at least 0, got {reach:g}: name a larger one")
    if not 0 < confidence < 1:
        raise SettingsError(f"confidence must lie between 0 and 1, got {confidence:g}: take 0.95")
    aligned = [_aligned(first, each) for each in others]
    level = 1 - (1 - confidence) / max(1, sum(each is not None for each in aligned))
    found = [
        Rival(other) if each is None else _held(first, each, level)
        for other, each in zip(others, aligned, strict=True)
    ]
    rivals = tuple(_judged(found, metric, reach))
    return SearchComparison(metric, reach, confidence, first, rivals)


def _judged(rivals: Sequence[Rival], metric: str, margin: float) -> Iterator[Rival]:
    adjusted = iter(holm([each.differences[metric].p for each in rivals if each.differences]))
    for each in rivals:
        if each.differences:
            said = verdict(metric, each.differences[metric].interval, margin)
            yield replace(each, p=next(adjusted), verdict=said)
        else:
            yield each


def verdict(metric: str, interval: Interval, margin: float) -> Verdict:
    """What the interval of a difference says: equivalent if it lies inside of the margin."""
    sign = -1 if is_loss(metric) else 1
    low, high = sorted((sign * interval.low, sign * interval.high))
    if -margin < low and high < margin:
        return "equivalent"
    return "better" if low > 0 else "worse" if high < 0 else "can't tell"


def _check_same_data(first: Entrant, other: Entrant) -> None:
    """Rows and labels must be the same; and the content, unless `PREPARED` differs.

    Then columns left out, or shifted copies that are trained on, may be what is compared.
    """
    one, two = first.labels(), other.labels()
    is_content = "" in (first.digest, other.digest) or first.digest == other.digest
    if not np.array_equal(one, two) or not (is_content or _prepared(first) != _prepared(other)):
        raise SearchError(
            f"searches must be of the same data to be compared, {other.name} has"
            f" {two.shape[1]:,} rows that aren't those of {first.name}:"
            f" search again on the data of {first.name}"
        )


def _prepared(entrant: Entrant) -> dict[str, str]:
    facts = entrant.facts.get("features", {})
    return {name: facts[name] for name in facts if name.startswith(PREPARED)}


def _metric(entrants: Sequence[Entrant], asked: str | None) -> str:
    wanted = (asked,) if asked else (entrants[0].result.metric, "log_loss", "accuracy")
    known = [m for m in METRICS if not any(math.isnan(each.mean(m)) for each in entrants)]
    for metric in wanted:
        if metric in known:
            return metric
    raise SettingsError(
        f"a metric must be one that all searches have, {', '.join(known)}, got {asked!r:.40}:"
        " name one of these"
    )


def _aligned(first: Entrant, other: Entrant) -> Entrant | None:
    """The other one with its folds in the first one's order; None if the parts aren't the same."""
    wanted = [_part(fold) for fold in first.result.outer]
    had = {_part(fold): fold for fold in other.result.outer}
    if had.keys() != {*wanted}:
        return None
    return replace(other, result=replace(other.result, outer=tuple(had[part] for part in wanted)))


def _part(fold: OuterFold) -> tuple[int, bytes]:
    """What a part is, however it is numbered: rows of a partition."""
    return fold.part.repeat, fold.rows.tobytes()


def _held(first: Entrant, other: Entrant, level: float) -> Rival:
    """What both differ by, before there is a verdict."""
    folds = evidence(first.result), evidence(other.result)
    found = paired_differences(*folds, level, first.groups)
    differences = {metric: of for metric, of in found.items() if not math.isnan(of.value)}
    (rows, labels, ours), (_, _, theirs) = first.result.pooled(), other.result.pooled()
    right = [of.argmax(axis=1) == labels for of in (ours, theirs)]
    gain = row_losses(ours, labels) - row_losses(theirs, labels)
    won, lost = np.flatnonzero(right[1] & ~right[0]), np.flatnonzero(right[0] & ~right[1])
    won, lost = (
        won[np.argsort(-gain[won], kind="stable")],
        lost[np.argsort(gain[lost], kind="stable")],
    )
    return Rival(other, differences, won=rows[won], lost=rows[lost])
