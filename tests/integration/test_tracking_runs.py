"""Recording a search in a real SQLite store: one tree, however often it is told."""

from dataclasses import replace
from datetime import date

import pytest

from foldwise.runs.recorder import Recorder
from foldwise.store.open import Store
from tests.factories import make_events, make_outer_fold, make_result, make_trial, outer
from tests.run_tree import make_lineage, record_search, run_tree, statuses

RESULT = make_result()
LINEAGE = make_lineage()
KEY = LINEAGE.key


def test_a_search_is_one_tree_of_pipeline_studies_and_trials(store: Store) -> None:
    """1 + (K + 1) + (K + 1) x trials runs, each trial below its study, none left running."""
    record_search(store, LINEAGE, RESULT)
    tree = run_tree(store.root)
    assert len(tree) == 1 + 4 + 4 * 3
    for key, run in tree.items():
        assert run.parent == (key.rpartition("/")[0] or None)
    assert statuses(tree) == {"FINISHED"}


def test_every_run_is_found_by_its_level_and_its_pipeline(store: Store) -> None:
    """The UI's shared views select by these tags."""
    record_search(store, LINEAGE, RESULT)
    pipeline = store.client.search_runs([store.experiment("blobs")], "tags.level = 'pipeline'")[0]
    for level, count in (("pipeline", 1), ("study", 4), ("trial", 12)):
        query = f"tags.level = '{level}' AND tags.pipeline = '{pipeline.info.run_id}'"
        assert len(store.client.search_runs([pipeline.info.experiment_id], query)) == count


def test_a_search_told_twice_is_recorded_once(store: Store) -> None:
    """No run, metric row or file is added by a replay."""
    record_search(store, LINEAGE, RESULT)
    before = run_tree(store.root)
    record_search(store, LINEAGE, RESULT)
    assert run_tree(store.root) == before


def test_a_replay_leaves_the_times_of_finished_runs(store: Store) -> None:
    """How long the search took is still to be seen after someone ran it again."""

    def times() -> dict[str, tuple[int, int]]:
        runs = store.client.search_runs([store.experiment("blobs")])
        return {run.info.run_id: (run.info.start_time, run.info.end_time) for run in runs}

    record_search(store, LINEAGE, RESULT)
    before = times()
    record_search(store, LINEAGE, RESULT)
    assert times() == before


def test_an_event_told_twice_to_one_recorder_is_recorded_once(store: Store) -> None:
    """A resumed search tells its completed trials again at once."""
    with Recorder.open(store, LINEAGE) as recorder:
        for event in make_events(RESULT):
            recorder.record(event)
            recorder.record(event)
    told = run_tree(store.root)
    assert len(told) == 17
    assert all(len(run.rows) == len({row[:2] for row in run.rows}) for run in told.values())


def test_a_result_told_at_once_equals_the_one_told_event_by_event(store: Store) -> None:
    """A clone that got its results from DVC shows the same tree."""
    with Recorder.open(store, LINEAGE) as recorder:
        recorder.record_all(RESULT)
    with Recorder.open(store, replace(LINEAGE, attempt=2)) as recorder:
        for event in make_events(RESULT):
            recorder.record(event)
    rows: dict[str, list[object]] = {}
    for key, run in run_tree(store.root).items():
        rows.setdefault(key.partition("/")[2], []).append(run.rows)
    assert len(rows) == 17
    assert all(at_once == by_event for at_once, by_event in rows.values())


def test_the_pipeline_knows_its_settings_data_and_commit(store: Store) -> None:
    """A run must tell where it came from, without a copy of the data."""
    with Recorder.open(store, LINEAGE) as recorder:
        recorder.record_all(RESULT)
    run = store.client.get_run(recorder.run_id)
    assert run.data.params["tune.folds"] == "3"
    assert run.data.tags["development_digest"] == "d" * 64
    assert run.data.tags["search_key"] == LINEAGE.search_key
    assert run.inputs is not None
    inputs = {given.tags[0].value: given.dataset for given in run.inputs.dataset_inputs}
    assert inputs["holdout"].digest == "e" * 36
    assert inputs["development"].name == "blobs-development"


