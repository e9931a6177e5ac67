"""What a store has of one run tree, and writing what it lacks.

Runs that nobody works on any more: a killed process of this machine left them running.

How long to leave a store alone that has just failed, so that the search can go on.

One pipeline's run tree in the store: what is there already, and writing what is missing.
"""

import math
import os
import socket
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from foldwise.runs.tree import Point, RunRecord
from foldwise.store.open import search_runs

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run


PROCESS_TAG = "foldwise.process"


def this_process() -> str:
    """Host and process id, by which a run that nobody works on any more can be told."""
    return f"{socket.gethostname()}:{os.getpid()}"


def end_abandoned(client: "MlflowClient", experiment_id: str) -> int:
    """Mark as killed every running pipeline whose process of this machine is gone, and its tree.

    Those of other machines, and of process ids that are in use again, are left alone.
    """
    ended = 0
    running = "attributes.status = 'RUNNING'"
    for pipeline in search_runs(client, experiment_id, f"{running} AND tags.level = 'pipeline'"):
        if not _is_gone(pipeline.data.tags.get(PROCESS_TAG, "")):
            continue
        tree = f"{running} AND tags.pipeline = '{pipeline.info.run_id}'"
        for run in search_runs(client, experiment_id, tree):
            client.set_terminated(run.info.run_id, "KILLED")
            ended += 1
    return ended


def _is_gone(process: str) -> bool:
    host, _, number = process.rpartition(":")
    if host != this_process().rpartition(":")[0] or not number.isdecimal():
        return False
    try:
        os.kill(int(number), 0)
    except ProcessLookupError:
        return True
    except (PermissionError, OverflowError):
        return False
    return False


_FIRST_REST = 30.0
_LONGEST_REST = 300.0


