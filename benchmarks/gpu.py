"""``make gpu``: the default search on a GPU, checked against the cores' and measured.

Needs numpy, scipy, scikit-learn and torch, no installing: the rows are ``data/raw``'s. A search
begins at the C that ``reports/trials.csv`` begins at; what it asks then follows from its own
losses. Without a GPU it says so, and does nothing.
"""

import csv
import os
import sys
import traceback
from collections.abc import Callable, Sequence
from functools import cache, partial
from math import log
from statistics import mean
from typing import Any

import numpy as np

from benchmarks import on_card, solver
from benchmarks.clock import ROOT, adding_to, apart
from benchmarks.markdown import machine, table, write_measured
from benchmarks.solver import HIGH, LOW, Searched, search
from benchmarks.work import Parts, Size, Task, Work
from foldwise.errors import SearchError
from foldwise.search.curve import Point, next_place, starts, walk
from foldwise.search.engines.gpu import Cuda, found
from foldwise.search.trials import Trial

COPIES = (1, 20, 135)
say = partial(print, flush=True)


class Curve:
    """What the default search asks, without Optuna: what a nested search wants of a space."""

    metric = "log_loss"
    numbers = staticmethod(range)

    def ready(self, missing: Sequence[int]) -> Sequence[int]:
        """One trial at a time."""
        return missing[:1]

    def propose(self, _: Any, __: int, completed: Sequence[Trial]) -> dict[str, float]:
        """The C after these trials, by their losses, as ``tune`` does."""
        points = [
            Point(
                _place(solver.strength(trial)), tuple(of.scores["log_loss"] for of in trial.inner)
            )
            for trial in completed
        ]
        return {"C": LOW * (HIGH / LOW) ** next_place(points, _walk(), is_stepped=False)}

    def chosen(self, trials: Sequence[Trial], _: str) -> Trial:
        """The best."""
        return min(trials, key=lambda trial: trial.mean("log_loss"))


@cache
def _walk() -> tuple[float, ...]:
    """That of the report's search."""
    count = starts(Size().trials)
    with (ROOT / "reports" / "trials.csv").open(newline="") as told:
        return walk(count, count * _place(float(next(csv.DictReader(told))["C"])))


def _place(C: float) -> float:
    return log(C / LOW) / log(HIGH / LOW)


def reference(work: Work) -> Searched:
    """The same search by the cores."""
    return search(work, Curve(), solver.cores(work, scale_floor=on_card.FLOOR))


def differences(one: Searched, other: Searched) -> tuple[float, float, float]:
    """The largest: relative of a chosen C, of a study's log-loss there, of any log-loss of both.

    A fit with little penalty is free to go far within the tolerance, and its log-loss with it.
    """
    chosen, told = [0.0], [0.0]
    for study, C in one.task.best.items():
        chosen.append(abs(C / other.task.best[study] - 1))
        told += [abs(a - b) for a, b in zip(_told(one, study), _told(other, study), strict=True)]
    both = one.scores.keys() & other.scores.keys()
    any_loss = [abs(one.scores[at]["log_loss"] - other.scores[at]["log_loss"]) for at in both]
    return max(chosen), max(told), max(any_loss)


def _told(searched: Searched, study: Parts) -> list[float]:
    """The inner log-loss of a study at its best C, and the outer one if it has one."""
    C = searched.task.best[study]
    losses = {at: scores["log_loss"] for at, scores in searched.scores.items() if at[1] == C}
    inner = [at for at in losses if at[2] not in study and at[0] == study | {at[2]}]
    return [mean(losses[at] for at in inner), *(losses[study, C, part] for part in study)]


def is_same(one: Searched, other: Searched, at: tuple[Parts, float]) -> bool:
    """Whether a fit and all its scores came out with the same bits in two searches."""
    if at not in other.fits:  # other bits have led to another C
        return False
    mine, theirs = (searched.fits[at].model.coefficients for searched in (one, other))
    return np.array_equal(mine, theirs) and all(
        scores == other.scores.get(key) for key, scores in one.scores.items() if key[:2] == at
    )


def stock(task: Task) -> float:
    """Seconds of all fits by scikit-learn on the card, from a sample, in a process of its own."""
    sample = [fit for fit in task.sampled if fit.scored == 1]
    told = _apart("stock", *(str(fit.C) for fit in sample))[1].split()
    return task.seconds(zip((fit.left_out for fit in sample), map(float, told), strict=True))


# scipy reads it as it is loaded, or scikit-learn dispatches no arrays.
_apart = partial(apart, "-m", "benchmarks.gpu", SCIPY_ARRAY_API="1")


