"""Each link that `foldwise ui` prints, opened in Chromium."""

import os
from collections.abc import Iterator, Sequence

import pytest
from mlflow.entities import Run
from playwright.sync_api import Browser, Page

from docs.screenshots import PAGES, chromium, link_to, open_browser, open_page, ui_links
from foldwise.palette import fold_colour
from tests.e2e.project import DIGITS
from tests.e2e.reproduced import Reproduced, all_runs

pytestmark = [pytest.mark.e2e, pytest.mark.browser]

STUDIES = DIGITS["tune"]["folds"] + 1
SHOWN = {page.name: page for page in PAGES}
TRACES = ".plot-container .scatterlayer .trace"


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """The system's Chromium; only outside CI may it be missing."""
    program = chromium()
    if program is None:
        if os.environ.get("CI") == "true":
            pytest.fail("CI must have chromium: the UI's links would go untested")
        pytest.skip("no chromium on the PATH")
    with open_browser(program) as opened:
        yield opened


@pytest.fixture(scope="module")
def links(reproduced: Reproduced) -> Iterator[dict[str, str]]:
    """What `foldwise ui` prints for a store that a real run has filled.

    The newest: experiments of other tests have no report.
    """
    ended = reproduced.project.dvc("repro", "--force")
    assert ended.status == 0, ended.errors
    with ui_links(reproduced.project.folder, "digits") as printed:
        yield printed


def opened(browser: Browser, links: dict[str, str], name: str) -> Page:
    page = open_page(browser, link_to(links, SHOWN[name]), SHOWN[name].drawn)
    assert page.get_by_text("Model training").first.is_visible()
    return page


def _rgb(fold: int | None) -> str:
    red, green, blue = bytes.fromhex(fold_colour(fold).removeprefix("#"))
    return f"rgb({red}, {green}, {blue})"


def test_the_pipelines_have_the_columns_they_are_compared_by(
    browser: Browser, links: dict[str, str]
) -> None:
    """The table shows pipelines alone, with the score of the outer folds and of the holdout."""
    page = opened(browser, links, "pipelines")
    for column in ("outer_log_loss", "holdout_log_loss", "holdout_accuracy"):
        page.get_by_text(column, exact=True).first.wait_for()
    assert page.get_by_text("outer-0").count() == 0


def test_each_study_is_a_line(browser: Browser, links: dict[str, str]) -> None:
    """One for each outer fold and one for the final model, each in its colour."""
    page = opened(browser, links, "studies")
    # MLflow draws each line twice, once with points.
    line = page.locator(".plot-container").first.locator(".trace:has(path.point) path.js-line")
    line.nth(STUDIES - 1).wait_for(state="attached")
    strokes = line.evaluate_all("found => found.map(each => each.style.stroke)")
    assert sorted(strokes) == sorted(map(_rgb, (*range(STUDIES - 1), None)))


def test_the_trials_are_points(
    browser: Browser, links: dict[str, str], reproduced: Reproduced
) -> None:
    """All of the newest pipeline: no run is hidden by the UI's limit of ten."""
    page = opened(browser, links, "trials")
    points = page.locator(f"{TRACES} path.point")
    trials = count_newest_trials(all_runs(reproduced.project))
    points.nth(trials - 1).wait_for(state="attached")


def count_newest_trials(runs: Sequence[Run]) -> int:
    """Trials of the newest pipeline: others may have been run in the clone meanwhile."""
    pipelines = [run for run in runs if run.data.tags.get("level") == "pipeline"]
    newest = max(pipelines, key=lambda run: int(run.info.start_time)).info.run_id
    tags = [run.data.tags for run in runs if run.data.tags.get("level") == "trial"]
    return sum(each["pipeline"] == newest for each in tags)


def test_the_version_tells_what_it_is(browser: Browser, links: dict[str, str]) -> None:
    """The model card is on the page."""
    page = opened(browser, links, "version")
    page.get_by_text("held-out images").first.wait_for()


def test_the_report_is_rendered(browser: Browser, links: dict[str, str]) -> None:
    """As a page, not as its source."""
    page = opened(browser, links, "report")
    page.frame_locator("iframe").first.get_by_role("heading").first.wait_for()
