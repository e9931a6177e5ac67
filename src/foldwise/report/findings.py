"""All that is known of a version, gathered for card and page, and the sentences that say it."""

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from shlex import quote

import numpy as np
from numpy.typing import NDArray

from foldwise.data.dataset import DataInfo
from foldwise.files import Value
from foldwise.report.judged import HoldoutSummary
from foldwise.report.reference import Reference
from foldwise.report.standing import Remark, Standing, compared, is_better
from foldwise.report.wording import (
    LIMIT_OF_TABLES,
    brief,
    chosen,
    counted,
    digits_told,
    known,
    limits,
    number,
    percent,
    span,
    values_text,
)
from foldwise.search.space import Space
from foldwise.search.summary import Estimates, best_trials, contest, edges, optimum_error
from foldwise.search.trials import CORES, SearchResult
from foldwise.stats.scores import metric_label

_CLASSES = 20
"""So many are named in a sentence."""


def origin(tags: Mapping[str, str], *, run_id: str = "", model_digest: str = "") -> dict[str, str]:
    """Choose and word what a reader needs to know of where a version comes from, by name.

    ``tags`` and ``run_id`` are the pipeline run's; what is missing is left out.
    """
    commit, key = tags.get("git.commit", ""), tags.get("search_key", "")
    dirt = {"true": " with uncommitted changes", "unknown": " (changes unknown)"}
    libraries = sorted(name for name in tags if name.startswith("library."))
    facts = {
        "Git commit": commit and commit + dirt.get(tags.get("git.dirty", ""), ""),
        "DVC experiment": tags.get("dvc.experiment", ""),
        "MLflow run": run_id,
        "Search": key and f"{key}, attempt {tags.get('attempt', '1')}",
        "Digest of the model": model_digest,
        "Digest of the parameters": tags.get("parameters_digest", ""),
        "Digest of the development set": tags.get("development_digest", ""),
        "Digest of the holdout": tags.get("holdout_digest", ""),
        "Versions": ", ".join(f"{n.removeprefix('library.')} {tags[n]}" for n in libraries),
    }
    return {name: value for name, value in facts.items() if value}


_MODELS = {
    "multinomial": "Logistic regression (softmax)",
    "ovr": "Logistic regression (a sigmoid a class, one against the rest)",
}
_SAMPLERS = {
    "curve": "asked from the smallest up and then at minima of the spline through all",
    "tpe": "drawn by TPE on a logarithmic scale",
    "random_uniform": "drawn at random on a linear scale, as the reference report did",
}


def _sampler(space: Space) -> str:
    words = _SAMPLERS[space.method]
    if space.method != "curve" or not space.is_stepped:
        return words
    return f"{words}, a smoothing one, as {metric_label(space.metric)} moves in steps"


def edge_caution(search: SearchResult, place: str = "params.yaml") -> str:
    """That a value was chosen at an edge of its range, beyond which the optimum may lie."""
    at_edge = {n for best in best_trials(search) for n in edges(best.values, search.space)}
    names = " and ".join(sorted(at_edge))
    return f"A chosen {names} lies at an edge of the range: widen it in {place}." * bool(at_edge)


def unseen_caution(images: NDArray[np.uint8], features: NDArray[np.uint8]) -> str:
    """That the filters find nothing in images (rows, pixels) which are not all of one grey."""
    empty = np.flatnonzero(~features.any(axis=1))
    unseen = int((np.ptp(images[empty], axis=1) > 0).sum())
    return (
        f"{unseen:,} of {len(images):,} images have no feature but 0, because filters.threshold is "
        "meant for pixels that reach 255: lower it in params.yaml."
    ) * bool(unseen)


