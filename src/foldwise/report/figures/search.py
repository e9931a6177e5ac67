"""Figures of the search: inner scores by value, trials in order, outer folds."""

from collections.abc import Sequence
from math import ceil
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from foldwise.files import Value
from foldwise.palette import fold_colour, fold_marker
from foldwise.report.figures import style
from foldwise.report.wording import (
    axis_label,
    called,
    chosen,
    number,
    percent,
    signed,
    span,
    value_text,
    values_text,
)
from foldwise.search.space import KIND
from foldwise.search.summary import Curve, OuterEstimate, best_trials, curves, optimism
from foldwise.search.trials import SearchResult, Study, Trial
from foldwise.settings import Between
from foldwise.stats.scores import is_loss, metric_label


def _look(study: Study) -> dict[str, Any]:
    return {"color": fold_colour(study.fold), "marker": fold_marker(study.fold)}


@style.styled
def inner_curves(result: SearchResult, name: str, *, unit: str = "image") -> Figure:
    """Inner score against a number for every study, the chosen ones, and how flat it is there.

    Above: the mean inner score of each trial, one curve an outer fold, and the final study's.
    Below: how much worse than the study's best, paired by inner fold, with one standard error on
    both sides. A value whose band reaches zero is no worse, with about two thirds confidence.
    """
    studies, searched = curves(result, name), result.space.ranges[name]
    figure = style.canvas(
        _headline(studies, name, searched),
        f"Mean inner score against {name} for each outer fold and the final study, and below how "
        f"much worse each {name} is than the study's best, with one standard error.",
        7.9,
    )
    above, below = figure.subplots(2, 1, height_ratios=[2, 3])
    top = max(float(np.median(np.concatenate([curve.excess for curve in studies]))), 1e-6)
    window = _window(studies, searched, top)
    for axes in (above, below):
        _draw_range(axes, studies, searched)
    if searched.high <= _FEW * searched.low:
        _scale_window(above, above.get_xlim(), searched)
    above.axvspan(*window, color=style.FAINT, alpha=0.35, linewidth=0, label="enlarged below")
    for curve in studies:
        study = called(curve.study, result)
        _draw_scores(above, curve, f"{study}: {value_text(_chosen(curve, searched))}")
        if curve.study.is_final or len(studies) <= _BANDS:
            _draw_band(below, curve)
        _draw_line(below, curve, curve.excess)
    above.set_ylabel(axis_label("Mean inner", result.metric, unit).replace(" (", "\n("))
    above.legend(ncols=3, loc="lower left", bbox_to_anchor=(0, 1))
    _scale_excess(below, top, name)
    _scale_window(below, window, searched)
    meaning = "C, inverse regularisation strength" if name == "C" else name
    scale = ", log scale" if searched.low > 0 else ""
    below.set_xlabel(f"{meaning}{scale} (dark grey: outside the search)")
    for curve in studies:
        values = [value_text(_of(value, searched)) for value in curve.values.tolist()]
        told = [f"{curve.study}: {name} = {value}" for value in values]
        _tell_points((above, below), curve, told, result.metric)
    return figure


def _of(value: float, searched: Between) -> Value:
    """A number of a curve as it was tried: whole where the range is."""
    return int(value) if isinstance(searched.low, int) else value


def _window(studies: tuple[Curve, ...], searched: Between, top: float) -> tuple[float, float]:
    """What the lower panel shows: the values that aren't off its scale, and one on each side."""
    near = np.concatenate([curve.values[curve.excess <= top] for curve in studies])
    values = np.unique(np.concatenate([curve.values for curve in studies]))
    outside = (values[values < near.min()][-1:], near, values[values > near.max()][:1])
    places = [searched.place(float(value)) for value in np.concatenate(outside)]
    low, high = min(places), max(places)
    # Up to the scale's end, not to a neighbour far away.
    inside = [searched.place(float(value)) for value in near]
    reach = max(inside) - min(inside) + 0.02
    low, high = max(low, min(inside) - 0.3 * reach), min(high, max(inside) + 0.3 * reach)
    return searched.at(low - 0.05 * reach), searched.at(high + 0.05 * reach)


