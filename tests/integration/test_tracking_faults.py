"""What goes wrong while a search is recorded, in a real SQLite store."""

import errno
import os
import time
from collections.abc import Sequence
from dataclasses import replace
from multiprocessing.synchronize import Event
from pathlib import Path

import pytest
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import TEMPORARILY_UNAVAILABLE

from foldwise.errors import StoreError
from foldwise.runs.lineage import Lineage
from foldwise.runs.recorder import Recorder
from foldwise.search.trials import Event as SearchEvent
from foldwise.store.mutex import this_process
from foldwise.store.open import Store, open_store
from tests.factories import make_events, make_result, make_trial, outer
from tests.integration.registry_cases import forks
from tests.run_tree import FIGURE, make_lineage, record_search, run_tree, statuses
from tests.waiting import PATIENCE

RESULT = make_result(trials=2)
LINEAGE = make_lineage()
KEY = LINEAGE.key


def _record(root: Path, opened: Event) -> None:
    """Record the search in a process of its own, which doesn't end by itself."""
    with Recorder.open(open_store(root), LINEAGE) as recorder:
        opened.set()
        for event in make_events(RESULT):
            recorder.record(event)
        time.sleep(600)


def _tell(
    store: Store,
    events: Sequence[SearchEvent],
    *,
    lineage: Lineage = LINEAGE,
    then: BaseException | None = None,
) -> None:
    with Recorder.open(store, lineage) as recorder:
        for event in events:
            recorder.record(event)
        if then is not None:
            raise then


def _record_and_be_killed(store: Store, *, after: float) -> None:
    opened = forks().Event()
    child = forks().Process(target=_record, args=(store.root, opened))
    child.start()
    assert opened.wait(PATIENCE)
    time.sleep(after)
    child.kill()
    child.join()
    assert "RUNNING" in statuses(run_tree(store.root))


def _down(*_: object, **__: object) -> None:
    raise MlflowException("gone", TEMPORARILY_UNAVAILABLE)


def test_a_recorder_that_is_really_killed_is_made_good_by_the_next(store: Store) -> None:
    """SIGKILL in the middle of a write leaves no duplicate, gap or run that runs for ever."""
    _record_and_be_killed(store, after=0.2)
    _tell(store, make_events(RESULT))
    _tell(store, make_events(RESULT), lineage=replace(LINEAGE, attempt=2))
    tree = run_tree(store.root)
    assert len(tree) == 2 * 13
    assert statuses(tree) == {"FINISHED"}
    for key, run in tree.items():
        if key.startswith(f"{KEY}/"):
            assert run.rows == tree[key.replace(":1/", ":2/")].rows


def test_a_run_whose_process_died_is_ended_by_another_search(store: Store) -> None:
    """A search that nobody resumes must not run for ever; one that is alive is left alone."""
    _record_and_be_killed(store, after=0.0)
    alive = Recorder.open(store, make_lineage(search_key="a11e"))
    alive.record(make_trial(outer(0)))
    assert "RUNNING" not in {
        run.status for key, run in run_tree(store.root).items() if key.startswith(KEY)
    }
    with Recorder.open(store, make_lineage(search_key="07e4")):
        tree = run_tree(store.root)
    assert tree["a11e:1"].status == "RUNNING"
    assert tree["a11e:1/outer-0"].status == "RUNNING"
    alive.end()


def test_what_another_machine_left_running_is_ended_when_its_search_is_taken_up(
    store: Store,
) -> None:
    """Whether that machine still works can't be seen, but the search's lock says it doesn't."""
    left = Recorder.open(store, LINEAGE)
    left.record(make_trial(outer(0)))
    store.client.set_tag(left.run_id, "foldwise.process", "elsewhere:1")
    Recorder.open(store, LINEAGE)
    assert store.client.get_run(left.run_id).data.tags["foldwise.process"] == this_process()
    tree = run_tree(store.root)
    assert tree[f"{KEY}/outer-0"].status == "KILLED"
    assert tree[f"{KEY}/outer-0/0"].status == "FINISHED"


def test_a_full_disk_costs_the_files_not_the_search(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Metrics are still recorded; the end says which files are missing; the next run has all."""

    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr("mlflow.MlflowClient.log_artifacts", full)
        with pytest.raises(StoreError, match=r"files of outer-0.*the disk is full.*same command"):
            record_search(store, LINEAGE, RESULT)
    tree = run_tree(store.root)
    assert len(tree) == 13
    assert tree[KEY].status == "FAILED"
    assert ("outer_log_loss_low", 0, 0.27) in tree[KEY].rows
    record_search(store, LINEAGE, RESULT)
    tree = run_tree(store.root)
    assert statuses(tree) == {"FINISHED"}
    assert tree[f"{KEY}/outer-0"].files == (("figures/curve.png", len(FIGURE)),)


def test_a_refused_write_does_not_hold_up_the_others(store: Store) -> None:
    """A figure with a name that can't be written costs that figure."""
    recorder = Recorder.open(store, LINEAGE)
    recorder.record_artifacts(None, {"figures": b"a file where a folder is needed"})
    recorder.record_artifacts(None, {"figures/a.png": FIGURE})
    recorder.record(make_trial(outer(0)))
    assert len(run_tree(store.root)) == 3
    assert len(recorder.unrecorded) == 1
    with pytest.raises(StoreError, match="1 files of the pipeline missing"):
        recorder.end()


def test_an_error_of_the_search_is_not_hidden_by_one_of_the_store(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever debugs needs the first fault, not the last."""
    recorder = Recorder.open(store, LINEAGE)
    monkeypatch.setattr("mlflow.MlflowClient.log_batch", _down)
    monkeypatch.setattr("mlflow.MlflowClient.set_terminated", _down)
    with pytest.raises(ZeroDivisionError), recorder:
        recorder.log_metrics({"x": 1 / 0})
