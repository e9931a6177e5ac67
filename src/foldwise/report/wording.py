"""How metrics and numbers are worded, the same in figures, card and page."""

import math
from collections.abc import Sequence

from foldwise.search.intervals import Interval

_METRICS = {
    "accuracy": "accuracy",
    "precision": "precision",
    "recall": "recall",
    "f1": "F1",
    "roc_auc": "ROC AUC",
    "log_loss": "log-loss",
}
_UNITS = {"log_loss": "nats per image"}


def metric_label(metric: str) -> str:
    """Name the metric as people write it: ``log-loss``, ``ROC AUC``."""
    return _METRICS.get(metric, metric)


def axis_label(prefix: str, metric: str) -> str:
    """Give an axis title with the unit where there is one: ``Inner log-loss (nats per image)``."""
    unit = _UNITS.get(metric)
    return f"{prefix} {metric_label(metric)}".strip() + (f" ({unit})" if unit else "")


def number(value: float, *, digits: int = 4) -> str:
    """Write a score to four decimals; a dash where there is none."""
    return "–" if math.isnan(value) else f"{value:.{digits}f}"


def signed(difference: float) -> str:
    """Write a difference of scores with its sign, a true minus: ``−0.0245``."""
    return f"{difference:+.4f}".replace("-", "−")


def span(interval: Interval) -> str:
    """Write an interval of scores: ``0.9212 to 0.9314``."""
    return f"{number(interval.low)} to {number(interval.high)}"


def strength(C: float) -> str:
    """Write ``C`` to three significant digits, without exponent from 1e-4 up: ``0.0160``."""
    return f"{C:#.3g}".removesuffix(".")


def chosen(strengths: Sequence[float]) -> str:
    """Word the choices of several studies: ``C between 0.0096 and 0.0121``."""
    first, last = strength(min(strengths)), strength(max(strengths))
    return f"C = {first}" if first == last else f"C between {first} and {last}"


def percent(share: float, *, digits: int = 1) -> str:
    """Write a share as a percentage: ``0.9263`` is ``92.6 %``."""
    return f"{100 * share:.{digits}f} %"


def brief(name: str, length: int = 16) -> str:
    """Cut a long name, with an ellipsis for what is lost."""
    return name if len(name) <= length else name[: length - 1] + "…"


def counted(number: int, noun: str) -> str:
    """Write a number of things: ``1 image``, ``1,200 images``."""
    return f"{number:,} {noun}" + ("" if number == 1 else "s")