@dataclass(frozen=True, slots=True, eq=False)
class Findings:
    """One version's data, search, holdout scores and origin; published numbers, if there are.

    ``origin`` is what `origin` chose, ``commands`` what to type to make the version again,
    ``features`` what the model is given, in words, ``parameters`` all that params.yaml says, by
    full key, and ``data_change`` tells how the data differ from the version before's.
    """

    data: DataInfo
    search: SearchResult
    outer: Estimates
    holdout: HoldoutSummary
    origin: Mapping[str, str]
    commands: tuple[str, ...]
    multiclass: str
    features: str = "pixels"
    parameters: Mapping[str, Value] = field(default_factory=dict)
    data_change: str = ""
    reference: Reference | None = None
    defaults: Mapping[str, Value] = field(default_factory=dict)
    standing: Standing | None = None
    remarks: tuple[Remark, ...] = ()

    @property
    def has_holdout(self) -> bool:
        """Whether there is one; if not, what is said of it is said of the outer folds' rows."""
        return self.data.holdout_rows > 0

    def headline(self) -> str:
        """The result in one line of plain text."""
        scores, spans = self.holdout.scores, self.holdout.intervals
        told = ", ".join(
            f"{metric_label(metric)} {number(scores[metric], digits=digits)}"
            f" ({span(spans[metric], digits=digits)})"
            for metric, digits in ((each, digits_told(each)) for each in ("accuracy", "log_loss"))
        )
        rows = counted(self.holdout.rows, f"held-out {self.data.unit}")
        if not self.has_holdout:
            rows = f"{counted(self.holdout.rows, 'row')} of outer folds, nothing held out"
        return f"{self.data.name}: {told} on {rows}; {values_text(self.search.final.best.values)}"

    def lead(self) -> str:
        """The answer to what everybody asks first."""
        accuracy, interval = self.holdout.scores["accuracy"], self.holdout.intervals["accuracy"]
        where = "held-out " if self.has_holdout else ""
        rest = "" if self.has_holdout else ", each by the outer model that never saw it"
        return (
            f"{percent(accuracy)} of {counted(self.holdout.rows, where + self.data.unit)} are told"
            f" right{rest} ({percent(interval.confidence, digits=0)} interval:"
            f" {percent(interval.low)} to {percent(interval.high)})."
        )

    def baselines(self) -> tuple[tuple[str, ...], ...]:
        """What the model is to be better than, the simplest first, each a row in words."""
        labels = np.concatenate([fold.labels for fold in self.search.outer])
        counts = np.bincount(labels, minlength=len(self.holdout.classes))
        common, support = int(counts.argmax()), [each.support for each in self.holdout.by_class]
        name = f"always {brief(self.holdout.classes[common])}, the commonest class"
        where, share = "holdout" if self.has_holdout else "outer", support[common] / sum(support)
        found = [compared(name, where, "accuracy", share, self.holdout.scores["accuracy"])]
        found += self._untuned()
        standing, metric = self.standing, self.search.metric
        if standing is not None and metric in standing.champion_scores:
            theirs, ours = standing.champion_scores[metric], self.holdout.scores[metric]
            note = "; whether by more than luck, foldwise promote tests"
            found.append(compared(standing.champion, where, metric, theirs, ours, note=note))
        return tuple(found)

    def _untuned(self) -> list[tuple[str, ...]]:
        """The outer estimate without a search, by K fits at C = 1, where the range has it."""
        if self.standing is None or not self.standing.untuned:
            return []
        metric = self.search.metric
        theirs = [scores[metric] for scores in self.standing.untuned]
        ours = [fold.scores[metric] for fold in self.search.outer]
        better = sum(map(is_better, [metric] * len(ours), ours, theirs))
        means = float(np.mean(theirs)), float(np.mean(ours))
        agreed = better if is_better(metric, means[1], means[0]) else len(ours) - better
        note = f", in {agreed} of {len(ours)} folds"
        return [compared("untuned, C = 1", "outer", metric, *means, note=note)]

    def weakest(self) -> str:
        """The class with the lowest F1, and what it is taken for, in a sentence."""
        holdout = self.holdout
        code = int(np.argmin([each.f1 for each in holdout.by_class]))
        row = holdout.confusion[code].copy()
        found, interval = holdout.by_class[code], holdout.f1_intervals[code]
        row[code] = 0
        told = (
            f"The weakest class is {brief(holdout.classes[code])}, by F1: {number(found.f1)}"
            f" ({span(interval)})"
        )
        if not row.any():
            return f"{told}; none of its {self.data.unit}s is taken for another class."
        other, share = brief(holdout.classes[int(row.argmax())]), row.max() / max(found.support, 1)
        missed = f"{told}; {percent(1 - found.recall)} of its {self.data.unit}s are taken for"
        if len(row) == 2:
            return f"{missed} {other}."
        return f"{missed} another class, most often {other} ({percent(share)})."

    def development(self) -> str:
        """How many rows there are to learn from, their shifted copies apart."""
        copies = int((~self.search.plan.is_scored).sum())
        told = counted(self.data.development_rows - copies, f"development {self.data.unit}")
        return f"{told} and {copies:,} shifted copies of them" if copies else told

    def use(self, written: Callable[[str], str] = str) -> str:
        """What goes into the model and what comes out of it; ``written`` writes a class's name."""
        classes = self.data.classes
        more = ", …" if len(classes) > _CLASSES else ""
        order = ", ".join(written(brief(str(name), 40)) for name in classes[:_CLASSES]) + more
        shape = self.data.image_shape
        given = (
            f"Give rows of {math.prod(shape)} numbers: raw pixels, 0 to 255, of images of"
            f" {' × '.join(map(str, shape))}, flattened row by row, neither divided nor inverted."
        )
        if self.data.table is not None:
            given = (
                "Give a data frame, or in JSON dataframe_records or dataframe_split, with the"
                " columns by name, in any order; leave a missing value empty, which is null in"
                " JSON. A column that is missing is refused, a category's value that the"
                " development set doesn't have is ignored."
            )
        return (
            f"{given} The answer is a row of {len(classes)} probabilities for each, in the order of"
            f" the classes, which the signature names: {order}."
        )

    def request(self) -> str:
        """A shell's line that asks a server of the model for one row."""
        table, where = self.data.table, "http://127.0.0.1:8000/invocations"
        curl = "curl -s -H 'Content-Type: application/json' -d"
        if table is None:
            row = f'{{"inputs": [[0] * {math.prod(self.data.image_shape)}]}}'
            return f"python3 -c 'import json; print(json.dumps({row}))' |\n    {curl} @- {where}"
        names = [name for name, _ in table.columns]
        frame = {"dataframe_split": {"columns": names, "data": [[None] * len(names)]}}
        return f"{curl} {quote(json.dumps(frame, ensure_ascii=False))} {where}"

    def procedure(self) -> str:
        """How the model was chosen, in a few sentences."""
        space, folds, fits = self.search.space, len(self.search.outer), self.search.fits
        ranges = ", ".join(
            f"{name} over [{each.low:g}, {each.high:g}]" for name, each in space.ranges.items()
        )
        searched = " and ".join(space.dimensions)
        models = f"{_MODELS[self.multiclass]} on standardised {self.features}"
        devices = self.search.devices
        computed = f" They were computed on {' and '.join(devices)}." * (devices != (CORES,))
        if space.kinds:
            searched = f"one of {', '.join(space.kinds)} and its values"
            models = f"{models}, as candidate logistic, and others of the comparison"
        return (
            f"{models}. Nested cross-validation: "
            f"{folds} outer folds estimate; within each, {folds - 1} inner folds select "
            f"{searched} by mean {metric_label(space.metric)}, {ranges}, "
            f"{_sampler(space)}. A final study over all {folds} "
            f"parts chose {values_text(self.search.final.best.values)}, with which the final model "
            f"was fitted on the whole development set. {counted(len(self.search.trials), 'trial')},"
            f" {counted(fits.distinct, 'distinct fit')}: {fits.converged:,} converged, "
            f"{fits.stalled:,} stalled at the limit of the precision, "
            f"{fits.exhausted:,} exhausted.{computed}"
        )

    def limits(self) -> tuple[str, ...]:
        """What the figures don't say, a paragraph each."""
        of_holdout, table = 2, self.data.table  # the last of them
        told = limits(len(self.search.outer), optimum_error(self.search))
        if table is not None:
            first, _, *others = told
            told = (first, LIMIT_OF_TABLES[table.groups is not None], *others)
        return told if self.has_holdout else told[:-of_holdout]

    def answer(self) -> str:
        """What the search found, with its uncertainty, in two sentences."""
        choices = [fold.best.values for fold in self.search.outer]
        estimate = self.outer[self.search.metric]
        interval = estimate.interval
        return (
            f"All {len(choices)} outer folds choose {chosen(choices)}, the final study "
            f"{values_text(self.search.final.best.values)}. A model chosen in this way has an "
            f"outer {metric_label(self.search.metric)} of {number(estimate.mean)} "
            f"({percent(interval.confidence, digits=0)} interval {span(interval)})."
            f"{self._winners()}"
        )

    def _winners(self) -> str:
        """Which candidate has won where."""
        won = [each for each in contest(self.search) if each.won]
        told = []
        for kind in dict.fromkeys(each.kind for each in won):
            own = [str(each.choice.study) for each in won if each.kind == kind]
            told.append(f"{kind} won in {', '.join(own)}")
        return f" Of the candidates {'; '.join(told)}." if told else ""

    @property
    def subject(self) -> str:
        """What is asked about."""
        kinds = self.search.space.kinds
        return f"the best of {', '.join(kinds)}" if kinds else "logistic regression"

    @property
    def searched(self) -> tuple[str, ...]:
        """Names of the values that were chosen anywhere."""
        best = best_trials(self.search)
        return tuple(dict.fromkeys(name for trial in best for name in trial.values))

    def known(self) -> str:
        """How well the folds' choices say where the best value lies, where they can."""
        error = optimum_error(self.search)
        return "" if error is None else f", {known(error)}"

    def cautions(self) -> tuple[str, ...]:
        """What went wrong quietly, and what to do about it; empty if nothing did."""
        search, at_edge = self.search, edge_caution(self.search)
        texts = {
            "There is no holdout (prepare.holdout: none): all figures are the outer folds'"
            " estimates of the procedure, none is of the final model itself.": not self.has_holdout,
            self.data_change: bool(self.data_change),
            at_edge: bool(at_edge),
            f"{search.fits.exhausted} of {search.fits.distinct} fits ended at tune.max_iter before "
            "they converged: raise it, their scores mislead.": search.fits.exhausted > 0,
        }
        return tuple(text for text, applies in texts.items() if applies)
