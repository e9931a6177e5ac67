"""What is written down of an entry's trials and of its result, before any store is touched."""

import math

from foldwise.compare.archive import EntryResult
from foldwise.model.scores import METRICS
from foldwise.search.values import Values, ValuesTrial
from foldwise.settings import Between, Entry, Value
from foldwise.tracking.records import Point, RunRecord


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
