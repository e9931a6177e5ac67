"""Where a run came from."""

import json
import os
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest
from dvc.utils.hydra import apply_overrides

from foldwise.app.drawing import _commands
from foldwise.data.dataset import DataInfo, TableInfo
from foldwise.errors import StoreError
from foldwise.runs.lineage import (
    committed,
    dvc_experiment,
    git_state,
    library_versions,
    parameters_not_committed,
)
from foldwise.runs.recorder import _columns
from foldwise.settings import FilterSettings, PrepareSettings, Settings, TuneSettings, load_settings


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A git checkout with sources, reports and a dvc.lock, all committed."""
    folder = tmp_path_factory.mktemp("template") / "checkout"
    for name in ("src/a.py", "reports/tuning.json", "dvc.lock", "params.yaml"):
        path = folder / name
        path.parent.mkdir(exist_ok=True, parents=True)
        path.write_text("1\n")
    _git(folder, "init", "-q")
    _commit(folder)
    return folder


@pytest.fixture
def checkout(template: Path, tmp_path: Path) -> Path:
    """The checkout, of this test's own."""
    return shutil.copytree(template, tmp_path / "checkout")


def _commit(folder: Path) -> None:
    """All that lies there."""
    _git(folder, "add", ".")
    _git(folder, "-c", "user.name=t", "-c", "user.email=t@t", "commit", "-qm", "x")


def _git(folder: Path, *arguments: str) -> None:
    subprocess.run(["git", *arguments], cwd=folder, check=True)


def test_a_clean_checkout_has_a_commit_and_no_dirt(checkout: Path) -> None:
    """MLflow's own tag for the commit is set, too: its runs table shows it."""
    state = git_state(checkout)
    assert state["git.dirty"] == "false"
    assert len(state["git.commit"]) == 40
    assert state["mlflow.source.git.commit"] == state["git.commit"]


