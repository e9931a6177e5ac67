"""What is written down of each event: run records and their notes as plain data.

The notes people read in MLflow beside a run: headline first, for they are cut short.

What is written down of each event: run records as plain data, before any store is touched.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import fmean
from typing import Literal

import numpy as np

from foldwise.palette import fold_colour
from foldwise.search.space import Space
from foldwise.search.trials import (
    FinalModel,
    OuterFold,
    SearchResult,
    Study,
    Trial,
    Values,
    number_of,
)
from foldwise.settings import Between, Value
from foldwise.stats.scores import METRICS, Scores

_LABELS = {"log_loss": "log-loss", "f1": "F1", "roc_auc": "ROC AUC"}


def trial_note(trial: Trial) -> str:
    """One set of values and where it was scored."""
    return (
        f"**{_words(trial.values)}** in {_study(trial.study)}: trial {trial.number}, scored on "
        f"{len(trial.inner)} inner folds. `inner_…` are stepped by the part scored."
    )


def study_begun_note(study: Study) -> str:
    """What a study is for, while it runs."""
    if study.is_final:
        return "**Search for the final values** over the whole development set."
    return f"**Search for values** in {_study(study)}, whose own part it never sees."


def study_note(best: Trial, outer: Scores | None, metric: str, trials: int) -> str:
    """A study's answer: its best values, what the inner folds said, what the outer part says."""
    label = _LABELS.get(metric, metric)
    answer = f"**{_words(best.values)}** is the best of {trials} in {_study(best.study)}: "
    inner = f"inner {label} {best.mean(metric):.4f}"
    if outer is None:
        return f"{answer}{inner}. The model fitted with it on all rows is the one registered."
    return f"{answer}{inner}, outer {label} {outer[metric]:.4f}."


def pipeline_begun_note(data: str, folds: int, trials: int) -> str:
    """What a pipeline run is for, while it runs."""
    return (
        f"**Nested cross-validation of {data}**: {folds} outer folds and a final study, "
        f"{trials} trials each."
    )


def pipeline_note(result: SearchResult) -> str:
    """The search's answer: the final values and the mean outer score."""
    metric, best = result.metric, result.final.best
    label = _LABELS.get(metric, metric)
    if not result.outer:
        return f"**{_words(best.values)}**, inner {label} {best.mean(metric):.4f}."
    outer = [fold.scores[metric] for fold in result.outer]
    return (
        f"**{_words(best.values)}**, outer {label} "
        f"{np.mean(outer):.4f} (folds {min(outer):.4f} to {max(outer):.4f}). "
        f"{len(outer)} outer folds estimate, the run `refit` holds the final study."
    )


def _study(study: Study) -> str:
    return "the final study" if study.is_final else f"outer fold {str(study)[len('outer-') :]}"


def _words(values: Values) -> str:
    return ", ".join(f"{name} = {_short(value)}" for name, value in values.items())


def _short(value: Value) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)


Level = Literal["pipeline", "study", "trial"]


@dataclass(frozen=True, slots=True)
class Point:
    """One value of one metric."""

    key: str
    value: float
    step: int = 0


@dataclass(frozen=True, slots=True)
class RunRecord:
    """All that one telling says of one run.

    Attributes
    ----------
    key : str
        Its identity: told again, it is the same run.
    parent : str or None
        The key of the run above it.
    done : bool
        Whether the run has ended with this.
    """

    key: str
    parent: str | None
    level: Level
    name: str
    tags: Mapping[str, str] = field(default_factory=dict)
    params: Mapping[str, str] = field(default_factory=dict)
    points: tuple[Point, ...] = ()
    done: bool = False


def study_key(pipeline: str, study: Study) -> str:
    """Idempotency key of a study's run."""
    return f"{pipeline}/{study}"


def study_name(study: Study) -> str:
    """Name of a study's run: the final study's is ``refit``."""
    return "refit" if study.is_final else str(study)


def study_begun(pipeline: str, study: Study) -> RunRecord:
    """A study's run before its outcome is known."""
    return RunRecord(
        key=study_key(pipeline, study),
        parent=pipeline,
        level="study",
        name=study_name(study),
        tags={**_study_tags(study), "mlflow.note.content": study_begun_note(study)},
    )


def trial_record(pipeline: str, trial: Trial, space: Space) -> RunRecord:
    """A finished trial: its values, its mean scores, and the score of each inner fold, by part."""
    short = "r" if trial.study.is_final else str(trial.study).replace("uter-", "")
    values = " ".join(f"{name}={_short(value)}" for name, value in trial.values.items())
    return RunRecord(
        key=f"{study_key(pipeline, trial.study)}/{trial.number}",
        parent=study_key(pipeline, trial.study),
        level="trial",
        name=f"{short}·t{trial.number:02d} {values}",
        tags={
            **_study_tags(trial.study),
            "trial": str(trial.number),
            "mlflow.note.content": trial_note(trial),
        },
        params=_params(trial.values),
        points=(
            *_numbers(trial.values, space),
            *_inner_means(trial),
            *(
                Point(f"inner_{metric}", _rounded(fold.scores[metric]), fold.part.fold)
                for metric in _metrics(trial)
                for fold in trial.inner
            ),
            *_facts(trial),
        ),
        done=True,
    )


