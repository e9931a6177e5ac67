"""A made-up result of an entry."""

from dataclasses import replace

import numpy as np

from foldwise.entries import Entry
from foldwise.report.contest import Contestant, EntryResult, contestant
from foldwise.report.judged import Judged
from foldwise.search.engines.estimator import FittedEstimator
from foldwise.search.space import Space
from foldwise.search.trials import (
    FINAL,
    FinalModel,
    FitCounts,
    InnerFold,
    Part,
    SearchResult,
    Trial,
)
from foldwise.settings import Between, Dimension, EvaluateSettings, OneOf, Settings
from tests.factories import make_plan, make_scores
from tests.unit.app.entry_cases import make_entry

ROWS, CLASSES = 60, 3
LABELS = np.arange(ROWS, dtype=np.int64) % CLASSES


def make_searched_entry(title: str = "") -> Entry:
    """An entry with a logarithmic range and a choice."""
    space: dict[str, Dimension] = {"C": Between(0.1, 10.0, is_log=True), "kind": OneOf(("a", "b"))}
    return make_entry("sklearn.svm.SVC", space=space, title=title)


def make_result(*, are_probabilities: bool = True) -> EntryResult:
    """Two trials, the second the better one."""
    scores = make_scores()
    if not are_probabilities:
        scores = {**scores, "log_loss": float("nan")}
    trials = tuple(
        Trial(
            FINAL,
            number,
            {"C": 0.5 + number, "kind": "a"},
            tuple(InnerFold(Part(0, fold), scores, {"seconds": 0.25}) for fold in range(2)),
        )
        for number in range(2)
    )
    entry, seconds = make_searched_entry(), {"fit_seconds": 120.4, "predict_seconds": 0.0}
    return EntryResult(entry.digest, "e" * 64, "f" * 64, trials, trials[1], (), seconds, 2)


def make_judged(*, are_probabilities: bool = True, mistakes: int = 6) -> Judged:
    """A holdout, and predictions with so many mistakes."""
    values = np.full((ROWS, CLASSES), 0.1)
    values[np.arange(ROWS), (LABELS + (np.arange(ROWS) < mistakes)) % CLASSES] = 0.8
    values = values if are_probabilities else 9 * values
    images = np.zeros((ROWS, 16), dtype=np.uint8)
    return Judged(images, LABELS, values, ("0", "1", "2"), (4, 4), are_probabilities)


def make_contestant(*, are_probabilities: bool = True, mistakes: int = 6) -> Contestant:
    """The entry measured on that holdout."""
    entry = make_searched_entry(title="Tree")
    return contestant(
        entry,
        make_result(are_probabilities=are_probabilities),
        make_judged(are_probabilities=are_probabilities, mistakes=mistakes),
        Settings(seed=1, evaluate=EvaluateSettings(bootstrap=60, confidence=0.9)),
    )


def make_search(result: EntryResult) -> SearchResult:
    """The search that the result came from: a final study alone."""
    entry = make_searched_entry()
    return SearchResult(
        plan=replace(make_plan(2), has_outer=False),
        space=Space(entry.space, "tpe", 2, 0, entry.metric),
        trials=result.trials,
        outer=(),
        final=FinalModel(result.best, FittedEstimator(None), dict(result.seconds)),
        fits=FitCounts(logical=5, distinct=5, converged=0, stalled=0, exhausted=0),
    )
