"""A project of one's own: `foldwise init`, `dvc repro` by the installed foldwise, and once more."""

import json
import sys
from pathlib import Path

import pytest
import yaml

from foldwise.search.version import SEARCH_VERSION
from tests.e2e.project import Project
from tests.e2e.reproduced import all_runs

pytestmark = pytest.mark.e2e

ROOT = Path(__file__).parents[2]
PARAMETERS = ("evaluate", "evaluate.confidence", "filters", "prepare", "report", "seed", "tune")
QUICK = {"folds": 3, "trials": 3, "max_iter": 50, "tol": 0.01}


def test_a_new_project_is_reproduced_once_and_then_knows_that_nothing_is_stale(
    tmp_path: Path,
) -> None:
    """Away from any checkout, in any folder; a foldwise of another search makes it stale."""
    folder = tmp_path / "mit Blank, ü und #1"
    folder.mkdir()
    project = Project(folder / "digits")
    entry = "from foldwise.app.cli import main; main()"
    begun = Project(folder).run(sys.executable, "-c", entry, "init", "digits")
    assert begun.status == 0, begun.errors
    project.change("tune", **QUICK)
    project.change("prepare", limit=150)
    assert project.dvc("repro").status == 0
    version = json.loads((project.folder / "search-version.json").read_text())
    assert version == {"search_version": SEARCH_VERSION}
    assert (project.folder / "reports" / "report.html").exists()
    runs = all_runs(project)
    assert len(runs) == 1 + 4 + 4 * 3

    again = project.dvc("repro")
    assert again.status == 0
    assert "Stage 'tune' didn't change, skipping" in again.output
    assert len(all_runs(project)) == len(runs)
    (project.folder / "search-version.json").write_text('{"search_version": 0}\n')
    status = project.dvc("status", "tune")
    assert "search-version.json" in status.output


def test_a_new_project_is_committed_before_doctor_asks_for_a_commit() -> None:
    """Who types the README's lines in their order is told of no fault."""
    text = (ROOT / "src/foldwise/app/project/README.md.j2").read_text()
    assert text.index("$ git add --all && git commit") < text.index("$ foldwise doctor")
    assert text.index("$ foldwise doctor") < text.index("$ dvc repro")


def test_the_pipeline_of_a_new_project_is_this_one_but_for_what_it_depends_on() -> None:
    """Outputs, parameters and commands are the same: neither is forgotten where the other moves."""
    text = (ROOT / "src/foldwise/app/project/dvc.yaml.j2").read_text()
    new = yaml.safe_load("".join(f"{s}\n" for s in text.splitlines() if not s.startswith("{%")))
    here = yaml.safe_load((ROOT / "dvc.yaml").read_text())
    assert new["plots"] == here["plots"]
    assert "image" not in text, "a table has rows"
    assert new["stages"].keys() - here["stages"].keys() == {"version"}
    for name, stage in here["stages"].items():
        for key in ("cmd", "outs", "metrics"):
            assert new["stages"][name].get(key) == stage.get(key), (name, key)
        # Of a file of its own are the candidates' entries, which a new project has none of.
        assert new["stages"][name]["params"] == [of for of in stage["params"] if of in PARAMETERS]
        data = [each for each in stage["deps"] if not each.startswith(("src/", "reference"))]
        assert sorted(new["stages"][name]["deps"]) == sorted([*data, "search-version.json"])
