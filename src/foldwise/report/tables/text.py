"""Tables as text: rounded, ordered and ended the same way every time, so that re-runs agree."""

import csv
import io
import json
import math
from collections.abc import Iterable, Mapping, Sequence

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
