"""A signal in the middle of beginning or ending a run: the narrow moments."""

import pytest

from foldwise.runs.recorder import Recorder
from foldwise.store.open import Store
from tests.factories import make_events, make_result
from tests.run_tree import make_lineage, record_search, run_tree, statuses

LINEAGE = make_lineage()
RESULT = make_result(folds=2, trials=1)


def interrupt(patch: pytest.MonkeyPatch, method: str, *, after: bool) -> None:
    """Let a signal arrive in a method of MLflow's client, before its work or after."""
    from mlflow import MlflowClient

    real = getattr(MlflowClient, method)

    def interrupted(*given: object, **named: object) -> None:
        patch.setattr(MlflowClient, method, real)
        if after:
            real(*given, **named)
        raise KeyboardInterrupt

    patch.setattr(MlflowClient, method, interrupted)


@pytest.mark.parametrize("method", ["create_run", "log_batch", "log_inputs"])
@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_stopped_while_the_run_is_begun_it_is_not_left_running(
    store: Store, monkeypatch: pytest.MonkeyPatch, method: str, *, after: bool
) -> None:
    """Nobody holds a recorder yet that could end it."""
    interrupt(monkeypatch, method, after=after)
    with pytest.raises(KeyboardInterrupt):
        Recorder.open(store, LINEAGE)
    assert statuses(run_tree(store.root)) <= {"KILLED"}
    record_search(store, LINEAGE, RESULT)
    assert statuses(run_tree(store.root)) == {"FINISHED"}
    assert len(run_tree(store.root)) == 1 + 3 + 3


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_stopped_while_the_run_is_ended_it_is_not_left_running(
    store: Store, monkeypatch: pytest.MonkeyPatch, *, after: bool
) -> None:
    """The work was done; the end is told again, unless it had been told."""
    recorder = Recorder.open(store, LINEAGE)
    for event in make_events(RESULT):
        recorder.record(event)
    interrupt(monkeypatch, "set_terminated", after=after)
    with pytest.raises(KeyboardInterrupt):
        recorder.end()
    assert run_tree(store.root)[LINEAGE.key].status == ("FINISHED" if after else "KILLED")
    assert "RUNNING" not in statuses(run_tree(store.root))
