"""Checks of a search and its data: each says what it saw, whether it matters, and what to do.

A check is a function of a `Subject` that gives one remark, or none where it doesn't apply; `CHECKS`
has them in the order shown. The holdout's labels are out of their reach: no check scores on it, so
that none spends any of it.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from math import isnan
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import chdtrc

from foldwise.data.columns import Columns
from foldwise.data.dataset import DataInfo, Split
from foldwise.leaks import telling_columns
from foldwise.report.findings import edge_caution
from foldwise.report.standing import Matters, Remark
from foldwise.report.wording import brief, counted, number, percent, signed, span, values_text
from foldwise.search.summary import Curve, Estimates, curves
from foldwise.search.trials import SearchResult, best_trial, number_of
from foldwise.settings import TOLERATED_SHARE, Settings
from foldwise.stats.intervals import Interval, score_intervals
from foldwise.stats.scores import METRICS, calibration_error, is_loss, metric_label, score

Groups = NDArray[np.int64] | None

_ROWS = 2_000
"""Rows of each kind that are looked at where all would take too long; spread evenly."""
_CLEARLY = 3.0
"""Standard errors of a paired difference that isn't chance."""
_OVERFIT, _APART, _RARE = 2.0, 0.6, 0.25
_MANY, _SAME = 20, 0.8


@dataclass(frozen=True, slots=True, eq=False)
class Subject:
    """What is looked at, the holdout's rows without labels.

    Rows of one number in ``groups`` (rows,) were drawn together. So many ``shared_rows`` of the
    holdout stand in the development set.
    """

    info: DataInfo
    settings: Settings
    result: SearchResult
    outer: Estimates
    development: Split
    holdout: Any = None
    groups: Groups = None
    holdout_groups: Groups = None
    shared_rows: int = 0

    @property
    def originals(self) -> NDArray[np.int64]:
        """Development rows that are no copies."""
        return np.flatnonzero(self.development.is_original)


def look(subject: Subject) -> tuple[Remark, ...]:
    """Make all checks; those that matter come first, otherwise in their order."""
    found = [remark for check in CHECKS for remark in check(subject)]
    return tuple(sorted(found, key=lambda each: _ORDER.index(each.matters)))


_ORDER: tuple[Matters, ...] = ("yes", "a little", "no")


def _weighed(is_much: bool, is_some: bool = False) -> Matters:  # noqa: FBT001, FBT002
    return "yes" if is_much else "a little" if is_some else "no"


def _edge(subject: Subject) -> Iterator[Remark]:
    found = edge_caution(subject.result)
    saw = found.partition(":")[0] if found else "every chosen value lies inside its range"
    remedy = "widen the range in params.yaml: the best value may lie beyond it"
    yield Remark("optimum at an edge", saw, _weighed(bool(found)), remedy)


def _folds(subject: Subject) -> Iterator[Remark]:
    """Cochran's Q of the outer scores: whether they scatter more than their own rows explain."""
    metric, groups = subject.result.metric, subject.groups
    folds = [fold for fold in subject.result.outer if not fold.part.repeat]
    spans = []
    for fold in folds:
        drawn = None if groups is None else groups[fold.rows]
        spans.append(score_intervals(fold.predictions.values, fold.labels, 0.95, drawn)[metric])
    scores = np.array([fold.scores[metric] for fold in folds])
    weights = np.array([3.92 / (each.high - each.low) for each in spans]) ** 2
    if not np.isfinite(weights).all():
        return
    q = float(weights @ (scores - np.average(scores, weights=weights)) ** 2)
    chance = float(chdtrc(len(folds) - 1, q))
    often = "under 0.1 %" if chance < 0.001 else percent(chance)
    yield Remark(
        "folds that disagree",
        f"outer {metric_label(metric)} from {number(scores.min())} to {number(scores.max())};"
        f" by chance they scatter so much in {often} of cases",
        _weighed(chance < 0.001, chance < 0.01),
        "look at what sets the odd fold apart: rows that belong together and aren't named as a"
        " group, an order in time, a rare kind of row",
    )