_BANDS = 7
"""Studies up to which each has its band: more of them, one on the other, hide the lines."""
_TICKS = 9
_FEW = 100
"""Times the low end: up to there powers of ten are too few as ticks."""
_STEPS = ((1, 1.5, 2, 3, 5, 7), (1, 2, 5), (1, 3), (1,))


def _scale_window(axes: Axes, window: tuple[float, float], searched: Between) -> None:
    axes.set_xlim(*window)
    if searched.low <= 0:
        return
    every = ([step * 10.0**power for power in range(-12, 13) for step in steps] for steps in _STEPS)
    inside = [
        [tick for tick in ticks if window[0] <= tick <= window[1] and tick == _of(tick, searched)]
        for ticks in every
    ]
    ticks = next((each for each in inside if len(each) <= _TICKS), inside[-1])
    axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    axes.minorticks_off()


def _tell_points(both: tuple[Axes, Axes], curve: Curve, told: Sequence[str], metric: str) -> None:
    (above, below), label = both, metric_label(metric)
    columns = (curve.values, curve.scores, curve.excess, curve.errors)
    rows = [*zip(told, *(of.tolist() for of in columns), strict=True)]
    style.hover(
        above, [(value, mean, f"{of}, {label} {number(mean)}") for of, value, mean, _, _ in rows]
    )
    style.hover(
        below,
        [
            (value, worse, f"{of}, worse by {number(worse, digits=6)} ± {number(error, digits=6)}")
            for of, value, _, worse, error in rows
        ],
    )


def _chosen(curve: Curve, searched: Between) -> Value:
    return _of(float(curve.values[curve.best]), searched)


def _headline(studies: tuple[Curve, ...], name: str, searched: Between) -> str:
    *outer, final = ({name: _chosen(curve, searched)} for curve in studies)
    if "." in name:  # of a kind of model that need not have won
        return f"Best of {name.partition('.')[0]}: {chosen([*outer, final])}"
    if not outer:
        return f"Final study: {values_text(final)}"
    last = value_text(final[name])
    return f"All {len(outer)} outer folds choose {chosen(outer)}; final study {last}"


def _draw_range(axes: Axes, studies: tuple[Curve, ...], searched: Between) -> None:
    places = [searched.place(float(curve.values[curve.best])) for curve in studies]
    first, last = searched.at(-0.02), searched.at(1.02)
    axes.set_xscale("log" if searched.low > 0 else "linear")
    axes.set_xlim(first, last)
    axes.axvspan(first, searched.low, color=style.FAINT, linewidth=0)
    axes.axvspan(searched.high, last, color=style.FAINT, linewidth=0)
    # A little wider than the choices, so that equal ones can still be seen.
    wide = searched.at(min(places) - 3e-3), searched.at(max(places) + 3e-3)
    axes.axvspan(*wide, color=style.SAND, label="chosen")


def _draw_scores(axes: Axes, curve: Curve, label: str) -> None:
    _draw_line(axes, curve, curve.scores, label=label)
    if curve.study.is_final:  # of the others the band tells it: side by side their marks overlap
        best = curve.values[curve.best], curve.scores[curve.best]
        axes.plot(*best, **_look(curve.study), markersize=13, markeredgecolor="white", zorder=5)


def _draw_band(axes: Axes, curve: Curve) -> None:
    axes.fill_between(
        curve.values,
        np.maximum(curve.excess - curve.errors, 0),
        curve.excess + curve.errors,
        color=fold_colour(curve.study.fold),
        alpha=0.3 if curve.study.is_final else 0.15,
        linewidth=0,
    )


def _draw_line(axes: Axes, curve: Curve, values: NDArray[np.float64], label: str = "") -> None:
    is_final = curve.study.is_final
    axes.plot(
        curve.values,
        values,
        **_look(curve.study),
        markersize=6 if is_final else 4,
        linewidth=2.2 if is_final else 1.2,
        linestyle=(0, (4, 1.5)) if is_final else "-",
        label=label or None,
    )


