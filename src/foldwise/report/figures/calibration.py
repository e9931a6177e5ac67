"""Reliability diagram: whether the probabilities can be taken at their word."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter
from numpy.typing import NDArray

from foldwise.model.scores import ReliabilityBin
from foldwise.report.figures.style import BLUE, MUTED, canvas, styled

_DEVIATIONS = 1.96


@styled
def reliability_diagram(bins: Sequence[ReliabilityBin], error: float) -> Figure:
    """Share of correct predictions against the stated confidence, with 95 % intervals (Wilson's).

    Below: how many images the model is so sure of. Points under the diagonal: too sure of itself.

    Parameters
    ----------
    error : float
        The calibration error, mean of |accuracy - confidence| over the images.
    """
    gap = sum(each.rows * (each.confidence - each.accuracy) for each in bins)
    word = "too sure of itself" if gap > 0 else "too careful"
    figure = canvas(f"Calibration error {error:.4f}; on the whole {word}", 6.0)
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=[3, 1])
    _draw_bins(above, bins)
    for each in bins:
        below.bar(
            each.low,
            each.rows,
            width=each.high - each.low,
            align="edge",
            color=BLUE,
            edgecolor="white",
        )
    below.set_yscale("log")
    below.set_ylim(bottom=0.7)  # a bin of one image stays visible
    below.set_ylabel("Images (log)")
    below.set_xlabel("Confidence: probability of the predicted class")
    below.set_xlim(min(each.low for each in bins), 1)
    below.xaxis.set_major_formatter(PercentFormatter(1, decimals=0, symbol=" %"))
    return figure


def _draw_bins(axes: Axes, bins: Sequence[ReliabilityBin]) -> None:
    confidence = np.array([each.confidence for each in bins])
    accuracy = np.array([each.accuracy for each in bins])
    low, high = _wilson(accuracy, np.array([each.rows for each in bins]))
    axes.plot([0, 1], [0, 1], color=MUTED, linewidth=1, linestyle=":")
    corner: dict[str, Any] = {"transform": axes.transAxes, "color": MUTED, "fontstyle": "italic"}
    axes.text(0.02, 0.82, "too careful", **corner)
    axes.text(0.98, 0.05, "too sure of itself", ha="right", **corner)
    axes.vlines(confidence, low, high, color=BLUE, linewidth=3, alpha=0.4)
    axes.plot(confidence, accuracy, "o", color=BLUE, markersize=6)
    axes.set_ylim(0, 1.02)
    axes.set_ylabel("Share predicted correctly (with 95 % interval)")
    axes.yaxis.set_major_formatter(PercentFormatter(1, decimals=0, symbol=" %"))


def _wilson(
    shares: NDArray[np.float64], rows: NDArray[np.int64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    # Wilson's interval stays within [0, 1] and is right for few rows (Wilson, 1927).
    weight = _DEVIATIONS**2 / rows
    middle = (shares + weight / 2) / (1 + weight)
    half = np.sqrt(weight * (shares * (1 - shares) + weight / 4)) / (1 + weight)
    return middle - half, middle + half
