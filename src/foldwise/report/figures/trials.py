"""Trials in the order they were made, with the best so far: whether more would have helped."""

from math import ceil

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from foldwise.model.scores import is_loss
from foldwise.palette import fold_colour, fold_marker
from foldwise.report.figures.style import FAINT, canvas, styled
from foldwise.report.wording import axis_label, strength
from foldwise.search.results import FINAL_STUDY, SearchResult, Trial

_COLUMNS = 4


@styled
def trial_order(result: SearchResult, *, startup: int) -> Figure:
    """Inner score of each trial by its number, with the best so far as a step line.

    One panel a study, on one common scale; the grey part holds the ``startup`` random trials.
    """
    studies = [(fold.fold, fold.best) for fold in result.outer] + [(None, result.final.best)]
    rows = ceil(len(studies) / _COLUMNS)
    figure = canvas(_headline([best for _, best in studies], startup), 1.0 + 2.1 * rows)
    panels = figure.subplots(rows, _COLUMNS, sharex=True, sharey=True, squeeze=False).ravel()
    for axes in panels[len(studies) :]:
        axes.remove()
    panels[0].set_ylim(*_limits(result))
    for axes, (fold, best) in zip(panels, studies, strict=False):
        trials = result.study_trials(best.study)
        axes.axvspan(0.5, min(startup, len(trials)) + 0.5, color=FAINT, alpha=0.4, linewidth=0)
        _draw_study(axes, fold, [trial.mean(result.metric) for trial in trials], result.metric)
        name = FINAL_STUDY if fold is None else f"fold {fold}"
        axes.set_title(f"{name}: C = {strength(best.C)}")
    panels[0].set_xlim(0.5, len(result.study_trials(FINAL_STUDY)) + 0.5)
    panels[0].xaxis.set_major_locator(MaxNLocator(5, integer=True))
    for axes in panels[: len(studies)][-_COLUMNS:]:
        axes.tick_params(labelbottom=True)  # the lowest of its column, though not of the grid
    words = "Trial (grey: random start-up trials; open triangle: off the scale)"
    figure.supxlabel(words, fontsize=10)
    figure.supylabel(axis_label("Mean inner", result.metric), fontsize=10)
    return figure


def _headline(best: list[Trial], startup: int) -> str:
    later = sum(trial.number >= startup for trial in best)
    return f"{later} of {len(best)} studies found their best C after the start-up trials"


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