def _fitting(subject: Subject) -> Iterator[Remark]:
    """Training score against outer score, and that against knowing the classes' shares alone."""
    result, metric, outer = subject.result, subject.result.metric, subject.outer
    rows = _spread(subject.originals)
    labels, shares = subject.development.labels, _shares(subject)
    images = _taken(subject.development.images, rows)
    training = result.final.model.predict(images).scores(labels[rows])[metric]
    nothing = score(np.tile(shares, (len(rows), 1)), labels[rows])[metric]
    interval, name = outer[metric].interval, metric_label(metric)
    sign = 1 if is_loss(metric) else -1
    found, blind = outer[metric].mean, sign * nothing
    is_under = blind <= max(sign * interval.low, sign * interval.high)
    errors = [each if is_loss(metric) else 1 - each for each in (found, training)]
    is_outside = not interval.low <= training <= interval.high
    is_over = is_outside and errors[0] > _OVERFIT * errors[1]
    figures = f"{name} {number(training)} on rows it has learned from, {number(found)} on others"
    yield Remark(
        "overfitting",
        figures,
        _weighed(is_over),
        "search smaller values of C, take fewer features or more rows: it learns its rows by heart",
    )
    yield Remark(
        "underfitting",
        f"outer {name} {number(found)} ({span(interval)}), {number(nothing)} by the classes' shares"
        " alone",
        _weighed(is_under),
        "the features tell nothing of the classes as they are: look for others, or for a mistake"
        " in the target",
    )


def _balance(subject: Subject) -> Iterator[Remark]:
    shares, classes = _shares(subject), list(map(str, subject.info.classes))
    rarest, commonest = int(shares.argmin()), int(shares.argmax())
    is_rare = shares[rarest] * len(shares) < _RARE
    by_accuracy = subject.result.metric == "accuracy"
    yield Remark(
        "unbalanced classes",
        f"class {brief(classes[rarest])}, the rarest, has {percent(shares[rarest])} of the"
        f" {subject.info.unit}s, class {brief(classes[commonest])} {percent(shares[commonest])}",
        _weighed(is_rare and by_accuracy, is_rare),
        f"accuracy says little of the rare class ({percent(shares[commonest])} without looking):"
        " choose by log-loss, and read its own recall and F1",
    )


def _duplicates(subject: Subject) -> Iterator[Remark]:
    info = subject.info
    twice = info.development_duplicates
    if info.table is not None:
        twice = int(subject.development.images.duplicated().sum())
    shared, unit = subject.shared_rows, info.unit
    saw = f"{unit}s that repeat an earlier one: {'not known' if twice is None else f'{twice:,}'}"
    if info.holdout_rows:
        saw += f"; that stand in the development set and in the holdout: {shared:,}"
    is_much = shared > TOLERATED_SHARE * info.holdout_rows and info.table is None
    kept = "equal images stay in one part, so that outer scores are honest"
    if info.table is not None:
        kept = (
            "equal rows stay in one part where they are rare; of few values many are equal by"
            " chance, and are dealt apart: what belongs together needs prepare.group"
        )
    yield Remark(
        "duplicates and rows shared with the holdout",
        saw,
        _weighed(is_much, bool(twice or shared)),
        f"{kept}; what the holdout shares makes its scores too good: take it out of one of the two",
    )


def _telling(subject: Subject) -> Iterator[Remark]:
    rows, shape, is_table = subject.originals, subject.info.image_shape, subject.info.table
    images = _taken(subject.development.images, rows)
    found = telling_columns(images, subject.development.labels[rows])
    what = "pixel" if is_table is None else "column"
    names = [
        f"{brief(str(name), 32) if is_table else _place(int(name), shape)}"
        f" ({percent(share, digits=2)})"
        for name, share in found[:3]
    ]
    yield Remark(
        f"a {what} that separates the classes alone",
        ", ".join(names) or "none does",
        _weighed(bool(found)),
        "drop it, unless it is known before the class is: likelier it is made of the target",
    )


def _place(pixel: int, shape: tuple[int, ...]) -> str:
    names = ("row", "column", "channel")
    return " ".join(
        f"{name} {at}" for name, at in zip(names, np.unravel_index(pixel, shape), strict=False)
    )


def _shift(subject: Subject) -> Iterator[Remark]:
    if subject.holdout is None:
        return
    found, area = told_apart(subject)
    yield Remark(
        "shift between development set and holdout",
        f"a classifier tells them apart with ROC AUC {number(area, digits=3)}"
        f" ({span(found, digits=3)}); 0.5 is guessing",
        _weighed(found.low > _APART, found.low > 0.5),
        "the holdout's scores are for rows like its own: look at how it was drawn, and which of the"
        " two is like the rows to come",
    )


