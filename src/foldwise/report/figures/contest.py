"""Accuracy against time: what each classifier's holdout accuracy costs."""

from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, PercentFormatter

from foldwise.palette import FOLD_COLOURS, FOLD_MARKERS
from foldwise.report.figures.style import canvas, styled
from foldwise.report.wording import percent


@dataclass(frozen=True, slots=True)
class ModelCost:
    """One classifier: its holdout accuracy with interval, its wall-clock seconds."""

    title: str
    accuracy: float
    low: float
    high: float
    fit_seconds: float
    predict_seconds: float


@styled
def accuracy_against_time(models: Sequence[ModelCost], *, rows: int, holdout: int) -> Figure:
    """Draw holdout accuracy against the time to fit (left) and to predict (right), log scales.

    Parameters
    ----------
    rows, holdout : int
        Development rows fitted and holdout rows predicted.
    """
    best = max(models, key=lambda model: model.accuracy)
    figure = canvas(
        f"Most accurate: {best.title}, {percent(best.accuracy, digits=2)}",
        "Holdout accuracy of each classifier against the time to fit and to predict.",
        4.6,
    )
    left, right = figure.subplots(1, 2, sharey=True)
    _draw(left, models, [model.fit_seconds for model in models])
    _draw(right, models, [model.predict_seconds for model in models])
    left.set_xlabel(f"Time to fit {rows:,} images (log scale)")
    right.set_xlabel(f"Time to predict {holdout:,} images (log scale)")
    left.set_ylabel("Holdout accuracy (with interval)")
    left.yaxis.set_major_formatter(PercentFormatter(1, decimals=0, symbol=" %"))
    figure.legend(*left.get_legend_handles_labels(), loc="outside lower center", ncols=4)
    return figure


def _draw(axes: Axes, models: Sequence[ModelCost], seconds: Sequence[float]) -> None:
    for index, (model, time) in enumerate(zip(models, seconds, strict=True)):
        axes.errorbar(
            max(time, 0.01),
            model.accuracy,
            yerr=[[model.accuracy - model.low], [model.high - model.accuracy]],
            marker=FOLD_MARKERS[index % len(FOLD_MARKERS)],
            markersize=9,
            color=FOLD_COLOURS[index % len(FOLD_COLOURS)],
            linestyle="",
            capsize=3,
            label=model.title,
        )
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter(FuncFormatter(_time))
    axes.minorticks_off()
    axes.margins(x=0.15)


def _time(seconds: float, _position: int) -> str:
    return f"{seconds:g} s"
