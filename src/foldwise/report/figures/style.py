"""One look for all figures, and how a figure becomes bytes; nothing here depends on the clock."""

import io
import re
from collections.abc import Callable, Iterable, Sequence
from functools import wraps
from html import escape
from math import ceil
from typing import TYPE_CHECKING, Any, ParamSpec

import matplotlib as mpl
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from foldwise.report.picture import Picture
from foldwise.report.wording import brief
from foldwise.stats.intervals import Interval

if TYPE_CHECKING:
    from matplotlib.typing import RcKeyType  # which its oldest versions here don't have

P = ParamSpec("P")

WIDTH = 8.0
"""Inches. Shown 800 px wide (MLflow's artifact viewer), 10 points are 14 px."""

INK, MUTED, FAINT = "#222222", "#666666", "#d0d0d0"
BLUE, SAND = "#0072b2", "#f4e9c1"

SIGNED = LinearSegmentedColormap.from_list("signed", ["#0b2d6b", "#8f8f8f", "#ffe08a"])
"""Dark is negative, mid-grey zero, light positive: the sign survives grey-scale printing."""

# Passed with every figure and every save, never set globally.
_STYLE: "dict[RcKeyType, Any]" = {
    "font.family": "DejaVu Sans",
    "font.size": 10,
    "axes.titlesize": 11,
    "axes.titlelocation": "left",
    "axes.labelsize": 10,
    "axes.labelcolor": INK,
    "axes.edgecolor": MUTED,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#e6e6e6",
    "grid.linewidth": 0.8,
    "xtick.labelsize": 9.5,
    "ytick.labelsize": 9.5,
    "xtick.color": INK,
    "ytick.color": INK,
    "legend.fontsize": 9.5,
    "legend.frameon": False,
    "figure.titlesize": 12.5,
    "figure.titleweight": "bold",
    "figure.dpi": 150,
    "savefig.dpi": "figure",
    "lines.linewidth": 1.6,
    # Fixed ids: the default salt is random, and the file would differ each time.
    "svg.hashsalt": "foldwise",
    "svg.fonttype": "path",
}


def styled(draw: Callable[P, Figure]) -> Callable[P, Figure]:
    """Draw in the house style."""

    @wraps(draw)
    def drawn(*args: P.args, **kwargs: P.kwargs) -> Figure:
        with mpl.rc_context(_STYLE):
            return draw(*args, **kwargs)

    return drawn


def canvas(title: str, alt: str, height: float) -> Figure:
    """Empty figure (inches) with its message as title, top left.

    ``alt`` says what it shows to those who can't see it; it ends in a stop.
    """
    figure = Figure(figsize=(WIDTH, height), layout="constrained", label=alt)
    figure.suptitle(title, x=0.01, ha="left", color=INK)
    return figure


def drawn(
    name: str, figure: Figure, section: str = "", caption: str = "", *, with_svg: bool = True
) -> Picture:
    """Save a figure as a picture; its words are what it shows, and its headline.

    PNG at 150 dots per inch, SVG with text as outlines; the same figure gives the same bytes. It is
    laid out once: matplotlib would do so anew for each file, which takes as long as drawing it.
    """
    with mpl.rc_context(_STYLE):
        layout = figure.get_layout_engine()
        if layout and figure.axes:
            layout.execute(figure)
        figure.set_layout_engine(None)
        return Picture(
            name=name,
            alt=f"{figure.get_label()} {figure.get_suptitle()}.".replace(r"\$", "$"),
            png=_saved(figure, "png", {"Software": None}),
            svg=_saved(figure, "svg", {"Date": None, "Creator": None}) if with_svg else None,
            section=section,
            caption=caption,
        )


def _saved(figure: Figure, kind: str, metadata: dict[str, None]) -> bytes:
    stream = io.BytesIO()
    figure.savefig(stream, format=kind, metadata=metadata)
    content = stream.getvalue()
    return _TOLD.sub(_titled, content.decode()).encode() if kind == "svg" else content


