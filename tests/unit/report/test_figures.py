"""Every figure can be drawn for data of any shape, and comes out the same each time."""

import subprocess
import sys
from collections.abc import Callable

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.figure import Figure

from foldwise.report import page
from foldwise.report.album import data_pictures, fold_pictures, holdout_pictures, search_pictures
from foldwise.report.figures.search import inner_curves, trial_order
from foldwise.report.figures.style import png, svg
from foldwise.report.picture import Picture, picture_files
from tests.factories import make_outer_fold, make_result
from tests.unit.report.findings_cases import (
    make_estimates,
    make_findings,
    make_holdout_summary,
    make_judged,
    make_linear,
)

LETTERS = tuple("abcdefghijklmnopqrstuvwxyz")


@pytest.fixture(scope="module", name="drawn")
def _drawn() -> tuple[Picture, ...]:
    return _all_pictures()


SHAPES: dict[str, tuple[tuple[str, ...], tuple[int, ...]]] = {
    "digits": (tuple("0123456789"), (8, 8)),
    "two classes": (("no", "yes"), (4, 4)),
    "letters, wide": (LETTERS, (3, 7)),
    "no picture, long names": (("an ankle boot that is brown", "T-shirt/top", "$\\frac$"), (12,)),
    "colour": (("a", "b", "c"), (4, 4, 3)),
}


@pytest.mark.parametrize("case", SHAPES)
def test_the_holdout_can_be_drawn_whatever_the_data(case: str) -> None:
    """No class count, name or image shape is hard-wired."""
    classes, shape = SHAPES[case]
    judged = make_judged(classes, shape=shape, rows=4 * len(classes))
    drawn = holdout_pictures(make_holdout_summary(judged), judged, make_linear(judged))
    drawn += data_pictures(judged.images, judged.labels, classes, shape)
    assert all(picture.png.startswith(b"\x89PNG") for picture in drawn)
    assert len({picture.name for picture in drawn}) == len(drawn) == 8


@pytest.mark.parametrize("metric", ["log_loss", "accuracy"])
@pytest.mark.parametrize("folds", [3, 11])
def test_the_search_can_be_drawn_whatever_its_size(folds: int, metric: str) -> None:
    """More folds than colours, losses and scores."""
    result = make_result(folds=folds, metric=metric)
    names = [each.name for each in search_pictures(result, make_estimates(result))]
    assert names == ["curve", "trials", "outer_folds"]


def test_trials_off_the_scale_are_marked_at_its_edge() -> None:
    """The scale leaves out the worst: they must not seem never to have been made."""
    result = make_result(folds=3, trials=10)
    figure = trial_order(result)
    low, high = figure.axes[0].get_ylim()
    outside = [trial for trial in result.trials if not low <= trial.mean("log_loss") <= high]
    marked = [
        len(np.asarray(line.get_xdata()))
        for axes in figure.axes
        for line in axes.lines
        if line.get_markerfacecolor() == "white"
    ]
    assert sum(marked) == len(outside) > 0


def test_the_lowest_panel_of_each_column_has_its_numbers() -> None:
    """Seven studies fill four columns: the last one's only panel stands in the first row."""
    figure = trial_order(make_result(folds=6))
    figure.draw_without_rendering()
    numbered = [bool(axes.xaxis.get_tick_params()["labelbottom"]) for axes in figure.axes]
    assert numbered == [False] * 3 + [True] * 4


def test_a_perfect_model_has_no_mistakes_to_show() -> None:
    """The galleries say so in place of failing."""
    judged = make_judged(rows=6)
    judged.probabilities[:] = 0.01
    judged.probabilities[range(6), judged.labels] = 0.98
    drawn = holdout_pictures(make_holdout_summary(judged), judged, make_linear(judged))
    assert any("No mistakes" in picture.alt for picture in drawn)


def test_a_fold_has_its_own_confusion_and_roc() -> None:
    """PNG alone: they are made for every fold."""
    files = picture_files(fold_pictures(make_outer_fold(), ("a", "b", "c")))
    assert set(files) == {"confusion.png", "roc.png"}


def test_pictures_come_out_the_same_each_time(drawn: tuple[Picture, ...]) -> None:
    """No date, no random identifiers: otherwise every run would look like a change."""
    assert picture_files(drawn) == picture_files(_all_pictures())


def test_the_page_has_all_its_pictures(drawn: tuple[Picture, ...]) -> None:
    """A picture that the page wants and nobody draws would be an error, not a gap."""
    html = page.render(make_findings(), drawn)
    assert all(picture.data_uri in html for picture in drawn)


def test_pictures_say_in_words_what_they_show(drawn: tuple[Picture, ...]) -> None:
    """The description ends in the figure's own headline."""
    for picture in drawn:
        assert len(picture.alt) > 40
        assert picture.alt.endswith(".")
        assert picture.data_uri.startswith("data:image/")


@pytest.mark.parametrize("write", [png, svg])
def test_drawing_leaves_matplotlibs_settings_alone(write: Callable[[Figure], bytes]) -> None:
    """The style belongs to our figures, not to whoever imports us."""
    before = dict(mpl.rcParams)
    write(inner_curves(make_result(), "C"))
    assert dict(mpl.rcParams) == before


def test_no_window_system_and_no_global_figures_are_touched() -> None:
    """Figures are plain objects: pyplot, which keeps them all, is never imported."""
    code = "import sys, foldwise.report.album; print('matplotlib.pyplot' in sys.modules)"
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert told.stdout.strip() == "False"


def _all_pictures() -> tuple[Picture, ...]:
    judged = make_judged()
    result = make_result()
    return (
        *search_pictures(result, make_estimates(result)),
        *holdout_pictures(make_holdout_summary(judged), judged, make_linear(judged)),
    )
