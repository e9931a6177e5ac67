"""The tree of runs that a search should leave: each event as nodes, before any store is touched."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from statistics import fmean
from typing import Literal, Self

from foldwise.files import Value
from foldwise.palette import fold_colour
from foldwise.search.space import Space
from foldwise.search.trials import (
    CORES,
    FINAL,
    Event,
    FinalModel,
    OuterFold,
    Part,
    Progress,
    SearchResult,
    Study,
    Trial,
    Values,
    devices,
    number_of,
)
from foldwise.stats.scores import METRICS, SCORE, Scores, metric_label

Level = Literal["pipeline", "study", "trial"]
_LEVELS: tuple[Level, ...] = ("pipeline", "study", "trial")
NOTE_TAG = "mlflow.note.content"
COMPARED_TAG = "compared"
"""What is said of the search beside the champion's: in the note, and kept to be told again."""


@dataclass(frozen=True, slots=True)
class Point:
    """One value of one metric."""

    key: str
    value: float
    step: int = 0


@dataclass(frozen=True, slots=True)
class RunNode:
    """What a run should hold, or a part of it: either files or the rest."""

    key: str  # its identity: PIPELINE, PIPELINE/outer-0, PIPELINE/outer-0/3
    name: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)
    params: Mapping[str, str] = field(default_factory=dict)
    points: tuple[Point, ...] = ()
    files: Mapping[str, bytes] = field(default_factory=dict)  # content by path
    done: bool = False  # whether the run has ended with this

    @property
    def identity(self) -> tuple[str, ...]:
        """What it is told again by: files of other names are another node."""
        return (self.key, *self.files)

    @property
    def parent(self) -> str | None:
        """The key of the run above it."""
        return self.key.rpartition("/")[0] or None

    @property
    def level(self) -> Level:
        """How deep it lies in the tree."""
        return _LEVELS[self.key.count("/")]

    def __str__(self) -> str:
        """What it is called in messages: ``trial 3 of outer-0``."""
        _, *study = self.key.split("/")
        of_trial = f"trial {study[1]} of " if len(study) > 1 else ""
        of_files = f"{len(self.files)} files of " if self.files else ""
        name = study[0] if study else "the pipeline"
        return f"{of_files}{of_trial}{'final study' if name == str(FINAL) else name}"

    def merged(self, later: Self) -> Self:
        """The node after more was told of it; that a study began is no news when it has ended."""
        if self.done and not later.done:
            return self
        points = {(point.key, point.step): point for point in (*self.points, *later.points)}
        return replace(
            later,
            name=later.name or self.name,
            tags={**self.tags, **later.tags},
            params={**self.params, **later.params},
            points=tuple(points.values()),
        )


def nodes_of(
    pipeline: str, event: Event, trials: Iterable[Trial], space: Space, *, compared: str = ""
) -> tuple[RunNode, ...]:
    """Say which runs an event changes, and how; ``pipeline`` is the key of the pipeline's run.

    ``trials`` are those told before, of all studies: an ended study shows its own as a curve.
    """
    match event:
        case Trial():
            return (study_begun(pipeline, event.study), trial_node(pipeline, event, space))
        case OuterFold() | FinalModel():
            own = [trial for trial in trials if trial.study == event.best.study]
            return (study_node(pipeline, event, own, space),)
        case SearchResult():
            return (outcome_node(pipeline, event, compared),)
        case Progress():
            return ()


def study_key(pipeline: str, study: Study) -> str:
    """Key of a study's run."""
    return f"{pipeline}/{study}"


def study_begun(pipeline: str, study: Study) -> RunNode:
    """A study's run before its outcome is known."""
    seen = "over the whole development set" if study.is_final else "whose own part it never sees"
    note = f"**Search for values** in {_study(study)}, {seen}."
    return RunNode(
        study_key(pipeline, study), study_name(study), {**_study_tags(study), NOTE_TAG: note}
    )


