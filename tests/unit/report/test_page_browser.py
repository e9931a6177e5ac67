"""The pages as people see them, in Chromium: nothing fetched, no word cut, tables that sort."""

import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure
from playwright.sync_api import Browser, Page
from sklearn.datasets import load_breast_cancer

from docs.screenshots import chromium, open_browser
from foldwise import NestedSearchCV, write_report
from foldwise.report import page
from foldwise.report.album import versus_pictures
from foldwise.report.figures import style
from foldwise.report.picture import Picture
from foldwise.report.rivals import compare
from foldwise.report.versus import next_step
from tests.unit.report.findings_cases import PUBLISHED, make_findings, make_judged
from tests.unit.report.test_page import REMARKS, STANDING
from tests.unit.report.test_rivals import entrant

pytestmark = pytest.mark.browser

WIDTHS = (1280, 390)
PAGES = ("file", "notebook", "versus")
Opened = Callable[[str, int], tuple[Page, list[str]]]
LONG = ("an-ankle-boot-that-is-brown-and-has-no-space-in-its-name", "b", "c")
# What of a text lies outside of the window, or of a box that would hide it.
CUT = """() => {
  const found = [], edge = document.documentElement.clientWidth + 1;
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (texts.nextNode()) {
    const node = texts.currentNode, range = document.createRange();
    if (!node.data.trim() || node.parentElement.closest("script, svg")) continue;
    range.selectNodeContents(node);
    for (const box of range.getClientRects()) {
      let right = edge;
      for (let over = node.parentElement; over; over = over.parentElement)
        if (getComputedStyle(over).overflowX !== "visible")
          right = Math.min(right, over.getBoundingClientRect().right + 1);
      if (box.left < 0 || box.right > right) { found.push(node.data.trim()); break; }
    }
  }
  for (const picture of document.querySelectorAll("figure img, figure svg")) {
    const box = picture.parentElement;  // that it may be moved in
    const seen = getComputedStyle(box).overflowX === "auto" ? box : picture;
    if (seen.getBoundingClientRect().right > edge)
      found.push(picture.getAttribute("alt") || picture.getAttribute("aria-label"));
  }
  return found;
}"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """The system's Chromium; only outside CI may it be missing."""
    program = chromium()
    if program is None:
        if os.environ.get("CI") == "true":
            pytest.fail("CI must have chromium: the page would go unseen")
        pytest.skip("no chromium on the PATH")
    with open_browser(program) as opened:
        yield opened


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory, rendered: tuple[Picture, ...]) -> Path:
    """A version's page, with all that can stand on it and long names."""
    findings = replace(
        make_findings(judged=make_judged(LONG)),
        commands=(f"dvc exp run --temp {' '.join(f'-S tune.a{n}=0.123' for n in range(12))}",),
        parameters={"prepare.path": "data/" + "raw/" * 20, "tune.folds": 5},
        defaults={"tune.folds": 6},
        reference=PUBLISHED,
        standing=STANDING,
        remarks=REMARKS,
    )
    file = tmp_path_factory.mktemp("page") / "report.html"
    file.write_text(page.render(findings, rendered))
    return file


def empty(
    name: str, figure: Figure, section: str = "", caption: str = "", *, with_svg: bool = True
) -> Picture:
    """A picture's frame with its words: what stands in it is drawn on the version's page alone."""
    words = f"{figure.get_label()} {figure.get_suptitle()}."
    svg = b'<?xml version="1.0"?><svg viewBox="0 0 576 288"></svg>' if with_svg else None
    return Picture(name, words, b"", svg, section, caption)


