"""Searches are found by any of their names, compared, and set beside the champion's once."""

import hashlib
import re
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import replace
from html import escape
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from foldwise.app.results import SearchPlace
from foldwise.app.show import outdone
from foldwise.app.versus import OUTLINE, Finder, tell_champion, tell_outline
from foldwise.app.workspace import Workspace
from foldwise.errors import FoldwiseError, StoreError
from foldwise.files import encode
from foldwise.registry.registration import register
from foldwise.runs.lineage import committed
from foldwise.runs.recorder import Recorder
from foldwise.search.trials import SearchResult
from foldwise.store.open import Store, open_store
from tests.integration.conftest import copied
from tests.integration.registry_cases import (
    NAME,
    SETTINGS,
    make_holdout,
    model_of,
    seen,
    submission,
)
from tests.integration.test_registry_cli import Command, foldwise, signals
from tests.run_tree import make_lineage, run_tree
from tests.unit.report.test_rivals import result_of

__all__ = ["foldwise", "signals"]

RESULTS = {"a": result_of(0.5), "b": result_of(0.7)}
HOLDOUT = make_holdout()


def record(store: Store, key: str, result: SearchResult, **tags: str) -> str:
    """Tell the store a search as `tune` does; gives the run."""
    described = make_lineage(search_key=key * 8)
    described = replace(described, stem=key, tags={**described.tags, **tags})
    with Recorder.open(store, described) as recorder:
        recorder.record_all(result)
        tell_outline(recorder, result)
    return recorder.run_id


