"""Figures of the holdout: confusion, ROC curves, classes one by one, calibration."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from numpy.typing import NDArray

from foldwise.palette import FOLD_COLOURS
from foldwise.report.figures import style
from foldwise.report.wording import counted, percent, span
from foldwise.stats.intervals import Interval
from foldwise.stats.scores import Rates, ReliabilityBin

_DETAILED = 12
"""Up to this many classes a cell holds count and share, beyond it the count alone."""
_WRITTEN = 30
"""Beyond this many classes nothing fits into a cell."""


@style.styled
def confusion_matrix(counts: NDArray[np.int64], classes: Sequence[str]) -> Figure:
    """Show counts (actual, predicted), with each cell's share of its row.

    The diagonal would drown the rest on a common scale: correct predictions are blue, mistakes
    orange, each by its share of the row; both darken with the share, so grey prints work too.
    """
    classes, rows = style.shown(classes), counts.sum()
    wrong = int(rows - np.trace(counts))
    figure = style.canvas(
        f"{percent(1 - wrong / rows, digits=2)} correct, {counted(wrong, 'mistake')} of {rows:,}",
        "Confusion matrix: actual against predicted class, counts and shares of the row.",
        min(6.6, 1.6 + 0.9 * len(classes)),
    )
    axes = figure.subplots()
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    _draw_cells(axes, counts, shares)
    style.name_classes(axes, classes)
    told = []
    for row, column in np.argwhere(counts > 0).tolist():
        share = percent(shares[row, column], digits=2)
        words = f"{classes[row]} taken for {classes[column]}: {counts[row, column]:,}, {share}"
        told.append((column, row, words))
    style.hover(axes, told)
    axes.grid(visible=False)
    axes.set_xlabel("Predicted class (blue: correct, orange: mistakes; each row adds up to 100 %)")
    axes.set_ylabel("Actual class")
    return figure


def _draw_cells(axes: Axes, counts: NDArray[np.int64], shares: NDArray[np.float64]) -> None:
    diagonal, detailed = np.eye(len(shares), dtype=bool), len(shares) <= _DETAILED
    worst = max(float(shares[~diagonal].max()), 1e-9)
    for cells, colours, top in ((diagonal, "Blues", 1.3), (~diagonal, "Oranges", worst * 1.2)):
        masked = np.ma.masked_array(shares, ~cells)
        axes.imshow(masked, aspect="auto", cmap=colours, norm=Normalize(0, top))
    for row, column in np.argwhere(counts > 0) if len(shares) <= _WRITTEN else ():
        share = shares[row, column]
        is_dark = share > 0.75 * (1.0 if row == column else worst)
        axes.text(
            column,
            row,
            f"{counts[row, column]:,}" + (f"\n{percent(share)}" if detailed else ""),
            ha="center",
            va="center",
            fontsize=8.5 if detailed else 7,
            color="white" if is_dark else style.INK,
        )


_NAMED = 10
"""Classes drawn in colour: those of the smallest area. The others are grey: more look alike."""
# Each for two of ten classes, that of the smaller area broad: told apart in grey, too.
_DASHES = ("-", (0, (5, 1)), (0, (1, 1)), (0, (6, 1, 1, 1)), (0, (6, 1, 1, 1, 1, 1)))


@style.styled
def roc_curves(
    curves: Sequence[Rates], areas: Sequence[float], classes: Sequence[str], *, positive: int = 1
) -> Figure:
    """Draw each class's true against false positive rate; right, the upper left corner enlarged.

    Of two classes the ``positive`` one's: the other's is the same curve from behind. Classes are
    listed from the smallest area under the curve.
    """
    classes, is_pair = style.shown(classes), len(classes) == 2
    order = np.array([positive]) if is_pair else np.argsort(areas, kind="stable")
    first = classes[order[0]]
    figure = style.canvas(
        f"ROC AUC {areas[positive]:.3f} for {first} against {classes[1 - positive]}"
        if is_pair
        else f"ROC AUC {np.nanmean(areas):.3f} (macro), the least {areas[order[0]]:.3f} of {first}",
        "ROC curve of the positive class, whole and enlarged at the upper left."
        if is_pair
        else "ROC curve of each class against the rest, whole and enlarged at the upper left.",
        4.6,
    )
    edge = _corner([curves[code] for code in order])
    # What isn't enlarged would be the same picture twice.
    grid = style.panels(figure, *[1 if edge == 1 else 2] * 2)
    what = "positive class against the other" if is_pair else "one class against the rest"
    titles = (what, f"upper left corner, {1 / edge:.0f} times enlarged")
    for axes, size, title in zip(grid, (1.0, edge), titles, strict=False):
        for rank, code in reversed(list(enumerate(order))):
            _draw(axes, curves[code], rank, f"{classes[code]}  {areas[code]:.3f}")
        axes.set(xlim=(-0.01 * size, size), ylim=(1 - size, 1 + 0.01 * size), title=title)
        axes.set_xlabel("False positive rate")
        for code in order[:_NAMED]:
            _tell_rates(axes, curves[code], classes[code])
    whole = grid[0]
    whole.plot([0, 1], [0, 1], color=style.MUTED, linewidth=0.8, linestyle=":")
    whole.set_ylabel("True positive rate")
    handles, labels = whole.get_legend_handles_labels()
    whole.legend(
        handles[::-1],
        labels[::-1],
        title="positive class, AUC" if is_pair else "class, AUC (smallest first)",
        loc="lower right",
        ncols=2 if len(labels) > 5 else 1,
        fontsize=9,
    )
    return figure


def _draw(axes: Axes, rates: Rates, rank: int, label: str) -> None:
    if rank >= _NAMED:
        axes.plot(*rates, color=style.FAINT, linewidth=1)
        return
    colour, dash = FOLD_COLOURS[rank], _DASHES[rank % len(_DASHES)]
    width = 2.2 if rank < len(_DASHES) else 1.2
    axes.plot(*rates, color=colour, linestyle=dash, linewidth=width, label=label)


_POINTS = 24


def _tell_rates(axes: Axes, rates: Rates, name: str) -> None:
    places = np.unique(np.linspace(0, len(rates[0]) - 1, _POINTS).astype(np.int64))
    words = "{} of {} found, {} of the others taken for it"
    told = [(float(rates[0][at]), float(rates[1][at])) for at in places]
    style.hover(
        axes, [(x, y, words.format(percent(y), name, percent(x, digits=2))) for x, y in told]
    )


def _corner(curves: Sequence[Rates]) -> float:
    # The smallest corner that holds every curve's bend, the point furthest above the diagonal.
    bends = []
    for false, true in curves:
        at = int(np.argmax(true - false))
        bends.append(max(false[at], 1 - true[at]))
    return next(edge for edge in (0.02, 0.05, 0.1, 0.2, 0.5, 1.0) if max(bends) <= edge)


@style.styled
def class_f1(
    scores: Sequence[float], intervals: Sequence[Interval], classes: Sequence[str]
) -> Figure:
    """F1 of each class with its interval, the weakest class on top; dotted: their mean."""
    order = np.argsort(scores, kind="stable")
    names = [style.shown(classes)[code] for code in order]
    figure = style.canvas(
        f"F1 {np.mean(scores):.3f} (macro); weakest class: {names[0]}",
        "F1 score of each class with its interval, the weakest class first.",
        1.2 + 0.3 * len(classes),
    )
    axes = figure.subplots()
    for row, code in enumerate(order):
        low, high = intervals[code].low, intervals[code].high
        bar = axes.barh(row, high - low, left=low, height=0.6, color=style.BLUE, alpha=0.3)
        style.named(bar[0], f"{names[row]}: F1 {scores[code]:.4f}, {span(intervals[code])}")
        axes.plot([scores[code]] * 2, [row - 0.3, row + 0.3], color=style.BLUE, linewidth=2.5)
        axes.text(
            scores[code], row, f" {scores[code]:.3f}", va="center", fontsize=9, color=style.INK
        )
    axes.axvline(float(np.mean(scores)), color=style.MUTED, linewidth=1, linestyle=":")
    style.name_rows(axes, names, "Class")
    low, high = min(each.low for each in intervals), max(each.high for each in intervals)
    margin = 0.03 * (high - low) or 0.01
    axes.set_xlim(low - margin, high + margin)
    confidence = percent(intervals[0].confidence, digits=0)
    axes.set_xlabel(f"F1 score (bar: {confidence} interval; dotted: mean)")
    return figure


@style.styled
def reliability_diagram(
    bins: Sequence[ReliabilityBin], error: float, *, unit: str = "image"
) -> Figure:
    """Share of correct predictions against the stated confidence, with 95 % intervals (Wilson's).

    Below: how many rows the model is so sure of. Points under the diagonal: too sure of itself.
    """
    gap = sum(each.rows * (each.confidence - each.accuracy) for each in bins)
    word = "too sure of itself" if gap > 0 else "too careful"
    figure = style.canvas(
        f"Calibration error {error:.3f}; on the whole {word}",
        "Share of correct predictions against the stated confidence, and below the number "
        f"of {unit}s at each confidence.",
        6.0,
    )
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=[3, 1])
    _draw_bins(above, bins)
    lows, highs = np.array([(each.low, each.high) for each in bins]).T
    rows = [each.rows for each in bins]
    below.bar(lows, rows, width=highs - lows, align="edge", color=style.BLUE, edgecolor="white")
    below.set_yscale("log")
    below.set_ylim(bottom=0.7)  # a bin of one image stays visible
    below.set_ylabel(f"{unit.capitalize()}s (log)")
    below.set_xlabel("Confidence: probability of the predicted class")
    below.set_xlim(lows.min(), 1)
    told = []
    for of in bins:
        words = f"{percent(of.accuracy)} right of {counted(of.rows, unit)}"
        told.append((of.confidence, of.accuracy, f"{words}, {percent(of.confidence)} expected"))
    style.hover(above, told)
    style.percentages(below.xaxis)
    return figure


def _draw_bins(axes: Axes, bins: Sequence[ReliabilityBin]) -> None:
    from scipy.stats import binomtest  # half a second that other figures save

    confidence, accuracy = np.array([(each.confidence, each.accuracy) for each in bins]).T
    right = [binomtest(round(each.accuracy * each.rows), each.rows) for each in bins]
    low, high = np.array([of.proportion_ci(0.95, "wilson") for of in right]).T
    axes.plot([0, 1], [0, 1], color=style.MUTED, linewidth=1, linestyle=":")
    corner: dict[str, Any] = {
        "transform": axes.transAxes,
        "color": style.MUTED,
        "fontstyle": "italic",
    }
    axes.text(0.02, 0.82, "too careful", **corner)
    axes.text(0.98, 0.05, "too sure of itself", ha="right", **corner)
    axes.vlines(confidence, low, high, color=style.BLUE, linewidth=3, alpha=0.4)
    axes.plot(confidence, accuracy, "o", color=style.BLUE, markersize=6)
    axes.set_ylim(0, 1.02)
    axes.set_ylabel("Share predicted correctly (with 95 % interval)")
    style.percentages(axes.yaxis)
