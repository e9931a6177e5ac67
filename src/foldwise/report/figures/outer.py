"""The outer folds: the estimate with its interval, and how optimistic the inner scores were."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from foldwise.palette import fold_colour, fold_marker
from foldwise.report.curves import optimism
from foldwise.report.figures.style import INK, MUTED, canvas, styled
from foldwise.report.wording import axis_label, metric_label, percent, signed, strength
from foldwise.search.intervals import Interval
from foldwise.search.results import SearchResult


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
    mean = float(np.mean([fold.scores.value(metric) for fold in result.outer]))
    means = {"mean, corrected": corrected} | ({"mean, pooled": pooled} if pooled else {})
    figure = canvas(_headline(metric, mean, corrected), 1.5 + 0.36 * (folds + len(means)))
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


def _headline(metric: str, mean: float, interval: Interval) -> str:
    sure = percent(interval.confidence, digits=0)
    span = f"{interval.low:.4f} to {interval.high:.4f}"
    return f"Outer {metric_label(metric)} {mean:.4f} ({sure} interval {span})"


def _draw_folds(axes: Axes, result: SearchResult) -> None:
    _note(axes, -0.85, "optimism", "C")
    for row, fold in enumerate(result.outer):
        inner, outer = fold.best.mean(result.metric), fold.scores.value(result.metric)
        colour, marker = fold_colour(fold.fold), fold_marker(fold.fold)
        axes.plot([inner, outer], [row, row], color=colour, linewidth=2, alpha=0.5)
        axes.plot(inner, row, marker, color=colour, markersize=8, markerfacecolor="white")
        axes.plot(outer, row, marker, color=colour, markersize=9)
        _note(axes, row, signed(optimism(fold, result.metric)), strength(fold.best.C))


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
        label="inner score of the chosen C (selects)",
    )
    axes.legend(ncols=2, loc="lower left", bbox_to_anchor=(0, 1))