def _scale_excess(axes: Axes, top: float, name: str) -> None:
    # On a square-root scale a parabola is a V: the point stands out, the slopes stay in sight.
    axes.set_yscale("function", functions=(lambda y: np.sqrt(np.maximum(y, 0)), np.square))
    steps = [factor * 10.0**power for power in range(-9, 6) for factor in (1, 3)]
    axes.set_yticks([0.0, *(step for step in steps if top / 150 < step <= top)])
    axes.yaxis.set_major_formatter("{x:g}")
    axes.minorticks_off()
    axes.set_ylim(0, top)
    axes.set_ylabel(f"Worse than the best {name}\n(paired, ± 1 std. error;\nsquare-root scale)")


_COLUMNS = 4
_TITLE = 23
"""Characters that a panel's title has room for in a line."""


@style.styled
def trial_order(result: SearchResult, *, unit: str = "image") -> Figure:
    """Inner score of each trial by its number, with the best so far as a step line.

    One panel a study, on one common scale; the grey part holds the start-up trials.
    """
    studies = best_trials(result)
    later = sum(best.number >= _startup(result, best) for best in studies)
    found = f"{later} of {len(studies)} studies found their best after the start-up trials"
    figure = style.canvas(
        "Candidates take turns; each study's winner" if result.space.kinds else found,
        "Inner score of each trial in order, with the best so far, a panel a study.",
        1.0 + 2.1 * ceil(len(studies) / _COLUMNS),
    )
    grid = style.panels(figure, len(studies), _COLUMNS, shared=True)
    grid[0].set_ylim(*_limits(result))
    for axes, best in zip(grid, studies, strict=True):
        _draw_study(axes, best, result)
    grid[0].set_xlim(0.5, len(result.study_trials(studies[-1].study)) + 0.5)
    grid[0].xaxis.set_major_locator(MaxNLocator(5, integer=True))
    for axes, best in zip(grid, studies, strict=True):
        told = enumerate(result.study_trials(best.study), start=1)
        style.hover(axes, [(n, of.mean(result.metric), _said(of, result.metric)) for n, of in told])
    for axes in grid[-_COLUMNS:]:
        axes.tick_params(labelbottom=True)  # the lowest of its column, though not of the grid
    words = "Trial (grey: start-up trials; open triangle: off the scale)"
    figure.supxlabel(words, fontsize=10)
    figure.supylabel(axis_label("Mean inner", result.metric, unit), fontsize=10)
    return figure


def _draw_study(axes: Axes, best: Trial, result: SearchResult) -> None:
    trials, look = result.study_trials(best.study), _look(best.study)
    numbers = np.arange(1, len(trials) + 1)
    scores = [trial.mean(result.metric) for trial in trials]
    better = np.minimum if is_loss(result.metric) else np.maximum
    axes.axvspan(0.5, _startup(result, best) + 0.5, color=style.FAINT, alpha=0.4, linewidth=0)
    axes.step(numbers, better.accumulate(scores), where="post", color=look["color"])
    axes.plot(numbers, scores, **look, linestyle="", markersize=4, alpha=0.8)
    _mark_outside(axes, scores, result.metric, look["color"])
    first = [trial.number for trial in trials].index(best.number)
    axes.plot(numbers[first], scores[first], **look, markersize=10, markeredgecolor="white")
    name = called(best.study, result).removeprefix("outer ")
    words = str(best.values[KIND]) if result.space.kinds else values_text(best.values)
    gap = " " if len(name) + len(words) < _TITLE else "\n"
    axes.set_title(f"{name}:{gap}{words}")


def _said(trial: Trial, metric: str) -> str:
    score = f"{metric_label(metric)} {number(trial.mean(metric))}"
    return f"{trial.study}, trial {trial.number}: {values_text(trial.values)}, {score}"


