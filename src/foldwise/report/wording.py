"""How numbers and names are written for people, and how much is shown.

How metrics and numbers are worded, the same in figures, card and page.

What the figures do not say: the limits that card and page state in the same words.

Tables as text: rounded, ordered and ended the same way every time, so that re-runs agree.
"""

import csv
import io
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from fractions import Fraction

from foldwise.search.trials import Values
from foldwise.settings import Value
from foldwise.stats.intervals import Interval

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


def value_text(value: Value) -> str:
    """Write one value of a parameter."""
    return strength(value) if isinstance(value, float) else str(value)


def values_text(values: Values) -> str:
    """Write the values of all parameters in one line: ``C = 0.0160, gamma = 0.0213``."""
    return ", ".join(f"{name} = {value_text(value)}" for name, value in values.items())


def chosen(choices: Sequence[Values]) -> str:
    """Word the choices of several studies: ``C between 0.0096 and 0.0121``."""
    return ", ".join(_chosen(name, [values[name] for values in choices]) for name in choices[0])


def _chosen(name: str, values: Sequence[Value]) -> str:
    texts = list(dict.fromkeys(map(value_text, sorted(values, key=_order))))
    if len(texts) == 1:
        return f"{name} = {texts[0]}"
    if all(isinstance(value, int | float) for value in values):
        return f"{name} between {texts[0]} and {texts[-1]}"
    return f"{name} among {', '.join(texts)}"


def _order(value: Value) -> tuple[str, float, str]:
    if isinstance(value, int | float):
        return ("", float(value), "")
    return (type(value).__name__, 0.0, str(value))


def percent(share: float, *, digits: int = 1) -> str:
    """Write a share as a percentage: ``0.9263`` is ``92.6 %``."""
    return f"{100 * share:.{digits}f} %"


def brief(name: str, length: int = 16) -> str:
    """Cut a long name, with an ellipsis for what is lost."""
    return name if len(name) <= length else name[: length - 1] + "…"


def counted(number: int, noun: str) -> str:
    """Write a number of things: ``1 image``, ``1,200 images``."""
    return f"{number:,} {noun}" + ("" if number == 1 else "s")


_LIMITS = """
The outer folds estimate the procedure trained on {outer} of the development rows; the final model
is trained on all of them and is usually a little better.

The intervals are conditional on the partition that the seed gave. Folds are shuffled, so that
related images, those by one writer say, may stand on both sides of a fold: new writers can be
harder.

The best C depends on the number of training rows: the final C is chosen by fits on {outer} of
them, each outer fold's C by fits on {inner}. How far apart these C's lie also tells how finely the
search looked: it is no interval for the best one.

The corrected interval of the outer mean (Nadeau and Bengio) is conservative. The pooled one takes
all rows as independent and leaves out that the folds share training rows.

The bootstrap intervals of the holdout take the model as given: they hold how the holdout was
drawn, not how training could have come out.

The holdout is a budget: each further model scored on it makes the next comparison on it worth less.
"""


def limits(folds: int) -> tuple[str, ...]:
    """Word the limits of a nested search with ``folds`` outer folds, a paragraph each."""
    text = _LIMITS.format(outer=Fraction(folds - 1, folds), inner=Fraction(folds - 2, folds))
    return tuple(" ".join(paragraph.split()) for paragraph in text.split("\n\n"))


Json = None | bool | int | float | str | Sequence["Json"] | Mapping[str, "Json"]

DIGITS = 6
"""Decimals of a score. Bootstrap and fold noise start at the third."""


def rounded(value: float) -> float | None:
    """Round a score to six decimals; None where there is no number, since JSON has no NaN."""
    return None if math.isnan(value) else round(float(value), DIGITS) + 0.0  # no -0.0


def significant(value: float) -> float:
    """Round a ``C`` to six significant digits, whatever its size."""
    return float(f"{value:.6g}")


def json_text(document: Mapping[str, Json]) -> str:
    """Write the document as JSON, two spaces deep, in its own order, with a last newline."""
    return json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def csv_text(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Write rows as CSV with a header; quoted where needed, lines end with a newline everywhere."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    return stream.getvalue()
