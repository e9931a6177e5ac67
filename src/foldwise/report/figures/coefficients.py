"""Coefficients as images: which pixels speak for a class, and which against it."""

from collections.abc import Sequence
from math import ceil

import numpy as np
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from foldwise.model.linear import LinearModel
from foldwise.report.figures.pictures import Shape, draw_signed, tallness
from foldwise.report.figures.style import SIGNED, canvas, shown, styled

_COLUMNS = 5


@styled
def coefficient_images(model: LinearModel, classes: Sequence[str], shape: Shape) -> Figure:
    """One image of the coefficients for each class, all on one scale.

    The coefficients are for standardised pixels: the change in the class's score when a pixel
    grows by one standard deviation. The scale ends at the 99.5th percentile of the magnitudes.
    Two classes have one image, of the second against the first.
    """
    classes = shown(classes)
    titles = list(classes) if len(classes) > 2 else [f"{classes[1]} against {classes[0]}"]
    columns = min(_COLUMNS, len(titles))
    rows = ceil(len(titles) / columns)
    limit = float(np.quantile(np.abs(model.coefficients), 0.995)) or 1.0
    figure = canvas(
        "What the model looks for: light pixels for the class, dark against",
        max(2.8, 0.6 + (0.3 + 1.2 * tallness(shape)) * rows),
    )
    panels = figure.subplots(rows, columns, squeeze=False).ravel()
    for axes in panels[len(titles) :]:
        axes.set_axis_off()
    for axes, title, weights in zip(panels, titles, model.coefficients, strict=False):
        draw_signed(axes, weights, shape, limit)
        axes.set_title(title, loc="center")
    scale = ScalarMappable(Normalize(-limit, limit), SIGNED)
    figure.colorbar(
        scale,
        ax=list(panels),
        location="right",
        shrink=0.95,
        aspect=30,
        panchor=False,
        extend="both",
        label="Coefficient (per standard deviation)",
    )
    return figure