def hover(axes: Axes, points: Iterable[tuple[float, float, str]]) -> None:
    """Tell values where a pointer rests: invisible marks, each with a title in the SVG.

    Those outside of the axes' limits, which are to be set before, are left out.
    """
    (left, right), (low, high) = (sorted(limits) for limits in (axes.get_xlim(), axes.get_ylim()))
    inside = [at for at in points if left <= at[0] <= right and low <= at[1] <= high]
    if inside:
        across, up, words = zip(*inside, strict=True)
        named(axes.scatter(across, up, s=130, alpha=0, linewidth=0, zorder=9), *words)


def named(artist: Artist, *words: str) -> None:
    """Give an artist a title in the SVG, or each of its marks one."""
    artist.set_gid(_HOVER + "-".join(each.encode().hex() for each in words))


_HOVER = "hover:"
_TOLD = re.compile(rf'<g id="{_HOVER}([-0-9a-f]*)">(.*?)</g>\n', re.DOTALL)
_MARK = re.compile(r"<use [^>]*/>")


def _titled(found: "re.Match[str]") -> str:
    """A group whose id holds what is to be told, with that as titles."""
    told = [
        f"<title>{escape(bytes.fromhex(each).decode())}</title>" for each in found[1].split("-")
    ]
    if len(told) == 1:
        return f"<g>{told[0]}{found[2]}</g>\n"
    words = iter(told)
    marks = _MARK.sub(lambda mark: f"<g>{next(words)}{mark[0]}</g>", found[2])
    return f"<g>{marks}</g>\n"


def bare(axes: Axes) -> None:
    """Remove ticks, grid and frame: for pictures."""
    axes.set_xticks([])
    axes.set_yticks([])
    axes.grid(visible=False)
    for spine in axes.spines.values():
        spine.set_visible(False)


def panels(figure: Figure, count: int, columns: int, *, shared: bool = False) -> list[Axes]:
    """``count`` axes in rows of ``columns``, on one scale if ``shared``."""
    grid = figure.subplots(
        ceil(count / columns) or 1, columns, squeeze=False, sharex=shared, sharey=shared
    ).ravel()
    for axes in grid[count:]:
        axes.remove()
    return list(grid[:count])


def draw_mean(axes: Axes, row: float, mean: float, interval: Interval) -> None:
    """Draw a mean with its interval."""
    axes.plot([interval.low, interval.high], [row, row], color=INK, linewidth=4, alpha=0.45)
    axes.plot(mean, row, "|", color=INK, markersize=14, markeredgewidth=2.5)


def percentages(axis: Axis) -> None:
    """Label an axis of shares in per cent."""
    axis.set_major_formatter(PercentFormatter(1, decimals=0, symbol=" %"))


def name_rows(axes: Axes, names: Sequence[str], what: str = "") -> None:
    """Give each of these a row, the first on top."""
    axes.set_yticks(range(len(names)), names)
    axes.set_ylim(max(len(names), 1) - 0.5, -0.5)
    axes.set_ylabel(what)


def draw_counts(axes: Axes, counts: Sequence[int], classes: Sequence[str], unit: str) -> None:
    """Draw how many development rows, each a ``unit``, there are of each class."""
    axes.barh(range(len(classes)), counts, color=BLUE, height=0.6)
    for row, count in enumerate(counts):
        axes.text(count, row, f" {count:,}", va="center", fontsize=9)
    axes.set_xlim(0, 1.25 * max(counts))
    name_rows(axes, shown(classes), "Class")
    axes.set_xlabel(f"{unit.capitalize()}s in the development set")
    axes.locator_params(axis="x", nbins=4)
    axes.xaxis.set_major_formatter("{x:,.0f}")


_NAMES = 28
"""So many class names fit on an axis."""


def literal(text: str) -> str:
    """Text as it is: between two dollar signs matplotlib would read mathematics."""
    return text.replace("$", r"\$")


def shown(names: Sequence[str], length: int = 24) -> tuple[str, ...]:
    """Names of classes as figures show them: cut where they are long."""
    return tuple(literal(brief(name, length)) for name in names)


def name_classes(axes: Axes, classes: Sequence[str]) -> None:
    """Name the classes on both axes: turned, or some of them, where they would meet."""
    step = ceil(len(classes) / _NAMES)
    places, names = range(0, len(classes), step), classes[::step]
    axes.set_xticks(places, names)
    axes.set_yticks(places, names)
    if max(map(len, names)) * len(names) > 60:
        axes.tick_params(axis="x", labelrotation=90)
