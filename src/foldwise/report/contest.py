"""The comparison: each classifier's holdout and costs, all of them side by side, every pair tested.

Their times are as measured: they differ from run to run, the rest does not.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import NDArray

from foldwise.data.dataset import DataInfo
from foldwise.entries import Entry
from foldwise.report.judged import HoldoutSummary, Judged, summarise_holdout
from foldwise.report.tables import evaluation
from foldwise.report.wording import Json, csv_of, escaped, rounded, significant, values_text
from foldwise.search.trials import SearchResult, Trial
from foldwise.settings import Settings
from foldwise.stats.paired import compare_pairs
from foldwise.stats.scores import METRICS, Scores, predicted_codes

RESULTS, REPORTS = Path("comparison/models"), Path("comparison/reports")
"""A folder an entry, and what is told of all."""


@dataclass(frozen=True, slots=True)
class EntryResult:
    """What became of an entry, beside its predictions on the holdout.

    The values of ``best``, the final study's, were fitted on all development rows: ``seconds`` are
    that model's ``fit_seconds`` and ``predict_seconds`` by the clock, with so many ``threads``.
    ``outer`` are the scores of each outer fold, if there are any.
    """

    digest: str
    development_digest: str
    holdout_digest: str
    trials: tuple[Trial, ...]
    best: Trial
    outer: tuple[Scores, ...]
    seconds: Mapping[str, float]
    threads: int
    schema: Literal[1] = 1

    @classmethod
    def of(cls, entry: Entry, data: DataInfo, result: SearchResult, **costs: Any) -> Self:
        """What a search of the entry came to."""
        outer = tuple(fold.scores for fold in result.outer)
        digests = (entry.digest, data.development_digest, data.holdout_digest)
        return cls(*digests, result.trials, result.final.best, outer, **costs)

    def is_of(self, entry: Entry, data: DataInfo) -> bool:
        """Whether it is the result of this entry on these data."""
        mine = (self.digest, self.development_digest, self.holdout_digest)
        return mine == (entry.digest, data.development_digest, data.holdout_digest)


@dataclass(frozen=True, slots=True, eq=False)
class Contestant:
    """One classifier: what it is, what became of it, and which holdout rows it predicted right."""

    entry: Entry
    result: EntryResult
    holdout: HoldoutSummary
    right: NDArray[np.bool_]


def contestant(entry: Entry, result: EntryResult, judged: Judged, settings: Settings) -> Contestant:
    """Score an entry's predictions on the holdout."""
    holdout = summarise_holdout(judged, confidence=settings.evaluate.confidence)
    right = predicted_codes(judged.probabilities) == judged.labels
    return Contestant(entry, result, holdout, right)


def model_report(model: Contestant) -> dict[str, Json]:
    """Tell one classifier's result; numbers to be compared stand at the top."""
    result, best = model.result, model.result.best
    outer = {f"outer_{name}": [fold[name] for fold in result.outer] for name in METRICS}
    return {
        "title": model.entry.title,
        **evaluation(model.holdout),
        **{name: rounded(float(np.mean(each))) for name, each in outer.items() if each},
        f"inner_{model.entry.metric}": rounded(best.mean(model.entry.metric)),
        "inner_accuracy": rounded(best.mean("accuracy")),
        "best": {name: significant(value) for name, value in best.values.items()},
        "trials": len(result.trials),
        "tuning_rows": model.entry.rows,
        **result.seconds,
        "threads": result.threads,
    }


def models_csv(models: Sequence[Contestant]) -> str:
    """List the classifiers with their holdout scores and times."""
    names = (*METRICS, "accuracy_low", "accuracy_high", "calibration_error")
    rows = []
    for model in models:
        told, best = evaluation(model.holdout), values_text(model.result.best.values)
        scores = {name: told.get(name) for name in names}
        known = {"model": model.entry.name, "title": model.entry.title, "best": best}
        rows.append({**known, **scores, **model.result.seconds})
    return csv_of(rows)


def pairs_csv(models: Sequence[Contestant]) -> str:
    """List McNemar's tests of all pairs: the rows that one of two got right alone, the p-values."""
    rows = (
        (*(p.first, p.second, p.test.gained, p.test.lost), f"{p.test.p:.3g}", f"{p.adjusted:.3g}")
        for p in compare_pairs({model.entry.name: model.right for model in models})
    )
    names = ("first", "second", "first_only", "second_only", "p_value", "p_value_holm")
    return csv_of((dict(zip(names, row, strict=True)) for row in rows), names)


def model_card(model: Contestant, data: DataInfo) -> str:
    """Word one classifier for the registry: a first line of plain text, then its scores."""
    entry, result = model.entry, model.result
    told = evaluation(model.holdout)
    lines = "\n".join(f"- {name}: {value}" for name, value in told.items())
    estimate = f"{len(result.outer)} outer folds" if result.outer else "no outer estimate"
    return (
        f"{data.name}: {escaped(entry.title)}, accuracy {told['accuracy']:.4f} on"
        f" {data.holdout_rows:,} held-out images; {values_text(result.best.values)}\n\n"
        f"## Procedure\n\n{entry.estimator}, pixels {entry.pixels}, {entry.trials} trials a study"
        f" by inner {entry.metric}, {estimate}, fitted on {data.development_rows:,} images.\n\n"
        f"## Holdout\n\n{lines}\n"
    )
