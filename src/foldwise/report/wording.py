"""How numbers, names and tables are written: worded for people, in files always the same."""

import csv
import io
import json
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from fractions import Fraction

from foldwise.files import Value
from foldwise.search.trials import SearchResult, Study, Values
from foldwise.stats.intervals import Interval
from foldwise.stats.scores import METRIC, PUBLISHED, metric_label


def axis_label(prefix: str, metric: str, row: str = "image") -> str:
    """Give an axis title with the unit where there is one: ``Inner log-loss (nats per image)``."""
    unit = METRIC[metric].unit.replace("row", row) if metric in METRIC else ""
    return f"{prefix} {metric_label(metric)}".strip() + (f" ({unit})" if unit else "")


def called(study: Study, result: SearchResult) -> str:
    """Name a study for people, with its repeat where there are several."""
    if study.part is None:
        return "final study"
    repeat, fold = study.part
    is_repeated = any(each.part.repeat for each in result.outer)
    return f"repeat {repeat}, fold {fold}" if is_repeated else f"outer fold {fold}"


def number(value: float, *, digits: int = 4) -> str:
    """Write a score to four decimals; a dash where there is none."""
    # Of the digits that files keep: else a tie would be another number here than there.
    return "–" if math.isnan(value) else f"{round(value, DIGITS):.{digits}f}"


def digits_told(metric: str) -> int:
    """Decimals of a holdout's score: four if it is made of counts, else as many as may be shown."""
    return 4 if METRIC[metric].counts else PUBLISHED


def signed(difference: float, *, digits: int = 4) -> str:
    """Write a difference of scores with its sign, a true minus: ``−0.0245``."""
    return f"{difference:+.{digits}f}".replace("-", "−")


def span(interval: Interval, *, digits: int = 4) -> str:
    """Write an interval of scores: ``0.9212 to 0.9314``."""
    return f"{number(interval.low, digits=digits)} to {number(interval.high, digits=digits)}"


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
    names = dict.fromkeys(name for values in choices for name in values)
    return ", ".join(
        _chosen(name, [values[name] for values in choices if name in values]) for name in names
    )


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


def known(log10_error: float) -> str:
    """How well choices say where the best value lies, by the standard error of its log10."""
    return f"known to a factor of {10**log10_error:.2f}"


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

Folds are shuffled, so that related images, those by one writer say, may stand on both sides of a
fold: new writers can be harder.

The best values depend on the number of training rows: the final ones are chosen by fits on {outer}
of them, each outer fold's by fits on {inner}. {spread}

The interval of the outer mean holds how the rows were drawn, those scored and those trained on: a
jackknife over the studies. The corrected one (Nadeau and Bengio) is shown because others quote it.

The intervals of the holdout take the model as given: they hold how the holdout was drawn, not how
training could have come out.

The holdout is a budget: each further model scored on it makes the next comparison on it worth less.
"""


_SPREAD = (
    "How far apart they lie also tells how finely the search looked: it is no interval for the best"
    " ones."
)
_KNOWN = (
    "How far apart they lie says how well the best one is known: by the jackknife to a factor of"
    " {factor:.2f}, one standard error."
)


LIMIT_OF_TABLES = (
    (
        "Folds are shuffled, so that related rows, those of one person say, may stand on both sides"
        " of a fold, and figures are too good then: name what relates them in prepare.group."
    ),
    (
        "Rows of one group stay on one side of each fold: figures are for groups that are new,"
        " drawn as these were. Intervals of few groups are wide, and rough."
    ),
)
"""In place of what is said of images: without groups, and with them."""


def limits(folds: int, optimum_error: float | None = None) -> tuple[str, ...]:
    """Word the limits of a nested search with ``folds`` outer folds, a paragraph each.

    ``optimum_error`` is the standard error of the best value's log10, where choices tell it.
    """
    known = _SPREAD if optimum_error is None else _KNOWN.format(factor=10**optimum_error)
    text = _LIMITS.format(
        outer=Fraction(folds - 1, folds), inner=Fraction(folds - 2, folds), spread=known
    )
    return tuple(" ".join(paragraph.split()) for paragraph in text.split("\n\n"))


# The dot of "www." makes a link, any other is a dot.
_MARKUP = re.compile(r"[!$&*:<>@[\\\]_`|~]|(?<=www)\.", re.IGNORECASE)


def escaped(name: str) -> str:
    """Write a name of any content for Markdown, so that nothing in it is markup or a link.

    As character references, which every renderer leaves alone: not all know backslashes.
    """
    return _MARKUP.sub(lambda found: f"&#{ord(found[0])};", " ".join(name.split()))


Json = None | bool | int | float | str | Sequence["Json"] | Mapping[str, "Json"]

DIGITS = 6
"""Decimals of a score. Bootstrap and fold noise start at the third."""


def rounded(value: float) -> float | None:
    """Round a score to six decimals; None where there is no number, since JSON has no NaN."""
    return None if math.isnan(value) else round(float(value), DIGITS) + 0.0  # no -0.0


def significant(value: Value) -> Value:
    """Round a parameter's value to six significant digits, whatever its size, if it is a float."""
    return float(f"{value:.6g}") if isinstance(value, float) else value


def json_text(document: Mapping[str, Json]) -> str:
    """Write the document as JSON, two spaces deep, in its own order, with a last newline."""
    return json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def csv_of(rows: Iterable[Mapping[str, object]], columns: Sequence[str] = ()) -> str:
    """Write mappings as CSV: floats as scores, quoted where needed.

    Lines end with a newline everywhere. What must keep other digits than a score is given as text.
    By default ``columns`` are the first row's, so that they are needed where there may be none.
    """
    told = [
        {name: rounded(of) if isinstance(of, float) else of for name, of in row.items()}
        for row in rows
    ]
    stream = io.StringIO()
    writer = csv.DictWriter(stream, columns or list(told[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(told)
    return stream.getvalue()
