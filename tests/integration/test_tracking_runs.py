"""Recording a search in a real SQLite store: one tree, however often it is told."""

import json
import uuid
from dataclasses import replace
from datetime import date
from typing import Any

import pytest
from mlflow import MlflowClient
from mlflow.store.tracking import sqlalchemy_store

from foldwise.runs.recorder import Recorder
from foldwise.store.open import Store, open_store
from tests.factories import make_result
from tests.run_tree import make_lineage, record_search, run_tree

RESULT = make_result(folds=2, trials=1)
LINEAGE = make_lineage()
KEY = LINEAGE.key


def test_every_run_is_found_by_its_level_and_its_pipeline(store: Store) -> None:
    """The UI's shared views select by these tags."""
    record_search(store, LINEAGE, RESULT)
    pipeline = store.client.search_runs([store.experiment("blobs")], "tags.level = 'pipeline'")[0]
    for level, count in (("pipeline", 1), ("study", 3), ("trial", 3)):
        query = f"tags.level = '{level}' AND tags.pipeline = '{pipeline.info.run_id}'"
        assert len(store.client.search_runs([pipeline.info.experiment_id], query)) == count


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
    (column,) = json.loads(inputs["development"].schema or "")["mlflow_colspec"]
    assert column == {"name": "4 × 4 pixels, 0 to 255", "type": "integer"}


def test_pipelines_of_one_day_are_told_apart_by_search_and_attempt(store: Store) -> None:
    """Names stay short, and say which parameters aren't the defaults and what was begun anew."""
    day = date(2026, 1, 15)
    other = make_lineage(search_key="c0ffee")
    for told in (LINEAGE, replace(LINEAGE, attempt=2), other, LINEAGE):
        with Recorder.open(store, told, today=day) as recorder:
            recorder.log_metrics({"attempt": told.attempt})
    names = [run.name for run in run_tree(store.root).values()]
    stem = "cv folds=3 trials=3 2026-01-15-"
    assert sorted(names) == [f"{stem}5ea4.1", f"{stem}5ea4.2", f"{stem}c0ff.1"]


def test_a_setting_that_changed_since_is_told_beside_the_old_one(store: Store) -> None:
    """MLflow never changes a param; evaluate's may differ from what they were at tune."""
    record_search(store, LINEAGE, RESULT)
    later = replace(LINEAGE, params={**LINEAGE.params, "evaluate.bootstrap": "500"})
    with Recorder.open(store, later) as recorder:
        run = store.client.get_run(recorder.run_id)
    assert run.data.params["evaluate.bootstrap"] == "2000"
    assert run.data.tags["changed.evaluate.bootstrap"] == "500"
    assert not [tag for tag in run.data.tags if tag.startswith("changed.tune")]


def test_a_tree_larger_than_a_page_is_read_whole(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """MLflow answers a thousand runs at a time; none may be taken for missing."""
    monkeypatch.setattr("foldwise.store.open._PAGE", 5)
    record_search(store, LINEAGE, RESULT)
    record_search(store, LINEAGE, RESULT)
    assert len(run_tree(store.root)) == 1 + 3 + 3


def test_two_searches_that_begin_at_once_share_their_data(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """MLflow's look for a record and its writing are two steps; the other's came in between."""
    other = make_lineage(search_key="c0ffee")
    log_inputs: Any = MlflowClient.log_inputs

    def overtaken(*given: object, **named: object) -> None:
        monkeypatch.setattr(sqlalchemy_store, "uuid", Between())
        log_inputs(*given, **named)

    class Between:
        """Stands for ``uuid``, which MLflow asks between look and writing."""

        @staticmethod
        def uuid4() -> uuid.UUID:
            monkeypatch.undo()
            with Recorder.open(open_store(store.root), other):
                pass
            return uuid.uuid4()

    monkeypatch.setattr(MlflowClient, "log_inputs", overtaken)
    with Recorder.open(store, LINEAGE) as recorder:
        run = store.client.get_run(recorder.run_id)
    assert run.inputs is not None
    assert len(run.inputs.dataset_inputs) == 2
    assert len(run_tree(store.root)) == 2
