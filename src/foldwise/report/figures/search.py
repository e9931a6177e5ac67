"""Figures of the search: inner scores by C, trials in order, outer folds.

The key figure: where the best C lies, and how sure that is.

Trials in the order they were made, with the best so far: whether more would have helped.

The outer folds: the estimate with its interval, and how optimistic the inner scores were.
"""

from math import ceil

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from foldwise.palette import fold_colour, fold_marker
from foldwise.report.figures.style import FAINT, INK, MUTED, SAND, canvas, styled
from foldwise.report.wording import (
    axis_label,
    chosen,
    metric_label,
    percent,
    signed,
    strength,
    value_text,
    values_text,
)
from foldwise.search.summary import Curve, curves, optimism
from foldwise.search.trials import FINAL, SearchResult, Trial
from foldwise.settings import Between
from foldwise.stats.intervals import Interval
from foldwise.stats.scores import is_loss


@styled
def inner_curves(result: SearchResult, name: str) -> Figure:
    """Inner score against a number for every study, the chosen ones, and how flat it is there.

    Above: the mean inner score of each trial, one curve an outer fold, and the final study's.
    Below: how much worse than the study's best, paired by inner fold, with one standard error on
    both sides. A value whose band reaches zero can't be told from the best one.

    Parameters
    ----------
    name : str
        A numeric parameter of the search.
    """
    studies = curves(result, name)
    figure = canvas(_headline(studies, name), 6.4)
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=[3, 2])
    _draw_range((above, below), studies, name, result.space.ranges[name])
    for curve in studies:
        _draw_scores(above, curve, name)
        _draw_excess(below, curve)
    above.set_ylabel(axis_label("Mean inner", result.metric))
    place = "upper center" if is_loss(result.metric) else "lower center"
    above.legend(ncols=2 if len(studies) < 9 else 3, loc=place)
    _scale_excess(below, studies, name)
    meaning = "C, inverse regularisation strength" if name == "C" else name
    scale = "log scale; " if result.space.ranges[name].low > 0 else ""
    below.set_xlabel(f"{meaning} ({scale}grey: outside the search)")
    return figure


def _headline(studies: tuple[Curve, ...], name: str) -> str:
    outer = [{name: curve.best.value} for curve in studies if curve.fold is not None]
    final = f"final {name} = {strength(studies[-1].best.value)}"
    return f"All {len(outer)} outer folds choose {chosen(outer)}; {final}" if outer else final


def _draw_range(
    panels: tuple[Axes, Axes], studies: tuple[Curve, ...], name: str, searched: Between
) -> None:
    best = [curve.best.value for curve in studies]
    low, high = searched.low, searched.high
    outside = [searched.at(place) for place in (-0.02, 1.02)]
    # A little wider than the choices, so that equal ones can still be seen.
    wide = [searched.at(searched.place(v) + d) for v, d in ((min(best), -3e-3), (max(best), 3e-3))]
    for axes in panels:
        axes.set_xscale("log" if low > 0 else "linear")
        axes.set_xlim(*outside)
        axes.axvspan(outside[0], low, color=FAINT, linewidth=0)
        axes.axvspan(high, outside[1], color=FAINT, linewidth=0)
        axes.axvspan(*wide, color=SAND, label=f"chosen {name}'s")


def _draw_scores(axes: Axes, curve: Curve, name: str) -> None:
    final = curve.fold is None
    study = "final study" if final else f"outer fold {curve.fold}"
    scores = np.array([point.score for point in curve.points])
    _draw_line(axes, curve, scores, label=f"{study}: {name} = {strength(curve.best.value)}")
    axes.plot(
        [curve.best.value],
        [curve.best.score],
        linestyle="",
        color=fold_colour(curve.fold),
        marker=fold_marker(curve.fold),
        markersize=13 if final else 9,
        markeredgecolor="white",
        zorder=5,
    )


