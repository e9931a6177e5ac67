"""Pictures come out the same each time, and drawing them leaves no trace."""

import re
import subprocess
import sys
from html import escape

import matplotlib as mpl

from foldwise.report import page
from foldwise.report.picture import Picture, picture_files
from foldwise.report.wording import number, rounded, strength
from foldwise.search.trials import number_of
from tests.factories import make_result
from tests.unit.report.findings_cases import (
    make_findings,
    make_holdout_summary,
    make_judged,
    make_pictures,
)


def test_pictures_come_out_the_same_each_time(rendered: tuple[Picture, ...]) -> None:
    """No date and no random identifiers: otherwise every run would look like a change."""
    before, files = dict(mpl.rcParams), picture_files(rendered)
    assert all(file.startswith((b"\x89PNG", b"<?xml")) for file in files.values())
    assert files == picture_files(make_pictures())
    assert dict(mpl.rcParams) == before, "the style belongs to our figures, not to who imports us"


def test_the_page_has_all_its_pictures(rendered: tuple[Picture, ...]) -> None:
    """Each in its own section, with the words that say how it is to be read."""
    html = page.render(make_findings(), rendered)
    assert all(picture.markup in html for picture in rendered)
    for section in {picture.section for picture in rendered}:
        _, _, told = html.partition(f'<h2 id="{section}">')
        own = [of for of in rendered if of.section == section]
        assert all(of.markup in told.partition("<h2")[0] and of.caption for of in own)


def test_pictures_say_in_words_what_they_show(rendered: tuple[Picture, ...]) -> None:
    """The description ends in the figure's own headline."""
    for picture in rendered:
        assert len(picture.alt) > 40
        assert picture.alt.endswith(".")
        assert picture.markup.startswith(("<svg role=", '<img src="data:image/png'))
        assert escape(picture.alt) in picture.markup


def test_values_stand_where_a_pointer_rests(rendered: tuple[Picture, ...]) -> None:
    """Each trial in the curve, each cell of the confusion, as titles of the SVG that is shown."""
    titles = {of.name: re.findall("<title>(.*?)</title>", of.markup) for of in rendered if of.svg}
    trials = make_result().trials
    for trial in trials:
        told = f"{trial.study}, trial {trial.number}: C = {strength(number_of(trial.values, 'C'))}"
        assert len([title for title in titles["trials"] if title.startswith(told)]) <= 1
        start = f"{trial.study}: C = {strength(number_of(trial.values, 'C'))}, log-loss"
        assert [title for title in titles["curve"] if title.startswith(start)]
    counts = make_holdout_summary(make_judged()).confusion
    assert len(titles["confusion"]) == (counts > 0).sum()
    assert all(titles[name] for name in ("outer_folds", "roc", "class_f1", "calibration"))
    assert not any("hover:" in of.markup for of in rendered)


def test_no_window_system_and_no_global_figures_are_touched() -> None:
    """Figures are plain objects: pyplot, which keeps them all, is never imported."""
    figures = "from foldwise.report.figures import columns, holdout, images, search, versus"
    code = f"{figures}; import sys; print('matplotlib.pyplot' in sys.modules)"
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert told.stdout.strip() == "False"


def test_a_tie_is_written_as_it_is_from_a_file() -> None:
    """So that the card tells no other accuracy than `foldwise show`."""
    mean = 0.92285 + 1e-9
    kept = rounded(mean)
    assert isinstance(kept, float)
    assert number(mean) == number(kept) == "0.9228"
