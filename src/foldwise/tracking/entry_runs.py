"""The recorder of the comparison: a run an entry, its trials below it, in an experiment of its own.

So the entries' runs stand side by side in MLflow, with the same metrics.
"""

from collections.abc import Mapping
from dataclasses import asdict, replace
from datetime import datetime
from typing import Self

from foldwise.compare.archive import EntryResult
from foldwise.data.dataset import DataInfo
from foldwise.search.values import ValuesTrial
from foldwise.settings import Entry, Settings
from foldwise.tracking.entry_records import entry_outcome, entry_trial_record
from foldwise.tracking.lineage import Lineage, lineage
from foldwise.tracking.pipeline_run import Title
from foldwise.tracking.store import Store
from foldwise.tracking.telling import Teller

_SHARED = ("seed", "prepare.", "evaluate.", "data.", "tune.folds")


class EntryRecorder(Teller):
    """Records one entry's search and result; open it by `EntryRecorder.open`."""

    @classmethod
    def open(cls, store: Store, lineage: Lineage, entry: Entry) -> Self:
        """Find or create the entry's run, named such as ``svm-2026-01-15a``.

        Raises
        ------
        StoreError
            The store can't be used: said before any work is done.
        """
        day = datetime.now().astimezone().date().isoformat()
        note = f"**{entry.title}**: {entry.trials} trials, then the holdout."
        return cls.begin(store, lineage, Title(f"{entry.name}-{day}", note))

    def record_trial(self, entry: Entry, trial: ValuesTrial) -> None:
        """Write one trial; told again, it changes nothing."""
        self._tell(f"trial {trial.number}", entry_trial_record(self._key, entry, trial))

    def record_result(self, entry: Entry, result: EntryResult, files: Mapping[str, bytes]) -> None:
        """Write what became of the entry, with figures and tables by path."""
        self._tell("the entry's outcome", entry_outcome(self._key, entry, result))
        self._tell_files(entry.name, self._key, files)


def experiment_name(data: str) -> str:
    """Name of the experiment that holds the comparison on the data of this name."""
    return f"{data}-comparison"


def entry_lineage(
    entry: Entry, settings: Settings, data: DataInfo, *, search_key: str, attempt: int
) -> Lineage:
    """Gather what an entry's run came from: its own parameters, and those it shares."""
    base = lineage(settings, data, search_key=search_key, attempt=attempt)
    own = {"model": entry.name, **entry.plan} | {
        **{f"fixed.{name}": value for name, value in entry.fixed.items()},
        **{f"space.{name}": asdict(dimension) for name, dimension in entry.space.items()},
    }
    shared = {key: value for key, value in base.params.items() if key.startswith(_SHARED)}
    return replace(
        base,
        experiment=experiment_name(data.name),
        params=shared | {name: str(value) for name, value in own.items()},
        tags={**base.tags, "model": entry.name},
    )