def _draw_excess(axes: Axes, curve: Curve) -> None:
    strengths = [point.value for point in curve.points]
    excess = np.array([point.excess for point in curve.points])
    error = np.array([point.error for point in curve.points])
    axes.fill_between(
        strengths,
        np.maximum(excess - error, 0),
        excess + error,
        color=fold_colour(curve.fold),
        alpha=0.3 if curve.fold is None else 0.15,
        linewidth=0,
    )
    _draw_line(axes, curve, excess)


def _draw_line(axes: Axes, curve: Curve, values: NDArray[np.float64], label: str = "") -> None:
    final = curve.fold is None
    axes.plot(
        [point.value for point in curve.points],
        values,
        color=fold_colour(curve.fold),
        marker=fold_marker(curve.fold),
        markersize=6 if final else 4,
        linewidth=2.2 if final else 1.2,
        linestyle=(0, (4, 1.5)) if final else "-",
        label=label or None,
    )


def _scale_excess(axes: Axes, studies: tuple[Curve, ...], name: str) -> None:
    # On a square-root scale a parabola is a V: the point stands out, the slopes stay in sight.
    axes.set_yscale("function", functions=(lambda y: np.sqrt(np.maximum(y, 0)), np.square))
    excess = [point.excess for curve in studies for point in curve.points]
    top = max(float(np.quantile(excess, 0.5)), 1e-6)
    steps = [factor * 10.0**power for power in range(-9, 6) for factor in (1, 3)]
    axes.set_yticks([0.0, *(step for step in steps if top / 150 < step <= top)])
    axes.yaxis.set_major_formatter("{x:g}")
    axes.minorticks_off()
    axes.set_ylim(0, top)
    axes.set_ylabel(f"Worse than the best {name}\n(paired, ± 1 std. error;\nsquare-root scale)")


_COLUMNS = 4


@styled
def trial_order(result: SearchResult, *, startup: int) -> Figure:
    """Inner score of each trial by its number, with the best so far as a step line.

    One panel a study, on one common scale; the grey part holds the ``startup`` random trials.
    """
    studies = [*(fold.best for fold in result.outer), result.final.best]
    rows = ceil(len(studies) / _COLUMNS)
    figure = canvas(_trials_headline(studies, startup), 1.0 + 2.1 * rows)
    panels = figure.subplots(rows, _COLUMNS, sharex=True, sharey=True, squeeze=False).ravel()
    for axes in panels[len(studies) :]:
        axes.remove()
    panels[0].set_ylim(*_limits(result))
    for axes, best in zip(panels, studies, strict=False):
        fold = best.study.fold
        trials = result.study_trials(best.study)
        axes.axvspan(0.5, min(startup, len(trials)) + 0.5, color=FAINT, alpha=0.4, linewidth=0)
        _draw_study(axes, fold, [trial.mean(result.metric) for trial in trials], result.metric)
        name = "final" if fold is None else f"fold {fold}"
        axes.set_title(f"{name}: {values_text(best.values)}")
    panels[0].set_xlim(0.5, len(result.study_trials(FINAL)) + 0.5)
    panels[0].xaxis.set_major_locator(MaxNLocator(5, integer=True))
    for axes in panels[: len(studies)][-_COLUMNS:]:
        axes.tick_params(labelbottom=True)  # the lowest of its column, though not of the grid
    words = "Trial (grey: random start-up trials; open triangle: off the scale)"
    figure.supxlabel(words, fontsize=10)
    figure.supylabel(axis_label("Mean inner", result.metric), fontsize=10)
    return figure


def _trials_headline(best: list[Trial], startup: int) -> str:
    later = sum(trial.number >= startup for trial in best)
    return f"{later} of {len(best)} studies found their best after the start-up trials"


