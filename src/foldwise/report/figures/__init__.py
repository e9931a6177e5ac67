"""Figures: results in, matplotlib figures out. Only this package imports matplotlib."""

from foldwise.report.figures.calibration import reliability_diagram
from foldwise.report.figures.classes import class_f1, class_samples
from foldwise.report.figures.coefficients import coefficient_images
from foldwise.report.figures.confusion import confusion_matrix
from foldwise.report.figures.curve import inner_curves
from foldwise.report.figures.mistakes import confident_mistakes, confused_pairs
from foldwise.report.figures.outer import outer_folds
from foldwise.report.figures.roc import roc_curves
from foldwise.report.figures.style import drawn, png, svg
from foldwise.report.figures.trials import trial_order

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
