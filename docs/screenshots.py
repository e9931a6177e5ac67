"""``python -m docs.screenshots [FOLDER]``: ``foldwise ui``'s pages and our own, as pictures.

Starts ``foldwise ui`` on a project's store and takes the documentation's pictures anew with the
system's Chromium, those of the report and of a comparison, too. Copies the documents' figures.
"""

import argparse
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from mlflow.entities import Run
from playwright.sync_api import Browser, Locator, Page, sync_playwright

from foldwise.app.views import MODE
from foldwise.store.open import open_store

ROOT = Path(__file__).parents[1]
PICTURES = ROOT / "docs" / "pictures"
FIGURES = ("tune/curve.svg", "evaluate/confusion.svg", "evaluate/roc.svg")
SIZE = (1440, 900)
COMPARED = (1000, 1400)
READ = {"report": (1280, 900), "report-phone": (390, 844)}
"""Pictures of the report's first screen, and how large that is."""
SECONDS = 60
# Nothing but the page: no sandbox as root, no calls home, no drawing on a GPU that isn't there.
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
_HIDE = "found => found.forEach(each => { each.style.visibility = 'hidden' })"
# The assistant takes a quarter of the window until it is closed.
_ASSISTANT = "xpath=//*[text()='MLflow Assistant']/ancestor::*[.//button][1]//button"


@dataclass(frozen=True, slots=True)
class Shown:
    """A page of the UI: its file's name, how its link's name begins, what is there once drawn.

    ``upto`` is where its address ends, for pages that are come to without our links.
    """

    name: str
    link: str
    drawn: str
    upto: str = ""


PAGES = (
    Shown("pipelines", "Pipelines", "[role=row] a"),
    Shown("studies", "Studies", ".plot-container .scatterlayer .trace"),
    Shown("trials", "Trials", ".plot-container .scatterlayer .trace"),
    Shown("version", "Version", "text=Source Run"),
    Shown("report", "Report", "iframe"),
)
PLAIN = (
    Shown("runs", "Pipelines", "[role=row] a", upto="?"),
    Shown("model", "Version", "text=previous_champion", upto="/versions"),
)
# Come to by clicks alone: their addresses are asked of the store.
CLICKED = (
    Shown("metrics", "its metrics", ".plot-container .scatterlayer .trace"),
    Shown("trial", "a trial", "text=inner_log_loss_mean"),
    Shown("logged-model", "its model", "text=Model versions"),
)


def chromium() -> str | None:
    """Where the system's Chromium is."""
    return shutil.which("chromium") or shutil.which("chromium-browser")


@contextmanager
def open_browser(program: str) -> Iterator[Browser]:
    """Chromium without a window."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=list(FLAGS))
        try:
            yield browser
        finally:
            browser.close()


@contextmanager
def ui_links(folder: Path, data: str) -> Iterator[dict[str, str]]:
    """Run ``foldwise ui`` in a project; the links that it prints below the data's name."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-c", "from foldwise.app.cli import main; main()", "ui"]
    with subprocess.Popen(
        [*command, "--port", str(port)],
        cwd=folder,
        env={**os.environ, "DVC_ROOT": str(folder)},
        stdout=subprocess.PIPE,
        text=True,
    ) as ui:
        try:
            assert ui.stdout is not None
            yield _links(_until_ready(iter(ui.stdout)), data)
        finally:
            ui.terminate()


def open_page(browser: Browser, address: str, drawn: str) -> Page:
    """A page of its own for a link, once what it is for is drawn."""
    page = browser.new_page(viewport={"width": SIZE[0], "height": SIZE[1]})
    page.goto(address)
    page.locator(drawn).first.wait_for(timeout=SECONDS * 1000)
    return page


def close_assistant(page: Page) -> None:
    """Give its room to what the picture is of."""
    buttons = page.locator(_ASSISTANT)
    if buttons.count():
        buttons.last.click()


def link_to(links: dict[str, str], shown: Shown) -> str:
    """The printed link whose name begins as asked for, cut where the page's plain address ends."""
    address = next(address for name, address in links.items() if name.startswith(shown.link))
    return address.partition(shown.upto)[0] if shown.upto else address


def clicked_links(folder: Path, data: str, links: dict[str, str]) -> dict[str, str]:
    """Addresses of the newest pipeline's metrics, its best trial of the final study, its model."""
    store = open_store(folder, creates=False, writes=False)
    experiment, base = store.experiment(data), next(iter(links.values())).partition("#")[0]

    def newest(search: str, order: str) -> Run:
        return store.client.search_runs([experiment], search, max_results=1, order_by=[order])[0]

    evaluated = "tags.level = 'pipeline' AND metrics.holdout_accuracy >= 0"
    run_id = newest(evaluated, "attributes.start_time DESC").info.run_id
    trials = f"tags.level = 'trial' AND tags.study = 'final' AND tags.pipeline = '{run_id}'"
    trial = newest(trials, "metrics.inner_log_loss_mean ASC").info.run_id
    (model, *_) = store.client.search_logged_models([experiment], f"source_run_id = '{run_id}'")
    places = (f"runs/{run_id}/model-metrics", f"runs/{trial}", f"models/{model.model_id}")
    addresses = (f"{base}#/experiments/{experiment}/{of}?{MODE}" for of in places)
    return {shown.link: address for shown, address in zip(CLICKED, addresses, strict=True)}


