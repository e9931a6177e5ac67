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
from foldwise.search.trials import FINAL_STUDY, FinalModel, OuterFold, SearchResult, Trial
from foldwise.stats.scores import METRICS, Scores

_LABELS = {"log_loss": "log-loss", "f1": "F1", "roc_auc": "ROC AUC"}


def trial_note(trial: Trial) -> str:
    """One value of C and where it was scored."""
    return (
        f"**C = {trial.C:.3g}** in {_study(trial.study)}: trial {trial.number}, scored on "
        f"{len(trial.inner)} inner folds. `inner_…` are stepped by the part scored."
    )


def study_begun_note(study: str) -> str:
    """What a study is for, while it runs."""
    if study == FINAL_STUDY:
        return "**Search for the final C** over the whole development set."
    return f"**Search for C** in {_study(study)}, whose own part it never sees."


def study_note(best: Trial, outer: Scores | None, metric: str, trials: int) -> str:
    """A study's answer: its best C, what the inner folds said, what the outer part says."""
    label = _LABELS.get(metric, metric)
    answer = f"**C = {best.C:.3g}** is the best of {trials} in {_study(best.study)}: "
    inner = f"inner {label} {best.mean(metric):.4f}"
    if outer is None:
        return f"{answer}{inner}. The model fitted with it on all rows is the one registered."
    return f"{answer}{inner}, outer {label} {outer.value(metric):.4f}."


def pipeline_begun_note(data: str, folds: str, trials: str) -> str:
    """What a pipeline run is for, while it runs."""
    return (
        f"**Nested cross-validation of {data}**: {folds} outer folds and a final study, "
        f"{trials} values of C each."
    )


def pipeline_note(result: SearchResult) -> str:
    """The search's answer: the final C and the mean outer score."""
    metric = result.metric
    outer = [fold.scores.value(metric) for fold in result.outer]
    return (
        f"**C = {result.final.best.C:.3g}**, outer {_LABELS.get(metric, metric)} "
        f"{np.mean(outer):.4f} (folds {min(outer):.4f} to {max(outer):.4f}). "
        f"{len(outer)} outer folds estimate, the run `refit` holds the final study."
    )


def _study(study: str) -> str:
    return "the final study" if study == FINAL_STUDY else f"outer fold {study[len('outer-') :]}"


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


def study_key(pipeline: str, study: str) -> str:
    """Idempotency key of a study's run."""
    return f"{pipeline}/{study}"


def study_name(study: str) -> str:
    """Name of a study's run: the final study's is ``refit``."""
    return "refit" if study == FINAL_STUDY else study


def study_begun(pipeline: str, study: str) -> RunRecord:
    """A study's run before its outcome is known."""
    return RunRecord(
        key=study_key(pipeline, study),
        parent=pipeline,
        level="study",
        name=study_name(study),
        tags={**_study_tags(study), "mlflow.note.content": study_begun_note(study)},
    )


def trial_record(pipeline: str, trial: Trial) -> RunRecord:
    """A finished trial: C, its mean scores, and the score of each inner fold, by part."""
    short = study_name(trial.study)[0] + trial.study.removeprefix("outer-").removeprefix("final")
    return RunRecord(
        key=f"{study_key(pipeline, trial.study)}/{trial.number}",
        parent=study_key(pipeline, trial.study),
        level="trial",
        name=f"{short}·t{trial.number:02d} C={trial.C:.3g}",
        tags={
            **_study_tags(trial.study),
            "trial": str(trial.number),
            "mlflow.note.content": trial_note(trial),
        },
        params={"C": repr(trial.C)},
        points=(
            *_strength(trial.C),
            *_inner_means(trial),
            *(
                Point(f"inner_{metric}", _rounded(fold.scores.value(metric)), fold.part)
                for metric in METRICS
                for fold in trial.inner
            ),
            Point("iterations_max", max(fold.outcome.iterations for fold in trial.inner)),
            Point(
                "fits_not_converged",
                sum(fold.outcome.status != "converged" for fold in trial.inner),
            ),
        ),
        done=True,
    )


def study_record(
    pipeline: str, ended: OuterFold | FinalModel, trials: Sequence[Trial], metric: str
) -> RunRecord:
    """A finished study: its best C, the estimate if it has one, and the search as a curve.

    The curve is two series whose step is the trial's rank by C, so that MLflow draws one as a
    line over the other.
    """
    scores = ended.scores if isinstance(ended, OuterFold) else None
    outer = (
        ()
        if scores is None
        else tuple(Point(f"outer_{name}", _rounded(scores.value(name))) for name in METRICS)
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
            "fit": ended.fit.outcome.status,
            "mlflow.note.content": study_note(best, scores, metric, len(trials)),
        },
        params={"C": repr(best.C)},
        points=(
            *_strength(best.C),
            *_inner_means(best),
            *outer,
            Point("iterations", ended.fit.outcome.iterations),
            Point("trials", len(trials)),
            *_curve(trials, metric),
        ),
        done=True,
    )


def pipeline_outcome(pipeline: str, result: SearchResult) -> RunRecord:
    """What the search adds to the pipeline's run: final C, mean outer scores, how fits ended."""
    fits = result.fits
    outer = tuple(
        Point(f"outer_{m}", _rounded(fmean(fold.scores.value(m) for fold in result.outer)))
        for m in METRICS
    )
    return RunRecord(
        key=pipeline,
        parent=None,
        level="pipeline",
        name="",
        tags={"mlflow.note.content": pipeline_note(result)},
        points=(
            *_strength(result.final.best.C),
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


def _study_tags(study: str) -> dict[str, str]:
    fold = None if study == FINAL_STUDY else int(study.removeprefix("outer-"))
    return {"study": study, "mlflow.runColor": fold_colour(fold)}


def _strength(C: float) -> tuple[Point, Point]:
    # MLflow's charts have no logarithmic axis.
    return Point("C", float(f"{C:.6g}")), Point("log10_C", round(math.log10(C), 4))


def _inner_means(trial: Trial) -> tuple[Point, ...]:
    return tuple(Point(f"inner_{metric}_mean", _rounded(trial.mean(metric))) for metric in METRICS)


def _curve(trials: Sequence[Trial], metric: str) -> tuple[Point, ...]:
    ranked = sorted(trials, key=lambda trial: trial.C)
    return tuple(
        point
        for rank, trial in enumerate(ranked)
        for point in (
            Point("search_log10_C", round(math.log10(trial.C), 4), rank),
            Point(f"search_inner_{metric}", _rounded(trial.mean(metric)), rank),
        )
    )


def _rounded(score: float) -> float:
    return round(score, 6)
