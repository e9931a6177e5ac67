"""What the store has of one run tree, and writing what it lacks of a node."""

import math
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from foldwise.runs.tree import Point, RunNode
from foldwise.store.faults import StoreRefused
from foldwise.store.mutex import is_gone, this_process
from foldwise.store.open import search_runs

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

KEY_TAG = "foldwise.key"
PROCESS_TAG = "foldwise.process"
_BATCH = 1000


def end_abandoned(client: "MlflowClient", experiment_id: str) -> None:
    """Mark as killed every running pipeline whose process of this machine is gone, and its tree.

    Those of other machines, and of process ids that are in use again, are left alone.
    """
    running = "attributes.status = 'RUNNING'"
    for pipeline in search_runs(client, experiment_id, f"{running} AND tags.level = 'pipeline'"):
        if is_gone(pipeline.data.tags.get(PROCESS_TAG, "")):
            tree = f"{running} AND tags.pipeline = '{pipeline.info.run_id}'"
            for run in search_runs(client, experiment_id, tree):
                client.set_terminated(run.info.run_id, "KILLED")


@dataclass(slots=True)
class KnownRun:
    """A run as the store last showed it."""

    run_id: str
    status: str
    started: int
    metrics: dict[str, float]
    params: dict[str, str]
    tags: dict[str, str]

    @classmethod
    def of(cls, run: "Run") -> "KnownRun":
        """MLflow's run, of each metric the last value."""
        info, data = run.info, run.data
        told = dict(data.metrics), dict(data.params), dict(data.tags)
        return cls(info.run_id, info.status, info.start_time, *told)


class Ledger:
    """The runs of one tree, by its pipeline's key: a node written twice leaves them as once.

    Only one process at a time may write a pipeline; the search's lease sees to that. The store is
    read by `load` alone; from then on each node costs only what it adds.
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

    def load(self) -> None:
        """Read the whole tree from the store."""
        tree = f"tags.`{KEY_TAG}` LIKE '{self._key}%'"
        found = search_runs(self._client, self._experiment_id, tree)
        runs = {run.data.tags[KEY_TAG]: KnownRun.of(run) for run in found}
        top = runs.get(self._key)
        # What hangs below a pipeline that was deleted in the UI is no part of the one after it.
        self._runs = {
            key: run
            for key, run in runs.items()
            if top is run or (top and run.tags.get("pipeline") == top.run_id)
        }

    def write(self, node: RunNode) -> str:
        """Write what the store lacks of a node, and return MLflow's id of the run.

        A study or trial that ended is left as it is.
        """
        run = self._runs.get(node.key) or self._create(node)
        if node.files:
            self._add_files(run, node.files)
        elif node.level == "pipeline" or run.status != "FINISHED":
            self._add_facts(run, node)
        return run.run_id

    def sweep(self) -> None:
        """End studies and trials that a killed process left running; told again, they go on."""
        for key, run in self._runs.items():
            if key != self._key and run.status == "RUNNING":
                self._end(run, "KILLED")

    def close(self, status: str) -> None:
        """End the pipeline and what still runs below it; if it ended before, only as finished."""
        self.sweep()
        pipeline = self._known(self._key)
        if pipeline.status == "RUNNING" or (status == "FINISHED" != pipeline.status):
            self._end(pipeline, status)

    def _known(self, key: str) -> KnownRun:
        if key not in self._runs:
            raise StoreRefused(f"{RunNode(key)} has no run in the store")
        return self._runs[key]

    def _create(self, node: RunNode) -> KnownRun:
        if not node.name:
            return self._known(node.key)  # more of a run that was refused, or deleted in the UI
        tags = {**node.tags, "level": node.level, KEY_TAG: node.key}
        if node.parent is not None:
            tags["pipeline"] = self._known(self._key).run_id
            tags["mlflow.parentRunId"] = self._known(node.parent).run_id
            self._wake(node.parent)
        created = self._client.create_run(self._experiment_id, tags=tags, run_name=node.name)
        run = self._runs[node.key] = KnownRun.of(created)
        return run

    def _add_facts(self, run: KnownRun, node: RunNode) -> None:
        points = _missing(node, run)
        params = {name: value for name, value in node.params.items() if name not in run.params}
        own = {"pipeline": run.run_id} if node.level == "pipeline" else {}
        told = {**node.tags, **own}.items()
        tags = {name: value for name, value in told if run.tags.get(name) != value}
        if points or params or tags:
            self._wake(node.key)
            # The run's own start as time: a row written twice is then one row to MLflow. What the
            # pipeline is told anew must count as later.
            when = int(time.time() * 1000) if node.level == "pipeline" else run.started
            self._log(run, points, when, params=params, tags=tags)
        if node.done:
            self._end(run, "FINISHED")

    def _log(self, run: KnownRun, points: Sequence[Point], when: int, **told: Any) -> None:
        """Log all, params and tags too, in one call, or as many as MLflow takes a thousand by."""
        from mlflow.entities import Metric, Param, RunTag

        params, tags = told.get("params", {}), told.get("tags", {})
        room = _BATCH - len(params) - len(tags)
        self._client.log_batch(
            run.run_id,
            metrics=[Metric(p.key, p.value, when, p.step) for p in points[:room]],
            params=[Param(*pair) for pair in params.items()],
            tags=[RunTag(*pair) for pair in tags.items()],
        )
        run.metrics.update({point.key: point.value for point in points[:room]})
        run.params.update(params)
        run.tags.update(tags)
        if points[room:]:
            self._log(run, points[room:], when)

    def _add_files(self, run: KnownRun, files: Mapping[str, bytes]) -> None:
        with TemporaryDirectory(prefix="foldwise-") as folder:
            for name, content in files.items():
                path = Path(folder, name)
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(content)
            self._client.log_artifacts(run.run_id, folder)

    def _wake(self, key: str) -> None:
        # A run that is written to, and those above it, are shown as running until they are ended;
        # a study that has ended stays so when a trial that someone deleted is brought back.
        while key:
            run = self._runs[key]
            if run.status != "RUNNING" and (run.status != "FINISHED" or key == self._key):
                self._client.update_run(run.run_id, status="RUNNING")
                run.status = "RUNNING"
                if key == self._key:
                    self._client.set_tag(run.run_id, PROCESS_TAG, this_process())
            key = key.rpartition("/")[0]

    def _end(self, run: KnownRun, status: str) -> None:
        self._client.set_terminated(run.run_id, status)
        run.status = status


def _missing(node: RunNode, run: KnownRun) -> list[Point]:
    if node.level == "pipeline":
        # A series is told in one call: where its last value is there, so are those before.
        last = {point.key: point.value for point in node.points}
        return [p for p in node.points if not _same(run.metrics.get(p.key), last[p.key])]
    # Of a series the store may hold a part; it keeps a row that is written twice only once.
    counts = Counter(point.key for point in node.points)
    return [p for p in node.points if counts[p.key] > 1 or p.key not in run.metrics]


def _same(known: float | None, value: float) -> bool:
    return known is not None and (known == value or (math.isnan(known) and math.isnan(value)))
