"""Mistakes to look at: the most confident ones, and the pairs most often confused."""

from math import ceil

from matplotlib.figure import Figure

from foldwise.report.figures.pictures import draw_image
from foldwise.report.figures.style import canvas, literal, styled
from foldwise.report.judged import Judged
from foldwise.report.wording import brief, counted, percent


@styled
def confident_mistakes(judged: Judged, *, columns: int = 6, rows: int = 4) -> Figure:
    """Show the wrong predictions the model was surest of: actual → predicted (probability)."""
    shown = judged.mistakes()[: columns * rows]
    rows = max(1, ceil(len(shown) / columns))
    title = "Surest mistakes: actual → predicted (probability)" if len(shown) else "No mistakes"
    verdicts = [judged.verdict(int(row)) for row in shown]
    lines = max((verdict.count("\n") for verdict in verdicts), default=0)
    figure = canvas(title, 0.6 + (1.55 + 0.17 * lines) * rows)
    panels = figure.subplots(rows, columns, squeeze=False).ravel()
    for axes in panels[len(shown) :]:
        axes.set_axis_off()
    for axes, row, verdict in zip(panels, shown, verdicts, strict=False):
        draw_image(axes, judged.images[row], judged.shape)
        axes.set_title(literal(verdict), loc="center", fontsize=9.5)
    return figure


@styled
def confused_pairs(judged: Judged, *, pairs: int = 6, examples: int = 8) -> Figure:
    """Show the commonest confusions, each with its number and the surest of its images."""
    common = judged.confusions(pairs)
    rows = max(1, len(common))
    title = (
        "Commonest confusions: actual → predicted (share of the actual class)"
        if common
        else "No confusions"
    )
    figure = canvas(title, 0.6 + 0.95 * rows)
    grid = figure.subplots(rows, examples + 1, squeeze=False)
    for axes in grid.ravel():
        axes.set_axis_off()
    for line, pair in zip(grid, common, strict=False):
        actual, predicted = (brief(judged.classes[c]) for c in (pair.actual, pair.predicted))
        text = f"{actual} → {predicted}\n{counted(pair.rows, 'image')}\n{percent(pair.share)}"
        line[0].text(0, 0.5, literal(text), va="center", transform=line[0].transAxes)
        for axes, row in zip(line[1:], judged.mistakes_of(pair), strict=False):
            draw_image(axes, judged.images[row], judged.shape)
            sure = percent(float(judged.probabilities[row].max()), digits=0)
            axes.set_title(sure, loc="center", fontsize=9)
    return figure
