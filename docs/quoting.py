"""Reading what runs left, and writing it as Markdown."""

import csv
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from foldwise.report.wording import digits_told, number

ROOT = Path(__file__).parent.parent
REPORTS = ROOT / "reports"

Json = dict[str, Any]


def read_json(path: Path) -> Json:
    """A JSON document."""
    content: Json = json.loads(path.read_text())
    return content


def read_csv(path: Path) -> list[dict[str, str]]:
    """A CSV table, a mapping a row."""
    with path.open() as file:
        return list(csv.DictReader(file))


def with_interval(scores: Mapping[str, Any], metric: str) -> str:
    """A score with the interval that stands beside it: ``0.9258 (0.9206 to 0.9308)``."""
    digits = digits_told(metric)
    ends = (float(scores[f"{metric}{end}"]) for end in ("", "_low", "_high"))
    value, low, high = (number(each, digits=digits) for each in ends)
    return f"{value} ({low} to {high})"
