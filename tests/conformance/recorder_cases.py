"""What every store must show of a search, however its recorder was told: the same tree of runs."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from uuid import uuid4

import pytest
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import INVALID_PARAMETER_VALUE, TEMPORARILY_UNAVAILABLE

from foldwise.errors import StoreError
from foldwise.runs.lineage import Lineage
from foldwise.runs.recorder import Recorder
from foldwise.search.trials import Event
from foldwise.store.mutex import Busy, Lease
from foldwise.store.open import Store
from tests.factories import make_events, make_outer_fold, make_result, make_trial, outer
from tests.run_tree import FIGURE, RunFacts, make_lineage, record_search, statuses

RESULT = make_result(folds=2, trials=2)
EVENTS = make_events(RESULT)
RUNS = 1 + 3 + 3 * 2
_LINEAGE = make_lineage()
_OWN = {"foldwise.key", "mlflow.runName"}
_WRITES = ("create_run", "log_batch", "set_terminated")

Shown = dict[str, tuple[object, ...]]
_EXPECTED: Shown = {}


class Killed(BaseException):
    """The process ends here: nobody cleans up."""


class Lost(Lease):
    """A search that is held until another process has it."""

    is_lost = False

    def check(self) -> None:
        if self.is_lost:
            raise Busy("another took over")


def gone(*_: object, **__: object) -> None:
    """Answer as a store that is away for a while."""
    raise MlflowException("gone", TEMPORARILY_UNAVAILABLE)


def tell(
    store: Store,
    lineage: Lineage,
    events: Sequence[Event] = EVENTS,
    *,
    then: BaseException | None = None,
) -> None:
    """Record events, and perhaps fail then."""
    with Recorder.open(store, lineage) as recorder:
        for event in events:
            recorder.record(event)
        if then is not None:
            raise then


@contextmanager
def at_write(number: int, error: type[BaseException], *, after: bool) -> Iterator[None]:
    """Let the client's n-th write from now on fail, before or after it was done."""
    left = [number]

    def wrapped(name: str) -> object:
        real = getattr(MlflowClient, name)

        def write(*given: object, **named: object) -> object:
            left[0] -= 1
            if left[0] == 0 and not after:
                raise error
            answer = real(*given, **named)
            if left[0] == 0:
                raise error
            return answer

        return write

    with pytest.MonkeyPatch.context() as patch:
        for name in _WRITES:
            patch.setattr(MlflowClient, name, wrapped(name))
        yield


