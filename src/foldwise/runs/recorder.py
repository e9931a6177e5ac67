"""The recorder: what of a search's run tree is not in MLflow yet, written whenever it can be."""

import json
import signal
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import date, datetime
from types import FrameType, TracebackType
from typing import TYPE_CHECKING, Literal, Self

from foldwise.data.dataset import DataInfo
from foldwise.errors import StoreError
from foldwise.runs import tree
from foldwise.runs.ledger import PROCESS_TAG, Ledger, end_abandoned
from foldwise.runs.lineage import Lineage
from foldwise.search.trials import Event, SearchResult, Study, Trial
from foldwise.store.faults import StoreRefused, Tolerating, store_faults
from foldwise.store.mutex import Lease, this_process
from foldwise.store.open import Store

if TYPE_CHECKING:
    from mlflow.entities import DatasetInput

Status = Literal["FINISHED", "FAILED", "KILLED"]
_NAMED = 3
_LONGEST_DIGEST = 36
_REST = 120.0
"""Seconds that a store which failed is left alone: a try may take five of the search's time."""
_STOPS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Recorder:
    """Records one pipeline run; open it by `Recorder.open`, best in a ``with`` statement.

    It knows the difference between what was told and what the store has. What the store can't take
    stays in it and is tried again later: a failing store slows the work by seconds and never stops
    it. What is left of it at the end makes `end` raise. ``run_id`` is the pipeline's run in MLflow.
    """

    def __init__(
        self, store: Store, ledger: Ledger, lineage: Lineage, run_id: str, *, lease: Lease
    ) -> None:
        self.run_id = run_id
        self._store, self._ledger, self._lineage, self._lease = store, ledger, lineage, lease
        self._trials: dict[tuple[Study, int], Trial] = {}
        self._wanted: dict[tuple[str, ...], tree.RunNode] = {}
        self._refused: set[tuple[str, ...]] = set()
        self._resting_until = float("-inf")
        self._fault = ""
        self._in_doubt = False

    @classmethod
    def open(
        cls,
        store: Store,
        lineage: Lineage,
        *,
        lease: Lease | None = None,
        today: date | None = None,
    ) -> Self:
        """Find or create the pipeline's run, and end what killed processes left running.

        The lineage's key makes the run the same however often it is opened; ``today`` names a new
        one, such as ``cv-2026-01-15-5ea4.1``. Nothing is written any more when the lease is lost.
        That the store can't be used is said before any work is done.
        """
        experiment_id = store.experiment(lineage.experiment)
        with store_faults("opening the pipeline's run"):
            end_abandoned(store.client, experiment_id)
            ledger = Ledger(store.client, experiment_id, lineage.key)
            ledger.load()
            ledger.sweep()
            day = today or datetime.now().astimezone().date()
            try:
                run_id = ledger.write(_begun(lineage, ledger, day))
                _name_data(store, lineage, run_id)
            except (KeyboardInterrupt, SystemExit):
                ledger.load()  # the store may know of a run that we were not told of yet
                if ledger.pipeline is not None:
                    ledger.close("KILLED")
                raise
        return cls(store, ledger, lineage, run_id, lease=lease or Lease())

    @property
    def unrecorded(self) -> tuple[str, ...]:
        """What the store has not taken yet."""
        return tuple(map(str, self._wanted.values()))

    def record(self, event: Event) -> None:
        """Write one event of the search; told again, it changes nothing."""
        if isinstance(event, Trial):
            self._trials[event.study, event.number] = event
        told, known = self._trials.values(), self._ledger.pipeline
        compared = "" if known is None else known.tags.get(tree.COMPARED_TAG, "")
        self._want(
            *tree.nodes_of(self._lineage.key, event, told, self._lineage.space, compared=compared)
        )

    def record_all(self, result: SearchResult) -> None:
        """Tell a whole search at once, as when its results came from elsewhere."""
        told: tuple[Event, ...] = (*result.trials, *result.outer, result.final, result)
        for event in told:
            self.record(event)

    def record_comparison(self, result: SearchResult, words: str) -> None:
        """Say in the pipeline's note how the search does beside the champion's, in Markdown."""
        self._want(tree.outcome_node(self._lineage.key, result, words))

    def record_artifacts(self, study: Study | None, files: Mapping[str, bytes]) -> None:
        """Write files beside a study's run or the pipeline's, by paths such as ``figures/a.png``.

        A file of that name is replaced.
        """
        key = self._lineage.key
        run = key if study is None else tree.study_key(key, study)
        self._want(tree.RunNode(run, files=dict(files)))

    def log_metrics(self, metrics: Mapping[str, float]) -> None:
        """Log metrics of the pipeline; the last value told is the one shown."""
        points = tuple(tree.Point(name, float(value)) for name, value in metrics.items())
        self._want(tree.RunNode(self._lineage.key, points=points))

    def end(self, status: Status = "FINISHED") -> None:
        """End the pipeline's run after a last try at what is still unrecorded.

        Raises
        ------
        StoreError
            If the work finished but something is not in the store: run the same command again.
        """
        try:
            self._refused.clear()
            self._sync()
            missing = self.unrecorded
            if not self._close("FAILED" if missing and status == "FINISHED" else status):
                missing = (*missing, "the pipeline's end")
        except (KeyboardInterrupt, SystemExit):
            self._in_doubt = True
            self._close("KILLED")
            raise
        if missing and status == "FINISHED":
            more = f" and {len(missing) - _NAMED} more" if len(missing) > _NAMED else ""
            raise StoreError(
                f"not everything is in MLflow ({', '.join(missing[:_NAMED])}{more} missing; "
                f"{self._fault}): the results are kept, run the same command again to record them"
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Finished, or killed by a signal (KeyboardInterrupt, SystemExit), or failed."""
        stopped = isinstance(error, KeyboardInterrupt | SystemExit)
        self.end("FINISHED" if error is None else "KILLED" if stopped else "FAILED")

    def _want(self, *nodes: tree.RunNode) -> None:
        for node in nodes:
            known = self._wanted.get(node.identity)
            self._wanted[node.identity] = known.merged(node) if known else node
            self._refused.discard(node.identity)
        if time.monotonic() >= self._resting_until:
            self._sync()

    def _sync(self) -> None:
        """Write what is wanted, in order; stop at an outage, pass over what alone is refused."""
        for identity, node in list(self._wanted.items()):
            if identity in self._refused:
                continue
            try:
                with store_faults(f"recording {node}"):
                    self._settle()
                    self._in_doubt = True
                    with self._undisturbed():
                        self._ledger.write(node)
                    self._in_doubt = False
            except StoreRefused as error:
                self._fault = str(error)
                self._refused.add(identity)
            except StoreError as error:
                self._fault = str(error)
                self._resting_until = time.monotonic() + _REST
                return
            else:
                del self._wanted[identity]

    def _close(self, status: Status) -> bool:
        try:
            with store_faults("ending the pipeline's run"):
                self._settle()
                with self._undisturbed():
                    self._ledger.close(status)
        except StoreError as error:
            self._fault = str(error)
            return False
        return True

    @contextmanager
    def _undisturbed(self) -> Iterator[None]:
        """Let Ctrl-C and SIGTERM wait for the end of the block, and take effect then.

        A commit that is cut short keeps SQLite's lock, and nothing could be ended any more. A
        server's answer may take its time, and loses nothing.
        """
        caught: list[tuple[int, FrameType | None]] = []
        is_main = threading.current_thread() is threading.main_thread()
        held = _STOPS if is_main and not self._store.is_server else ()
        stops = [number for number in held if callable(signal.getsignal(number))]
        before = {each: signal.signal(each, lambda *told: caught.append(told)) for each in stops}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
            for told in caught[:1]:
                signal.raise_signal(told[0])

    def _settle(self) -> None:
        self._lease.check()
        # After a fault or an interrupt the store may have taken more than it said.
        if self._in_doubt:
            self._store.check()
            self._ledger.load()
            self._in_doubt = False


def _begun(lineage: Lineage, ledger: Ledger, day: date) -> tree.RunNode:
    """The pipeline's run as it begins.

    One that is there keeps the params and tags it began with; what differs now, such as a
    parameter of `evaluate`, is added as a tag ``changed.<name>``.
    """
    if ledger.pipeline is None:
        # The same day's searches are told apart by their keys.
        stem = lineage.stem + (" " if " " in lineage.stem else "-")
        name = f"{stem}{day.isoformat()}-{lineage.search_key[:4]}.{lineage.attempt}"
        tags = {**lineage.tags, PROCESS_TAG: this_process(), tree.NOTE_TAG: lineage.note}
        return tree.RunNode(lineage.key, name, tags, lineage.params)
    before = ledger.pipeline.params | ledger.pipeline.tags
    now = {**lineage.params, **lineage.tags}
    changed = {name: value for name, value in now.items() if before.get(name, value) != value}
    # Left running by another machine, it would seem abandoned to that one as soon as it looks.
    taken = {PROCESS_TAG: this_process()} if ledger.pipeline.status == "RUNNING" else {}
    return tree.RunNode(
        lineage.key,
        tags=taken | {f"changed.{name}": value for name, value in changed.items()},
        params={name: value for name, value in lineage.params.items() if name not in before},
    )


def _name_data(store: Store, lineage: Lineage, run_id: str) -> None:
    """Say which data the run reads; one record of them serves all runs of the experiment."""
    inputs = [*_datasets(lineage)]
    if not inputs:
        return
    with Tolerating("BAD_REQUEST"):
        store.client.log_inputs(run_id, datasets=inputs)
        return
    # MLflow looks for a record before it makes one. What a search beside this one made in between
    # is found at the second look; any other fault shows again.
    store.client.log_inputs(run_id, datasets=inputs)


def _datasets(lineage: Lineage) -> "Iterator[DatasetInput]":
    """The splits that have rows as MLflow shows them: metadata only, no copy."""
    from mlflow.entities import Dataset, DatasetInput, InputTag

    if (data := lineage.data) is None:
        return
    for split, digest, rows in (
        ("development", data.development_digest, data.development_rows),
        ("holdout", data.holdout_digest, data.holdout_rows),
    ):
        source = {"source": lineage.params["prepare.source"], "split": split}
        shown = Dataset(
            name=f"{lineage.experiment}-{split}",
            digest=digest[:_LONGEST_DIGEST],
            source_type="foldwise",
            source=json.dumps(source),
            schema=json.dumps({"mlflow_colspec": _columns(data)}),
            profile=json.dumps({"num_rows": rows}),
        )
        if rows:
            yield DatasetInput(shown, [InputTag(key="mlflow.data.context", value=split)])


def _columns(data: DataInfo) -> list[dict[str, str]]:
    """What a row holds, as MLflow's page of the data lists it: names and MLflow's types."""
    if data.table is None:
        sides = " × ".join(map(str, data.image_shape))
        return [{"name": f"{sides} pixels, 0 to 255", "type": "integer"}]
    kinds = {"number": "double", "category": "string"}
    shown = data.table.columns[:1000]  # MLflow takes a megabyte
    return [{"name": name[:200], "type": kinds.get(of, of)} for name, of in shown]
