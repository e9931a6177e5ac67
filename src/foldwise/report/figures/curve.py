"""The key figure: where the best C lies, and how sure that is."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from foldwise.model.scores import is_loss
from foldwise.palette import fold_colour, fold_marker
from foldwise.report.curves import Curve, curves
from foldwise.report.figures.style import FAINT, SAND, canvas, styled
from foldwise.report.wording import axis_label, chosen, strength
from foldwise.search.results import SearchResult


@styled
def inner_curves(result: SearchResult, *, low: float, high: float) -> Figure:
    """Inner score against C for every study, the chosen C's, and how flat the curve is there.

    Above: the mean inner score of each trial, one curve an outer fold, and the final study's.
    Below: how much worse than the study's best C, paired by inner fold, with one standard error on
    both sides. A C whose band reaches zero can't be told from the best one.

    Parameters
    ----------
    low, high : float
        The search range of ``C``.
    """
    studies = curves(result)
    figure = canvas(_headline(studies), 6.4)
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=[3, 2])
    _draw_range((above, below), studies, low, high)
    for curve in studies:
        _draw_scores(above, curve)
        _draw_excess(below, curve)
    above.set_ylabel(axis_label("Mean inner", result.metric))
    place = "upper center" if is_loss(result.metric) else "lower center"
    above.legend(ncols=2 if len(studies) < 9 else 3, loc=place)
    _scale_excess(below, studies)
    below.set_xlabel("C, inverse regularisation strength (log scale; grey: outside the search)")
    return figure


def _headline(studies: tuple[Curve, ...]) -> str:
    outer = [curve.best.C for curve in studies if curve.fold is not None]
    final = strength(studies[-1].best.C)
    return f"All {len(outer)} outer folds choose {chosen(outer)}; final C = {final}"


def _draw_range(
    panels: tuple[Axes, Axes], studies: tuple[Curve, ...], low: float, high: float
) -> None:
    best = [curve.best.C for curve in studies]
    margin = (high / low) ** 0.02
    for axes in panels:
        axes.set_xscale("log")
        axes.set_xlim(low / margin, high * margin)
        axes.axvspan(low / margin, low, color=FAINT, linewidth=0)
        axes.axvspan(high, high * margin, color=FAINT, linewidth=0)
        # Three per cent wider than the choices, so that equal ones can still be seen.
        axes.axvspan(min(best) / 1.03, max(best) * 1.03, color=SAND, label="chosen C's")


def _draw_scores(axes: Axes, curve: Curve) -> None:
    final = curve.fold is None
    study = "final study" if final else f"outer fold {curve.fold}"
    scores = np.array([point.score for point in curve.points])
    _draw_line(axes, curve, scores, label=f"{study}: C = {strength(curve.best.C)}")
    axes.plot(
        [curve.best.C],
        [curve.best.score],
        linestyle="",
        color=fold_colour(curve.fold),
        marker=fold_marker(curve.fold),
        markersize=13 if final else 9,
        markeredgecolor="white",
        zorder=5,
    )


def _draw_excess(axes: Axes, curve: Curve) -> None:
    strengths = [point.C for point in curve.points]
    excess = np.array([point.excess for point in curve.points])
    error = np.array([point.error for point in curve.points])
    axes.fill_between(
        strengths,
        np.maximum(excess - error, 0),
        excess + error,
        color=fold_colour(curve.fold),
        alpha=0.3 if curve.fold is None else 0.15,
        linewidth=0,
    )
    _draw_line(axes, curve, excess)


def _draw_line(axes: Axes, curve: Curve, values: NDArray[np.float64], label: str = "") -> None:
    final = curve.fold is None
    axes.plot(
        [point.C for point in curve.points],
        values,
        color=fold_colour(curve.fold),
        marker=fold_marker(curve.fold),
        markersize=6 if final else 4,
        linewidth=2.2 if final else 1.2,
        linestyle=(0, (4, 1.5)) if final else "-",
        label=label or None,
    )


def _scale_excess(axes: Axes, studies: tuple[Curve, ...]) -> None:
    # On a square-root scale a parabola is a V: the point stands out, the slopes stay in sight.
    axes.set_yscale("function", functions=(lambda y: np.sqrt(np.maximum(y, 0)), np.square))
    excess = [point.excess for curve in studies for point in curve.points]
    top = max(float(np.quantile(excess, 0.5)), 1e-6)
    steps = [factor * 10.0**power for power in range(-9, 6) for factor in (1, 3)]
    axes.set_yticks([0.0, *(step for step in steps if top / 150 < step <= top)])
    axes.yaxis.set_major_formatter("{x:g}")
    axes.minorticks_off()
    axes.set_ylim(0, top)
    axes.set_ylabel("Worse than the best C\n(paired, ± 1 std. error;\nsquare-root scale)")
