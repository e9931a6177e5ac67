"""Confusion matrix: counts and row shares, with the mistakes on a colour scale of their own."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from numpy.typing import NDArray

from foldwise.report.figures.style import INK, WIDTH, canvas, fit_labels, styled
from foldwise.report.wording import percent

_DETAILED = 12
"""Up to this many classes a cell holds count and share; beyond it only the count."""


@styled
def confusion_matrix(counts: NDArray[np.int64], classes: tuple[str, ...]) -> Figure:
    """Show counts (actual, predicted), with each cell's share of its row.

    The diagonal would drown the rest on a common scale: correct predictions are blue, mistakes
    orange, each by its share of the row; both darken with the share, so grey prints work too.
    """
    totals = counts.sum(axis=1, keepdims=True)
    shares = counts / np.maximum(totals, 1)
    side = max(WIDTH, 0.42 * len(classes) + 1.5)
    correct = np.trace(counts) / counts.sum()
    wrong = counts.sum() - np.trace(counts)
    figure = canvas(
        f"{percent(correct)} correct, {wrong:,} mistakes of {counts.sum():,}",
        side * 0.8,
        width=side,
    )
    axes = figure.subplots()
    _draw_cells(axes, shares)
    _write_cells(axes, counts, shares)
    axes.set_xticks(range(len(classes)), classes)
    axes.set_yticks(range(len(classes)), classes)
    fit_labels(axes, classes)
    axes.grid(visible=False)
    axes.set_xlabel("Predicted class (blue: correct, orange: mistakes)")
    axes.set_ylabel("Actual class (each row adds up to 100 %)")
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
    worst = max(float(shares[~diagonal].max()), 1e-9)
    for row, column in np.argwhere(counts > 0):
        share, depth = shares[row, column], shares[row, column] / (1 if row == column else worst)
        text = f"{counts[row, column]}" + (f"\n{percent(share)}" if detailed else "")
        axes.text(
            column,
            row,
            text,
            ha="center",
            va="center",
            linespacing=1.1,
            fontsize=8.5 if detailed else 7.5,
            color="white" if depth > 0.75 else INK,
        )
