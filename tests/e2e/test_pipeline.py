"""The real ``dvc repro`` on digits, in a clone, looked at through MLflow's client."""

import csv
import json
from collections import Counter
from pathlib import Path

import mlflow.pyfunc
import numpy as np
import pytest

from foldwise.data.dataset import load
from foldwise.stats.scores import METRICS, published, score
from foldwise.store.open import open_store
from tests.e2e.outcome import result_files
from tests.e2e.project import DIGITS, commit, make_project
from tests.e2e.reproduced import Reproduced, all_runs, client_of

pytestmark = pytest.mark.e2e

FOLDS, TRIALS = DIGITS["tune"]["folds"], DIGITS["tune"]["trials"]
STUDIES = FOLDS + 1
NAME = "digits-classifier"
UP_TO_DATE = "Data and pipelines are up to date."


def test_every_trial_is_a_run_below_its_study_below_the_pipeline(reproduced: Reproduced) -> None:
    """1 + (K+1) + (K+1)·trials runs, each ended, none without its parent."""
    assert Counter(run.data.tags["level"] for run in reproduced.runs) == {
        "pipeline": 1,
        "study": STUDIES,
        "trial": STUDIES * TRIALS,
    }
    assert {run.info.status for run in reproduced.runs} == {"FINISHED"}
    above = {run.info.run_id: run.data.tags["level"] for run in reproduced.runs}
    parents = Counter(
        (run.data.tags["level"], above.get(run.data.tags.get("mlflow.parentRunId", ""), "none"))
        for run in reproduced.runs
    )
    assert set(parents) == {("pipeline", "none"), ("study", "pipeline"), ("trial", "study")}
    trials_below = Counter(run.data.tags["mlflow.parentRunId"] for run in reproduced.at("trial"))
    assert set(trials_below.values()) == {TRIALS}
    assert set(trials_below) == {run.info.run_id for run in reproduced.at("study")}


def test_the_run_names_its_commit_and_that_it_was_clean(reproduced: Reproduced) -> None:
    """What the stages themselves write is no dirt."""
    (pipeline,) = reproduced.at("pipeline")
    head = reproduced.project.run("git", "rev-parse", "HEAD~1").output.strip()
    assert pipeline.data.tags["git.commit"] == head
    assert pipeline.data.tags["git.dirty"] == "false"


def test_the_reports_and_mlflow_tell_the_same(reproduced: Reproduced) -> None:
    """The holdout's figures in evaluation.json are the pipeline run's metrics."""
    (pipeline,) = reproduced.at("pipeline")
    evaluation = json.loads(reproduced.files["reports/evaluation.json"])
    tuning = json.loads(reproduced.files["reports/tuning.json"])
    for metric in METRICS:
        assert pipeline.data.metrics[f"holdout_{metric}"] == pytest.approx(
            evaluation[metric], abs=1e-6
        )
    assert pipeline.data.metrics["outer_log_loss"] == pytest.approx(
        tuning["outer_log_loss"], abs=1e-6
    )
    rows = csv.DictReader(reproduced.files["reports/trials.csv"].decode().splitlines())
    told = {(row["study"], row["trial"]): float(row["C"]) for row in rows}
    assert told == {
        (run.data.tags["study"], run.data.tags["trial"]): float(run.data.params["C"])
        for run in reproduced.at("trial")
    }


def test_the_experiments_page_links_to_the_report_and_the_version(reproduced: Reproduced) -> None:
    """`evaluate` refreshes the page last, when all that it shows is there."""
    experiment = client_of(reproduced.project).get_experiment_by_name("digits")
    assert experiment is not None
    links = experiment.tags["mlflow.note.content"].splitlines()[0]
    assert "[Version 1](#/models/" in links
    assert "artifacts/report.html" in links


def test_there_is_one_version_and_it_predicts_what_was_logged(reproduced: Reproduced) -> None:
    """Loaded by MLflow, it gives the metrics that were logged.

    That it needs no foldwise for it, `test_serving` and `test_better_model` see.
    """
    client = client_of(reproduced.project)
    challenger = client.get_model_version_by_alias(NAME, "challenger")
    versions = client.search_model_versions(f"name = '{NAME}'")
    assert [str(version.version) for version in versions] == ["1"]
    holdout = load("holdout", reproduced.project.folder / "data" / "prepared")
    with open_store(reproduced.project.folder).as_default():
        model = mlflow.pyfunc.load_model(f"models:/{NAME}@challenger")
    predicted = model.predict(np.asarray(holdout.images))
    again = published(score(predicted, holdout.labels))
    logged = client.get_run(challenger.run_id or "").data.metrics
    for metric in METRICS:
        # MLflow is shown six decimals.
        assert again[metric] == pytest.approx(logged[f"holdout_{metric}"], abs=6e-7)


def test_run_again_it_does_nothing(reproduced: Reproduced) -> None:
    """No stage, no run, no changed file."""
    again = reproduced.project.dvc("repro")
    assert again.status == 0, again.errors
    assert UP_TO_DATE in again.output
    assert "Running stage" not in again.output
    known = [run.to_dictionary() for run in reproduced.runs]
    assert [run.to_dictionary() for run in all_runs(reproduced.project)] == known
    assert result_files(reproduced.project.folder) == reproduced.files


