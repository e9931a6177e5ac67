"""Tables: results in, JSON-able documents and CSV text out; no clock, no run id, no version."""

from foldwise.report.tables.holdout import (
    calibration_csv,
    confusion_csv,
    evaluation,
    mistakes_csv,
    per_class_csv,
    predictions_csv,
    roc_csv,
)
from foldwise.report.tables.search import curve_csv, trials_csv, tuning
from foldwise.report.tables.text import json_text

__all__ = [
    "calibration_csv",
    "confusion_csv",
    "curve_csv",
    "evaluation",
    "json_text",
    "mistakes_csv",
    "per_class_csv",
    "predictions_csv",
    "roc_csv",
    "trials_csv",
    "tuning",
]