def study_record(
    pipeline: str, ended: OuterFold | FinalModel, trials: Sequence[Trial], space: Space
) -> RunRecord:
    """A finished study: its best values, the estimate if it has one, and the search as a curve.

    The curve is two series for each number, whose step is the trial's rank by it, so that MLflow
    draws one as a line over the other.
    """
    scores = ended.scores if isinstance(ended, OuterFold) else None
    outer = (
        ()
        if scores is None
        else tuple(Point(f"outer_{name}", _rounded(scores[name])) for name in _metrics(ended.best))
    )
    best = ended.best
    return RunRecord(
        key=study_key(pipeline, best.study),
        parent=pipeline,
        level="study",
        name=study_name(best.study),
        tags={
            **_study_tags(best.study),
            "best_trial": str(best.number),
            "fit": str(ended.facts.get("status", "done")),
            "mlflow.note.content": study_note(best, scores, space.metric, len(trials)),
        },
        params=_params(best.values),
        points=(
            *_numbers(best.values, space),
            *_inner_means(best),
            *outer,
            *_iterations(ended),
            Point("trials", len(trials)),
            *_curves(trials, space),
        ),
        done=True,
    )


def pipeline_outcome(pipeline: str, result: SearchResult) -> RunRecord:
    """What the search adds to the pipeline's run: final values, outer means, how fits ended."""
    fits = result.fits
    means = {m: fmean(fold.scores[m] for fold in result.outer) for m in METRICS if result.outer}
    outer = tuple(
        Point(f"outer_{metric}", _rounded(mean))
        for metric, mean in means.items()
        if not math.isnan(mean)
    )
    return RunRecord(
        key=pipeline,
        parent=None,
        level="pipeline",
        name="",
        tags={"mlflow.note.content": pipeline_note(result)},
        points=(
            *_numbers(result.final.best.values, result.space),
            *_inner_means(result.final.best),
            *outer,
            Point("trials", len(result.trials)),
            Point("fits_logical", fits.logical),
            Point("fits_distinct", fits.distinct),
            Point("fits_converged", fits.converged),
            Point("fits_stalled", fits.stalled),
            Point("fits_exhausted", fits.exhausted),
        ),
    )


def _study_tags(study: Study) -> dict[str, str]:
    return {"study": str(study), "mlflow.runColor": fold_colour(study.fold)}


def _params(values: Values) -> dict[str, str]:
    return {
        name: repr(value) if isinstance(value, float) else str(value)
        for name, value in values.items()
    }


def _numbers(values: Values, space: Space) -> tuple[Point, ...]:
    # MLflow's charts have no logarithmic axis.
    points = []
    for name, searched in space.ranges.items():
        value = number_of(values, name)
        points.append(Point(name, float(f"{value:.6g}")))
        if searched.low > 0:
            points.append(Point(f"log10_{name}", round(math.log10(value), 4)))
    return tuple(points)


def _facts(trial: Trial) -> tuple[Point, ...]:
    told = [fold.facts for fold in trial.inner]
    points = []
    if all("iterations" in facts for facts in told):
        points.append(Point("iterations_max", max(float(each["iterations"]) for each in told)))
        unconverged = sum(facts["status"] != "converged" for facts in told)
        points.append(Point("fits_not_converged", unconverged))
    if all("seconds" in facts for facts in told):
        seconds = sum(float(facts["seconds"]) for facts in told)
        points.append(Point("fit_seconds_sum", round(seconds, 2)))
    return tuple(points)


def _iterations(ended: OuterFold | FinalModel) -> tuple[Point, ...]:
    iterations = ended.facts.get("iterations")
    return () if iterations is None else (Point("iterations", float(iterations)),)


def _metrics(trial: Trial) -> tuple[str, ...]:
    """The metrics that there are: no log-loss of decision scores."""
    return tuple(metric for metric in METRICS if not math.isnan(trial.mean(metric)))


def _inner_means(trial: Trial) -> tuple[Point, ...]:
    return tuple(
        Point(f"inner_{metric}_mean", _rounded(trial.mean(metric))) for metric in _metrics(trial)
    )


def _curves(trials: Sequence[Trial], space: Space) -> tuple[Point, ...]:
    return tuple(
        point
        for name, searched in space.ranges.items()
        for rank, trial in enumerate(sorted(trials, key=lambda t: number_of(t.values, name)))
        for point in (
            _place(number_of(trial.values, name), rank, name, searched),
            Point(
                f"search_{'' if name == 'C' else f'{name}_'}inner_{space.metric}",
                _rounded(trial.mean(space.metric)),
                rank,
            ),
        )
    )


def _place(value: float, rank: int, name: str, searched: Between) -> Point:
    if searched.low > 0:
        return Point(f"search_log10_{name}", round(math.log10(value), 4), rank)
    return Point(f"search_{name}", round(value, 4), rank)


def _rounded(score: float) -> float:
    return round(score, 6)
