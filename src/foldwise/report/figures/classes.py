"""Figures with a row for each class: how well it is predicted, and what it looks like."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from foldwise.report.figures.pictures import Shape, draw_strip
from foldwise.report.figures.style import BLUE, INK, MUTED, bare, canvas, shown, styled
from foldwise.report.wording import percent
from foldwise.search.intervals import Interval


@styled
def class_f1(
    scores: Sequence[float], intervals: Sequence[Interval], classes: Sequence[str]
) -> Figure:
    """F1 of each class with its interval, the hardest class on top; dotted: their mean."""
    classes = shown(classes)
    order = np.argsort(scores, kind="stable")
    confidence = intervals[0].confidence
    figure = canvas(
        f"F1 {np.mean(scores):.3f} (macro); hardest class: {classes[order[0]]}",
        1.2 + 0.3 * len(classes),
    )
    axes = figure.subplots()
    for row, code in enumerate(order):
        low, high = intervals[code].low, intervals[code].high
        axes.barh(row, high - low, left=low, height=0.6, color=BLUE, alpha=0.3)
        axes.plot([scores[code]] * 2, [row - 0.3, row + 0.3], color=BLUE, linewidth=2.5)
        axes.text(scores[code], row, f" {scores[code]:.3f}", va="center", fontsize=9, color=INK)
    axes.axvline(float(np.mean(scores)), color=MUTED, linewidth=1, linestyle=":")
    axes.set_yticks(range(len(classes)), [classes[code] for code in order])
    axes.set_ylim(len(classes) - 0.5, -0.5)
    lows, highs = [each.low for each in intervals], [each.high for each in intervals]
    margin = 0.03 * (max(highs) - min(lows)) or 0.01
    axes.set_xlim(min(lows) - margin, max(highs) + margin)
    axes.set_ylabel("Class")
    axes.set_xlabel(
        f"F1 score (bar: {percent(confidence, digits=0)} bootstrap interval; dotted: mean)"
    )
    return figure


@styled
def class_samples(
    counts: Sequence[int],
    samples: Sequence[NDArray[np.uint8]],
    classes: Sequence[str],
    shape: Shape,
) -> Figure:
    """Show the number of images of each class, and some of them.

    Parameters
    ----------
    counts : one a class
        Images in the development set.
    samples : one uint8 array (examples, features) a class
    """
    figure = canvas(f"{sum(counts):,} images of {len(classes)} classes", 1.0 + 0.5 * len(classes))
    classes = shown(classes)
    left, right = figure.subplots(1, 2, width_ratios=[3, 5])
    _draw_counts(left, counts, classes)
    bare(right)
    for row, images in enumerate(samples, start=1):
        # Places within the right panel, which is as high as the left: each beside its bar.
        place = (0, 1 - row / len(classes), 1, 0.94 / len(classes))
        draw_strip(right.inset_axes(place), images, shape)
    return figure


def _draw_counts(axes: Axes, counts: Sequence[int], classes: Sequence[str]) -> None:
    axes.barh(range(len(classes)), counts, color=BLUE, height=0.6)
    for row, count in enumerate(counts):
        axes.text(count, row, f" {count:,}", va="center", fontsize=9)
    axes.set_xlim(0, 1.2 * max(counts))
    axes.set_yticks(range(len(classes)), list(classes))
    axes.set_ylim(len(classes) - 0.5, -0.5)
    axes.set_ylabel("Class")
    axes.set_xlabel("Images in the development set")
    axes.locator_params(axis="x", nbins=4)
    axes.xaxis.set_major_formatter("{x:,.0f}")
