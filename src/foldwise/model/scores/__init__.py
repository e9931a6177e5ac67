"""Scores of predicted probabilities: the six metrics, and what lies behind each of them."""

from foldwise.model.scores.calibration import ReliabilityBin, calibration_error, reliability
from foldwise.model.scores.confusion import ClassCounts, confusion, predicted_codes
from foldwise.model.scores.ranking import area_under_curve, roc_curve_points
from foldwise.model.scores.summary import (
    METRICS,
    ClassScores,
    Scores,
    is_loss,
    per_class,
    row_losses,
    score,
)

__all__ = [
    "METRICS",
    "ClassCounts",
    "ClassScores",
    "ReliabilityBin",
    "Scores",
    "area_under_curve",
    "calibration_error",
    "confusion",
    "is_loss",
    "per_class",
    "predicted_codes",
    "reliability",
    "roc_curve_points",
    "row_losses",
    "score",
]