class Patience:
    """Says when to try again: at first after half a minute, then after twice as long each time.

    Parameters
    ----------
    clock : callable
        Seconds that never run backwards.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._rest = 0.0
        self._until = float("-inf")

    @property
    def is_over(self) -> bool:
        """Whether the store may be tried."""
        return self._clock() >= self._until

    def failed(self) -> None:
        """Rest from now on, longer than the last time."""
        self._rest = min(max(2 * self._rest, _FIRST_REST), _LONGEST_REST)
        self._until = self._clock() + self._rest

    def succeeded(self) -> None:
        """The store is back."""
        self._rest = 0.0
        self._until = float("-inf")


KEY_TAG = "foldwise.key"
_BATCH = 1000


@dataclass(slots=True)
class KnownRun:
    """A run as the store last showed it."""

    run_id: str
    status: str
    started: int
    metrics: dict[str, float]
    params: dict[str, str]
    tags: dict[str, str]


class Ledger:
    """Writes run records idempotently: a record told twice leaves the store as told once.

    Only one process at a time may write a pipeline; the search's lock sees to that. The store is
    read once, by `load`; from then on each record costs only what it adds.

    Parameters
    ----------
    client : MlflowClient
    experiment_id : str
    key : str
        The pipeline run's idempotency key.
    """

    def __init__(self, client: "MlflowClient", experiment_id: str, key: str) -> None:
        self._client = client
        self._experiment_id = experiment_id
        self._key = key
        self._runs: dict[str, KnownRun] = {}

    @property
    def pipeline(self) -> KnownRun | None:
        """The pipeline's own run, if it was written."""
        return self._runs.get(self._key)

    def run_id(self, key: str) -> str:
        """MLflow's id of a run that was written."""
        return self._runs[key].run_id

    def load(self) -> None:
        """Read the whole tree from the store."""
        self._runs = {}
        for run in search_runs(
            self._client, self._experiment_id, f"tags.`{KEY_TAG}` = '{self._key}'"
        ):
            self._runs[self._key] = _known(run)
        if self.pipeline is None:
            return
        tree = f"tags.pipeline = '{self.pipeline.run_id}'"
        for run in search_runs(self._client, self._experiment_id, tree):
            self._runs[run.data.tags[KEY_TAG]] = _known(run)

    def write(self, record: RunRecord) -> None:
        """Write what the store lacks of a record; a study or trial that ended is left as it is."""
        known = self._runs.get(record.key)
        if known is not None and known.status == "FINISHED" and record.level != "pipeline":
            return
        run = known or self._create(record)
        points = _missing(record, run)
        params = {name: value for name, value in record.params.items() if name not in run.params}
        tags = {name: value for name, value in record.tags.items() if run.tags.get(name) != value}
        if record.level == "pipeline" and "pipeline" not in run.tags:
            tags["pipeline"] = run.run_id
        if points or params or tags or record.done:
            self._wake(record.key)
            # The run's own start as time: a row written twice is then one row to MLflow. What the
            # pipeline is told anew must count as later.
            when = int(time.time() * 1000) if record.level == "pipeline" else run.started
            self._log_points(run, points, when)
            self._log_facts(run, params, tags)
        if record.done:
            self._end(run, "FINISHED")

    def add_artifacts(self, key: str, files: Mapping[str, bytes]) -> None:
        """Write files beside a run, over those of the same name."""
        with TemporaryDirectory(prefix="foldwise-") as folder:
            for name, content in files.items():
                path = Path(folder, name)
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(content)
            self._client.log_artifacts(self._runs[key].run_id, folder)

    def sweep(self) -> None:
        """End studies and trials that a killed process left running; told again, they go on."""
        for key, run in self._runs.items():
            if key != self._key and run.status == "RUNNING":
                self._end(run, "KILLED")

    def close(self, status: str) -> None:
        """End the pipeline and what still runs below it; if it ended before, only as finished."""
        self.sweep()
        pipeline = self._runs[self._key]
        if pipeline.status == "RUNNING" or (status == "FINISHED" != pipeline.status):
            self._end(pipeline, status)

    def _create(self, record: RunRecord) -> KnownRun:
        tags = {**record.tags, "level": record.level, KEY_TAG: record.key}
        if record.parent is not None:
            tags["pipeline"] = self._runs[self._key].run_id
            tags["mlflow.parentRunId"] = self._runs[record.parent].run_id
            self._wake(record.parent)
        created = self._client.create_run(self._experiment_id, tags=tags, run_name=record.name)
        run = self._runs[record.key] = _known(created)
        return run

    def _wake(self, key: str) -> None:
        # A run that is written to, and those above it, are shown as running until they are ended.
        while key:
            run = self._runs[key]
            if run.status != "RUNNING":
                self._client.update_run(run.run_id, status="RUNNING")
                run.status = "RUNNING"
                if key == self._key:
                    self._log_facts(run, {}, {PROCESS_TAG: this_process()})
            key = key.rpartition("/")[0]

    def _log_points(self, run: KnownRun, points: Sequence[Point], when: int) -> None:
        from mlflow.entities import Metric

        for begin in range(0, len(points), _BATCH):
            batch = points[begin : begin + _BATCH]
            self._client.log_batch(
                run.run_id,
                metrics=[Metric(point.key, point.value, when, point.step) for point in batch],
            )
        run.metrics.update({point.key: point.value for point in points})

    def _log_facts(self, run: KnownRun, params: Mapping[str, str], tags: Mapping[str, str]) -> None:
        from mlflow.entities import Param, RunTag

        if params or tags:
            self._client.log_batch(
                run.run_id,
                params=[Param(*pair) for pair in params.items()],
                tags=[RunTag(*pair) for pair in tags.items()],
            )
            run.params.update(params)
            run.tags.update(tags)

    def _end(self, run: KnownRun, status: str) -> None:
        self._client.set_terminated(run.run_id, status)
        run.status = status


def _known(run: "Run") -> KnownRun:
    return KnownRun(
        run_id=run.info.run_id,
        status=run.info.status,
        started=run.info.start_time,
        metrics=dict(run.data.metrics),
        params=dict(run.data.params),
        tags=dict(run.data.tags),
    )


def _missing(record: RunRecord, run: KnownRun) -> list[Point]:
    if record.level == "pipeline":
        return [p for p in record.points if not _same(run.metrics.get(p.key), p.value)]
    # Of a series the store may hold a part; it keeps a row that is written twice only once.
    counts = Counter(point.key for point in record.points)
    return [p for p in record.points if counts[p.key] > 1 or p.key not in run.metrics]


def _same(known: float | None, value: float) -> bool:
    return known is not None and (known == value or (math.isnan(known) and math.isnan(value)))