def _draw_study(axes: Axes, fold: int | None, scores: list[float], metric: str) -> None:
    colour, numbers = fold_colour(fold), np.arange(1, len(scores) + 1)
    better = np.minimum if is_loss(metric) else np.maximum
    best = better.accumulate(scores)
    first = int(np.flatnonzero(best == best[-1])[0])
    axes.step(numbers, best, where="post", color=colour)
    axes.plot(numbers, scores, fold_marker(fold), color=colour, markersize=4, alpha=0.8)
    _mark_outside(axes, scores, metric, colour)
    axes.plot(
        numbers[first],
        best[-1],
        fold_marker(fold),
        color=colour,
        markersize=10,
        markeredgecolor="white",
    )


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
    scores = np.array([trial.mean(result.metric) for trial in result.trials])
    worst, best = (0.8, scores.min()) if is_loss(result.metric) else (0.2, scores.max())
    edge = float(np.quantile(scores, worst))
    low, high = sorted((edge, float(best)))
    margin = 0.08 * (high - low) or 1e-3
    return low - margin, high + margin


@styled
def outer_folds(
    result: SearchResult, *, corrected: Interval, pooled: Interval | None = None
) -> Figure:
    """Outer score of each fold beside the inner score that chose its C, and their mean.

    Optimism is how much better the inner score looks than the outer one. It can be negative: the
    inner fits train on fewer rows.

    Parameters
    ----------
    corrected, pooled : Interval
        Of the outer mean of the search's metric; drawn below the folds.
    """
    metric, folds = result.metric, len(result.outer)
    mean = float(np.mean([fold.scores[metric] for fold in result.outer]))
    means = {"mean, corrected": corrected} | ({"mean, pooled": pooled} if pooled else {})
    figure = canvas(_outer_headline(metric, mean, corrected), 1.5 + 0.36 * (folds + len(means)))
    axes = figure.subplots()
    _draw_folds(axes, result)
    for row, interval in enumerate(means.values(), start=folds):
        axes.plot([interval.low, interval.high], [row, row], color=INK, linewidth=4, alpha=0.45)
        axes.plot(mean, row, "|", color=INK, markersize=14, markeredgewidth=2.5)
    axes.axvline(mean, color=INK, linewidth=0.8, linestyle=":")
    axes.set_yticks(
        range(folds + len(means)), [*(f"outer fold {f.fold}" for f in result.outer), *means]
    )
    axes.set_ylim(folds + len(means) - 0.5, -0.6)
    axes.set_xlabel(axis_label("", metric))
    _draw_legend(axes)
    return figure


def _outer_headline(metric: str, mean: float, interval: Interval) -> str:
    sure = percent(interval.confidence, digits=0)
    span = f"{interval.low:.4f} to {interval.high:.4f}"
    return f"Outer {metric_label(metric)} {mean:.4f} ({sure} interval {span})"


def _draw_folds(axes: Axes, result: SearchResult) -> None:
    _note(axes, -0.85, "optimism", ", ".join(result.space.dimensions))
    for row, fold in enumerate(result.outer):
        inner, outer = fold.best.mean(result.metric), fold.scores[result.metric]
        colour, marker = fold_colour(fold.fold), fold_marker(fold.fold)
        axes.plot([inner, outer], [row, row], color=colour, linewidth=2, alpha=0.5)
        axes.plot(inner, row, marker, color=colour, markersize=8, markerfacecolor="white")
        axes.plot(outer, row, marker, color=colour, markersize=9)
        _note(
            axes,
            row,
            signed(optimism(fold, result.metric)),
            ", ".join(map(value_text, fold.best.values.values())),
        )


def _note(axes: Axes, row: float, *texts: str) -> None:
    for text, offset in zip(texts, (62, 112), strict=True):
        axes.annotate(
            text,
            (1, row),
            xycoords=axes.get_yaxis_transform(),
            xytext=(offset, 0),
            textcoords="offset points",
            ha="right",
            va="center",
        )


def _draw_legend(axes: Axes) -> None:
    axes.plot([], [], "o", color=MUTED, markersize=8, label="outer score (estimates)")
    axes.plot(
        [],
        [],
        "o",
        color=MUTED,
        markersize=8,
        markerfacecolor="white",
        label="inner score of the chosen values (selects)",
    )
    axes.legend(ncols=2, loc="lower left", bbox_to_anchor=(0, 1))
