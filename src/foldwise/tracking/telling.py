"""Telling MLflow what happens: kept until the store has taken it, and never in the work's way."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from types import TracebackType
from typing import Literal, Self

from foldwise.errors import StoreError
from foldwise.tracking.faults import StoreRefused, store_faults
from foldwise.tracking.ledger import Ledger
from foldwise.tracking.leftovers import end_abandoned
from foldwise.tracking.lineage import Lineage
from foldwise.tracking.outage import Patience
from foldwise.tracking.page import refresh_page
from foldwise.tracking.pipeline_run import Title, begin_pipeline
from foldwise.tracking.records import Point, RunRecord
from foldwise.tracking.store import Store

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