def trial_node(pipeline: str, trial: Trial, space: Space) -> RunNode:
    """A finished trial: its values, its mean scores, and the score of each inner fold, by part."""
    short = "final" if trial.study.is_final else str(trial.study).replace("uter-", "")
    values = " ".join(f"{name}={_short(value)}" for name, value in trial.values.items())
    note = (
        f"**{values_told(trial.values)}** in {_study(trial.study)}: trial {trial.number}, scored"
        f" on {len(trial.inner)} inner folds. `inner_…_mean` counts: of `inner_…`, stepped by the"
        " part scored, MLflow shows the last fold's. *Duration* is that of the recording: fits are"
        " made side by side and shared."
    )
    return RunNode(
        key=f"{study_key(pipeline, trial.study)}/{trial.number}",
        name=f"{short}·t{trial.number:02d} {values}",
        tags={
            **_study_tags(trial.study),
            **_device(devices(fold.facts for fold in trial.inner)),
            "trial": str(trial.number),
            NOTE_TAG: note,
        },
        params=params_of(trial.values),
        points=(
            *_numbers(trial.values, space),
            *_inner_means(trial),
            *(
                Point(f"inner_{metric}", round(fold.scores[metric], 6), _step(fold.part, trial))
                for metric in _metrics(trial)
                for fold in trial.inner
            ),
            *_fits(trial),
        ),
        done=True,
    )


def study_node(
    pipeline: str, ended: OuterFold | FinalModel, trials: Sequence[Trial], space: Space
) -> RunNode:
    """A finished study: its best values, the estimate if it has one, and the search as a curve.

    The curve is two series for each number, whose step is the trial's rank by it, so that MLflow
    draws one as a line over the other.
    """
    best, outer = ended.best, ended.scores if isinstance(ended, OuterFold) else None
    iterations = ended.facts.get("iterations")
    return RunNode(
        key=study_key(pipeline, best.study),
        name=study_name(best.study),
        tags={
            **_study_tags(best.study),
            "best_trial": str(best.number),
            "fit": str(ended.facts.get("status", "done")),
            NOTE_TAG: _study_note(best, outer, space.metric, len(trials)),
        },
        params=params_of(best.values),
        points=(
            *_numbers(best.values, space),
            *_inner_means(best),
            *(Point(f"outer_{name}", round(outer[name], 6)) for name in _metrics(best) if outer),
            *(() if iterations is None else (Point("iterations", float(iterations)),)),
            Point("trials", len(trials)),
            *_curves(trials, space),
        ),
        done=True,
    )


def outcome_node(pipeline: str, result: SearchResult, compared: str = "") -> RunNode:
    """What the search adds to the pipeline's run: final values, mean scores, how fits ended.

    And how it is ``compared`` with the champion's, if that is known. MLflow draws a metric of one
    value as a bar, a series as a line, and gives names with a slash a section of their own.
    """
    best, fits = result.final.best, result.fits
    shown = {f"inner_{name}_mean" for name in (result.metric, "accuracy")}
    outer = {
        name: fmean(fold.scores[name] for fold in result.outer)
        for name in _metrics(best)
        if result.outer
    }
    return RunNode(
        key=pipeline,
        tags={
            NOTE_TAG: "\n\n".join(each for each in (_outcome_note(result), compared) if each),
            **({COMPARED_TAG: compared} if compared else {}),
            **_device(result.devices),
        },
        points=(
            *_numbers(best.values, result.space),
            *(each for each in _inner_means(best) if each.key in shown),
            *(Point(f"outer_{name}", round(mean, 6)) for name, mean in outer.items()),
            *(
                Point(f"by_outer_fold/{name}", round(fold.scores[name], 6), step)
                for name in outer
                for step, fold in enumerate(result.outer)
            ),
            Point("trials", len(result.trials)),
            Point("fits_distinct", fits.distinct),
            Point("fits_not_converged", fits.stalled + fits.exhausted),
        ),
    )


def pipeline_begun_note(data: str, folds: int, trials: int) -> str:
    """What a pipeline run is for, while it runs."""
    return (
        f"**Nested cross-validation of {data}**: {folds} outer folds and a final study, "
        f"{trials} trials each."
    )


def _study_note(best: Trial, outer: Scores | None, metric: str, trials: int) -> str:
    """The answer first: MLflow cuts notes short."""
    label = metric_label(metric)
    answer = f"**{values_told(best.values)}** is the best of {trials} in {_study(best.study)}: "
    inner = f"inner {label} {best.mean(metric):.4f}"
    if outer is None:
        return f"{answer}{inner}. The model fitted with it on all rows is the one registered."
    return f"{answer}{inner}, outer {label} {outer[metric]:.4f}."