def _startup(result: SearchResult, best: Trial) -> int:
    if result.space.kinds:  # they take turns: start-up trials are no beginning
        return 0
    return result.space.startup_trials(result.study_trials(best.study))


def _mark_outside(axes: Axes, scores: list[float], metric: str, colour: str) -> None:
    # The limits hold the best score, so that only worse ones lie outside.
    low, high = axes.get_ylim()
    edge, marker = (high, "^") if is_loss(metric) else (low, "v")
    outside = [number for number, score in enumerate(scores, start=1) if not low <= score <= high]
    if outside:  # an empty line that isn't clipped upsets the layout
        places = [edge] * len(outside)
        axes.plot(outside, places, marker, color=colour, markerfacecolor="white", clip_on=False)


def _limits(result: SearchResult) -> tuple[float, float]:
    # The worst start-up trials would flatten all others: the scale ends at the eighth tenth.
    scores = [trial.mean(result.metric) for trial in result.trials]
    lowest, highest = (0, 0.8) if is_loss(result.metric) else (0.2, 1)
    low, high = np.quantile(scores, [lowest, highest]).tolist()
    margin = 0.08 * (high - low) or 1e-3
    return low - margin, high + margin


@style.styled
def outer_folds(result: SearchResult, estimate: OuterEstimate, *, unit: str = "image") -> Figure:
    """Outer score of each fold beside the inner score that chose its values, and their mean.

    Optimism is how much better the inner score looks than the outer one. It can be negative: the
    inner fits train on fewer rows. ``estimate`` is of the search's metric, its intervals are drawn
    below the folds.
    """
    metric, mean, folds = result.metric, estimate.mean, len(result.outer)
    intervals = {"mean": estimate.interval, "mean, corrected": estimate.corrected}
    names = [*(called(fold.study, result) for fold in result.outer), *intervals]
    figure = style.canvas(
        f"Outer {metric_label(metric)} {number(mean)} "
        f"({percent(estimate.interval.confidence, digits=0)} interval {span(estimate.interval)})",
        "Outer and inner score of each outer fold, their optimism, and the mean's interval.",
        1.5 + 0.36 * len(names),
    )
    axes = figure.subplots()
    _draw_folds(axes, result)
    for row, interval in enumerate(intervals.values(), start=folds):
        style.draw_mean(axes, row, mean, interval)
    axes.axvline(mean, color=style.INK, linewidth=0.8, linestyle=":")
    axes.set_yticks(range(len(names)), names)
    axes.set_ylim(len(names) - 0.5, -0.6)
    axes.set_xlabel(axis_label("", metric, unit))
    for row, fold in enumerate(result.outer):
        pair = {"outer": fold.scores[metric], "inner": fold.best.mean(metric)}
        style.hover(
            axes, [(at, row, f"{fold.study}, {of}: {number(at)}") for of, at in pair.items()]
        )
    style.hover(axes, [(mean, folds, f"mean {number(mean)}, {span(estimate.interval)}")])
    told = {"outer score (estimates)": style.MUTED, "inner score (selects)": "white"}
    for label, face in told.items():
        axes.plot([], [], "o", color=style.MUTED, markersize=8, markerfacecolor=face, label=label)
    axes.legend(ncols=2, loc="lower left", bbox_to_anchor=(0, 1))
    return figure


def _draw_folds(axes: Axes, result: SearchResult) -> None:
    folds, metric = result.outer, result.metric
    for row, fold in enumerate(folds):
        inner, outer = fold.best.mean(metric), fold.scores[metric]
        look = _look(fold.study)
        axes.plot([inner, outer], [row, row], color=look["color"], linewidth=2, alpha=0.5)
        axes.plot(inner, row, **look, markersize=8, markerfacecolor="white")
        axes.plot(outer, row, **look, markersize=9)
    beside = axes.secondary_yaxis("right")
    beside.set_yticks(range(len(folds)), [signed(optimism(fold, metric)) for fold in folds])
    beside.tick_params(length=0)
    beside.set_ylabel("Optimism")