def told_apart(subject: Subject) -> tuple[Interval, float]:
    """ROC AUC, with its interval, of a ridge classifier of development and holdout rows.

    Cross-validated on at most 2,000 rows of each; a group's rows stay together.
    """
    from sklearn.impute import SimpleImputer
    from sklearn.linear_model import Ridge
    from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold, cross_val_predict
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    ours = _spread(subject.originals)
    theirs = _spread(np.arange(len(subject.holdout)))
    images = subject.development.images
    sets = [_taken(images, ours), _taken(subject.holdout, theirs)]
    if subject.info.table is not None:
        encoder = Columns.ranked(images)
        sets = [encoder.transform(each) for each in sets]
    X, of = np.concatenate(sets).astype(np.float64), np.repeat([0, 1], [len(ours), len(theirs)])
    groups: Groups = None
    if subject.groups is not None and subject.holdout_groups is not None:
        apart = subject.holdout_groups[theirs] + int(subject.groups.max()) + 1
        groups = np.concatenate([subject.groups[ours], apart])
    split = StratifiedKFold if groups is None else StratifiedGroupKFold
    steps = [StandardScaler(), Ridge(alpha=0.1 * len(X))]
    if np.isnan(X).any():
        steps.insert(0, SimpleImputer(add_indicator=True))
    model, folds = make_pipeline(*steps), split(3, shuffle=True, random_state=0)
    said = cross_val_predict(model, X, of, groups=groups, cv=folds)
    values = np.column_stack([1 - said, said])
    interval = score_intervals(values, of, 0.95, groups)["roc_auc"]
    return interval, score(values, of)["roc_auc"]


def _converged(subject: Subject) -> Iterator[Remark]:
    fits = subject.result.fits
    if not fits.converged + fits.stalled + fits.exhausted:
        return
    saw = f"{fits.converged:,} of {counted(fits.distinct, 'fit')} converged"
    saw += f", {fits.stalled:,} stalled at the limit of the precision" if fits.stalled else ""
    saw += f", {fits.exhausted:,} ended at tune.max_iter" if fits.exhausted else ""
    yield Remark(
        "unconverged fits",
        saw,
        _weighed(fits.exhausted > 0, fits.stalled > 0),
        "raise tune.max_iter: scores of fits that it ended mislead. Stalled ones are as good as"
        " floating point allows",
    )


def _calibrated(subject: Subject) -> Iterator[Remark]:
    """Of the outer folds' predictions: the holdout's calibration is the gate's to judge."""
    if not all(fold.predictions.are_probabilities for fold in subject.result.outer):
        return
    _, labels, said = subject.result.pooled()
    error = calibration_error(said, labels)
    most = subject.settings.promotion.max_calibration_error
    yield Remark(
        "calibration",
        f"error {number(error, digits=3)} over the outer folds; promotion allows {most:g} on the"
        " holdout, which this check doesn't look at",
        _weighed(error > most),
        "don't take its probabilities at their word, and expect `foldwise promote` to refuse it:"
        " search by log-loss, or allow more in promotion.max_calibration_error",
    )


def _grouped(subject: Subject) -> Iterator[Remark]:
    """Many values, each of several rows: a person's number, say, whose rows should stay together.

    Numbers that are whole do so by chance, too: they count if two other numbers hardly vary
    within one value.
    """
    table, frame = subject.info.table, subject.development.images
    if table is None or table.groups:
        return
    names = [name for name, kind in table.columns if kind == "number"]
    others = {name: frame[name].to_numpy(np.float64) for name in names}
    found = []
    for name, kind in table.columns:
        codes = frame[name].astype("category").cat.codes.to_numpy(np.int64)
        values = int(codes.max()) + 1
        if not max(_MANY, len(frame) / _MANY) <= values <= len(frame) / 1.5:
            continue
        numbers = others.get(name)
        if kind == "number" and (numbers != np.round(numbers)).any():  # type: ignore[arg-type]
            continue
        alike = sum(_alike(codes, of) > _SAME for other, of in others.items() if other != name)
        if kind == "category" or alike > 1:
            found.append(f"{brief(name, 32)} ({values:,} values)")
    yield Remark(
        "columns that look like groups",
        ", ".join(found) or "none does",
        _weighed(bool(found)),
        "if its rows belong together, a person's say, name it in prepare.group: scores of parted"
        " groups are too good",
    )


