"""The recorder: tells MLflow a search event by event, and may tell it again at any time.

The pipeline's own run: named, described and given its datasets when it is first written.

Telling MLflow what happens: kept until the store has taken it, and never in the work's way.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from functools import partial
from string import ascii_lowercase
from types import TracebackType
from typing import TYPE_CHECKING, Literal, Self

from foldwise.app.views import refresh_page
from foldwise.errors import StoreError
from foldwise.runs.ledger import PROCESS_TAG, Ledger, Patience, end_abandoned, this_process
from foldwise.runs.lineage import Lineage, SplitFacts
from foldwise.runs.tree import (
    Point,
    RunRecord,
    pipeline_outcome,
    study_begun,
    study_key,
    study_record,
    trial_record,
)
from foldwise.search.trials import Event, FinalModel, OuterFold, SearchResult, Study, Trial
from foldwise.store.faults import StoreRefused, store_faults
from foldwise.store.open import Store, search_runs

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import DatasetInput


_LONGEST_DIGEST = 36


@dataclass(frozen=True, slots=True)
class Title:
    """What a new top run is called, letters after it until the name is free, and its note."""

    stem: str
    note: str


def begin_pipeline(
    client: "MlflowClient", experiment_id: str, ledger: Ledger, lineage: Lineage, *, title: Title
) -> str:
    """Find or create the pipeline's run, and return its id.

    A run that is there keeps the params and tags it began with; what differs now, such as a
    parameter of `evaluate`, is added as a tag ``changed.<name>``.
    """
    known = ledger.pipeline
    if known is None:
        name = _free_name(client, experiment_id, title.stem)
        ledger.write(
            RunRecord(
                key=lineage.key,
                parent=None,
                level="pipeline",
                name=name,
                tags={
                    **lineage.tags,
                    PROCESS_TAG: this_process(),
                    "mlflow.note.content": title.note,
                },
                params=lineage.params,
            )
        )
    else:
        ledger.write(_continued(lineage, known.params | known.tags))
    run_id = ledger.run_id(lineage.key)
    client.log_inputs(run_id, datasets=[_dataset(lineage, split) for split in lineage.splits])
    return run_id


def _continued(lineage: Lineage, before: dict[str, str]) -> RunRecord:
    now = {**lineage.params, **lineage.tags}
    return RunRecord(
        key=lineage.key,
        parent=None,
        level="pipeline",
        name="",
        tags={
            f"changed.{name}": value
            for name, value in now.items()
            if before.get(name, value) != value
        },
        params={name: value for name, value in lineage.params.items() if name not in before},
    )


def _free_name(client: "MlflowClient", experiment_id: str, stem: str) -> str:
    query = f"tags.level = 'pipeline' AND attributes.run_name LIKE '{stem}%'"
    taken = {run.info.run_name for run in search_runs(client, experiment_id, query)}
    number = 0
    while (name := stem + _letters(number)) in taken:
        number += 1
    return name


def _letters(number: int) -> str:
    """a, b, ..., z, aa, ab, ..."""
    before, last = divmod(number, len(ascii_lowercase))
    return (_letters(before - 1) if before else "") + ascii_lowercase[last]


def _dataset(lineage: Lineage, split: SplitFacts) -> "DatasetInput":
    from mlflow.entities import Dataset, DatasetInput, InputTag

    source = {"source": lineage.params["prepare.source"], "split": split.context}
    features = [
        {"type": "tensor", "tensor-info": {"dtype": "uint8", "shape": [-1, split.features]}}
    ]
    return DatasetInput(
        dataset=Dataset(
            name=f"{lineage.experiment}-{split.context}",
            digest=split.digest[:_LONGEST_DIGEST],
            source_type="foldwise",
            source=json.dumps(source),
            schema=json.dumps({"mlflow_tensorspec": {"features": json.dumps(features)}}),
            profile=json.dumps({"num_rows": split.rows}),
        ),
        tags=[InputTag(key="mlflow.data.context", value=split.context)],
    )


Status = Literal["FINISHED", "FAILED", "KILLED"]
_NAMED = 3


@dataclass(frozen=True, slots=True)
class _Telling:
    what: str
    write: Callable[[], None]


class Teller:
    """Writes one run tree; best in a ``with`` statement.

    What the store can't take is kept and tried again later: a failing store slows the work
    by seconds and never stops it. What is missing at the end makes `end` raise.

    Attributes
    ----------
    run_id, experiment_id : str
        The tree's top run in MLflow.
    """

    def __init__(self, store: Store, ledger: Ledger, lineage: Lineage, *ids: str) -> None:
        self.experiment_id, self.run_id = ids
        self._store = store
        self._ledger = ledger
        self._key = lineage.key
        self._data_name = lineage.experiment
        self._waiting: list[_Telling] = []
        self._refused: list[_Telling] = []
        self._patience = Patience()
        self._fault = ""
        self._in_doubt = False

    @classmethod
    def begin(cls, store: Store, lineage: Lineage, title: Title) -> Self:
        """Find or create the top run, and end what killed processes left running.

        Raises
        ------
        StoreError
            The store can't be used: said before any work is done.
        """
        experiment_id = store.experiment(lineage.experiment)
        with store_faults("opening the pipeline's run"):
            end_abandoned(store.client, experiment_id)
            ledger = Ledger(store.client, experiment_id, lineage.key)
            ledger.load()
            ledger.sweep()
            try:
                run_id = begin_pipeline(store.client, experiment_id, ledger, lineage, title=title)
            except (KeyboardInterrupt, SystemExit):
                ledger.load()  # the store may know of a run that we were not told of yet
                if ledger.pipeline is not None:
                    ledger.close("KILLED")
                raise
        return cls(store, ledger, lineage, experiment_id, run_id)

    @property
    def unrecorded(self) -> tuple[str, ...]:
        """What the store has not taken yet."""
        return tuple(telling.what for telling in (*self._refused, *self._waiting))

    def _tell_files(self, what: str, key: str, files: Mapping[str, bytes]) -> None:
        """Write files beside a run; a file of that name is replaced."""
        add = partial(self._ledger.add_artifacts, key, dict(files))
        self._keep(f"{len(files)} files of {what}", add)

    def log_metrics(self, metrics: Mapping[str, float]) -> None:
        """Log metrics of the pipeline; the last value told is the one shown."""
        points = tuple(Point(name, float(value)) for name, value in metrics.items())
        self._tell(f"{len(points)} metrics", self._of_pipeline(points=points))

    def set_tags(self, tags: Mapping[str, str]) -> None:
        """Set tags of the pipeline; ``mlflow.note.content`` is its note."""
        self._tell(f"{len(tags)} tags", self._of_pipeline(tags=dict(tags)))

    def end(self, status: Status = "FINISHED") -> None:
        """End the pipeline's run after a last try at what is still unrecorded.

        Raises
        ------
        StoreError
            If the work finished but something is not in the store: run the same command again.
        """
        try:
            self._end(status)
        except (KeyboardInterrupt, SystemExit):
            self._in_doubt = True
            self._close("KILLED")
            raise

    def _end(self, status: Status) -> None:
        self._waiting = [*self._refused, *self._waiting]
        self._refused = []
        self._work_off()
        if status == "FINISHED" and not self.unrecorded:
            self._keep("the views", partial(refresh_page, self._store, self._data_name))
        self._close("FAILED" if self.unrecorded and status == "FINISHED" else status)
        if self.unrecorded and status == "FINISHED":
            raise StoreError(self._what_is_missing())

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

    def _of_pipeline(
        self, *, points: tuple[Point, ...] = (), tags: Mapping[str, str] | None = None
    ) -> RunRecord:
        return RunRecord(
            key=self._key, parent=None, level="pipeline", name="", tags=tags or {}, points=points
        )

    def _tell(self, what: str, *records: RunRecord) -> None:
        def write() -> None:
            for record in records:
                self._ledger.write(record)

        self._keep(what, write)

    def _keep(self, what: str, write: Callable[[], None]) -> None:
        self._waiting.append(_Telling(what, write))
        if self._patience.is_over:
            self._work_off()

    def _close(self, status: Status) -> None:
        try:
            with store_faults("ending the pipeline's run"):
                self._settle()
                self._ledger.close(status)
        except StoreError as error:
            self._fault = str(error)
            self._waiting.append(_Telling("the pipeline's end", lambda: None))

    def _work_off(self) -> None:
        """Write what waits, in order; stop at an outage, set aside what alone is refused."""
        while self._waiting:
            telling = self._waiting[0]
            try:
                with store_faults(f"recording {telling.what}"):
                    self._settle()
                    self._in_doubt = True
                    telling.write()
                    self._in_doubt = False
            except StoreRefused as error:
                self._fault = str(error)
                self._refused.append(telling)
            except StoreError as error:
                self._fault = str(error)
                self._patience.failed()
                return
            del self._waiting[0]
        self._patience.succeeded()

    def _settle(self) -> None:
        # After a fault or an interrupt the store may have taken more than it said.
        if self._in_doubt:
            self._store.check()
            self._ledger.load()
            self._in_doubt = False

    def _what_is_missing(self) -> str:
        names = self.unrecorded
        more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
        return (
            f"not everything is in MLflow ({', '.join(names[:_NAMED])}{more} missing; "
            f"{self._fault}): the results are kept, run the same command again to record them"
        )


class Recorder(Teller):
    """Records one pipeline run; open it by `Recorder.open`, best in a ``with`` statement."""

    def __init__(self, store: Store, ledger: Ledger, lineage: Lineage, *ids: str) -> None:
        super().__init__(store, ledger, lineage, *ids)
        self._space = lineage.space
        self._trials: dict[Study, dict[int, Trial]] = {}

    @classmethod
    def open(cls, store: Store, lineage: Lineage, *, today: date | None = None) -> Self:
        """Find or create the pipeline's run, and end what killed processes left running.

        Parameters
        ----------
        store : Store
        lineage : Lineage
            Its key makes the run the same however often it is opened.
        today : date, optional
            Names a new run, such as ``cv-2026-01-15a``.

        Raises
        ------
        StoreError
            The store can't be used: said before any work is done.
        """
        day = today or datetime.now().astimezone().date()
        return cls.begin(store, lineage, Title(f"{lineage.stem}-{day.isoformat()}", lineage.note))

    def record(self, event: Event) -> None:
        """Write one event of the search; told again, it changes nothing."""
        match event:
            case Trial():
                self._trials.setdefault(event.study, {})[event.number] = event
                self._tell(
                    f"trial {event.number} of {event.study}",
                    study_begun(self._key, event.study),
                    trial_record(self._key, event, self._space),
                )
            case OuterFold() | FinalModel():
                study = event.best.study
                trials = tuple(self._trials.get(study, {}).values())
                self._tell(str(study), study_record(self._key, event, trials, self._space))
            case SearchResult():
                self._tell("the search's outcome", pipeline_outcome(self._key, event))

    def record_all(self, result: SearchResult) -> None:
        """Tell a whole search at once, as when its results came from elsewhere."""
        told: tuple[Event, ...] = (*result.trials, *result.outer, result.final, result)
        for event in told:
            self.record(event)

    def record_artifacts(self, study: Study | None, files: Mapping[str, bytes]) -> None:
        """Write files beside a study's run, or the pipeline's if ``study`` is None.

        Parameters
        ----------
        study : Study or None
        files : mapping
            Content by path, such as ``figures/roc.png``. A file of that name is replaced.
        """
        key = self._key if study is None else study_key(self._key, study)
        self._tell_files("the pipeline" if study is None else str(study), key, files)
