"""Figures: results in, matplotlib figures out. Only this package imports matplotlib."""

from foldwise.report.figures.holdout import confusion_matrix, reliability_diagram, roc_curves
from foldwise.report.figures.images import (
    class_f1,
    class_samples,
    coefficient_images,
    confident_mistakes,
    confused_pairs,
)
from foldwise.report.figures.search import inner_curves, outer_folds, trial_order
from foldwise.report.figures.style import drawn, png, svg

__all__ = [
    "class_f1",
    "class_samples",
    "coefficient_images",
    "confident_mistakes",
    "confused_pairs",
    "confusion_matrix",
    "drawn",
    "inner_curves",
    "outer_folds",
    "png",
    "reliability_diagram",
    "roc_curves",
    "svg",
    "trial_order",
]