@pytest.fixture(scope="module")
def notebook(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of a search in a notebook: a table with long names, two classes, two partitions."""
    X, y = load_breast_cancer(return_X_y=True, as_frame=True)
    X = X.iloc[:300, :12].rename(columns={"mean radius": LONG[0]})
    told = y.iloc[:300].map({0: "malignant-as-the-pathologist-wrote-it-down", 1: "benign"})
    search = NestedSearchCV(cv=3, n_repeats=2, n_trials=2).fit(X, told)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(style, "drawn", empty)
        page: Path = write_report(search, tmp_path_factory.mktemp("notebook") / "report.html")
    return page


@pytest.fixture(scope="module")
def versus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of a comparison: two searches whose names begin alike, and what sets them apart."""
    names = ("cv-2026-11-27-1d0e.1", "cv-2026-11-27-77ab.1")
    found = compare([entrant(names[0], 0.6), entrant(names[1], 0.5, shift=1)])
    drawn = versus_pictures(found, np.zeros((36, 16), np.uint8), LONG, (4, 4))
    file = tmp_path_factory.mktemp("versus") / "versus.html"
    file.write_text(page.render_versus(found, drawn, tells_rows=True, next_step=next_step(found)))
    return file


@pytest.fixture(scope="module")
def opened(browser: Browser, request: pytest.FixtureRequest) -> Opened:
    """Gives a page at a width, and all that it asked for; each is opened once."""

    @cache
    def view(which: str, width: int) -> tuple[Page, list[str]]:
        file: Path = request.getfixturevalue(which)
        view = browser.new_page(viewport={"width": width, "height": 900})
        asked: list[str] = []
        view.on("request", lambda request: asked.append(request.url))
        view.goto(file.as_uri())
        return view, [url.removeprefix(file.as_uri()) for url in asked]

    return view


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("which", PAGES)
def test_nothing_is_asked_for_and_no_word_is_cut(opened: Opened, which: str, width: int) -> None:
    """But for the file itself; and nothing moves sideways."""
    view, asked = opened(which, width)
    assert [url for url in asked if not url.startswith("data:")] == [""]
    assert view.evaluate(CUT) == []
    assert view.evaluate("document.documentElement.scrollWidth") <= width


@pytest.mark.parametrize("which", PAGES)
def test_on_a_phone_each_cell_is_told_with_its_column_s_head(opened: Opened, which: str) -> None:
    """There a row is a list, and the heads' row is gone."""
    view, _ = opened(which, WIDTHS[1])
    told = view.locator("tbody th, tbody td").evaluate_all(
        "cells => cells.map(cell => getComputedStyle(cell, '::before').content)"
    )
    assert len(told) > 20
    assert {each for each in told if not each.strip('"').strip()} == set()


@pytest.mark.parametrize("which", PAGES)
def test_the_words_of_pictures_keep_their_size_on_a_phone(opened: Opened, which: str) -> None:
    """Ten points of eight inches are eleven pixels; the box that moves can be reached by keys."""
    view, _ = opened(which, WIDTHS[1])
    pictures = view.locator("figure img, figure svg[role]")
    wide = pictures.evaluate_all("of => of.map(each => each.getBoundingClientRect().width)")
    assert min(wide) >= 10.9 * 8 * 72 / 10
    boxes = view.locator("figure > [tabindex='0']")
    assert boxes.evaluate_all("of => of.every(box => box.scrollWidth > box.clientWidth)")
    assert boxes.count() == len(wide)


@pytest.mark.parametrize(("width", "height"), [(1280, 800), (390, 664)])
def test_the_list_of_contents_stands_on_the_first_screen(
    opened: Opened, width: int, height: int
) -> None:
    """And leads to every section, whose title it tells; a phone's own bars take the rest of 844."""
    view, _ = opened("file", width)
    links = view.locator("nav a")
    assert (
        max(at["y"] + at["height"] for each in links.all() if (at := each.bounding_box())) < height
    )
    titles = view.locator("h2").all_inner_texts()
    assert [each.get_attribute("title") for each in links.all()] == titles


@pytest.mark.parametrize(("which", "head"), [("file", "Outer log-loss"), ("versus", "difference")])
def test_a_table_sorts_by_the_column_that_is_clicked(opened: Opened, which: str, head: str) -> None:
    """As numbers, signs and all, up and then down."""
    view, _ = opened(which, WIDTHS[0])
    table = view.locator("table", has=view.get_by_text(head, exact=True)).first
    place = table.locator("thead th").all_inner_texts().index(head)
    for up in (True, False):
        table.locator("thead th").nth(place).click()
        cells = table.locator(f"tbody tr > :nth-child({place + 1})").all_inner_texts()
        numbers = [float(cell.replace("−", "-")) for cell in cells]
        assert numbers == sorted(numbers, reverse=not up)
        assert len({*numbers}) >= 3


def test_printed_it_has_no_list_of_contents_and_whole_tables(opened: Opened) -> None:
    view, _ = opened("file", WIDTHS[1])
    view.emulate_media(media="print")
    assert not view.locator("nav").is_visible()
    assert view.locator("thead").first.is_visible()
    view.emulate_media(media="screen")


def test_a_word_that_is_cut_would_be_found(opened: Opened) -> None:
    view, _ = opened("file", WIDTHS[1])
    style = view.add_style_tag(content="h1 { white-space: nowrap }")
    assert view.evaluate(CUT) != []
    style.evaluate("of => of.remove()")
