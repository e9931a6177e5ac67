"""Runs of the comparison's entries: their records and their recorder.

What is written down of an entry's trials and of its result, before any store is touched.

The recorder of the comparison: a run an entry, its trials below it, in an experiment of its own.

So the entries' runs stand side by side in MLflow, with the same metrics.
"""

import math
from collections.abc import Mapping
from dataclasses import asdict, replace
from datetime import datetime
from typing import Self

from foldwise.compare.archive import EntryResult
from foldwise.data.dataset import DataInfo
from foldwise.runs.lineage import Lineage, lineage
from foldwise.runs.recorder import Teller, Title
from foldwise.runs.tree import Point, RunRecord
from foldwise.search.trials import Values, ValuesTrial
from foldwise.settings import Between, Entry, Settings, Value
from foldwise.stats.scores import METRICS
from foldwise.store.open import Store


def entry_trial_record(pipeline: str, entry: Entry, trial: ValuesTrial) -> RunRecord:
    """A finished trial: its values, its mean scores, and the score of each part."""
    return RunRecord(
        key=f"{pipeline}/{trial.number}",
        parent=pipeline,
        level="trial",
        name=f"t{trial.number:02d} {_words(trial.values)}",
        tags={"model": entry.name, "trial": str(trial.number)},
        params={name: str(value) for name, value in trial.values.items()},
        points=(
            *_logarithms(entry, trial.values),
            *(
                Point(f"inner_{metric}_mean", round(trial.mean(metric), 6))
                for metric in _metrics(trial)
            ),
            *(
                Point(f"inner_{metric}", round(each.scores.value(metric), 6), each.part)
                for metric in _metrics(trial)
                for each in trial.inner
            ),
            Point("fit_seconds_sum", round(sum(each.seconds for each in trial.inner), 2)),
        ),
        done=True,
    )


def entry_outcome(pipeline: str, entry: Entry, result: EntryResult) -> RunRecord:
    """What the whole adds to the entry's run: the best values, and what the study said of them."""
    best = result.best_trial
    metric = entry.metric
    return RunRecord(
        key=pipeline,
        parent=None,
        level="pipeline",
        name="",
        tags={
            "best_trial": str(best.number),
            "mlflow.note.content": f"**{entry.title}: {_words(best.values)}**, "
            f"inner {metric} {best.mean(metric):.4f}, the best of {len(result.trials)} trials. "
            "Fitted with them on the whole development set, measured on the holdout.",
        },
        params={f"best.{name}": str(value) for name, value in best.values.items()},
        points=(
            *_logarithms(entry, best.values),
            *(
                Point(f"inner_{metric}_mean", round(best.mean(metric), 6))
                for metric in _metrics(best)
            ),
            Point("trials", len(result.trials)),
            Point("fit_seconds", round(result.fit_seconds, 1)),
            Point("predict_seconds", round(result.predict_seconds, 1)),
        ),
    )


def _metrics(trial: ValuesTrial) -> tuple[str, ...]:
    """The metrics that there are: no log-loss of decision scores."""
    return tuple(metric for metric in METRICS if not math.isnan(trial.mean(metric)))


def _logarithms(entry: Entry, values: Values) -> tuple[Point, ...]:
    # MLflow's charts have no logarithmic axis.
    return tuple(
        Point(f"log10_{name}", round(math.log10(float(value)), 4))
        for name, value in values.items()
        if _is_log(entry, name) and isinstance(value, int | float)
    )


def _is_log(entry: Entry, name: str) -> bool:
    dimension = entry.space[name]
    return isinstance(dimension, Between) and dimension.is_log


def _words(values: Values) -> str:
    return " ".join(f"{name}={_short(value)}" for name, value in values.items())


def _short(value: Value) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)


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
