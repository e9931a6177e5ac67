"""What 8 million images would take, reckoned from what fewer took: time grows with the rows.

A machine of many cores works on each evaluation with all of them, as far as there are tasks: a
lane of a part each. A cluster's sub-batches run on one thread each, and a round has no more of
them than fits: threads beyond that wait, and a fit alone costs more than one among many.
"""

from dataclasses import dataclass

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
    alone : float
        What a fit and evaluation alone costs, over what it costs among many.
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
    alone: float

    @property
    def growth(self) -> float:
        """How many times more rows."""
        return IMAGES / self.rows

    @property
    def round_fits(self) -> int:
        """Fits of a round of TPE: one trial of each study."""
        return self.folds * self.folds


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


def one_machine(known: Known) -> Hours:
    """All cores at one evaluation; the last turn of tasks leaves some idle."""
    tasks = known.folds * LANES
    speed = tasks / -(-tasks // CORES)
    path, fit = _hours(known)
    return Hours(
        known.paths * path / speed,
        known.startup_fits * fit / speed,
        known.rounds * known.round_fits * fit / speed,
        (known.folds + 1) * fit / speed,
    )


def many_machines(known: Known) -> Hours:
    """A path or fit a thread: there are more threads than any round has fits."""
    path, fit = (known.alone * hours for hours in _hours(known))
    return Hours(path, fit, known.rounds * fit, fit)


def _hours(known: Known) -> tuple[float, float]:
    """Of one core for a path, and for a fit, among many."""
    path = known.tracing / known.paths
    fit = known.solving / known.startup_fits
    return path * known.growth / 3600, fit * known.growth / 3600


def eight_million(known: Known) -> str:
    """The plan as a table."""
    here, there = one_machine(known), many_machines(known)
    arranged = f"{known.pixels * known.growth / 1e9:.1f} GB"
    on_disk = f"{IMAGES * known.image / 1e9:.1f} GB"
    threads = CORES * MACHINES
    rows = [
        ("images on disk", on_disk, f"{on_disk}, where the search is started"),
        ("arranged pixels", arranged, f"{arranged} a machine: one worker, `--nthreads {CORES}`"),
        _row(f"{known.paths} paths", here.paths, there.paths, busy=known.paths),
        _row(
            f"start-up round: {known.startup_fits} fits", here.startup, there.startup,
            busy=known.startup_fits,
        ),
        _row(
            f"{known.rounds} rounds of TPE: {known.round_fits} fits each", here.rounds,
            there.rounds, busy=known.round_fits,
        ),
        _row(f"{known.folds + 1} refits", here.refits, there.refits, busy=known.folds + 1),
        (
            f"in all, at {EUROS_PER_CORE_HOUR:.2f} € a core-hour",
            f"**{60 * here.all:.0f} min, {_euros(here.all, CORES)}**",
            f"**{60 * there.all:.0f} min, {_euros(there.all, threads)}**",
        ),
    ]  # fmt: skip
    return table(("", f"one machine of {CORES} cores", f"{MACHINES} of them under Dask"), rows)


def _row(what: str, here: float, there: float, *, busy: int) -> tuple[str, str, str]:
    threads = CORES * MACHINES
    there_busy = f"{min(busy, threads)} of {threads} threads busy"
    return what, f"{60 * here:.1f} min", f"{60 * there:.1f} min, {there_busy}"


def _euros(hours: float, cores: int) -> str:
    return f"{hours * cores * EUROS_PER_CORE_HOUR:.2f} €"
