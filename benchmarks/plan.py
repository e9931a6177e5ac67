"""What 8 million images would take, reckoned from what fewer took: time grows with the rows.

A machine of many cores works on each evaluation with all of them, as far as there are tasks: a
lane of a part each. Of a cluster each machine does its share of a round so, and the round ends with
the largest share; a fit among few costs more than one among many.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from docs.quoting import table
from foldwise.model.layout import LANES

IMAGES = 8_100_000
CORES = 16
MACHINES = 8
EUROS_PER_CORE_HOUR = 0.05


@dataclass(frozen=True, slots=True)
class Known:
    """What a smaller search took, on one thread: the default one's paths and start-up round.

    Attributes
    ----------
    rows, folds, paths, startup_fits : int
    rounds : int
        Of TPE, after the start-up round.
    pixels, image : int
        Bytes of the arranged pixels, and of one image as it is stored.
    tracing, solving : float
        Processor seconds of all paths, and of the start-up round.
    side_by_side : mapping
        What a fit and evaluation costs, by how many there are side by side; any unit.
    """

    rows: int
    folds: int
    rounds: int
    pixels: int
    image: int
    paths: int
    startup_fits: int
    tracing: float
    solving: float
    side_by_side: Mapping[int, float]

    @property
    def growth(self) -> float:
        """How many times more rows."""
        return IMAGES / self.rows

    @property
    def round_fits(self) -> int:
        """Fits of a round of TPE: one trial of each study."""
        return self.folds * self.folds

    def dearer(self, few: int, many: int) -> float:
        """What one among few costs, over what it costs among many."""
        counts = sorted(self.side_by_side)
        costs = [self.side_by_side[count] for count in counts]
        of_few, of_many = np.interp(np.log([few, many]), np.log(counts), costs)
        return float(of_few / of_many)


@dataclass(frozen=True, slots=True)
class Hours:
    """Of each phase, by the clock."""

    paths: float
    startup: float
    rounds: float
    refits: float

    @property
    def all(self) -> float:
        """From the first to the last fit."""
        return self.paths + self.startup + self.rounds + self.refits


def reckon(known: Known, machines: int) -> Hours:
    """Each machine's cores at one evaluation; the last turn of tasks leaves some idle."""
    tasks = known.folds * LANES
    speed = tasks / -(-tasks // CORES)
    path, fit = (hours / speed for hours in _hours(known))

    def share(items: int, among: int) -> float:
        """The largest share's items, in those of a round as it was measured."""
        largest = -(-items // machines)
        return largest * known.dearer(largest, among)

    return Hours(
        path * share(known.paths, known.paths),
        fit * share(known.startup_fits, known.startup_fits),
        fit * share(known.round_fits, known.startup_fits) * known.rounds,
        fit * share(known.folds + 1, known.startup_fits),
    )


def _hours(known: Known) -> tuple[float, float]:
    """Of one core for a path, and for a fit, among many."""
    path = known.tracing / known.paths
    fit = known.solving / known.startup_fits
    return path * known.growth / 3600, fit * known.growth / 3600


def eight_million(known: Known) -> str:
    """The plan as a table."""
    here, there = reckon(known, 1), reckon(known, MACHINES)
    arranged = f"{known.pixels * known.growth / 1e9:.1f} GB"
    on_disk = f"{IMAGES * known.image / 1e9:.1f} GB"
    rows = [
        ("images on disk", on_disk, f"{on_disk}, where the search is started"),
        ("arranged pixels", arranged, f"{arranged} a machine: one worker, `--nthreads {CORES}`"),
        _row(f"{known.paths} paths", here.paths, there.paths),
        _row(f"start-up round: {known.startup_fits} fits", here.startup, there.startup),
        _row(
            f"{known.rounds} rounds of TPE: {known.round_fits} fits each", here.rounds, there.rounds
        ),
        _row(f"{known.folds + 1} refits", here.refits, there.refits),
        (
            f"in all, at {EUROS_PER_CORE_HOUR:.2f} € a core-hour",
            f"**{60 * here.all:.0f} min, {_euros(here.all, CORES)}**",
            f"**{60 * there.all:.0f} min, {_euros(there.all, CORES * MACHINES)}**",
        ),
    ]
    return table(("", f"one machine of {CORES} cores", f"{MACHINES} of them under Dask"), rows)


def _row(what: str, here: float, there: float) -> tuple[str, str, str]:
    return what, f"{60 * here:.1f} min", f"{60 * there:.1f} min"


def _euros(hours: float, cores: int) -> str:
    return f"{hours * cores * EUROS_PER_CORE_HOUR:.2f} €"
