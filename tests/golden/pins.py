"""What of a case's quantities is pinned in a committed file, and how closely it must be met.

The files hold on any processor: kernels sum in other orders, and with `tune.tol` at 1e-4 a fit may
end a step away. So what is counted, chosen or drawn is pinned exactly, C's to the last digit, and
what is measured within a `Tolerance`. How many steps a fit took is not pinned at all.
"""

import json
import re
from collections import defaultdict
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from statistics import fmean

import numpy as np

from tests.golden.cases import Case
from tests.golden.differences import differences
from tests.golden.documents import Quantities, Value

FOLDER = Path(__file__).parent / "pinned"
LOSS = 1e-4
"""How far apart a log-loss may be."""
ROWS = 3
"""By how many of a part's rows a score may differ that counts rows."""
RARE = 10
"""The same for precision and F1, where a class that is seldom predicted makes a row weigh more."""
ENDS = 5
"""So much further apart an interval's ends may be, the t quantile of three folds being 4.3."""
COEFFICIENTS = 2e-3
"""How far apart a coefficient may be; past 1, as a share of it."""
MARGIN = 2e-4
"""How far apart a study's trials must be for their order, and so all C's, to be sure."""

_PINNED = re.compile(r"(trial|tuning|evaluation|evidence|model|run|decision_tree)\b.*")
_LEFT_OUT = re.compile(
    r"iterations.*|.*(parameters|labels|content)_digest|served.*"
    r"|tag\.mlflow\..*|param\.(space\.|threads).*|threads"
)
_RARE = re.compile(r"precision|f1")
_END = re.compile(r"low|high|spread|optimism")
_EXACT = re.compile(r"C|log10_C\[0\]|search_log10_C.*|chosen\[.*|c_(low|high)|range.*|fits.*")


def choose(found: Quantities) -> Quantities:
    """Of all quantities those that are pinned, arrays as a few numbers."""
    return {
        item: {
            name: told
            for field, value in fields.items()
            if not _LEFT_OUT.fullmatch(field)
            for name, told in _told(field, value).items()
        }
        for item, fields in sorted(found.items())
        if _PINNED.fullmatch(item)
    }


def deviations(case: Case, found: Quantities) -> list[str]:
    """Tell where a case is not as pinned; fields that are new in a pinned item don't count."""
    pinned = load(case)
    told = differences(pinned, choose(found), Tolerance(_part_rows(pinned)).is_met)
    return [line for line in told if not line.startswith("new field")]


@dataclass(frozen=True, slots=True)
class Tolerance:
    """How closely pinned values must be met; ``part_rows`` are scored in an inner fold."""

    part_rows: float

    def is_met(self, item: str, field: str, pinned: Value, found: Value) -> bool:
        """Whether a value is as pinned, exactly or as closely as another processor's would be."""
        if not isinstance(pinned, float) or not isinstance(found, float) or _EXACT.fullmatch(field):
            return bool(pinned == found)
        return abs(pinned - found) <= self.of(item, field, pinned)

    def of(self, item: str, field: str, pinned: float) -> float:
        """How far from a pinned number another may be."""
        if item == "model":
            return COEFFICIENTS * max(1.0, abs(pinned))
        words = f"{item} {field}"
        rows = RARE if _RARE.search(words) else ROWS
        score = LOSS if "log_loss" in words else rows / self.part_rows
        return score * (ENDS if _END.search(field) else 1)


def _part_rows(pinned: Quantities) -> float:
    pipeline = pinned["run /"]
    return float(pipeline["param.data.development_rows"]) / float(pipeline["param.tune.folds"])


def load(case: Case) -> Quantities:
    """The case's committed file."""
    content: Quantities = json.loads((FOLDER / f"{case.name}.json").read_text())
    return content


def save(case: Case, found: Quantities) -> None:
    """Write the case's file anew, a line an item."""
    lines = (f"{json.dumps(item)}: {json.dumps(told)}" for item, told in choose(found).items())
    FOLDER.mkdir(exist_ok=True)
    (FOLDER / f"{case.name}.json").write_text("{\n" + ",\n".join(lines) + "\n}\n")


def least_margin(found: Quantities, metric: str) -> float:
    """The least distance between mean inner scores on which a proposal or a choice hangs.

    Proposals hang on the order of the trials before them, a choice on the two best of all.
    """
    scores: dict[str, dict[int, list[float]]] = defaultdict(lambda: defaultdict(list))
    for item, fields in found.items():
        if item.startswith("trial "):
            study, trial, _ = item.removeprefix("trial ").split("/")
            scores[study][int(trial)].append(fields[metric])
    gaps = [np.inf]
    for trials in scores.values():
        means = [fmean(trials[number]) for number in sorted(trials)]
        best = sorted(means, reverse=metric != "log_loss")[:2]
        gaps += [abs(b - a) for a, b in (*pairwise(sorted(means[:-1])), *pairwise(best))]
    return min(gaps)


def _told(field: str, value: Value) -> dict[str, Value]:
    """An array as its shape, its norm and three of its entries; one of names as they are."""
    if not isinstance(value, np.ndarray):
        return {field: value}
    try:
        flat = value.ravel().astype(np.float64)
    except ValueError:
        return {field: value.tolist()}
    places = sorted({0, len(flat) // 2, len(flat) - 1})
    return {
        f"{field}.shape": list(value.shape),
        f"{field}.norm": float(np.linalg.norm(flat)),
        **{f"{field}.flat[{place}]": float(flat[place]) for place in places},
    }