class RecorderCases:
    """Subclasses give a ``store``, and ``runs_of`` it."""

    kill_step = 5
    """How many writes lie between two tried kills; odd, since one comes before, one after its."""

    def runs_of(self, store: Store) -> Mapping[str, RunFacts]:
        """All runs of the store by their keys, read past MLflow."""
        raise NotImplementedError

    @pytest.fixture
    def lineage(self) -> Lineage:
        """A search that this store has not seen."""
        return replace(_LINEAGE, search_key=uuid4().hex)

    def tree(self, store: Store, lineage: Lineage) -> dict[str, RunFacts]:
        """The pipeline's runs by the rest of their keys; the pipeline's own is ''."""
        runs = self.runs_of(store).items()
        return {
            key.removeprefix(lineage.key).removeprefix("/"): run
            for key, run in runs
            if f"{key}/".startswith(f"{lineage.key}/")
        }

    def shown(self, store: Store, lineage: Lineage) -> Shown:
        """All that is the same whenever and by whatever attempt a search is recorded."""
        return {
            key: (
                run.status,
                run.params,
                tuple(tag for tag in run.tags if tag[0] not in _OWN),
                run.rows,
                run.files,
            )
            for key, run in self.tree(store, lineage).items()
        }

    @pytest.fixture
    def expected(self, store: Store, lineage: Lineage) -> Shown:
        """What every store shows of the search told once, event by event."""
        if not _EXPECTED:
            undisturbed = replace(lineage, attempt=99)
            tell(store, undisturbed)
            _EXPECTED.update(self.shown(store, undisturbed))
        return _EXPECTED

    def test_a_search_is_one_tree_of_pipeline_studies_and_trials(
        self, store: Store, lineage: Lineage
    ) -> None:
        """1 + (K + 1) + (K + 1) x trials runs, each trial below its study, none left running."""
        record_search(store, lineage, RESULT)
        tree = self.tree(store, lineage)
        assert len(tree) == RUNS
        assert statuses(tree) == {"FINISHED"}
        for key, run in tree.items():
            above = f"{lineage.key}/{key}".rpartition("/")[0] if key else None
            assert run.parent == above
        assert tree["outer-1"].files == (("figures/curve.png", len(FIGURE)),)
        assert tree[""].files == (("report.html", 3),)

    def test_told_again_it_changes_nothing(self, store: Store, lineage: Lineage) -> None:
        """No run, metric row or file is added by a replay, and how long it took is still seen."""

        def times() -> dict[str, tuple[int, int]]:
            query = f"tags.`foldwise.key` LIKE '{lineage.key}%'"
            runs = store.client.search_runs([store.experiment("blobs")], query)
            return {run.info.run_id: (run.info.start_time, run.info.end_time) for run in runs}

        record_search(store, lineage, RESULT)
        before, took = self.tree(store, lineage), times()
        record_search(store, lineage, RESULT)
        assert self.tree(store, lineage) == before
        assert times() == took
        assert len(took) == RUNS

    def test_an_event_told_twice_is_recorded_once(
        self, store: Store, lineage: Lineage, expected: Shown
    ) -> None:
        """A resumed search tells its completed trials again at once."""
        tell(store, lineage, [event for event in EVENTS for _ in range(2)])
        assert self.shown(store, lineage) == expected

    def test_a_result_told_at_once_is_shown_as_one_told_event_by_event(
        self, store: Store, lineage: Lineage, expected: Shown
    ) -> None:
        """A clone that got its results from DVC shows the same tree."""
        with Recorder.open(store, lineage) as recorder:
            recorder.record_all(RESULT)
        assert self.shown(store, lineage) == expected

    @pytest.mark.parametrize("stop", [0, 4, 9])
    def test_a_stopped_search_goes_on_to_the_same_tree(
        self, store: Store, lineage: Lineage, expected: Shown, stop: int
    ) -> None:
        """Wherever it stopped, the tree at the end is that of a search that never did."""
        with pytest.raises(KeyboardInterrupt):
            tell(store, lineage, EVENTS[:stop], then=KeyboardInterrupt())
        assert "RUNNING" not in statuses(self.tree(store, lineage))
        tell(store, lineage)
        assert self.shown(store, lineage) == expected

    def test_a_recorder_killed_at_any_write_is_made_good_by_the_next(
        self, store: Store, lineage: Lineage, expected: Shown
    ) -> None:
        """No duplicate, gap or run that runs for ever, whichever write was the last."""
        for number in range(1, 3 * RUNS, self.kill_step):
            attempt = replace(lineage, attempt=number)
            with suppress(Killed), at_write(number, Killed, after=number % 2 == 0):
                recorder = Recorder.open(store, attempt)
                for event in EVENTS:
                    recorder.record(event)
                recorder.end()
                raise AssertionError(f"it has fewer than {number} writes")
            tell(store, attempt)
            assert self.shown(store, attempt) == expected, number

    def test_an_outage_is_made_good_when_the_store_is_back(
        self,
        store: Store,
        lineage: Lineage,
        expected: Shown,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        """The store is left alone after one failure, and what was kept is written at the end."""
        tries: list[int] = []

        def down(*_: object, **__: object) -> None:
            tries.append(1)
            gone()

        with Recorder.open(store, lineage) as recorder:
            for event in EVENTS[:5]:
                recorder.record(event)
            with monkeypatch.context() as patch:
                for name in _WRITES:
                    patch.setattr(MlflowClient, name, down)
                for event in EVENTS[5:]:
                    recorder.record(event)
                    recorder.record(event)
            assert recorder.unrecorded
            assert len(tries) == 1
        assert recorder.unrecorded == ()
        assert self.shown(store, lineage) == expected

    def test_after_a_rest_the_store_is_tried_again(
        self, store: Store, lineage: Lineage, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """What an outage kept back is written while the search goes on."""
        monkeypatch.setattr("foldwise.runs.recorder._REST", 0.0)
        with Recorder.open(store, lineage) as recorder:
            with monkeypatch.context() as patch:
                patch.setattr(MlflowClient, "create_run", gone)
                recorder.record(EVENTS[0])
            assert recorder.unrecorded
            recorder.record(EVENTS[1])
            assert not recorder.unrecorded

    def test_an_outage_to_the_end_is_made_good_by_the_next_telling(
        self, store: Store, lineage: Lineage, expected: Shown, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The stage must exit 1, so that the next `dvc repro` tells it again."""
        told = r"outer-0, trial 0 of outer-0, outer-1 and 4 more missing; .*same command"
        with monkeypatch.context() as patch:
            recorder = Recorder.open(store, lineage)
            patch.setattr(MlflowClient, "create_run", gone)
            for event in (*EVENTS[:3], *RESULT.outer[:1], EVENTS[-1]):
                recorder.record(event)
            with pytest.raises(StoreError, match=told):
                recorder.end()
        assert recorder.unrecorded[:2] == ("outer-0", "trial 0 of outer-0")
        assert self.tree(store, lineage)[""].status == "FAILED"
        tell(store, lineage)
        assert self.shown(store, lineage) == expected

    @pytest.mark.parametrize("number", [1, 2, 3])
    def test_a_write_whose_answer_was_lost_is_not_repeated(
        self, store: Store, lineage: Lineage, expected: Shown, number: int
    ) -> None:
        """A server may create a run and die before saying so: the next try finds it."""
        with Recorder.open(store, lineage) as recorder:
            with at_write(number, _Lost, after=True):
                recorder.record(EVENTS[0])
            assert recorder.unrecorded
            for event in EVENTS[1:]:
                recorder.record(event)
        assert self.shown(store, lineage) == expected

    def test_a_search_that_was_taken_over_writes_no_more(
        self, store: Store, lineage: Lineage
    ) -> None:
        """The runs are another process's then, and its pipeline isn't ended under its hands."""
        lease = Lost()
        recorder = Recorder.open(store, lineage, lease=lease)
        recorder.record(EVENTS[0])
        before = self.shown(store, lineage)
        lease.is_lost = True
        for event in EVENTS[1:]:
            recorder.record(event)
        with pytest.raises(StoreError, match=r"not everything is in MLflow.*another took over"):
            recorder.end()
        assert self.shown(store, lineage) == before

    def test_a_refused_run_does_not_hold_up_the_others(
        self, store: Store, lineage: Lineage, expected: Shown, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """It is named at the end, all else is there, and the next telling brings it."""
        create = MlflowClient.create_run

        def refuse(*given: object, **named: object) -> object:
            if str(named["run_name"]).startswith("o1·t00"):
                raise MlflowException("no such name", INVALID_PARAMETER_VALUE)
            return create(*given, **named)  # type: ignore[arg-type]

        with monkeypatch.context() as patch:
            patch.setattr(MlflowClient, "create_run", refuse)
            with pytest.raises(
                StoreError, match=r"\(trial 0 of outer-1 missing; .*no such name\): .*same command"
            ):
                tell(store, lineage)
        missing = {key: run for key, run in expected.items() if key != "outer-1/0"}
        missing[""] = ("FAILED", *expected[""][1:])
        assert self.shown(store, lineage) == missing
        tell(store, lineage)
        assert self.shown(store, lineage) == expected

    def test_a_run_deleted_in_the_ui_is_recorded_anew(self, store: Store, lineage: Lineage) -> None:
        """Someone tidied up; the next telling brings the trial back, below its finished study."""
        tell(store, lineage)
        query = f"tags.`foldwise.key` = '{lineage.key}/{outer(1)}/1'"
        experiment_id = store.experiment("blobs")
        [gone_run] = store.client.search_runs([experiment_id], query)
        store.client.delete_run(gone_run.info.run_id)
        tell(store, lineage)
        [found] = store.client.search_runs([experiment_id], query)
        assert found.info.status == "FINISHED"
        study = store.client.get_run(found.data.tags["mlflow.parentRunId"])
        assert study.info.status == "FINISHED"

    @pytest.mark.parametrize(
        ("stop", "status"),
        [(KeyboardInterrupt(), "KILLED"), (SystemExit(143), "KILLED"), (ValueError(), "FAILED")],
    )
    def test_a_search_that_is_stopped_leaves_no_run_running(
        self, store: Store, lineage: Lineage, stop: BaseException, status: str
    ) -> None:
        """Ctrl-C and SIGTERM show as killed, an error as failed, in the whole tree."""
        with pytest.raises(type(stop)):
            tell(store, lineage, [make_trial(outer(0))], then=stop)
        tree = self.tree(store, lineage)
        assert tree[""].status == status
        assert tree["outer-0"].status == "KILLED"
        assert tree["outer-0/0"].status == "FINISHED"

    def test_evaluate_goes_on_in_the_same_run(self, store: Store, lineage: Lineage) -> None:
        """The run is shown running while evaluate works, and a later value is the one shown."""
        record_search(store, lineage, RESULT)
        with Recorder.open(store, lineage) as recorder:
            recorder.log_metrics({"holdout_accuracy": 0.92, "outer_log_loss_low": 0.27})
            assert self.tree(store, lineage)[""].status == "RUNNING"
            recorder.log_metrics({"holdout_accuracy": 0.93})
        tree = self.tree(store, lineage)
        assert statuses(tree) == {"FINISHED"}
        rows = tree[""].rows
        assert [row[2] for row in rows if row[0] == "holdout_accuracy"] == [0.92, 0.93]
        assert [row[2] for row in rows if row[0] == "outer_log_loss_low"] == [0.27]
        assert store.client.get_run(recorder.run_id).data.metrics["holdout_accuracy"] == 0.93

    def test_a_refit_that_differs_in_its_last_digits_adds_no_second_value(
        self, store: Store, lineage: Lineage
    ) -> None:
        """A fold killed between its scores and its end is fitted again, perhaps elsewhere."""
        fold = make_outer_fold(0)
        scores = {**fold.scores, "log_loss": fold.scores["log_loss"] + 2e-6}
        recorder = Recorder.open(store, lineage)
        with pytest.raises(Killed), at_write(3, Killed, after=False):
            recorder.record(fold)
        tell(store, lineage, [replace(fold, scores=scores)])
        run = self.tree(store, lineage)["outer-0"]
        assert run.status == "FINISHED"
        assert sum(key == "outer_log_loss" for key, *_ in run.rows) == 1

    def test_a_study_of_more_values_than_a_call_takes_has_its_whole_curve(
        self, store: Store, lineage: Lineage, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """MLflow takes a limited number of metric values, params and tags a call."""
        monkeypatch.setattr("foldwise.runs.ledger._BATCH", 100)
        trials = [make_trial(outer(0), number, C=0.001 * 1.1**number) for number in range(60)]
        with Recorder.open(store, lineage) as recorder:
            recorder.record_all(
                replace(RESULT, trials=tuple(trials), outer=(make_outer_fold(0, trials[4]),))
            )
        rows = self.tree(store, lineage)["outer-0"].rows
        assert [step for key, step, _ in rows if key == "search_log10_C"] == list(range(60))


class _Lost(MlflowException):
    """The answer never came."""

    def __init__(self) -> None:
        super().__init__("gone", TEMPORARILY_UNAVAILABLE)
