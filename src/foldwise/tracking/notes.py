"""The notes people read in MLflow beside a run: headline first, for they are cut short."""

import numpy as np

from foldwise.model.scores import Scores
from foldwise.search.results import FINAL_STUDY, SearchResult, Trial

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
