"""Rows of numbers as pictures, whatever shape the data says its images have."""

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import NDArray

from foldwise.report.figures.style import MUTED, SIGNED, bare

Shape = tuple[int, ...]


def draw_image(axes: Axes, pixels: NDArray[np.uint8], shape: Shape) -> None:
    """Draw one image (features,): dark ink on white, in colour where the shape has 3 channels.

    Shapes that are no picture, (features,) for one, are drawn as a profile over the features.
    """
    bare(axes)
    if _is_picture(shape):
        axes.imshow(pixels.reshape(shape).squeeze(), cmap="gray_r", vmin=0, vmax=255)
    else:
        axes.fill_between(range(pixels.size), pixels, color=MUTED, linewidth=0)
        axes.set_ylim(0, 255)


def draw_strip(axes: Axes, images: NDArray[np.uint8], shape: Shape) -> None:
    """Draw images (examples, features) side by side: one picture is faster than many axes."""
    if not _is_picture(shape):
        draw_image(axes, images.ravel(), (images.size,))
        return
    strip = np.concatenate([image.reshape(shape) for image in images], axis=1)
    draw_image(axes, strip, strip.shape)
    axes.set_anchor("W")


def draw_signed(axes: Axes, values: NDArray[np.float64], shape: Shape, limit: float) -> None:
    """Draw signed values (features,) on the common scale from -limit to limit; channels added."""
    bare(axes)
    if _is_picture(shape):
        picture = values.reshape(*shape[:2], -1).sum(axis=2)
        axes.imshow(picture, cmap=SIGNED, vmin=-limit, vmax=limit)
    else:
        axes.axhline(0, color=MUTED, linewidth=0.6)
        axes.bar(range(values.size), values, width=1.0, color=SIGNED(np.sign(values) / 2 + 0.5))
        axes.set_ylim(-limit, limit)


def tallness(shape: Shape) -> float:
    """Height of an image over its width, within [1/3, 3]; 1 for shapes that are no picture."""
    return min(max(shape[0] / shape[1], 1 / 3), 3.0) if _is_picture(shape) else 1.0


def _is_picture(shape: Shape) -> bool:
    flat = len(shape) == 2 or (len(shape) == 3 and shape[2] in {1, 3, 4})
    return flat and min(shape[:2]) > 1
