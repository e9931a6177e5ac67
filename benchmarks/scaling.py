"""How the time grows: with the rows, the fits in the batch, the trials and the threads."""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from io import BytesIO
from typing import NamedTuple

from benchmarks import own
from benchmarks.limit import evaluations
from benchmarks.markdown import table
from benchmarks.work import Work, alternated, seconds_of

FITS = (1, 5, 21, 42, 105)
ANCHORS = 7
"""Of every path, the smallest: to C = 0.01."""


class Growth(NamedTuple):
    """Seconds or milliseconds and what they grow with: of what, figures, their unit and digits."""

    of: str
    points: Sequence[tuple[int, float]]
    unit: str = "ms per fit and evaluation"
    digits: int = 2

    def tabled(self) -> str:
        """As a table; of rows, with microseconds of each."""
        header = (self.of, self.unit, *(["microseconds per row"] if self.of == "rows" else []))
        rows = [
            (f"{at:,}", f"{figure:.{self.digits}f}", f"{1e6 * figure / at:.0f}")[: len(header)]
            for at, figure in self.points
        ]
        return table(header, rows, numbers=True)


def measure(work: Work, searched: own.Searched) -> dict[str, Growth]:
    """All dependences, by their sections' names; trials are read off the search timed already."""
    evaluated = evaluations(work, FITS, sorted({1, work.threads}))
    each = [(e.fits, e.threads, 1e3 * e.seconds / e.fits) for e in evaluated]
    fits = [(count, figure) for count, threads, figure in each if threads == work.threads]
    threads = [(threads, figure) for count, threads, figure in each if count == 42]
    trials = list(enumerate(searched.trial_seconds, start=1))
    return {
        "by-rows": Growth("rows", by_rows(work), "seconds"),
        "by-fits": Growth("fits at once", fits),
        "by-trials": Growth("trials of each study", trials, "seconds", 1),
        "by-threads": Growth("threads", threads),
    }


def by_rows(work: Work) -> list[tuple[int, float]]:
    """Seconds for all paths to C = 0.01 of a sixth of the rows, and of more."""
    rows = [work.size.rows * sixths // 6 for sixths in (1, 2, 4, 6)]
    works = [own.load(replace(work.size, rows=count)) for count in rows]

    def trace(each: Work) -> float:
        return seconds_of(lambda: own.trace(own.engine(each), each, smallest=ANCHORS))

    times = alternated([partial(trace, each) for each in works], max(1, work.size.repeats - 1))
    return list(zip(rows, times, strict=True))


def draw(panels: Sequence[Growth]) -> bytes:
    """An SVG of four panels."""
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    with rc_context({"svg.hashsalt": "foldwise", "svg.fonttype": "path", "font.size": 9.0}):
        figure = Figure(figsize=(8.0, 5.6), layout="constrained")
        for axes, panel in zip(figure.subplots(2, 2).flat, panels, strict=True):
            axes.plot(*zip(*panel.points, strict=True), marker="o")
            axes.set(xlabel=panel.of.capitalize(), ylabel=panel.unit)
            if panel.of == "threads":
                axes.set_xticks([count for count, _ in panel.points])
            axes.xaxis.set_major_formatter("{x:,.0f}")
            axes.set_xlim(left=0)
            axes.set_ylim(bottom=0)
            axes.grid(color="#e6e6e6")
            axes.spines[["top", "right"]].set_visible(False)
        stream = BytesIO()
        figure.savefig(stream, format="svg", metadata={"Date": None})
    return stream.getvalue()
