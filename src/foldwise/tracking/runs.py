"""The recorder: tells MLflow a search event by event, and may tell it again at any time."""

from collections.abc import Mapping
from datetime import date, datetime
from typing import Self

from foldwise.search.results import Event, FinalModel, OuterFold, SearchResult, Trial
from foldwise.tracking.ledger import Ledger
from foldwise.tracking.lineage import Lineage
from foldwise.tracking.notes import pipeline_begun_note
from foldwise.tracking.pipeline_run import Title
from foldwise.tracking.records import (
    pipeline_outcome,
    study_begun,
    study_key,
    study_record,
    trial_record,
)
from foldwise.tracking.store import Store
from foldwise.tracking.telling import Teller


class Recorder(Teller):
    """Records one pipeline run; open it by `Recorder.open`, best in a ``with`` statement."""

    def __init__(self, store: Store, ledger: Ledger, lineage: Lineage, *ids: str) -> None:
        super().__init__(store, ledger, lineage, *ids)
        self._metric = lineage.params["tune.metric"]
        self._trials: dict[str, dict[int, Trial]] = {}

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
        note = pipeline_begun_note(
            lineage.experiment, lineage.params["tune.folds"], lineage.params["tune.trials"]
        )
        return cls.begin(store, lineage, Title(f"cv-{day.isoformat()}", note))

    def record(self, event: Event) -> None:
        """Write one event of the search; told again, it changes nothing."""
        match event:
            case Trial():
                self._trials.setdefault(event.study, {})[event.number] = event
                self._tell(
                    f"trial {event.number} of {event.study}",
                    study_begun(self._key, event.study),
                    trial_record(self._key, event),
                )
            case OuterFold() | FinalModel():
                study = event.best.study
                trials = tuple(self._trials.get(study, {}).values())
                self._tell(study, study_record(self._key, event, trials, self._metric))
            case SearchResult():
                self._tell("the search's outcome", pipeline_outcome(self._key, event))

    def record_all(self, result: SearchResult) -> None:
        """Tell a whole search at once, as when its results came from elsewhere."""
        told: tuple[Event, ...] = (*result.trials, *result.outer, result.final, result)
        for event in told:
            self.record(event)

    def record_artifacts(self, study: str | None, files: Mapping[str, bytes]) -> None:
        """Write files beside a study's run, or the pipeline's if ``study`` is None.

        Parameters
        ----------
        study : str or None
        files : mapping
            Content by path, such as ``figures/roc.png``. A file of that name is replaced.
        """
        key = self._key if study is None else study_key(self._key, study)
        self._tell_files(study or "the pipeline", key, files)
