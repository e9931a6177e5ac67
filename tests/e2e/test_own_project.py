"""A project of one's own: begun, reproduced by a foldwise that lies elsewhere, and once more."""

import json
import re
from dataclasses import asdict
from pathlib import Path

import pytest
import yaml
from sklearn.datasets import load_digits

from foldwise.app.init import _rendered
from foldwise.data.features import FilterBank
from foldwise.search.version import SEARCH_VERSION
from foldwise.settings import load_settings
from tests import table_files
from tests.e2e.project import Project, put_empty_store
from tests.e2e.reproduced import all_runs

pytestmark = pytest.mark.e2e

ROOT = Path(__file__).parents[2]
PARAMETERS = ("evaluate", "evaluate.confidence", "filters", "prepare", "report", "seed", "tune")
HOW_TO = (ROOT / "docs" / "how-to.md").read_text()
QUICK = {"folds": 3, "trials": 3, "max_iter": 50, "tol": 0.01}


@pytest.fixture(scope="module")
def project(commands: Path, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A new project of digits, away from any checkout, reproduced with few of them."""
    folder = tmp_path_factory.mktemp("own") / "with a blank"
    folder.mkdir()
    project = _begun(folder / "digits", commands)
    project.change("prepare", limit=150)
    assert project.dvc("repro").status == 0
    return project


def _begun(folder: Path, commands: Path, *options: str) -> Project:
    """What `foldwise init` makes, but quick."""
    begun = Project(folder.parent, commands).run("foldwise", "init", folder.name, *options)
    assert begun.status == 0, begun.errors
    put_empty_store(commands, folder)
    project = Project(folder, commands)
    project.change("tune", **QUICK)
    return project


def test_a_new_project_of_a_table_is_reproduced_as_it_was_begun(
    commands: Path, tmp_path: Path
) -> None:
    """Its own copy of the file, in groups, of whose names nothing is told."""
    table = table_files.write(table_files.cancer().head(200), tmp_path)
    options = ("--table", str(table), "--target", "finding", "--group", "person")
    project = _begun(tmp_path / "ward", commands, *options)
    table.unlink()
    done = project.dvc("repro")
    assert done.status == 0, done.errors
    page = (project.folder / "reports" / "report.html").read_text()
    assert "malignant" in page
    assert table_files.PERSON not in page
    assert "up to date" in project.dvc("status", "prepare", "tune", "evaluate").output


def test_a_new_project_is_reproduced_once_and_then_knows_that_nothing_is_stale(
    project: Project,
) -> None:
    """Away from any checkout; a foldwise of another search makes its stages stale."""
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


def test_filters_are_tried_in_a_new_project_as_the_how_to_says(project: Project) -> None:
    """A first champion on digits that drift is forced, as it says, too."""
    command = next(line for line in HOW_TO.splitlines() if "-S tune.features=filters" in line)
    said = [
        project.shell("git add --all && git commit --quiet --message Begin"),
        project.run("foldwise", "promote", "--force", "--reason", "to try it"),
        project.shell(command.removeprefix("$ ")),
        project.run("foldwise", "compare", "champion", "filters"),
    ]
    assert [each.status for each in said] == [0] * 4, [each.errors for each in said]
    assert "is the champion (before: none)" in said[1].output
    assert "filters" in said[3].output


def test_a_new_project_is_committed_before_doctor_asks_for_a_commit() -> None:
    """Who types the README's lines in their order is told of no fault."""
    text = (ROOT / "src/foldwise/app/project/README.md.j2").read_text()
    assert text.index("$ git add --all && git commit") < text.index("$ foldwise doctor")
    assert text.index("$ foldwise doctor") < text.index("$ dvc repro")


@pytest.mark.parametrize("path", ["", "data/table.csv"])
def test_what_the_how_to_sets_stands_in_a_new_project(path: str) -> None:
    """`dvc exp run -S` sets keys alone that are there; and the line that it edits is there."""
    facts = {"name": "own", "path": path, "target": "y", "group": None, "metrics": ""}
    text = _rendered("params.yaml.j2", facts)
    there = {f"{name}.{key}" for name in ("prepare", "tune") for key in yaml.safe_load(text)[name]}
    asked = {*re.findall(r"-S (tune\.\w+|prepare\.augment)=", HOW_TO)}
    assert {"tune.features", "tune.folds", "tune.search", "prepare.augment"} <= asked
    assert asked - there == ({"prepare.augment"} if path else set())
    assert text.count("features: pixels ") == 1


def test_filters_fit_the_images_that_a_new_project_has(tmp_path: Path) -> None:
    """All its images have features, and each number of the bank can be set."""
    facts = {"name": "own", "path": "", "target": None, "group": None, "metrics": ""}
    (tmp_path / "params.yaml").write_text(_rendered("params.yaml.j2", facts))
    numbers = load_settings(tmp_path / "params.yaml").filters
    features = FilterBank((8, 8), **asdict(numbers)).fit_transform(load_digits().data)
    assert features.any(axis=1).all()
    told = yaml.safe_load((tmp_path / "params.yaml").read_text())["filters"]
    assert told.keys() == asdict(numbers).keys()


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
