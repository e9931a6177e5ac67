"""Figures of a table: its columns, what the model makes of them, and precision against recall."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from foldwise.report.figures import style
from foldwise.report.wording import counted, percent, signed
from foldwise.stats.scores import ThresholdCurve

_SHOWN = 24
"""Columns, or coefficients, that a figure has room for."""
_CLASSES = 6
"""Classes whose coefficients are shown, each in a panel."""
_IN_PANEL = 10


@style.styled
def column_profile(
    counts: Sequence[int], classes: Sequence[str], missing: Mapping[str, float]
) -> Figure:
    """Show the rows of each class, and the share of missing cells of the columns that have some."""
    worst = sorted((share, name) for name, share in missing.items() if share > 0)[::-1][:_SHOWN]
    complete = sum(share == 0 for share in missing.values())
    figure = style.canvas(
        f"{sum(counts):,} rows of {len(classes)} classes, {counted(len(missing), 'column')},"
        f" {complete} of them without gaps",
        "Number of rows of each class, and the share of missing cells of the columns with most.",
        1.4 + 0.25 * max(len(classes), len(worst), 4),
    )
    left, *others = style.panels(figure, *[2 if worst else 1] * 2)
    style.draw_counts(left, counts, classes, "row")
    for right in others:
        right.barh(
            range(len(worst)),
            [share for share, _ in worst],
            color=style.SAND,
            edgecolor=style.MUTED,
        )
        for row, (share, _) in enumerate(worst):
            right.text(share, row, f" {percent(share)}", va="center", fontsize=9)
        style.name_rows(right, style.shown([name for _, name in worst], 32))
        right.grid(visible=False, axis="y")
        right.set_xlim(0, 1.25 * max(share for share, _ in worst))
        style.percentages(right.xaxis)
        right.set_xlabel("Missing cells")
    return figure


@style.styled
def coefficient_bars(
    weights: NDArray[np.float64],
    outer: NDArray[np.float64],
    names: Sequence[str],
    classes: Sequence[str],
) -> Figure:
    """Draw the largest coefficients as bars, with a point for each outer fold's model.

    The final model's ``weights`` (classes, or 1 for two; features) are for standardised numbers and
    categories of 0 and 1, as the ``outer`` ones (outer folds, classes or 1, features) are.
    """
    classes = style.shown(classes)
    is_one = len(weights) == 1
    titles = [f"{classes[1]} against {classes[0]}"] if is_one else list(classes)
    most = _SHOWN if is_one else _IN_PANEL
    count = min(len(titles), 1 if is_one else _CLASSES)
    rows = min(most, weights.shape[1])
    # Of many classes those that have the largest.
    codes = np.sort(np.argsort(-np.abs(weights).max(axis=1), kind="stable")[:count])
    figure = style.canvas(
        "What speaks for a class: to the right for it, to the left against",
        "The largest coefficients, sorted, with those of the outer folds' models as points.",
        0.9 + (0.6 + 0.26 * rows) * -(-count // 2) if count > 1 else 1.3 + 0.26 * rows,
    )
    grid = style.panels(figure, count, min(count, 2))
    for axes, code in zip(grid, codes, strict=True):
        largest = np.argsort(-np.abs(weights[code]), kind="stable")[:most]
        order = largest[np.argsort(-weights[code][largest], kind="stable")]
        _draw_bars(
            axes, [(names[at], float(weights[code, at]), outer[:, code, at]) for at in order]
        )
        axes.set_title(titles[code])
    for axes in grid[-2:]:
        axes.set_xlabel("Coefficient (points: outer folds)")
    return figure


def _draw_bars(axes: Axes, rows: Sequence[tuple[str, float, NDArray[np.float64]]]) -> None:
    for row, (name, weight, points) in enumerate(rows):
        (bar,) = axes.barh(row, weight, color=style.BLUE, alpha=0.45, height=0.7)
        style.named(bar, f"{name}: {signed(weight)}")
        axes.plot(points, [row] * len(points), "o", color=style.INK, markersize=3, alpha=0.7)
    axes.axvline(0, color=style.MUTED, linewidth=0.8)
    style.name_rows(axes, style.shown([name for name, _, _ in rows], 32))
    axes.grid(visible=False, axis="y")


_POINTS = 40


@style.styled
def precision_recall(
    values: NDArray[np.float64], is_positive: NDArray[np.bool_], name: str
) -> Figure:
    """Draw precision against recall of the positive class; dotted: its share of the rows.

    ``values`` (rows,) are probabilities of the class.
    """
    curve = ThresholdCurve.of(values, is_positive)
    # Where all are found, more rows tell no more.
    told = slice(int(np.searchsorted(curve.hits, curve.hits[-1])) + 1)
    recall, precision = curve.recall[told], curve.precision[told]
    area = float(np.sum(np.diff(recall, prepend=0.0) * precision))
    share = float(is_positive.mean())
    figure = style.canvas(
        f"Average precision {area:.3f} for {style.shown([name])[0]}, {share:.3f} by chance",
        "Precision against recall of the positive class, at every threshold.",
        4.2,
    )
    axes = figure.subplots()
    axes.step(
        np.append(0.0, recall), np.append(precision[0], precision), where="pre", color=style.BLUE
    )
    axes.axhline(share, color=style.MUTED, linewidth=1, linestyle=":")
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 1.02)
    axes.set_xlabel(f"Recall: share of {style.shown([name])[0]}, the positive class, that is found")
    axes.set_ylabel("Precision: share of those named that are its own")
    places = np.unique(np.linspace(0, len(recall) - 1, _POINTS).astype(np.int64))
    words = "{} of those named are its own where {} of it is found"
    points = [(float(recall[at]), float(precision[at])) for at in places]
    style.hover(axes, [(x, y, words.format(percent(y), percent(x))) for x, y in points])
    for axis in (axes.xaxis, axes.yaxis):
        style.percentages(axis)
    return figure