@pytest.mark.soak
def test_a_slow_git_is_waited_for(
    checkout: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a loaded machine or a network's disk it takes long; a run would have no commit."""
    commit = committed(checkout, "HEAD")
    slow, git = tmp_path / "bin" / "git", shutil.which("git")
    slow.parent.mkdir()
    slow.write_text(f'#!/bin/sh\nsleep 25\nexec "{git}" "$@"\n')
    slow.chmod(0o755)
    monkeypatch.setenv("PATH", str(slow.parent), prepend=os.pathsep)
    assert commit is not None
    assert committed(checkout, "HEAD") == commit


def test_what_the_pipeline_writes_is_no_dirt(checkout: Path) -> None:
    """Otherwise every second run would be called dirty by the first."""
    for name in ("reports/tuning.json", "reports/new.csv", "dvc.lock", "search-version.json"):
        (checkout / name).write_text("2\n")
    assert git_state(checkout)["git.dirty"] == "false"


@pytest.mark.parametrize("name", ["src/a.py", "src/new.py", "params.yaml", "new.yaml"])
@pytest.mark.parametrize("wish", ["no", "all"])
def test_untracked_code_is_dirt_however_the_user_likes_to_see_it(
    checkout: Path, wish: str, name: str
) -> None:
    """Changed or new, what git doesn't show may have run all the same."""
    _git(checkout, "config", "status.showUntrackedFiles", wish)
    (checkout / name).write_text("2\n")
    assert git_state(checkout)["git.dirty"] == "true"


@pytest.mark.parametrize("wish", ["--assume-unchanged", "--skip-worktree"])
def test_a_changed_source_is_dirt_whatever_git_was_told_to_assume(
    checkout: Path, wish: str
) -> None:
    """The user's own index is believed no more than left changed."""
    _git(checkout, "update-index", wish, "src/a.py")
    index = (checkout / ".git/index").read_bytes()
    assert git_state(checkout)["git.dirty"] == "false"
    (checkout / "src/a.py").write_text("2\n")
    assert git_state(checkout)["git.dirty"] == "true"
    assert (checkout / ".git/index").read_bytes() == index


@pytest.mark.parametrize("form", ["--cone", "--no-cone", "--sparse-index"])
def test_what_a_sparse_checkout_leaves_out_is_no_dirt(checkout: Path, form: str) -> None:
    """What isn't there didn't run; what is there and changed may have."""
    left_out = checkout / "docs" / "ü b.md"
    left_out.parent.mkdir()
    left_out.write_text("1\n")
    _commit(checkout)
    _git(checkout, "sparse-checkout", "set", form, "src")
    assert not left_out.exists()
    assert git_state(checkout)["git.dirty"] == "false"
    left_out.parent.mkdir()
    left_out.write_text("2\n")
    assert git_state(checkout)["git.dirty"] == "true"


@pytest.mark.parametrize("place", ["global", ".git/info/exclude", "src/.gitignore"])
def test_new_code_is_dirt_wherever_it_is_called_ignored(
    checkout: Path, tmp_path_factory: pytest.TempPathFactory, place: str
) -> None:
    """By a list that no commit holds; what Python itself leaves there is none."""
    ignored = tmp_path_factory.mktemp("home") / "ignore" if place == "global" else checkout / place
    ignored.write_text("*\n")
    _git(checkout, "config", "core.excludesFile", str(ignored))
    (checkout / "src/__pycache__").mkdir()
    (checkout / "src/__pycache__/a.cpython-311.pyc").write_bytes(b"")
    assert git_state(checkout)["git.dirty"] == "false"
    (checkout / "src/room").mkdir()
    (checkout / "src/room/new.py").write_text("2\n")
    assert git_state(checkout)["git.dirty"] == "true"


@pytest.mark.parametrize("name", ["GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE"])
def test_another_repository_s_commit_is_never_told(
    checkout: Path,
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
) -> None:
    """A hook of another repository, or a shell, has set the variable."""
    before, other = git_state(checkout), tmp_path_factory.mktemp("other")
    _git(other, "init", "-q")
    monkeypatch.setenv(name, str(other / ".git" / ("index" if "INDEX" in name else "")))
    assert git_state(checkout) == before


def test_where_git_looks_at_another_folder_nobody_knows_what_ran(
    checkout: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """As those have it who keep a home's files in git; "not dirty" was told of that folder."""
    _git(checkout, "config", "core.worktree", str(tmp_path_factory.mktemp("other")))
    assert git_state(checkout)["git.dirty"] == "unknown"


def test_a_checkout_that_git_refuses_is_told_with_what_mends_it(
    checkout: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its runs would have no commit, and nobody would know why."""
    before = git_state(checkout)
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(tmp_path_factory.mktemp("home") / "gitconfig"))
    monkeypatch.setenv("GIT_TEST_ASSUME_DIFFERENT_OWNER", "1")
    with pytest.raises(StoreError, match=r"git config --global --add safe\.directory") as caught:
        git_state(checkout)
    command = str(caught.value).split("`")[1]
    subprocess.run(["bash", "-c", command], check=True)
    assert git_state(checkout) == before


def test_parameters_that_are_not_committed_are_told_as_options(checkout: Path) -> None:
    """A checkout of the commit doesn't bring them back; those committed, or defaults, need not."""
    (checkout / "params.yaml").write_text("tune: {folds: 5}\n")
    _commit(checkout)
    assert parameters_not_committed(checkout, Settings(tune=TuneSettings(folds=5))) == {}
    other = Settings(prepare=PrepareSettings(limit=300), tune=TuneSettings(folds=5, trials=7))
    assert parameters_not_committed(checkout, other) == {
        "parameters.changed": "-S ++prepare.limit=300 -S ++tune.trials=7"
    }


@pytest.mark.parametrize(
    "settings",
    [
        Settings(prepare=PrepareSettings(path="data/ü's [b], c=1")),
        Settings(prepare=PrepareSettings(path="null", name="1e5")),
        Settings(prepare=PrepareSettings(path="7", name="TRUE")),
        Settings(filters=FilterSettings(frequencies=(0.1, 0.2, 0.3))),
    ],
)
def test_dvc_reads_the_options_as_the_parameters_that_they_are(
    checkout: Path, settings: Settings
) -> None:
    """An umlaut stands in no word of its grammar, numbers are such, keys must be there or added."""
    (checkout / "params.yaml").write_text("prepare: {path: data/raw}\nfilters: {}\n")
    _commit(checkout)
    told = shlex.split(parameters_not_committed(checkout, settings)["parameters.changed"])
    apply_overrides(str(checkout / "params.yaml"), [each for each in told if each != "-S"])
    assert load_settings(checkout / "params.yaml") == settings


def test_what_makes_a_version_again_gives_the_parameters_that_no_commit_has(
    checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`make repro` at the commit would make another one."""
    (checkout / "dvc.yaml").write_text("stages: {}\n")
    monkeypatch.chdir(checkout)
    commit = {"git.commit": "abc"}
    assert _commands(commit) == ("git checkout abc", "dvc repro")
    changed = _commands({**commit, "parameters.changed": "-S tune.trials=7"})
    assert changed == ("git checkout abc", "dvc exp run --temp -S tune.trials=7")
    (checkout / "requirements.lock").touch()
    assert _commands(commit) == ("git checkout abc", "make repro")
    assert _commands({**commit, "parameters.changed": "-S a=1"})[-1] == "dvc exp run --temp -S a=1"


def test_the_dirt_is_the_projects_own_even_from_a_folder_inside(checkout: Path) -> None:
    """A project inside a larger repository looks at itself only."""
    (checkout / "params.yaml").write_text("2\n")
    assert git_state(checkout / "src")["git.dirty"] == "false"


def test_outside_of_git_nothing_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder without history runs as well; the tags are left out."""
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert git_state(tmp_path) == {}


def test_without_git_on_the_machine_nothing_is_said(
    checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Git is needed to clone, not to run."""
    monkeypatch.setenv("PATH", "")
    assert git_state(checkout) == {}


def test_mlflow_lists_a_table_s_columns_by_its_own_types() -> None:
    """As many as it takes."""
    table = TableInfo((("age", "number"), ("site", "category"), *(("more", "number"),) * 5000))
    data = DataInfo("ward", ("ill", "well"), (), 90, "d", 10, "h", table=table)
    told = _columns(data)
    assert told[:2] == [{"name": "age", "type": "double"}, {"name": "site", "type": "string"}]
    assert len(json.dumps(told)) < 100_000


def test_a_dvc_experiment_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """DVC tells name and baseline by environment; outside of an experiment there are none."""
    monkeypatch.setenv("DVC_EXP_NAME", "olive-mink")
    monkeypatch.setenv("DVC_EXP_BASELINE_REV", "f00d")
    assert dvc_experiment() == {"dvc.experiment": "olive-mink", "dvc.baseline": "f00d"}
    monkeypatch.delenv("DVC_EXP_NAME")
    monkeypatch.setenv("DVC_EXP_BASELINE_REV", "")
    assert dvc_experiment() == {}


def test_an_outer_project_s_experiment_is_none_of_ours(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its name leads to nothing here, and its baseline is a commit that nobody here knows."""
    for project in (tmp_path, tmp_path / "ours"):
        (project / ".dvc").mkdir(parents=True)
        (project / "dvc.yaml").touch()
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))
    monkeypatch.setenv("DVC_EXP_NAME", "olive-mink")
    monkeypatch.chdir(tmp_path / "ours")
    assert dvc_experiment() == {}
    monkeypatch.chdir(tmp_path)
    assert dvc_experiment() == {"dvc.experiment": "olive-mink"}


def test_the_versions_that_results_depend_on_are_told() -> None:
    """Numbers come from numpy, scipy and scikit-learn; the interpreter counts, too."""
    versions = library_versions()
    assert {"library.python", "library.numpy", "library.scikit-learn"} <= versions.keys()