@pytest.fixture(scope="module")
def forced(reproduced: Reproduced) -> Reproduced:
    """The same once more, with two threads in place of one."""
    ended = reproduced.project.dvc("repro", "--force", FOLDWISE_THREADS="2")
    assert ended.status == 0, ended.errors
    known = {run.info.run_id for run in reproduced.runs}
    new = tuple(run for run in all_runs(reproduced.project) if run.info.run_id not in known)
    return Reproduced(
        reproduced.project, new, result_files(reproduced.project.folder), reproduced.trials
    )


def test_the_page_is_small_enough_to_be_sent(reproduced: Reproduced) -> None:
    """Five megabytes; ten classes and their pictures are as many whatever the number of rows."""
    page = reproduced.files["reports/report.html"]
    assert 100_000 < len(page) <= 5_000_000
    assert page.count(b"<figure>") >= 10


def test_forced_it_writes_the_same_bytes_whatever_the_number_of_threads(
    reproduced: Reproduced, forced: Reproduced
) -> None:
    """Reports, tables, pictures and the archive of the search; the page names its run."""
    page = "reports/report.html"
    assert page in reproduced.files
    assert {k: v for k, v in forced.files.items() if k != page} == {
        k: v for k, v in reproduced.files.items() if k != page
    }


def test_forced_it_is_a_second_pipeline_run_beside_the_first(
    reproduced: Reproduced, forced: Reproduced
) -> None:
    """The first tree stays as it was; the same C's come again; the challenger is the new one."""
    now = {run.info.run_id: run for run in all_runs(reproduced.project)}
    first = [now[run.info.run_id].to_dictionary() for run in reproduced.runs]
    assert first == [run.to_dictionary() for run in reproduced.runs]
    assert len(forced.runs) == len(reproduced.runs)
    assert forced.at("pipeline")[0].data.tags["attempt"] == "2"
    chosen = [
        sorted((run.data.tags["study"], run.data.params["C"]) for run in tree.at("trial"))
        for tree in (reproduced, forced)
    ]
    assert chosen[0] == chosen[1]
    challenger = client_of(reproduced.project).get_model_version_by_alias(NAME, "challenger")
    assert challenger.run_id == forced.at("pipeline")[0].info.run_id


def test_a_repeat_leaves_no_paths_and_a_run_has_one_model(
    reproduced: Reproduced, forced: Reproduced
) -> None:
    """What a search kept to go on with goes with its end; nothing is logged twice."""
    assert [*(forced.project.folder / "mlruns" / "paths").glob("*")] == []
    client = client_of(forced.project)
    experiments = [each.experiment_id for each in client.search_experiments()]
    runs = sorted(str(of.source_run_id) for of in client.search_logged_models(experiments))
    assert runs == sorted(tree.at("pipeline")[0].info.run_id for tree in (reproduced, forced))


def test_an_experiment_in_a_temporary_copy_is_recorded_in_the_checkouts_store(
    forced: Reproduced,
) -> None:
    """`dvc exp run --temp` works in a copy; its runs lie beside the others, with its name."""
    known = {run.info.run_id for run in all_runs(forced.project)}
    ended = forced.project.dvc(
        *("exp", "run", "--temp", "--name", "three-trials", "--set-param", "tune.trials=3", "tune")
    )
    assert ended.status == 0, ended.errors
    new = [run for run in all_runs(forced.project) if run.info.run_id not in known]
    assert len(new) == 1 + STUDIES + STUDIES * 3
    (pipeline,) = (run for run in new if run.data.tags["level"] == "pipeline")
    assert pipeline.data.tags["dvc.experiment"] == "three-trials"
    assert pipeline.data.params["tune.trials"] == "3"
    assert "-S tune.trials=3" in pipeline.data.tags["parameters.changed"]
    assert result_files(forced.project.folder) == forced.files


def test_dvc_shows_and_compares_the_figures(reproduced: Reproduced) -> None:
    """With another commit's metrics, and as plots, on any clone."""
    shown = reproduced.project.dvc("metrics", "show", "--json")
    metrics = json.loads(shown.output)[""]["data"]
    assert set(metrics) == {"reports/outer.json", "reports/holdout.json"}
    columns = {"Path"}.union(*(told["data"] for told in metrics.values()))
    assert len(columns) <= 12
    compared = reproduced.project.dvc("metrics", "diff", "--json", "HEAD~1")
    assert compared.status == 0, compared.errors
    assert json.loads(compared.output)["reports/holdout.json"]["accuracy"]["new"] > 0.5
    plotted = reproduced.project.dvc("plots", "show", "--out", "plots")
    assert plotted.status == 0, plotted.errors
    assert (reproduced.project.folder / "plots" / "index.html").stat().st_size > 10_000


def test_outputs_that_dvc_linked_to_its_cache_are_written_anew(
    commands: Path, tmp_path: Path
) -> None:
    """By `dvc repro`, and by a stage run by hand, which finds the links; the cache stays."""
    project = make_project(tmp_path / "project", commands=commands)
    with (project.folder / ".dvc" / "config").open("a") as file:
        file.write("[cache]\n    type = symlink\n")
    done = commit(project).dvc("repro", "prepare")
    assert done.status == 0, done.errors
    labels = project.folder / "data" / "prepared" / "holdout" / "labels.npy"
    cached = labels.resolve()
    assert cached.is_relative_to(project.folder / ".dvc" / "cache")
    before = cached.read_bytes()
    by_hand = project.stage("prepare")
    assert by_hand.status == 0, by_hand.errors
    assert not labels.is_symlink()
    assert cached.read_bytes() == before
    again = project.dvc("repro", "--force", "prepare")
    assert again.status == 0, again.errors
    assert labels.resolve() == cached