def _alike(codes: NDArray[np.int64], values: NDArray[np.float64]) -> float:
    """Intraclass correlation (one way) of the values of rows with one code; missing ones left."""
    known = (codes >= 0) & ~np.isnan(values)
    _, codes, sizes = np.unique(codes[known], return_inverse=True, return_counts=True)
    values, rows, groups = values[known], int(known.sum()), len(sizes)
    if not 1 < groups < rows:
        return 0.0
    means = np.bincount(codes, weights=values) / sizes
    between = float(sizes @ (means - values.mean()) ** 2) / (groups - 1)
    within = float(((values - means[codes]) ** 2).sum()) / (rows - groups)
    size = (rows - float(sizes @ sizes) / rows) / (groups - 1)
    total = between + (size - 1) * within
    return (between - within) / total if total > 0 else 0.0


def _other_metrics(subject: Subject) -> Iterator[Remark]:
    """What the final study's trials would have been chosen by the other metrics."""
    result, best = subject.result, subject.result.final.best
    trials = result.study_trials(best.study)
    others = []
    for metric in METRICS:
        if metric == result.metric or isnan(best.mean(metric)):
            continue
        other = best_trial(trials, metric)
        sign = 1 if is_loss(metric) else -1
        worse = np.array(
            [
                sign * (ours.scores[metric] - theirs.scores[metric])
                for ours, theirs in zip(best.inner, other.inner, strict=True)
            ]
        )
        error = float(worse.std(ddof=1)) / len(worse) ** 0.5
        if worse.mean() > _CLEARLY * error:
            gain = signed(-sign * float(worse.mean()))
            others.append(f"{metric_label(metric)} {values_text(other.values)} ({gain})")
    yield Remark(
        "other metrics",
        f"by another metric clearly better: {', '.join(others)}"
        if others
        else f"none of them finds a value clearly better than {values_text(best.values)}",
        "a little" if others else "no",
        "see that tune.metric is the one that counts",
    )


def _elsewhere(subject: Subject) -> Iterator[Remark]:
    """What each fold's choice costs in the other folds, read off their curves."""
    result, metric = subject.result, subject.result.metric
    if len(result.space.dimensions) != 1 or len(result.space.ranges) != 1:
        return
    ((name, searched),) = result.space.ranges.items()
    told = [curve for curve in curves(result, name) if not curve.study.is_final]

    def cost(curve: Curve, value: float) -> float:
        places = [searched.place(each) for each in curve.values]
        return float(np.interp(searched.place(value), places, curve.excess))

    costs = {}
    for fold in result.outer:
        value = number_of(fold.best.values, name)
        others = [cost(curve, value) for curve in told if curve.study != fold.study]
        costs[fold.fold] = sum(others) / len(others)
    worst = max(costs, key=lambda fold: costs[fold])
    interval = subject.outer[metric].interval
    half = (interval.high - interval.low) / 2
    yield Remark(
        "each fold's choice in the other folds",
        f"fold {worst}'s costs most: {number(costs[worst])} of {metric_label(metric)} there"
        f" on average; the estimate itself is known to ± {number(half)}",
        _weighed(costs[worst] > half, costs[worst] > half / 4),
        "raise tune.trials, or name rows that belong together as groups: the choice hangs on which"
        " rows it was made by",
    )


CHECKS: tuple[Callable[[Subject], Iterator[Remark]], ...] = (
    _edge,
    _folds,
    _fitting,
    _balance,
    _duplicates,
    _telling,
    _shift,
    _converged,
    _calibrated,
    _grouped,
    _other_metrics,
    _elsewhere,
)
"""All checks; one more is one more function here."""


def _shares(subject: Subject) -> NDArray[np.float64]:
    labels = subject.development.labels[subject.originals]
    return np.bincount(labels, minlength=len(subject.info.classes)) / len(labels)


def _spread(rows: NDArray[np.int64]) -> NDArray[np.int64]:
    """At most so many of the rows, evenly spread."""
    return rows[np.unique(np.linspace(0, len(rows) - 1, _ROWS).astype(np.int64))]


def _taken(images: Any, rows: NDArray[np.int64]) -> Any:
    return images.iloc[rows] if hasattr(images, "iloc") else images[rows]
