"""The pages as people see them, in Chromium: nothing fetched, no word cut, tables that sort."""

import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Browser, Page
from sklearn.datasets import load_breast_cancer

from docs.screenshots import chromium, open_browser
from foldwise import NestedSearchCV, write_report
from foldwise.report import page
from foldwise.report.album import (
    PIXELS,
    holdout_pictures,
    search_pictures,
    versus_pictures,
    weight_pictures,
)
from foldwise.report.rivals import compare
from foldwise.report.versus import next_step
from tests.factories import make_result
from tests.unit.report.findings_cases import (
    PUBLISHED,
    make_data_pictures,
    make_estimates,
    make_findings,
    make_holdout_summary,
    make_judged,
    make_linear,
)
from tests.unit.report.test_page import REMARKS, STANDING
from tests.unit.report.test_rivals import entrant

pytestmark = pytest.mark.browser

WIDTHS = (1280, 390)
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
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A version's page, with all that can stand on it and long names."""
    judged, result = make_judged(LONG), make_result()
    weights = make_linear(judged).coefficients
    pictures = (
        *search_pictures(result, make_estimates(result)),
        *make_data_pictures(judged),
        *holdout_pictures(make_holdout_summary(judged), judged),
        *weight_pictures(weights, judged.classes, judged.shape, meaning=PIXELS),
    )
    findings = replace(
        make_findings(judged=judged),
        commands=(f"dvc exp run --temp {' '.join(f'-S tune.a{n}=0.123' for n in range(12))}",),
        parameters={"prepare.path": "data/" + "raw/" * 20, "tune.folds": 5},
        defaults={"tune.folds": 6},
        reference=PUBLISHED,
        standing=STANDING,
        remarks=REMARKS,
    )
    file = tmp_path_factory.mktemp("page") / "report.html"
    file.write_text(page.render(findings, pictures))
    return file


@pytest.fixture(scope="module")
def notebook(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of a search in a notebook: a table with long names, two classes, two partitions."""
    X, y = load_breast_cancer(return_X_y=True, as_frame=True)
    X = X.iloc[:300, :12].rename(columns={"mean radius": LONG[0]})
    told = y.iloc[:300].map({0: "malignant-as-the-pathologist-wrote-it-down", 1: "benign"})
    search = NestedSearchCV(cv=3, n_repeats=2, n_trials=2).fit(X, told)
    page: Path = write_report(search, tmp_path_factory.mktemp("notebook") / "report.html")
    return page


@pytest.fixture(scope="module")
def versus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of a comparison: two searches whose names begin alike, and what sets them apart."""
    names = ("cv-2026-11-27-1d0e.1", "cv-2026-11-27-77ab.1")
    found = compare([entrant(names[0], 0.5, shift=1), entrant(names[1], 0.6)])
    drawn = versus_pictures(found, np.zeros((36, 16), np.uint8), LONG, (4, 4))
    file = tmp_path_factory.mktemp("versus") / "versus.html"
    file.write_text(page.render_versus(found, drawn, tells_rows=True, next_step=next_step(found)))
    return file


def opened(browser: Browser, file: Path, width: int) -> tuple[Page, list[str]]:
    """The page, and all that it asked for."""
    view = browser.new_page(viewport={"width": width, "height": 900})
    asked: list[str] = []
    view.on("request", lambda request: asked.append(request.url))
    view.goto(file.as_uri())
    return view, asked


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("which", ["file", "notebook", "versus"])
def test_nothing_is_asked_for_and_no_word_is_cut(
    browser: Browser, which: str, width: int, request: pytest.FixtureRequest
) -> None:
    """But for the file itself; and nothing moves sideways."""
    file: Path = request.getfixturevalue(which)
    view, asked = opened(browser, file, width)
    assert [url for url in asked if not url.startswith("data:")] == [file.as_uri()]
    assert view.evaluate(CUT) == []
    assert view.evaluate("document.documentElement.scrollWidth") <= width
    view.close()


def test_a_word_that_is_cut_would_be_found(browser: Browser, file: Path) -> None:
    view, _ = opened(browser, file, WIDTHS[1])
    view.add_style_tag(content="h1 { white-space: nowrap }")
    assert view.evaluate(CUT) != []
    view.close()


@pytest.mark.parametrize(("which", "head"), [("file", "Optimism"), ("versus", "difference")])
def test_a_table_sorts_by_the_column_that_is_clicked(
    browser: Browser, which: str, head: str, request: pytest.FixtureRequest
) -> None:
    """As numbers, signs and all, up and then down."""
    view, _ = opened(browser, request.getfixturevalue(which), WIDTHS[0])
    table = view.locator("table", has=view.get_by_text(head, exact=True)).first
    place = table.locator("thead th").all_inner_texts().index(head)
    for up in (True, False):
        table.locator("thead th").nth(place).click()
        cells = table.locator(f"tbody tr > :nth-child({place + 1})").all_inner_texts()
        numbers = [float(cell.replace("−", "-")) for cell in cells]
        assert numbers == sorted(numbers, reverse=not up)
        assert len(numbers) >= 3
    view.close()


@pytest.mark.parametrize("which", ["file", "notebook", "versus"])
def test_on_a_phone_each_cell_is_told_with_its_column_s_head(
    browser: Browser, which: str, request: pytest.FixtureRequest
) -> None:
    """There a row is a list, and the heads' row is gone."""
    view, _ = opened(browser, request.getfixturevalue(which), WIDTHS[1])
    told = view.locator("tbody th, tbody td").evaluate_all(
        "cells => cells.map(cell => getComputedStyle(cell, '::before').content)"
    )
    assert len(told) > 20
    assert {each for each in told if not each.strip('"').strip()} == set()
    view.close()


@pytest.mark.parametrize("which", ["file", "notebook", "versus"])
def test_the_words_of_pictures_keep_their_size_on_a_phone(
    browser: Browser, which: str, request: pytest.FixtureRequest
) -> None:
    """Ten points of eight inches are eleven pixels; the box that moves can be reached by keys."""
    view, _ = opened(browser, request.getfixturevalue(which), WIDTHS[1])
    pictures = view.locator("figure img, figure svg[role]")
    wide = pictures.evaluate_all("of => of.map(each => each.getBoundingClientRect().width)")
    assert min(wide) >= 10.9 * 8 * 72 / 10
    boxes = view.locator("figure > [tabindex='0']")
    assert boxes.evaluate_all("of => of.every(box => box.scrollWidth > box.clientWidth)")
    assert boxes.count() == len(wide)
    view.close()


@pytest.mark.parametrize(("width", "height"), [(1280, 800), (390, 844)])
def test_the_list_of_contents_stands_on_the_first_screen(
    browser: Browser, file: Path, width: int, height: int
) -> None:
    """And leads to every section, whose title it tells."""
    view, _ = opened(browser, file, width)
    links = view.locator("nav a")
    assert (
        max(at["y"] + at["height"] for each in links.all() if (at := each.bounding_box())) < height
    )
    titles = view.locator("h2").all_inner_texts()
    assert [each.get_attribute("title") for each in links.all()] == titles
    view.close()


def test_printed_it_has_no_list_of_contents_and_whole_tables(browser: Browser, file: Path) -> None:
    view, _ = opened(browser, file, WIDTHS[1])
    view.emulate_media(media="print")
    assert not view.locator("nav").is_visible()
    assert view.locator("thead").first.is_visible()
    view.close()
