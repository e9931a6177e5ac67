"""Figures that show images, whatever their shape: samples, coefficients, mistakes."""

from collections.abc import Sequence
from math import ceil, prod
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from numpy.typing import NDArray

from foldwise.data.dataset import picture_axes
from foldwise.report.figures import style
from foldwise.report.judged import Judged
from foldwise.report.wording import brief, counted, percent

Shape = tuple[int, ...]


def draw_strip(
    axes: Axes,
    images: NDArray[np.uint8],
    shape: Shape,
    *,
    columns: int = 0,
    titles: Sequence[str] = (),
    numbers: Sequence[int] = (),
) -> None:
    """Draw images (examples, features) side by side: one panel is faster than many.

    Dark ink on white, in colour where the shape has 3 channels. There is room for so many
    ``columns``; above each image stands its title, below it which number it has.
    """
    style.bare(axes)
    height, width, colours = _picture(np.zeros(images.shape[1], dtype=np.uint8), shape).shape
    step = width + ceil(width / 10) * bool(titles)
    blank = 255 if colours > 1 else 0
    size = max(columns, len(images)) * step
    strip = np.full((height, size, colours), blank, dtype=np.uint8)
    for place, image in enumerate(images):
        strip[:, place * step : place * step + width] = _picture(image, shape)
    # Of images that are dark throughout, as of bytes up to 16, the brightest is black.
    shown = strip[:, :, 0] if colours == 1 else strip
    axes.imshow(shown, cmap="gray_r", vmin=0, vmax=max(int(strip.max()), 1))
    axes.set_anchor("W")
    bottom, top = axes.get_ylim()
    below = [f"no. {which}" for which in numbers]
    looks = {"va": "top", "fontsize": 8, "color": style.MUTED}
    for words, end, gap, look in ((titles, top, 3, {"fontsize": 9}), (below, bottom, -3, looks)):
        for place, text in enumerate(words):
            at = (place * step + (width - 1) / 2, end)
            axes.annotate(text, at, (0, gap), textcoords="offset points", ha="center", **look)


def tallness(shape: Shape) -> float:
    """Height of an image over its width, within [1/3, 3]."""
    height, width, _ = _picture(np.empty(prod(shape)), shape).shape
    return float(np.clip(height / width, 1 / 3, 3))


def _picture(values: NDArray[Any], shape: Shape) -> NDArray[Any]:
    """Values (features,) as (height, width, channels): stripes where the shape is no picture's."""
    down_across = picture_axes(shape)
    if down_across is None or min(shape[axis] for axis in down_across) < 2:
        return np.tile(values, (ceil(values.size / 3), 1))[:, :, np.newaxis]
    picture = np.moveaxis(values.reshape(shape), down_across, (0, 1))
    return picture.reshape(*picture.shape[:2], -1)


@style.styled
def class_samples(
    counts: Sequence[int],
    samples: Sequence[NDArray[np.uint8]],
    classes: Sequence[str],
    shape: Shape,
    *,
    copies: int = 0,
) -> Figure:
    """Show the number of images of each class, so many of them ``copies``, and some of them.

    There are a count of the development set and samples (examples, features) for each class.
    """
    among = f", {copies:,} of them shifted copies," if copies else ""
    figure = style.canvas(
        f"{sum(counts):,} images{among} of {len(classes)} classes",
        "Number of images of each class, and the first of them.",
        1.0 + 0.5 * len(classes),
    )
    left, right = figure.subplots(1, 2, width_ratios=[3, 5])
    style.draw_counts(left, counts, classes, "image")
    style.bare(right)
    for row, images in enumerate(samples, start=1):
        # Places within the right panel, which is as high as the left: each beside its bar.
        place = (0, 1 - row / len(classes), 1, 0.94 / len(classes))
        draw_strip(right.inset_axes(place), images, shape)
    return figure


_COLUMNS = 5


@style.styled
def coefficient_images(
    weights: NDArray[np.float64], classes: Sequence[str], shape: Shape, *, meaning: str
) -> Figure:
    """One image of ``weights`` (classes, pixels) for each class, all on one scale.

    The scale ends at the 99.5th percentile of the magnitudes; ``meaning`` is what it measures. Two
    classes have one image, of the second against the first.
    """
    classes = style.shown(classes)
    titles = list(classes) if len(classes) > 2 else [f"{classes[1]} against {classes[0]}"]
    columns = min(_COLUMNS, len(titles))
    looks = [_picture(own, shape).sum(axis=2) for own in weights]  # channels added
    limit = float(np.quantile(np.abs(looks), 0.995)) or 1.0
    figure = style.canvas(
        "What the model looks for: light pixels for the class, dark against",
        "An image for each class: light pixels speak for the class, dark ones against it.",
        max(2.8, 0.6 + (0.3 + 1.2 * tallness(shape)) * ceil(len(titles) / columns)),
    )
    grid = style.panels(figure, len(titles), columns)
    for axes, title, look in zip(grid, titles, looks, strict=True):
        style.bare(axes)
        axes.imshow(look, cmap=style.SIGNED, vmin=-limit, vmax=limit)
        axes.set_title(title, loc="center")
    scale = ScalarMappable(Normalize(-limit, limit), style.SIGNED)
    figure.colorbar(
        scale,
        ax=grid,
        location="right",
        shrink=0.95,
        aspect=30,
        panchor=False,
        extend="both",
        label=meaning,
    )
    return figure


@style.styled
def confident_mistakes(judged: Judged, *, columns: int = 6, rows: int = 4) -> Figure:
    """Show the wrong predictions the model was surest of: actual → predicted (probability).

    There is at least one; below each its row's number.
    """
    mistakes = judged.mistakes()[: columns * rows]
    verdicts = [judged.verdict(int(row)) for row in mistakes]
    lines = max(verdict.count("\n") for verdict in verdicts)
    height = ceil(len(mistakes) / columns)
    figure = style.canvas(
        "Surest mistakes: actual → predicted (probability)",
        "The wrong predictions the model was surest of, with actual and predicted class.",
        0.6 + (1.7 + 0.17 * lines) * height,
    )
    for row, axes in enumerate(style.panels(figure, height, 1)):
        these = slice(row * columns, (row + 1) * columns)
        titles = [style.literal(verdict) for verdict in verdicts[these]]
        which = mistakes[these].tolist()
        images = judged.images[which]
        draw_strip(axes, images, judged.shape, columns=columns, titles=titles, numbers=which)
    return figure


@style.styled
def confused_pairs(judged: Judged, *, pairs: int = 6, examples: int = 8) -> Figure:
    """Show the commonest confusions, of which there are some, with the surest images of each."""
    common = judged.confusions()[:pairs]
    figure = style.canvas(
        "Commonest confusions: actual → predicted (share of the actual class)",
        "The pairs of classes most often confused, each with the images taken for the other.",
        0.6 + 1.1 * len(common),
    )
    for axes, rows in zip(style.panels(figure, len(common), 1), common, strict=True):
        surest = rows[:examples]
        sure = [percent(float(judged.probabilities[row].max()), digits=0) for row in surest]
        images, which = judged.images[surest], surest.tolist()
        draw_strip(axes, images, judged.shape, columns=examples, titles=sure, numbers=which)
        actual, predicted = judged.labels[rows[0]], judged.probabilities[rows[0]].argmax()
        share = len(rows) / np.count_nonzero(judged.labels == actual)
        names = " → ".join(brief(judged.classes[code]) for code in (actual, predicted))
        pair = style.literal(f"{names}\n{counted(len(rows), 'image')}\n{percent(share)}")
        axes.set_ylabel(pair, rotation=0, ha="right", va="center")
    return figure
