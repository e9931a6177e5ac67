"""Confusion matrix: counts and row shares, with the mistakes on a colour scale of their own."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from numpy.typing import NDArray

from foldwise.report.figures.style import INK, canvas, fit_labels, shown, styled
from foldwise.report.wording import counted, percent

_DETAILED = 12
"""Up to this many classes a cell holds count and share, beyond it the count alone."""
_WRITTEN = 30
"""Beyond this many classes nothing fits into a cell."""


@styled
def confusion_matrix(counts: NDArray[np.int64], classes: Sequence[str]) -> Figure:
    """Show counts (actual, predicted), with each cell's share of its row.

    The diagonal would drown the rest on a common scale: correct predictions are blue, mistakes
    orange, each by its share of the row; both darken with the share, so grey prints work too.
    """
    classes = shown(classes)
    totals = counts.sum(axis=1, keepdims=True)
    shares = counts / np.maximum(totals, 1)
    wrong = int(counts.sum() - np.trace(counts))
    correct = percent(1 - wrong / counts.sum(), digits=2)
    figure = canvas(
        f"{correct} correct, {counted(wrong, 'mistake')} of {counts.sum():,}",
        min(6.6, 1.6 + 0.9 * len(classes)),
    )
    axes = figure.subplots()
    _draw_cells(axes, shares)
    _write_cells(axes, counts, shares)
    axes.set_xticks(range(len(classes)), classes)
    axes.set_yticks(range(len(classes)), classes)
    fit_labels(axes, classes)
    axes.grid(visible=False)
    axes.set_xlabel("Predicted class (blue: correct, orange: mistakes; each row adds up to 100 %)")
    axes.set_ylabel("Actual class")
    return figure


def _draw_cells(axes: Axes, shares: NDArray[np.float64]) -> None:
    diagonal = np.eye(len(shares), dtype=bool)
    worst = max(float(shares[~diagonal].max()), 1e-9)
    axes.imshow(
        np.ma.masked_array(shares, ~diagonal), aspect="auto", cmap="Blues", norm=Normalize(0, 1.3)
    )
    axes.imshow(
        np.ma.masked_array(shares, diagonal),
        aspect="auto",
        cmap="Oranges",
        norm=Normalize(0, worst * 1.2),
    )


def _write_cells(axes: Axes, counts: NDArray[np.int64], shares: NDArray[np.float64]) -> None:
    diagonal, detailed = np.eye(len(shares), dtype=bool), len(shares) <= _DETAILED
    darkest = np.where(diagonal, 1.0, max(float(shares[~diagonal].max()), 1e-9))
    for row, column in np.argwhere(counts > 0) if len(shares) <= _WRITTEN else ():
        share = f"\n{percent(shares[row, column])}" if detailed else ""
        is_dark = shares[row, column] > 0.75 * darkest[row, column]
        axes.text(
            column,
            row,
            f"{counts[row, column]:,}{share}",
            ha="center",
            va="center",
            fontsize=8.5 if detailed else 7,
            color="white" if is_dark else INK,
        )
