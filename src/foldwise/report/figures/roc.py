"""ROC curves, one class against the rest, with the corner that matters enlarged."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from foldwise.model.scores.ranking import Rates
from foldwise.palette import FOLD_COLOURS
from foldwise.report.figures.style import FAINT, MUTED, canvas, shown, styled

_NAMED = 10
"""Classes drawn in colour: the hardest. More can't be told apart, the others are grey."""
# Each for two of ten classes, the harder one broad: told apart in grey, too.
_DASHES = ("-", (0, (5, 1)), (0, (1, 1)), (0, (6, 1, 1, 1)), (0, (6, 1, 1, 1, 1, 1)))


@styled
def roc_curves(curves: Sequence[Rates], areas: Sequence[float], classes: Sequence[str]) -> Figure:
    """Draw each class's true against false positive rate; right, the upper left corner enlarged.

    Parameters
    ----------
    curves : one pair a class
        False and true positive rates, ascending from 0 to 1.
    areas : one a class
        Areas under the curves. Classes are listed from the smallest, the hardest.
    """
    classes = shown(classes)
    hardest = np.argsort(areas, kind="stable")
    figure = canvas(
        f"ROC AUC {np.nanmean(areas):.4f} (macro); hardest class: {classes[hardest[0]]}", 4.6
    )
    whole, corner = figure.subplots(1, 2)
    for rank, code in reversed(list(enumerate(hardest))):
        for axes in (whole, corner):
            _draw(axes, curves[code], rank, f"{classes[code]}  {areas[code]:.4f}")
    whole.plot([0, 1], [0, 1], color=MUTED, linewidth=0.8, linestyle=":")
    _frame(whole, 1.0, "one class against the rest")
    edge = _corner(curves)
    _frame(corner, edge, f"upper left corner, {1 / edge:.0f} times enlarged")
    whole.set_ylabel("True positive rate")
    handles, labels = whole.get_legend_handles_labels()
    whole.legend(
        handles[::-1],
        labels[::-1],
        title="class, AUC (hardest first)",
        loc="lower right",
        ncols=2 if len(labels) > 5 else 1,
        fontsize=9,
    )
    return figure


def _draw(axes: Axes, rates: Rates, rank: int, label: str) -> None:
    if rank >= _NAMED:
        axes.plot(*rates, color=FAINT, linewidth=1)
        return
    colour, dash = FOLD_COLOURS[rank], _DASHES[rank % len(_DASHES)]
    width = 2.2 if rank < len(_DASHES) else 1.2
    axes.plot(*rates, color=colour, linestyle=dash, linewidth=width, label=label)


def _frame(axes: Axes, edge: float, title: str) -> None:
    axes.set_xlim(-0.01 * edge, edge)
    axes.set_ylim(1 - edge, 1 + 0.01 * edge)
    axes.set_title(title)
    axes.set_xlabel("False positive rate")


def _corner(curves: Sequence[Rates]) -> float:
    # The smallest corner that holds every curve's bend, the point furthest above the diagonal.
    bends = []
    for false, true in curves:
        at = int(np.argmax(true - false))
        bends.append(max(false[at], 1 - true[at]))
    return next(edge for edge in (0.02, 0.05, 0.1, 0.2, 0.5, 1.0) if max(bends) <= edge)
