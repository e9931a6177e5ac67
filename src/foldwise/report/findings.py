"""All that figures, tables, card and page show, gathered once.

Images with what a model made of them: who was taken for whom, and how surely.

The holdout in numbers: scores, intervals, classes and curves, computed once.

Where a version comes from: enough to make it again and to see whether it is the same.

All that a version's card and page are made of.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from foldwise.data.dataset import DataInfo
from foldwise.report.reference import Reference
from foldwise.report.wording import (
    brief,
    chosen,
    counted,
    metric_label,
    number,
    percent,
    span,
    values_text,
)
from foldwise.search.summary import SearchSummary
from foldwise.stats.intervals import Interval, bootstrap_intervals, class_f1_intervals
from foldwise.stats.scores import (
    ClassScores,
    Rates,
    ReliabilityBin,
    Scores,
    calibration_error,
    confusion,
    per_class,
    predicted_codes,
    reliability,
    roc_curve_points,
    score,
)


@dataclass(frozen=True, slots=True)
class Confusion:
    """A pair of classes that was confused: ``share`` is of the actual class's rows."""

    actual: int
    predicted: int
    rows: int
    share: float


@dataclass(frozen=True, slots=True, eq=False)
class Judged:
    """Images, their labels and predicted probabilities.

    Attributes
    ----------
    images : uint8 array (rows, features)
    labels : int64 array (rows,)
        Class codes.
    probabilities : float64 array (rows, classes)
    classes : str, one a class
    shape : tuple of int
        Of one image.
    """

    images: NDArray[np.uint8]
    labels: NDArray[np.int64]
    probabilities: NDArray[np.float64]
    classes: Sequence[str]
    shape: tuple[int, ...]

    def mistakes(self) -> NDArray[np.int64]:
        """Row numbers of the wrong predictions, the most confident first."""
        confidence = self.probabilities.max(axis=1)
        wrong = np.flatnonzero(predicted_codes(self.probabilities) != self.labels)
        return wrong[np.argsort(-confidence[wrong], kind="stable")]

    def mistakes_of(self, pair: Confusion) -> NDArray[np.int64]:
        """Row numbers of one pair's wrong predictions, the most confident first."""
        rows = self.mistakes()
        predicted = predicted_codes(self.probabilities)[rows]
        return np.asarray(rows[(self.labels[rows] == pair.actual) & (predicted == pair.predicted)])

    def confusions(self, count: int) -> tuple[Confusion, ...]:
        """The ``count`` commonest confusions, the commonest first."""
        counts = confusion(self.probabilities, self.labels)
        totals = counts.sum(axis=1)
        pairs = [(row, column) for row, column in np.argwhere(counts > 0) if row != column]
        pairs.sort(key=lambda pair: -counts[pair])
        return tuple(
            Confusion(int(a), int(p), int(counts[a, p]), float(counts[a, p] / totals[a]))
            for a, p in pairs[:count]
        )

    def verdict(self, row: int) -> str:
        """Actual class, predicted class and its probability: ``4 → 9 (98.1 %)``.

        Names too long for one line are put on lines of their own.
        """
        code = int(self.probabilities[row].argmax())
        actual, predicted = brief(self.classes[self.labels[row]]), brief(self.classes[code])
        sure = percent(float(self.probabilities[row, code]))
        if max(map(len, self.classes)) > 3:
            return f"{actual}\n→ {predicted}\n{sure}"
        return f"{actual} → {predicted} ({sure})"


ROC_POINTS = 150
"""Points of a ROC curve: more can't be seen, and would make roc.csv and the plots heavy."""


@dataclass(frozen=True, slots=True, eq=False)
class HoldoutSummary:
    """What a model's predictions on the holdout come to.

    Attributes
    ----------
    rows : int
    classes : str, one a class
    scores : Scores
    intervals : mapping of metric to Interval
        Bootstrap over the rows: the model is taken as given.
    calibration_error : float
    bins : reliability table
    confusion : int64 array (classes, classes), actual by predicted
    by_class, f1_intervals, curves : one a class
    """

    rows: int
    classes: tuple[str, ...]
    scores: Scores
    intervals: Mapping[str, Interval]
    calibration_error: float
    bins: tuple[ReliabilityBin, ...]
    confusion: NDArray[np.int64]
    by_class: tuple[ClassScores, ...]
    f1_intervals: tuple[Interval, ...]
    curves: tuple[Rates, ...]


def summarise_holdout(
    judged: Judged, *, draws: int, confidence: float, seed: int
) -> HoldoutSummary:
    """Score the holdout's predictions; the bootstrap of ``draws`` takes nearly all of the time."""
    probabilities, labels = judged.probabilities, judged.labels
    return HoldoutSummary(
        rows=len(labels),
        classes=tuple(judged.classes),
        scores=score(probabilities, labels),
        intervals=bootstrap_intervals(
            probabilities, labels, draws=draws, confidence=confidence, seed=seed
        ),
        calibration_error=calibration_error(probabilities, labels),
        bins=reliability(probabilities, labels),
        confusion=confusion(probabilities, labels),
        by_class=per_class(probabilities, labels),
        f1_intervals=class_f1_intervals(
            probabilities, labels, draws=draws, confidence=confidence, seed=seed
        ),
        curves=roc_curve_points(probabilities, labels, ROC_POINTS),
    )


_LIBRARY = "library."


@dataclass(frozen=True, slots=True)
class Origin:
    """What card and page say of a version's origin: pairs of name and value, and commands."""

    facts: tuple[tuple[str, str], ...]
    commands: tuple[str, ...]


