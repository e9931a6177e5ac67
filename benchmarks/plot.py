"""The picture of the scaling: rows, batch, trials and threads, one panel each."""

from collections.abc import Sequence
from io import BytesIO
from typing import Any

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.typing import RcKeyType

from benchmarks.scaling import Scaling
from foldwise.palette import FOLD_COLOURS

_STYLE: dict[RcKeyType, Any] = {
    "svg.hashsalt": "foldwise",
    "svg.fonttype": "path",
    "font.size": 9.0,
}


def draw(scaling: Scaling) -> bytes:
    """An SVG of four panels."""
    with rc_context(_STYLE):
        figure = Figure(figsize=(8.0, 5.6), layout="constrained")
        axes = figure.subplots(2, 2)
        _line(
            axes[0, 0],
            scaling.rows,
            "Rows of the development set",
            "Seconds for all paths to C = 0.01",
        )
        each = [(e.fits, 1e3 * e.seconds / e.fits) for e in scaling.batches]
        _line(axes[0, 1], each, "Fits in the batch", "Milliseconds per fit and evaluation")
        _line(axes[1, 0], scaling.trials, "Trials of each study", "Seconds since the search began")
        threads = [(e.threads, 1e3 * e.seconds / e.fits) for e in scaling.threads]
        _line(axes[1, 1], threads, "Threads", "Milliseconds per fit and evaluation")
        axes[1, 1].set_xticks([count for count, _ in threads])
        stream = BytesIO()
        figure.savefig(stream, format="svg", metadata={"Date": None})
    return stream.getvalue()


def _line(axes: Axes, points: Sequence[tuple[int, float]], x: str, y: str) -> None:
    axes.plot(*zip(*points, strict=True), marker="o", color=FOLD_COLOURS[0])
    axes.set_xlabel(x)
    axes.set_ylabel(y)
    axes.xaxis.set_major_formatter("{x:,.0f}")
    axes.set_xlim(left=0)
    axes.set_ylim(bottom=0)
    axes.grid(color="#e6e6e6")
    axes.spines[["top", "right"]].set_visible(False)
