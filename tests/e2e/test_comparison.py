"""The comparison as its user runs it: real DVC, real stores, digits in place of MNIST."""

import csv
import json
import os
import sqlite3
import sys
import time
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path

import pytest
import yaml

from tests.e2e.project import Project, commit, make_project

pytestmark = pytest.mark.e2e
REPRO = ("--cd", "comparison", "repro")
PLANS = {"rows": 240, "trials": 3, "startup_trials": 2}
MODELS = ("logistic_regression", "filters", "svm", "knn", "decision_tree")


def _edit(project: Project, **entries: Mapping[str, object] | None) -> None:
    """Change entries; None removes one."""
    path = project.folder / "comparison" / "params.yaml"
    document = yaml.safe_load(path.read_text())
    for name, change in entries.items():
        if change is None:
            del document["models"][name]
        else:
            document["models"][name] = document["models"].get(name, {}) | dict(change)
    path.write_text(yaml.safe_dump(document, sort_keys=False))


@pytest.fixture(scope="module")
def compared(commands: Path, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project whose comparison has been run."""
    folder = tmp_path_factory.mktemp("comparison") / "project"
    project = commit(make_project(folder, commands=commands))
    (project.folder / "comparison" / "dvc.lock").unlink(missing_ok=True)
    _edit(project, **{name: dict(PLANS) for name in MODELS})
    _edit(project, decision_tree={"register": True, "outer": True})
    # The shipped ones are for larger and brighter images.
    _edit(project, filters={"filters": {"size": 3, "grid": 2, "threshold": 0.01}})
    for command in (("repro", "prepare"), REPRO):
        done = project.dvc(*command)
        assert done.status == 0, done.errors
    return project


def _runs(project: Project) -> list[tuple[str, str, str]]:
    """Model, level and status of every run of the comparison."""
    with closing(sqlite3.connect(project.folder / "mlruns" / "mlflow.db")) as connection:
        return connection.execute(
            "SELECT model.value, level.value, runs.status FROM runs"
            " JOIN experiments USING (experiment_id)"
            " JOIN tags AS level ON level.run_uuid = runs.run_uuid AND level.key = 'level'"
            " LEFT JOIN tags AS top ON top.run_uuid = runs.run_uuid AND top.key = 'pipeline'"
            " JOIN tags AS model ON model.run_uuid = coalesce(top.value, runs.run_uuid)"
            " AND model.key = 'model'"
            " WHERE experiments.name = 'digits-comparison'"
        ).fetchall()


def _report(project: Project, name: str) -> dict[str, float]:
    content: dict[str, float] = json.loads(
        (project.folder / "comparison" / "reports" / f"{name}.json").read_text()
    )
    return content


def _rows(path: Path) -> list[dict[str, str]]:
    with path.open() as file:
        return list(csv.DictReader(file))


def test_each_model_has_its_run_tree_report_and_row(compared: Project) -> None:
    """Five runs with three trials each, five reports, and a table of ten pairs."""
    runs = _runs(compared)
    assert {status for *_, status in runs} == {"FINISHED"}
    for name in MODELS:
        levels = sorted(level for model, level, _ in runs if model == name)
        studies = 1 + 3 * (name == "decision_tree")  # it alone has outer folds, three
        assert levels == ["pipeline", *studies * ["study"], *studies * 3 * ["trial"]]
        assert 0.5 < _report(compared, name)["accuracy"] <= 1
    folder = compared.folder / "comparison" / "reports"
    assert [row["model"] for row in _rows(folder / "models.csv")] == list(MODELS)
    assert len(_rows(folder / "pairs.csv")) == 10
    assert (compared.folder / "comparison/reports/figures/accuracy_time.png").stat().st_size > 9000
    artifacts = compared.folder / "mlruns" / "artifacts" / "digits-comparison"
    for told, count in (("trials.csv", 5), ("curve.csv", 5), ("outer_folds.svg", 1)):
        assert len([*artifacts.rglob(told)]) == count, told


def test_only_real_probabilities_have_a_log_loss(compared: Project) -> None:
    """The SVM's decision scores rank rows: an AUC and no more."""
    assert {name for name in MODELS if "log_loss" not in _report(compared, name)} == {"svm"}
    assert _report(compared, "svm")["roc_auc"] > 0.9


def test_an_entry_becomes_a_version_that_is_verified_judged_and_serves(compared: Project) -> None:
    """In the main job's registered model, its look at the holdout counted, its estimate told."""
    verified = compared.run("foldwise", "verify", "challenger")
    assert verified.status == 0, verified.output + verified.errors
    judged = compared.run("foldwise", "promote", "--dry-run")
    assert judged.status == 2, judged.errors
    assert "would be refused: version 1 fails" in judged.output  # a tree of 240 rows
    assert 0.5 < _report(compared, "decision_tree")["outer_accuracy"] <= 1
    assert "outer_accuracy" not in _report(compared, "knn")
    with closing(sqlite3.connect(compared.folder / "mlruns" / "mlflow.db")) as connection:
        [(name, description)] = connection.execute(
            "SELECT name, description FROM model_versions"
        ).fetchall()
        (looks,) = connection.execute(
            "SELECT count(*) FROM registered_model_tags WHERE key LIKE 'holdout.%'"
        ).fetchone()
    assert name == "digits-classifier"
    assert description.startswith("digits: decision tree, accuracy 0.")
    assert looks == 1


def test_one_entry_changed_or_added_makes_one_model_anew(compared: Project) -> None:
    """The others' stages are skipped; a new one needs nothing but its entry."""
    forest = {
        "estimator": "sklearn.ensemble.ExtraTreesClassifier",
        "fixed": {"n_estimators": 10},
        "space": {"max_depth": {"integer": [2, 9]}},
        **PLANS,
    }
    before = {name: _report(compared, name) for name in MODELS}
    _edit(compared, forest=forest, knn={"fixed": {"leaf_size": 20}})
    done = compared.dvc(*REPRO)
    assert done.status == 0, done.errors
    for name in ("logistic_regression", "filters", "svm", "decision_tree"):
        assert f"compare@{name}' didn't change, skipping" in done.output
        assert _report(compared, name) == before[name]
    assert _report(compared, "forest")["accuracy"] > 0.5
    assert [model for model, level, _ in _runs(compared) if level == "pipeline"].count("knn") == 2
    table = compared.folder / "comparison" / "reports" / "models.csv"
    assert [row["model"] for row in _rows(table)] == [*MODELS, "forest"]
    assert compared.dvc("--cd", "comparison", "status").output.strip().endswith("up to date.")


def test_a_killed_model_goes_on_with_the_trials_it_had(compared: Project) -> None:
    """After kill -9 nothing is tried twice, and no run is left running."""
    _edit(compared, svm={"rows": 300, "trials": 12})
    storage = compared.folder / "mlruns" / "optuna.db"
    command = (sys.executable, "-m", "foldwise.app.compare", "svm")
    with compared.start(*command, FOLDWISE_THREADS="1") as process:
        before = _trials_kept(storage)
        while _trials_kept(storage) < before + 3 and process.poll() is None:
            time.sleep(0.01)
        os.kill(process.pid, 9)
        process.wait()
    kept = _trials_kept(storage)
    assert before + 3 <= kept < before + 12
    done = compared.dvc(*REPRO)
    assert done.status == 0, done.errors
    assert _trials_kept(storage) == before + 12
    assert {status for *_, status in _runs(compared)} == {"FINISHED"}
    assert [level for model, level, _ in _runs(compared) if model == "svm"].count("trial") == 15


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"metric": "log_loss"}, "models.svm.metric must not be log_loss"),
        ({"rows": 12}, "models.svm.rows must leave rows of every class"),
        ({"register": True}, "models.svm.register must not be true"),
    ],
)
def test_an_impossible_entry_ends_in_one_line_and_leaves_results_alone(
    compared: Project, change: dict[str, object], said: str
) -> None:
    """Exit status 1, the last good report in its place."""
    params = compared.folder / "comparison" / "params.yaml"
    before, report = params.read_text(), _report(compared, "svm")
    try:
        _edit(compared, svm=change)
        done = compared.run("python", "-m", "foldwise.app.compare", "svm")
    finally:
        params.write_text(before)
    assert done.status == 1
    [line] = done.said
    assert said in line
    assert _report(compared, "svm") == report


def _trials_kept(storage: Path) -> int:
    with closing(sqlite3.connect(storage, timeout=30)) as connection:
        (count,) = connection.execute("SELECT count(*) FROM trials").fetchone()
    return int(count)
