"""Figures of searches and classifiers beside each other: what sets them apart, what each costs."""

from collections.abc import Sequence
from math import ceil

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from foldwise.palette import FOLD_COLOURS, FOLD_MARKERS, fold_colour, fold_marker
from foldwise.report.contest import Contestant
from foldwise.report.figures import style
from foldwise.report.figures.images import draw_strip, tallness
from foldwise.report.rivals import SearchComparison
from foldwise.report.versus import headline
from foldwise.report.wording import brief, percent
from foldwise.stats.intervals import Difference
from foldwise.stats.scores import is_loss, metric_label

_COLUMNS, _STRIP = 3, 8


@style.styled
def difference_panels(comparison: SearchComparison) -> Figure:
    """Show each fold's difference from the reference, and the mean's interval below.

    A panel a metric, or a panel a rival where there are several. The margin is shaded.
    """
    told = [(rival, metric) for rival in comparison.together for metric in comparison.metrics]
    first = brief(comparison.reference.name, 24)
    is_single = len(comparison.rivals) == 1
    title = f"{len(comparison.together)} searches less {first}, by outer fold"
    if is_single:
        title = headline(comparison, comparison.rivals[0]).partition(":")[0]
    folds = comparison.reference.result.plan.folds
    figure = style.canvas(
        style.literal(title),
        "The difference of the outer scores in each fold, and below the mean with its interval.",
        1.0 + (1.1 + 0.16 * folds) * ceil(len(told) / _COLUMNS),
    )
    grid = style.panels(figure, len(told), min(_COLUMNS, len(told)))
    for axes, (rival, metric) in zip(grid, told, strict=True):
        if metric == comparison.metric:
            axes.axvspan(-comparison.margin, comparison.margin, color=style.SAND, linewidth=0)
        _draw_differences(axes, rival.differences[metric], folds)
        title = metric_label(metric) if is_single else brief(rival.entrant.name, 20)
        better = "left" if is_loss(metric) else "right"
        axes.set_title(style.literal(f"{title}, better to the {better}"), fontsize=9.5)
    words = "" if is_single else f" of {metric_label(comparison.metric)}"
    words = f"Difference{words} from {first}, by outer fold (shaded: none to speak of)"
    figure.supxlabel(style.literal(words), fontsize=10)
    return figure


def _draw_differences(axes: Axes, found: Difference, folds: int) -> None:
    axes.axvline(0, color=style.INK, linewidth=1)
    for place, difference in enumerate(found.folds):
        fold = place % folds
        axes.plot(difference, fold, fold_marker(fold), color=fold_colour(fold), markersize=6)
    style.draw_mean(axes, folds, found.value, found.interval)
    axes.set_yticks(range(folds + 1), [*map(str, range(folds)), "mean"])
    axes.set_ylim(folds + 0.6, -0.6)
    axes.xaxis.set_major_locator(MaxNLocator(3))
    axes.tick_params(axis="x", labelsize=8.5, colors=style.MUTED)


@style.styled
def rows_apart(
    told: Sequence[tuple[str, NDArray[np.uint8], Sequence[str]]], shape: tuple[int, ...]
) -> Figure:
    """Show images that one search alone has right: a title, images, and what stands above each."""
    shown = [each for each in told if len(each[1])]
    figure = style.canvas(
        "Images that one alone has right: actual → what the other says",
        "Images that the newer search alone has right, and those that the reference alone has.",
        0.6 + (0.62 + 0.6 * tallness(shape)) * len(shown),
    )
    most = max((len(images) for _, images, _ in shown), default=0)
    for axes, (title, images, names) in zip(
        style.panels(figure, len(shown), 1), shown, strict=True
    ):
        titles = [style.literal(brief(name, 12)) for name in names]
        draw_strip(axes, images, shape, columns=max(most, _STRIP), titles=titles)
        axes.set_title(style.literal(title), pad=20)
    return figure


@style.styled
def accuracy_against_time(models: Sequence[Contestant], *, rows: int, holdout: int) -> Figure:
    """Draw holdout accuracy against the time to fit (left) and to predict (right), log scales.

    So many development ``rows`` were fitted, so many of the ``holdout`` predicted.
    """
    best = max(models, key=_accuracy)
    figure = style.canvas(
        f"Most accurate: {best.entry.title}, {percent(_accuracy(best), digits=2)}",
        "Holdout accuracy of each classifier against the time to fit and to predict.",
        4.6,
    )
    left, right = figure.subplots(1, 2, sharey=True)
    _draw_costs(left, models, "fit_seconds")
    _draw_costs(right, models, "predict_seconds")
    left.set_xlabel(f"Time to fit {rows:,} images (log scale)")
    right.set_xlabel(f"Time to predict {holdout:,} images (log scale)")
    left.set_ylabel("Holdout accuracy (with interval)")
    style.percentages(left.yaxis)
    figure.legend(*left.get_legend_handles_labels(), loc="outside lower center", ncols=4)
    return figure


def _accuracy(model: Contestant) -> float:
    return model.holdout.scores["accuracy"]


def _draw_costs(axes: Axes, models: Sequence[Contestant], time: str) -> None:
    for index, model in enumerate(models):
        accuracy, interval = _accuracy(model), model.holdout.intervals["accuracy"]
        axes.errorbar(
            max(model.result.seconds[time], 0.01),
            accuracy,
            yerr=[[accuracy - interval.low], [interval.high - accuracy]],
            marker=FOLD_MARKERS[index % len(FOLD_MARKERS)],
            markersize=9,
            color=FOLD_COLOURS[index % len(FOLD_COLOURS)],
            linestyle="",
            capsize=3,
            label=model.entry.title,
        )
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter("{x:g} s")
    axes.minorticks_off()
    axes.margins(x=0.15)
