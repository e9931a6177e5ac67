"""What makes a stage stale, by real DVC: numbers do, looks and rules don't; and drawing anew."""

import hashlib
import json
import os
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from tests.e2e.project import Project, commit, make_project

pytestmark = pytest.mark.e2e
SOURCES = Path("src/foldwise")
INERT = (
    "palette.py",
    "report/card.md.j2",
    "registry/gate.py",
    "app/views.py",
    "report/page.html.j2",
    "checks.py",
)


@pytest.fixture(scope="module")
def quick(commands: Path, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project whose pipeline has been run, for commands that need not run its own sources."""
    folder = tmp_path_factory.mktemp("staleness") / "project"
    project = commit(make_project(folder, commands=commands, is_drawn=True))
    done = project.dvc("repro")
    assert done.status == 0, done.errors
    return project


@pytest.fixture
def made(quick: Project) -> Project:
    """The same, with its own sources."""
    return replace(quick, commands=None)


def stale(project: Project) -> set[str]:
    """The stages of the main job that DVC would run."""
    done = project.dvc("status", "--json", "prepare", "tune", "evaluate")
    assert done.status == 0, done.errors
    return set(json.loads(done.output))


def append(project: Project, name: str, text: str) -> None:
    """Add to one of the sources."""
    with (project.folder / SOURCES / name).open("a") as file:
        file.write(text)


def recolour(project: Project) -> None:
    """Give the first colour of the palette another value."""
    path = project.folder / SOURCES / "palette.py"
    before = path.read_text()
    first = before.index('"#') + 2
    path.write_text(before[:first] + "123456" + before[first + 6 :])


def drawn(project: Project) -> dict[str, str]:
    """Digests of the page and of all pictures."""
    reports = project.folder / "reports"
    paths = [reports / "report.html", *sorted(reports.glob("figures/*/*.*g"))]
    return {
        path.relative_to(reports).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in paths
    }


def looks(project: Project) -> int:
    """How many models were counted as scored on a holdout."""
    with closing(sqlite3.connect(project.folder / "mlruns" / "mlflow.db")) as connection:
        query = "SELECT count(*) FROM registered_model_tags WHERE key LIKE 'holdout.%'"
        (count,) = connection.execute(query).fetchone()
    return int(count)


def trials(project: Project) -> list[tuple[str, int]]:
    """Study and number of each trial kept."""
    with closing(
        sqlite3.connect(project.folder / "mlruns" / "optuna.db", timeout=30)
    ) as connection:
        told = connection.execute("SELECT value_json FROM trial_user_attributes").fetchall()
    kept = [json.loads(json.loads(value)) for (value,) in told]
    return [(trial["study"], trial["number"]) for trial in kept if "inner" in trial]


def test_the_pictures_of_the_search_stand_on_the_page_as_tune_drew_them(made: Project) -> None:
    """The kept bytes: nothing is drawn twice."""
    page = (made.folder / "reports" / "report.html").read_text()
    words = json.loads((made.folder / "reports/figures/tune/pictures.json").read_text())
    assert [name for name, *_ in words] == ["curve", "trials", "outer_folds"]
    for name, *_ in words:
        svg = (made.folder / f"reports/figures/tune/{name}.svg").read_text()
        assert svg.partition("<svg")[2] in page


def test_drawing_anew_gives_the_same_bytes_and_takes_no_look(made: Project, quick: Project) -> None:
    """From kept results, whose numbers have all their digits; nothing becomes stale."""
    before, counted = drawn(made), looks(made)
    for path in (made.folder / "reports" / "figures").glob("*/*.*g"):
        path.unlink()
    done = quick.run("foldwise", "draw")
    assert done.status == 0, done.errors
    assert drawn(made) == before
    assert looks(made) == counted > 0
    assert stale(quick) == set()


def test_a_look_or_a_rule_makes_nothing_stale_and_a_new_colour_is_drawn(
    made: Project, quick: Project
) -> None:
    """A colour, a word of the card or the page, a rule of promotion, a view of MLflow's."""
    before = drawn(made)
    recolour(made)
    for name in INERT:
        append(made, name, "{# a word #}\n" if name.endswith(".j2") else "\n# a word\n")
    assert stale(quick) == set()
    done = made.run("foldwise", "draw")
    assert done.status == 0, done.errors
    assert drawn(made) != before
    assert stale(quick) == set()


def test_other_results_than_the_model_s_are_not_drawn(made: Project, quick: Project) -> None:
    """They would be told of a model that they are not of."""
    path = made.folder / "models" / "evaluated" / "result.json"
    before, pictures = path.read_text(), drawn(made)
    path.unlink()
    path.write_text(before.replace('"model_digest": "', '"model_digest": "0'))
    done = quick.run("foldwise", "draw")
    path.write_text(before)
    assert done.status == 1
    [line] = done.said
    assert "models/evaluated must be of the model in models/tuned" in line
    assert drawn(made) == pictures


def test_a_comment_in_the_solver_leaves_an_interrupted_search_its_trials(
    made: Project, quick: Project
) -> None:
    """The stage is stale for DVC; the search goes on under its key, and no trial is made again."""
    quick = replace(quick, is_drawn=False)
    made.change("tune", trials=9)
    append(made, "solver/descent.py", "\n# a comment\n")
    assert stale(quick) == {"tune", "evaluate"}
    known = len(trials(made))

    def killed_after(count: int, is_enough: Callable[[], bool]) -> None:
        with made.start("python", "-m", "foldwise.app.tune", FOLDWISE_THREADS="1") as process:
            while not is_enough() and process.poll() is None:
                time.sleep(0.01)
            os.kill(process.pid, 9)
            process.wait()
        assert known + count <= len(trials(made)) < known + 4 * 9

    killed_after(3, lambda: len(trials(made)) >= known + 3)
    append(made, "solver/descent.py", "\n# another comment\n")
    done = quick.dvc("repro")
    assert done.status == 0, done.errors
    new = trials(made)[known:]
    assert len(new) == len(set(new)) == 4 * 9
    assert stale(quick) == set()