@pytest.fixture(scope="module")
def searched(store_template: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with two searches: the first one's version is champion, the second ran by DVC."""
    folder = tmp_path_factory.mktemp("searched") / "project"
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        store = open_store(copied(store_template, folder))
        first = record(store, "a", RESULTS["a"])
        record(store, "b", RESULTS["b"], **{"dvc.experiment": "bold-fox"})
        register(store, submission(model_of(0.0), HOLDOUT, first))
        store.client.set_registered_model_alias(NAME, "champion", "1")
    (folder / "dvc.yaml").touch()
    (folder / "params.yaml").write_text("prepare: {source: digits, name: blobs}\n")
    return folder


@pytest.fixture
def project(searched: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    """A copy of it, to work in."""
    root = copied(searched, tmp_path / "project")
    monkeypatch.chdir(root)
    return open_store(root)


@pytest.fixture
def looked(searched: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    """The project itself, only to be looked at."""
    monkeypatch.chdir(searched)
    return open_store(searched)


def run_of(store: Store, stem: str) -> Any:
    """The pipeline's run of a search."""
    experiment = store.experiment("blobs")
    (found,) = store.client.search_runs([experiment], f"attributes.run_name LIKE '{stem}-%'")
    return found


def study_of(store: Store) -> str:
    """A study's run of the second search."""
    pipeline = run_of(store, "b").info.run_id
    query = f"tags.pipeline = '{pipeline}' AND tags.study = 'outer-1' AND tags.level = 'study'"
    return str(store.client.search_runs([store.experiment("blobs")], query)[0].info.run_id)


def committed_of(store: Store) -> str:
    """A commit whose dvc.lock has the second search's results, which DVC's cache keeps."""
    place = SearchPlace(run_of(store, "b").info.run_id, "b" * 8, 1)
    content = encode(place).encode()
    digest = hashlib.md5(content, usedforsecurity=False).hexdigest()
    cached = store.root / ".dvc" / "cache" / "files" / "md5" / digest[:2] / digest[2:]
    cached.parent.mkdir(parents=True)
    cached.write_bytes(content)
    lock = f"    - path: models/run.json\n      hash: md5\n      md5: {digest}\n      size: 9\n"
    (store.root / "dvc.lock").write_text(lock)
    for command in (
        ("init", "--quiet"),
        ("add", "dvc.lock"),
        ("-c", "user.name=ann", "-c", "user.email=ann@example.org", "commit", "-qm", "Run"),
    ):
        subprocess.run(["git", *command], cwd=store.root, check=True)
    return "HEAD"


def in_workspace(store: Store) -> str:
    """The second search is the one whose results lie in the folder."""
    place = SearchPlace(run_of(store, "b").info.run_id, "b" * 8, 1)
    (store.root / "models").mkdir()
    (store.root / "models" / "run.json").write_text(encode(place))
    return "workspace"


def in_an_experiment_of_its_own(store: Store) -> str:
    """The newest pipeline of an experiment of MLflow's counts."""
    described = replace(make_lineage(search_key="c" * 8), experiment="others")
    with Recorder.open(store, described) as recorder:
        recorder.record_all(RESULTS["b"])
        tell_outline(recorder, RESULTS["b"])
    return "others"


NAMES: dict[str, Callable[[Store], str]] = {
    "a run's id": lambda store: str(run_of(store, "b").info.run_id),
    "a study's run": study_of,
    "a run's name": lambda store: str(run_of(store, "b").info.run_name),
    "an experiment of DVC's": lambda _: "bold-fox",
    "an experiment of MLflow's": in_an_experiment_of_its_own,
    "a commit": committed_of,
    "the workspace": in_workspace,
}


def test_a_search_is_found_by_each_of_its_names(project: Store) -> None:
    """Its run is the second one's, but of MLflow's experiment the newest in it."""
    own = run_of(project, "b").info.run_id
    found = {kind: Finder(project.root).entrant(name(project)).run for kind, name in NAMES.items()}
    others = project.client.search_runs([project.experiment("others")], "tags.level = 'pipeline'")
    assert found.pop("an experiment of MLflow's") == others[0].info.run_id
    assert found == dict.fromkeys(found, own)


def test_a_commit_whose_results_are_not_kept_is_the_search_that_ran_on_it_and_no_experiment(
    project: Store,
) -> None:
    """As in a fresh clone after `make repro`: DVC's cache lacks what the commit's lock names."""
    committed_of(project)
    shutil.rmtree(project.root / ".dvc")
    commit = str(committed(project.root, "HEAD"))
    for stem in ("a", "b"):  # the second, newer, is an experiment
        run = run_of(project, stem).info.run_id
        project.client.set_tag(run, "git.commit", commit)
        project.client.set_tag(run, "git.dirty", "false")
    own = run_of(project, "a").info.run_id
    assert Finder(project.root).entrant("HEAD").run == own
    project.client.set_tag(own, "git.dirty", "true")
    with pytest.raises(StoreError, match=r"that of HEAD isn't: run `dvc pull`, or `dvc repro` at"):
        Finder(project.root).entrant("HEAD")


def test_before_the_first_promotion_it_is_said_that_there_is_no_champion(project: Store) -> None:
    project.client.delete_registered_model_alias(NAME, "champion")
    with pytest.raises(StoreError, match="got 'champion', which no version is yet: see"):
        Finder(project.root).entrant("champion")


def test_a_better_search_than_the_one_shown_is_named_with_how_to_compare(looked: Store) -> None:
    """The best of the same data by the outer score; of itself nothing is said."""
    scores = {key: run_of(looked, key).data.metrics for key in RESULTS}
    data = {"name": "blobs", "development_digest": make_lineage().tags["development_digest"]}

    def told(key: str, **other: str) -> dict[str, str]:
        own = {"metric": "log_loss", "outer_log_loss": scores[key]["outer_log_loss"]}
        return outdone(looked, data | other, own)

    (line,) = told("a").values()
    assert line.startswith("bold-fox has outer log-loss 0.")
    assert line.endswith("`foldwise compare workspace bold-fox`")
    assert told("b") == {}
    for own, is_outdone in ((0.9, True), (1.0, False)):
        found = outdone(looked, data, {"metric": "accuracy", "outer_accuracy": own})
        assert bool(found) == is_outdone
    assert told("a", development_digest="other") == {}
    assert told("a", name="unknown") == {}


def test_all_is_told_in_a_hundred_columns_and_on_a_page(project: Store, foldwise: Command) -> None:
    """The page holds the same, and what is printed stands in no longer line.

    Held against the champion, by alias or by number, the answer is the same.
    """
    assert foldwise("compare", "champion", "bold-fox", "--output", "page.html") == 0
    first, *lines = foldwise.out.splitlines()
    assert "is better than champion: log-loss" in first
    assert max(map(len, lines)) <= 100
    assert "next: take its parameters, an experiment's by `dvc exp apply bold-fox`" in foldwise.out
    for part in ("What differs", "Outer folds", "Rows that one alone", "Choice and cost"):
        assert any(line.startswith(part) for line in lines), part
    assert "won, by number" in foldwise.out
    page = (project.root / "page.html").read_text()
    assert escape(first.replace(" %", "\u00a0%")) in page
    assert "<svg role=" in page
    assert not re.search(r"""(src|href)=["']https?:|url\(["']?https?:""", page)
    assert foldwise("compare", "1", "bold-fox") == 0
    assert foldwise.out.splitlines()[0] == first.replace("champion", "1")


def test_no_page_is_written_over_anything(project: Store, foldwise: Command) -> None:
    """Whosever it is: a database of ours, or somebody's page."""
    (project.root / "page.html").write_text("precious")
    for there in ("page.html", "mlruns/mlflow.db"):
        content = (project.root / there).read_bytes()
        assert foldwise("compare", "champion", "bold-fox", "--output", there) == 1
        assert f"{there} must not be there yet" in foldwise.err
        assert (project.root / there).read_bytes() == content


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("champion",), "a comparison needs two searches, got 1: name another one"),
        (("champion", "champion"), "different ones, got champion twice: name another"),
        (("champion", "1"), "got champion and 1, which are one run: name another"),
        (("champion", "nobody"), "or workspace, got 'nobody': see `dvc exp show`"),
        (("champion", "it's"), "or workspace, got 'it's': see `dvc exp show`"),
        (("champion", "9" * 32), "looking for 999"),
        (("champion", "workspace"), "models/run.json must name the search that was tuned"),
        (("champion", "bold-fox", "--metric", "f2"), "got 'f2': name one of these"),
        (("champion", "bold-fox", "--margin", "-1"), "at least 0, got -1: name a larger one"),
    ],
)
def test_what_can_not_be_compared_is_said_in_one_line(
    looked: Store, foldwise: Command, arguments: tuple[str, ...], words: str
) -> None:
    """With what to do instead, and status 1."""
    assert foldwise("compare", *arguments) == 1
    assert words in foldwise.err
    assert foldwise.err.count("\n") == 1
    assert looked.root.exists()