def test_pipelines_of_one_day_are_told_apart_by_a_letter(store: Store) -> None:
    """Names sort by age and stay short."""
    day = date(2026, 1, 15)
    for attempt in (1, 2, 3, 1):
        with Recorder.open(store, replace(LINEAGE, attempt=attempt), today=day) as recorder:
            recorder.log_metrics({"attempt": attempt})
    names = [run.name for run in run_tree(store.root).values()]
    assert sorted(names) == ["cv-2026-01-15a", "cv-2026-01-15b", "cv-2026-01-15c"]


def test_evaluate_goes_on_in_the_same_run(store: Store) -> None:
    """The run is shown running while evaluate works, and a later value is the one shown."""
    record_search(store, LINEAGE, RESULT)
    with Recorder.open(store, LINEAGE) as recorder:
        recorder.log_metrics({"holdout_accuracy": 0.92, "outer_log_loss_low": 0.27})
        assert run_tree(store.root)[KEY].status == "RUNNING"
        recorder.log_metrics({"holdout_accuracy": 0.93})
    tree = run_tree(store.root)
    assert statuses(tree) == {"FINISHED"}
    assert [row[2] for row in tree[KEY].rows if row[0] == "holdout_accuracy"] == [0.92, 0.93]
    assert [row[2] for row in tree[KEY].rows if row[0] == "outer_log_loss_low"] == [0.27]
    assert store.client.get_run(recorder.run_id).data.metrics["holdout_accuracy"] == 0.93


def test_a_setting_that_changed_since_is_told_beside_the_old_one(store: Store) -> None:
    """MLflow never changes a param; evaluate's may differ from what they were at tune."""
    record_search(store, LINEAGE, RESULT)
    later = replace(LINEAGE, params={**LINEAGE.params, "evaluate.bootstrap": "500"})
    with Recorder.open(store, later) as recorder:
        run = store.client.get_run(recorder.run_id)
    assert run.data.params["evaluate.bootstrap"] == "2000"
    assert run.data.tags["changed.evaluate.bootstrap"] == "500"
    assert not [tag for tag in run.data.tags if tag.startswith("changed.tune")]


def test_a_run_deleted_in_the_ui_is_recorded_anew(store: Store) -> None:
    """Someone tidied up; the next telling brings the trial back."""
    record_search(store, LINEAGE, RESULT)
    query = f"tags.`foldwise.key` = '{KEY}/{outer(1)}/2'"
    experiment_id = store.experiment("blobs")
    gone = store.client.search_runs([experiment_id], query)[0]
    store.client.delete_run(gone.info.run_id)
    record_search(store, LINEAGE, RESULT)
    found = store.client.search_runs([experiment_id], query)
    assert [run.info.status for run in found] == ["FINISHED"]
    study = store.client.get_run(found[0].data.tags["mlflow.parentRunId"])
    assert study.info.status == "FINISHED"


def test_a_study_of_more_trials_than_a_batch_has_its_whole_curve(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """MLflow takes a limited number of metric values a call."""
    monkeypatch.setattr("foldwise.runs.ledger._BATCH", 7)
    with Recorder.open(store, LINEAGE) as recorder:
        trials = [make_trial(outer(0), number, C=0.001 * 2**number) for number in range(9)]
        for trial in trials:
            recorder.record(trial)
        recorder.record(make_outer_fold(0, trials[4]))
    rows = run_tree(store.root)[f"{KEY}/outer-0"].rows
    assert [step for key, step, _ in rows if key == "search_log10_C"] == list(range(9))


def test_a_tree_larger_than_a_page_is_read_whole(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """MLflow answers a thousand runs at a time; none may be taken for missing."""
    monkeypatch.setattr("foldwise.store.open._PAGE", 5)
    record_search(store, LINEAGE, RESULT)
    record_search(store, LINEAGE, RESULT)
    assert len(run_tree(store.root)) == 17
