"""Recording the comparison in a real SQLite store: a tree an entry, however often it is told."""

from dataclasses import replace

import pytest

from foldwise.app.compare import _lineage as lineage_of
from foldwise.app.compare import entry_space, experiment_name
from foldwise.app.drawing import holdout_metrics
from foldwise.app.views import page_links, refresh_page
from foldwise.data.dataset import DataInfo
from foldwise.entries import Entry
from foldwise.runs.lineage import Lineage, lineage
from foldwise.runs.recorder import Recorder
from foldwise.settings import Settings
from foldwise.store.open import Store
from tests.run_tree import run_tree, statuses
from tests.unit.app.result_cases import (
    make_contestant,
    make_result,
    make_search,
    make_searched_entry,
)

ENTRY = make_searched_entry()
DATA = DataInfo("blobs", (0, 1, 2), (4, 4), 60, "d" * 64, 60, "e" * 64)


def _lineage(entry: Entry = ENTRY) -> Lineage:
    space = entry_space(entry, 1)
    key = f"5ea4c4{entry.name}"
    base = lineage(Settings(), DATA, space=space, search_key=key, attempt=1)
    return lineage_of(base, entry)


def _tell(store: Store, entry: Entry = ENTRY, *, are_probabilities: bool = True) -> None:
    told = make_contestant(are_probabilities=are_probabilities)
    with Recorder.open(store, _lineage(entry)) as recorder:
        recorder.record_all(make_search(told.result))
        recorder.record_artifacts(None, {"figures/roc.png": b"png"})
        recorder.log_metrics({**holdout_metrics(told.holdout), **told.result.seconds})


@pytest.mark.parametrize("are_probabilities", [False, True])
def test_an_entry_is_one_tree_however_often_it_is_told(
    store: Store, *, are_probabilities: bool
) -> None:
    """One run, its study below it and the trials below that; none left running, no value twice.

    Decision scores have no log-loss: no metric, rather than a NaN in a chart.
    """
    _tell(store, are_probabilities=are_probabilities)
    tree = run_tree(store.root)
    assert statuses(tree) == {"FINISHED"}
    top = _lineage().key
    assert {key: run.parent for key, run in tree.items()} == {
        top: None,
        f"{top}/final": top,
        f"{top}/final/0": f"{top}/final",
        f"{top}/final/1": f"{top}/final",
    }
    keys = {row[0] for run in tree.values() for row in run.rows}
    assert {"inner_accuracy", "inner_accuracy_mean", "inner_roc_auc_mean", "log10_C"} <= keys
    assert any("log_loss" in key for key in keys) == are_probabilities
    _tell(store, are_probabilities=are_probabilities)
    assert run_tree(store.root) == tree


def test_entries_stand_side_by_side_with_the_same_metrics_and_a_page(store: Store) -> None:
    """In an experiment of their own, told apart by a tag, compared by what both have.

    Of two views the note has links, and none to what there isn't.
    """
    other = replace(ENTRY, name="other")
    _tell(store)
    _tell(store, other)
    experiment = store.find_experiment(experiment_name("blobs"))
    assert experiment is not None
    runs = store.client.search_runs([experiment], "tags.level = 'pipeline'")
    assert {run.data.tags["model"] for run in runs} == {"tree", "other"}
    for run in runs:
        assert run.info.run_name.startswith(f"{run.data.tags['model']}-20")
        assert run.data.metrics["holdout_accuracy"] == 0.9
        assert run.data.metrics["fit_seconds"] == 120.4
        assert run.data.metrics["C"] == 1.5
        assert run.data.params["estimator"] == "sklearn.svm.SVC"
        assert "tune.trials" not in run.data.params
    assert store.find_experiment("blobs") is None
    refresh_page(store, experiment_name("blobs"))
    tags = store.client.get_experiment(experiment).tags
    views = {tag.rpartition(".")[2]: tags[tag] for tag in tags if "sharedViewState" in tag}
    assert views.keys() == {"models", "costs"}
    assert all("metrics.`C`" in view for view in views.values())  # a value that was searched
    first, _, rest = tags["mlflow.note.content"].partition("\n")
    assert first.startswith("Views: [Models](#/experiments/")
    assert "**classifier**" in rest
    names = [link.name for link in page_links(store, experiment_name("blobs"))]
    assert names == ["Models", "Accuracy and time"]


def test_a_stopped_entry_goes_on_in_the_same_run(store: Store) -> None:
    """Killed after its first trial, it is one finished tree in the end."""
    result = make_result()
    with (
        pytest.raises(KeyboardInterrupt),
        Recorder.open(store, _lineage()) as recorder,
    ):
        recorder.record(result.trials[0])
        raise KeyboardInterrupt
    assert run_tree(store.root)[_lineage().key].status == "KILLED"
    _tell(store)
    tree = run_tree(store.root)
    assert len(tree) == 4
    assert statuses(tree) == {"FINISHED"}