def test_a_search_of_an_earlier_version_is_told_what_it_lacks(
    project: Store, foldwise: Command
) -> None:
    """Its predictions weren't kept; nor is a damaged file read."""
    folder = Path(run_of(project, "b").info.artifact_uri) / OUTLINE
    whole = (folder / "arrays.npz").read_bytes()
    (folder / "arrays.npz").write_bytes(whole[:-20])
    assert foldwise("compare", "champion", "bold-fox") == 1
    assert "search again with its parameters by `dvc repro -f tune`" in foldwise.err
    for path in (*folder.iterdir(), folder):
        path.unlink() if path.is_file() else path.rmdir()
    assert foldwise("compare", "champion", "bold-fox") == 1
    assert "those of bold-fox don't, by an earlier version" in foldwise.err


def test_a_table_s_rows_are_named_only_where_they_may_be(project: Store, foldwise: Command) -> None:
    """Numbers of rows are told of tables whose report.rows asks for it, as of images."""
    for rows in (False, True):
        text = f"prepare: {{source: table, name: blobs}}\nreport: {{rows: {str(rows).lower()}}}\n"
        (project.root / "params.yaml").write_text(text)
        assert foldwise("compare", "champion", "bold-fox") == 0, foldwise.err
        assert ("won, by number" in foldwise.out) == rows
        assert ("rows of the development set, not of the holdout" in foldwise.out) == rows


def at_work(store: Store, digest: str = "d" * 64) -> Workspace:
    """What of a stage's workspace a comparison with the champion asks for."""
    info = SimpleNamespace(development_digest=digest, table=None)
    told = SimpleNamespace(
        store=store, root=store.root, model_name=NAME, info=info, settings=SETTINGS
    )
    return cast("Workspace", told)


def test_a_search_is_set_beside_the_champion_s_once(project: Store) -> None:
    """As a picture and in the note, which evaluate's telling keeps; told again, all stays."""
    work, trees = at_work(project), []
    described = replace(make_lineage(search_key="b" * 8), stem="b")
    for _ in range(2):
        with Recorder.open(project, described) as recorder:
            tell_champion(work, recorder, RESULTS["b"])
        with Recorder.open(project, described) as recorder:
            recorder.record_all(RESULTS["b"])
        trees.append(run_tree(project.root))
    assert trees[0] == trees[1]
    run = run_of(project, "b")
    note = run.data.tags["mlflow.note.content"]
    assert note.count("this search is better than champion (version 1)") == 1
    assert note.startswith("**C = ")
    assert "figures/versus.svg" in {name for name, _ in trees[0][described.key].files}


def test_what_was_prepared_otherwise_is_set_beside_the_champion_s_too(project: Store) -> None:
    """Shifted copies are other data by their digest, and may be what is compared."""
    described = make_lineage(search_key="b" * 8)
    params = {**described.params, "prepare.augment": "4"}
    described = replace(described, search_key="c" * 8, params=params, stem="c")
    with Recorder.open(project, described) as recorder:
        tell_champion(at_work(project, "f" * 64), recorder, RESULTS["b"])
    assert "than champion (version 1)" in run_of(project, "c").data.tags["mlflow.note.content"]


def test_nothing_is_said_where_there_is_nothing_to_compare(project: Store) -> None:
    """The champion's own search, other data, or no champion yet."""

    def told(key: str, digest: str) -> None:
        described = replace(make_lineage(search_key=key * 8), stem=key)
        with Recorder.open(project, described) as recorder:
            tell_champion(at_work(project, digest * 64), recorder, RESULTS[key])

    before = run_tree(project.root)
    told("a", "d")
    told("b", "e")
    project.client.delete_registered_model_alias(NAME, "champion")
    assert seen(project).champion is None
    told("b", "d")
    assert run_tree(project.root) == before


def test_a_table_s_groups_come_with_its_search(project: Store) -> None:
    """Variances are clustered by them, without a look at the data."""
    result = RESULTS["b"]
    groups = result.plan.part_of[0] * 0 + 3
    described = replace(make_lineage(search_key="f" * 8), stem="f")
    with Recorder.open(project, described) as recorder:
        recorder.record_all(result)
        tell_outline(recorder, result, groups)
    found = Finder(project.root).entrant(recorder.run_id)
    assert found.groups is not None
    assert found.groups.tolist() == groups.tolist()
    assert Finder(project.root).entrant("champion").groups is None


def test_from_python_names_are_found_too(looked: Store) -> None:
    """Beside fitted searches; what isn't there is an error of ours."""
    from foldwise import compare_searches

    assert compare_searches("champion", "bold-fox").rivals[0].verdict == "better"
    with pytest.raises(FoldwiseError, match="nobody"):
        compare_searches("champion", "nobody")
    assert looked.root.exists()