def _outcome_note(result: SearchResult) -> str:
    metric, best = result.metric, result.final.best
    answer, label = f"**{values_told(best.values)}**", metric_label(metric)
    outer = [fold.scores[metric] for fold in result.outer]
    if not outer:
        return f"{answer}, inner {label} {best.mean(metric):.4f}."
    return (
        f"{answer}, outer {label} {fmean(outer):.4f} (folds {min(outer):.4f} to {max(outer):.4f}). "
        f"{len(outer)} outer folds estimate, the run `final study` fits the model registered."
        " In the charts of `by_outer_fold/…` *Step* is the outer fold, no time."
    )


def study_name(study: Study) -> str:
    """As runs, bars and lines call it: ``outer-0``, ``final study``."""
    return "final study" if study.is_final else str(study)


def _study(study: Study) -> str:
    return "the final study" if study.is_final else f"outer fold {str(study)[len('outer-') :]}"


def values_told(values: Values) -> str:
    """The values in one line, numbers to three digits: ``C = 0.016``."""
    return ", ".join(f"{name} = {_short(value)}" for name, value in values.items())


def _short(value: Value) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def _study_tags(study: Study) -> dict[str, str]:
    return {"study": str(study), "mlflow.runColor": fold_colour(study.fold)}


def _device(computed_on: Sequence[str]) -> dict[str, str]:
    """A tag for what others than the cores computed."""
    return {} if tuple(computed_on) == (CORES,) else {"device": ", ".join(computed_on)}


def params_of(values: Values) -> dict[str, str]:
    """Each value as a parameter of MLflow's, every digit kept."""
    return {
        name: repr(value) if isinstance(value, float) else str(value)
        for name, value in values.items()
    }


def _numbers(values: Values, space: Space) -> tuple[Point, ...]:
    # MLflow's charts have no logarithmic axis.
    points = []
    for name, searched in space.ranges.items():
        if name not in values:  # another kind of model's
            continue
        value = number_of(values, name)
        points.append(Point(name, float(f"{value:.6g}")))
        if searched.low > 0:
            points.append(Point(f"log10_{name}", round(math.log10(value), 4)))
    return tuple(points)


def _fits(trial: Trial) -> tuple[Point, ...]:
    told = [fold.facts for fold in trial.inner]
    points = []
    if all("iterations" in facts for facts in told):
        # A trial starts so near its solution that most fits need none.
        if most := max(float(each["iterations"]) for each in told):
            points.append(Point("iterations_max", most))
        unconverged = sum(facts["status"] != "converged" for facts in told)
        points.append(Point("fits_not_converged", unconverged))
    if all("seconds" in facts for facts in told):
        seconds = sum(float(facts["seconds"]) for facts in told)
        points.append(Point("fit_seconds_sum", round(seconds, 2)))
    return tuple(points)


def _metrics(trial: Trial) -> tuple[str, ...]:
    """The metrics that there are: no log-loss of decision scores, for regressors none of these."""
    known = trial.inner[0].scores
    return tuple(m for m in (*METRICS, SCORE) if m in known and not math.isnan(trial.mean(m)))


def _step(part: Part, trial: Trial) -> int:
    """Its number; in the final study, which scores those of all partitions, one after another."""
    folds = 1 + max(fold.part.fold for fold in trial.inner)
    return part.fold + part.repeat * folds * trial.study.is_final


def _inner_means(trial: Trial) -> tuple[Point, ...]:
    return tuple(
        Point(f"inner_{metric}_mean", round(trial.mean(metric), 6)) for metric in _metrics(trial)
    )


def _curves(trials: Sequence[Trial], space: Space) -> tuple[Point, ...]:
    points = []
    for name, searched in space.ranges.items():
        own = "" if name == "C" else f"{name}_"
        score = f"search_{own}inner_{space.metric}"
        across = f"search_log10_{name}" if searched.low > 0 else f"search_{name}"
        own_trials = [trial for trial in trials if name in trial.values]
        for rank, trial in enumerate(sorted(own_trials, key=lambda t: number_of(t.values, name))):
            value = number_of(trial.values, name)
            at = math.log10(value) if searched.low > 0 else value
            points.append(Point(across, round(at, 4), rank))
            points.append(Point(score, round(trial.mean(space.metric), 6), rank))
    return tuple(points)