def origin(
    tags: Mapping[str, str], *, run_id: str = "", model_digest: str = "", commands: tuple[str, ...]
) -> Origin:
    """Choose and word what a reader needs of a pipeline run's tags.

    Parameters
    ----------
    tags : mapping
        Of the pipeline run: ``git.commit``, ``git.dirty``, ``search_key``, ``attempt``,
        ``*_digest``, ``dvc.experiment``, ``library.*``; what is missing is left out.
    run_id : str
        MLflow's pipeline run.
    model_digest : str
        Of the registered model's numbers.
    commands : tuple of str
        What to type to make it again.
    """
    facts = (
        ("Git commit", _commit(tags)),
        ("DVC experiment", tags.get("dvc.experiment", "")),
        ("MLflow run", run_id),
        ("Search", _search(tags)),
        ("Digest of the model", model_digest),
        ("Digest of the parameters", tags.get("parameters_digest", "")),
        ("Digest of the development set", tags.get("development_digest", "")),
        ("Digest of the holdout", tags.get("holdout_digest", "")),
        ("Versions", _versions(tags)),
    )
    return Origin(tuple(fact for fact in facts if fact[1]), commands)


def _commit(tags: Mapping[str, str]) -> str:
    dirt = {"true": " with uncommitted changes", "unknown": " (changes unknown)"}
    commit = tags.get("git.commit", "")
    return commit and commit + dirt.get(tags.get("git.dirty", ""), "")


def _search(tags: Mapping[str, str]) -> str:
    key = tags.get("search_key", "")
    return key and f"{key}, attempt {tags.get('attempt', '1')}"


def _versions(tags: Mapping[str, str]) -> str:
    return ", ".join(
        f"{name.removeprefix(_LIBRARY)} {version}"
        for name, version in sorted(tags.items())
        if name.startswith(_LIBRARY)
    )


_MODELS = {
    "multinomial": "Logistic regression (softmax)",
    "ovr": "Logistic regression (a sigmoid a class, one against the rest)",
}
_SAMPLERS = {
    "tpe": "drawn by TPE on a logarithmic scale",
    "random_uniform": "drawn at random on a linear scale, as the reference report did",
}


@dataclass(frozen=True, slots=True, eq=False)
class Findings:
    """One version's data, search, holdout scores and origin; published numbers, if there are.

    ``data_change`` says in a sentence how the data differ from the version before's.
    """

    data: DataInfo
    search: SearchSummary
    holdout: HoldoutSummary
    origin: Origin
    multiclass: str
    data_change: str = ""
    reference: Reference | None = None

    def headline(self) -> str:
        """The result in one line of plain text."""
        scores, spans = self.holdout.scores, self.holdout.intervals
        accuracy, loss = spans["accuracy"], spans["log_loss"]
        return (
            f"{self.data.name}: accuracy {number(scores['accuracy'])} "
            f"({span(accuracy)}), log-loss {number(scores['log_loss'])} "
            f"({span(loss)}) on {counted(self.holdout.rows, 'held-out image')}; "
            f"{values_text(self.search.values)}"
        )

    def procedure(self) -> str:
        """How the model was chosen, in a few sentences."""
        search, folds, fits = self.search, len(self.search.folds), self.search.fits
        names = " and ".join(search.values)
        ranges = ", ".join(
            f"{name} over [{each.low:g}, {each.high:g}]"
            for name, each in search.space.ranges.items()
        )
        return (
            f"{_MODELS[self.multiclass]} on standardised pixels. Nested cross-validation: "
            f"{folds} outer folds estimate; within each, {folds - 1} inner folds select {names} "
            f"by mean {metric_label(search.metric)}, {ranges}, "
            f"{_SAMPLERS[search.space.sampler]}. A final study over all {folds} "
            f"parts chose {values_text(search.values)}, with which the final model was fitted on "
            f"the whole development set. {counted(search.trials, 'trial')}, "
            f"{counted(fits.distinct, 'distinct fit')}: {fits.converged:,} converged, "
            f"{fits.stalled:,} stalled at the limit of the precision, "
            f"{fits.exhausted:,} exhausted."
        )

    def answer(self) -> str:
        """What the search found, with its uncertainty, in two sentences."""
        search = self.search
        choices = [fold.values for fold in search.folds]
        estimate = search.outer[search.metric]
        interval = estimate.corrected
        return (
            f"All {len(choices)} outer folds choose {chosen(choices)}, the final study "
            f"{values_text(search.values)}. A model chosen in this way has an outer "
            f"{metric_label(search.metric)} of {number(estimate.mean)} "
            f"({percent(interval.confidence, digits=0)} interval {span(interval)}, corrected and "
            "conservative)."
        )

    def cautions(self) -> tuple[str, ...]:
        """What went wrong quietly, and what to do about it; empty if nothing did."""
        search = self.search
        edges = {*search.edges, *(name for fold in search.folds for name in fold.edges)}
        texts = {
            f"A chosen {' and '.join(sorted(edges))} lies at an edge of the range: widen it in "
            "params.yaml.": bool(edges),
            f"{search.fits.exhausted} of {search.fits.distinct} fits ended at tune.max_iter before "
            "they converged: raise it, their scores mislead.": search.fits.exhausted > 0,
        }
        quiet = tuple(text for text, applies in texts.items() if applies)
        return (self.data_change, *quiet) if self.data_change else quiet