def open_comparison(browser: Browser, links: dict[str, str]) -> Page | None:
    """MLflow's comparison of all pipelines, come to by hand; None where there is one alone.

    It shows the runs' names, the parameters that tell them apart, and of the scores the outer ones.
    """
    page = open_page(browser, link_to(links, PAGES[0]), PAGES[0].drawn)
    close_assistant(page)
    boxes = page.get_by_role("row").get_by_role("checkbox")
    if boxes.count() < 3:  # the first selects the others
        page.close()
        return None
    boxes.first.check()
    compare = page.get_by_role("button", name="Compare", exact=True)
    if not compare.is_enabled():
        page.close()
        return None
    compare.click()
    page.get_by_label("Parameters - Show diff only").click(timeout=SECONDS * 1000)
    for section in ("Visualizations", "Artifacts", "Tags"):
        page.get_by_text(section, exact=True).first.click()
    page.set_viewport_size({"width": COMPARED[0], "height": COMPARED[1]})
    scores = page.locator(".ReactVirtualized__Grid").last
    wanted = page.get_by_text("outer_log_loss", exact=True)
    # Rows far out of sight are not there; scrolled to by name, the names alone would move.
    for _ in range(SECONDS):
        scores.evaluate("box => { box.scrollTop += 90 }")
        page.wait_for_timeout(300)
        if wanted.count() and _bottom(wanted.first) < _bottom(scores):
            break
    scores.evaluate("box => { box.scrollTop += 1 }")  # the names are one event behind
    page.wait_for_timeout(1000)
    return page


def write_comparison(folder: Path, data: str, file: Path) -> bool:
    """Compare the two newest pipelines' searches on a page; false where there aren't two."""
    store = open_store(folder, creates=False, writes=False)
    found = store.client.search_runs(
        [store.experiment(data)],
        "tags.level = 'pipeline'",
        max_results=2,
        order_by=["attributes.start_time DESC"],
    )
    names = [run.data.tags.get("dvc.experiment", run.info.run_name) for run in reversed(found)]
    command = [sys.executable, "-c", "from foldwise.app.cli import main; main()", "compare"]
    told = subprocess.run([*command, *names, "--output", str(file)], cwd=folder, check=False)
    return told.returncode == 0


def read(browser: Browser, file: Path, name: str, size: tuple[int, int]) -> None:
    """Take the first screen of a page of ours."""
    page = browser.new_page(viewport={"width": size[0], "height": size[1]})
    page.goto(file.as_uri())
    page.screenshot(path=PICTURES / f"{name}.png")
    page.close()


def main() -> None:
    """Take all pictures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", nargs="?", type=Path, default=ROOT, help="a project that has run")
    parser.add_argument("--data", default="mnist", help="the experiment to show")
    given = parser.parse_args()
    program = chromium()
    if program is None:
        raise SystemExit("there is no chromium: install your system's package of it")
    PICTURES.mkdir(exist_ok=True)
    folder = given.folder.resolve()
    with ui_links(folder, given.data) as printed, open_browser(program) as browser:
        links = printed | clicked_links(folder, given.data, printed)
        for shown in (*PAGES, *PLAIN, *CLICKED):
            page = open_page(browser, link_to(links, shown), shown.drawn)
            close_assistant(page)
            page.wait_for_timeout(3000)  # charts move into place
            page.get_by_text("Path: /").evaluate_all(_HIDE)  # the machine's own
            page.screenshot(path=PICTURES / f"ui-{shown.name}.png")
            page.close()
            print(f"{shown.name}: {shown.link}")
        compared = open_comparison(browser, links)
        if compared is not None:
            compared.screenshot(path=PICTURES / "ui-compared.png")
        for name, size in READ.items():
            read(browser, folder / "reports" / "report.html", name, size)
        with TemporaryDirectory(prefix="foldwise-") as beside:
            file = Path(beside, "compared.html")
            if write_comparison(folder, given.data, file):
                read(browser, file, "compared", READ["report"])
    for figure in FIGURES:
        shutil.copy(given.folder / "reports" / "figures" / figure, PICTURES)


def _bottom(found: Locator) -> float:
    box = found.bounding_box()
    assert box is not None
    return box["y"] + box["height"]


def _until_ready(lines: Iterator[str]) -> list[str]:
    printed = []
    for line in lines:
        printed.append(line.rstrip())
        if line.startswith("Ctrl-C"):
            return printed
    raise SystemExit("foldwise ui ended before it had printed its links")


def _links(printed: list[str], data: str) -> dict[str, str]:
    below = printed[printed.index(data) + 1 :]
    links = {}
    for line in below:
        name, _, address = line.strip().rpartition("  ")
        if not address.startswith("http"):
            break
        links[name.strip()] = address
    return links


if __name__ == "__main__":
    main()