def cold(work: Work) -> None:
    """The search and nothing else, in a process of its own."""
    seconds: dict[str, float] = {}
    with adding_to(seconds, "compiled"):
        run = partial(search, work, Curve(), *on_card.engine(work, Cuda(), solver.layout(work)))
    with adding_to(seconds, "searched"):
        run()
    say(seconds)


Figures = dict[str, Any]
"""What the parts of the program found, by name; those that failed are missing."""


def agreement(found_by: Figures) -> tuple[str, bool]:
    """What must hold as a table, and whether it does."""
    measured, one, two = found_by["60,000 rows"]
    chosen, loss, any_loss = differences(one, found_by["cores"])
    other, tol = sum(not is_same(one, two, at) for at in one.fits), Size().tol
    unconverged = sum(fit.outcome.status != "converged" for fit in one.fits.values())
    rows = [
        ("largest difference of a chosen C", f"{100 * chosen:.2g} %", "1 %", chosen <= 0.01),
        (
            "largest difference of a study's inner or outer log-loss",
            f"{loss:.1e}", "1e-4", loss <= 1e-4,
        ),
        ("largest difference of any fit's log-loss", f"{any_loss:.1e}", "", None),
        (
            f"largest gradient entry of the {len(one.fits)} fits, in double",
            f"{measured.gradient:.1e}", f"{tol:.0e}", measured.gradient < tol,
        ),
        ("fits that did not converge", str(unconverged), "0", unconverged == 0),
        ("fits and scores of other bits when searched again", str(other), "0", other == 0),
    ]  # fmt: skip
    words = {True: "yes", False: "**no**", None: ""}
    lines = [(what, told, most, words[holds]) for what, told, most, holds in rows]
    header = ("the device against the cores", "found", "at most", "holds")
    return table(header, lines), all(holds is not False for *_, holds in rows)


def sizes(found_by: Figures) -> str:
    """What each number of rows took."""
    header = (
        "rows", "search, s", "of it paths", "fits", "scores", "steps", "ms a step", "memory, GB",
        "TFLOP/s", "the card's own", "share", "largest gradient",
    )  # fmt: skip
    measured = [found_by[name][0] for name in found_by if name.endswith("rows")]
    return table(header, [of.cells() for of in measured], numbers=True)


def others(found_by: Figures) -> str:
    """The same search by others, and in a new process."""
    here = found_by["60,000 rows"][0].seconds["whole"]
    lines = [("this card, compiled before", f"{here:.2f}", "1")]
    names = {
        "cold process": "this card in a new process: imports, loading, compiling, searching",
        "cores": f"this machine's {os.cpu_count()} cores, the solver on processors",
        "scikit-learn": "scikit-learn on this card, from a sample of its fits",
    }
    for name, told in names.items():
        if name in found_by:
            by = found_by[name]
            seconds = by.seconds["whole"] if name == "cores" else by
            lines.append((told, f"{seconds:.1f}", f"{seconds / here:.0f}"))
    return table(("60,000 rows, by", "seconds", "times as long"), lines, numbers=True)


def write(found_by: Figures) -> bool:
    """Put what there is into the page; whether what must hold does, as far as it is known."""
    place = "; ".join((on_card.card(), *machine()))
    sections, holds = {"machine": f"`make gpu`: {place}."}, True
    if "60,000 rows" in found_by:
        sections |= {"sizes": sizes(found_by), "others": others(found_by)}
        if "cores" in found_by:
            sections["agreement"], holds = agreement(found_by)
    write_measured("gpu", sections, whole=True)
    return holds


def main() -> None:
    """Check, measure, write the page; ends with status 1 if what must hold doesn't."""
    try:
        found("cuda")
    except SearchError as error:
        say(f"skipped: {error}")
        return
    work = solver.load(Size(sampled=5))
    match sys.argv[1:]:
        case ["cold"]:
            cold(work)
            return
        case ["stock", *strengths]:
            say(*on_card.by_scikit_learn(work, [*map(float, strengths)]))
            return
    works: dict[str, Callable[[], Any]] = {
        "cold process": lambda: _apart("cold")[0],
        **{
            f"{work.size.rows * by:,} rows": partial(on_card.measure, work, by, Curve())
            for by in COPIES
        },
        "scikit-learn": lambda: stock(found_by["60,000 rows"][1].task),
        "cores": lambda: reference(work),
    }
    found_by: Figures = {}
    holds = False
    for name, part in works.items():
        say(name)
        try:
            found_by[name] = part()
        except Exception:  # noqa: BLE001  # the other parts are worth having
            traceback.print_exc()
        holds = write(found_by)
    if not holds or len(found_by) < len(works):
        sys.exit(1)


if __name__ == "__main__":
    main()
