"""Small findings of any shape, for tests of what is drawn and written about them."""

import numpy as np

from foldwise.data.dataset import DataInfo
from foldwise.report.album import (
    PIXELS,
    SAMPLES,
    data_pictures,
    holdout_pictures,
    search_pictures,
    weight_pictures,
)
from foldwise.report.findings import Findings, origin
from foldwise.report.judged import HoldoutSummary, Judged, summarise_holdout
from foldwise.report.picture import Picture
from foldwise.report.reference import Reference
from foldwise.search.summary import Estimates, outer_estimates
from foldwise.search.trials import SearchResult
from foldwise.solver.linear import LinearModel
from foldwise.stats.scores import METRICS
from tests.factories import make_result

PUBLISHED = Reference(
    title="reference report",
    C="0.59",
    scores={name: f"0.9{index}" for index, name in enumerate(METRICS)},
    f1=("0.81", "0.82", "0.83"),
)
TAGS = {
    "git.commit": "c0ffee" * 6 + "c0ff",
    "git.dirty": "false",
    "search_key": "5ea" * 21 + "5",
    "attempt": "2",
    "parameters_digest": "9a" * 32,
    "development_digest": "de" * 32,
    "holdout_digest": "40" * 32,
    "library.numpy": "2.4.6",
    "library.python": "3.11.7",
}


def make_judged(
    classes: tuple[str, ...] = ("a", "b", "c"), *, shape: tuple[int, ...] = (4, 4), rows: int = 90
) -> Judged:
    """Random images; most predictions are right, and every class occurs."""
    rng = np.random.default_rng(7)
    labels = np.arange(rows, dtype=np.int64) % len(classes)
    scores = rng.normal(0, 1, (rows, len(classes)))
    scores[np.arange(rows), labels] += 2.0
    exponentials = np.exp(scores)
    return Judged(
        images=rng.integers(0, 256, (rows, int(np.prod(shape))), dtype=np.uint8),
        labels=labels,
        probabilities=exponentials / exponentials.sum(axis=1, keepdims=True),
        classes=classes,
        shape=shape,
    )


def make_linear(judged: Judged) -> LinearModel:
    """A model that fits the images' shape and classes; two classes have one row."""
    features, classes = judged.images.shape[1], len(judged.classes)
    rng = np.random.default_rng(8)
    outputs = 1 if classes == 2 else classes
    return LinearModel(
        C=0.01,
        multiclass="multinomial",
        mean=np.zeros(features),
        scale=np.ones(features),
        coefficients=rng.normal(0, 0.3, (outputs, features)),
        intercepts=np.zeros(outputs),
    )


def make_data_pictures(judged: Judged, *, copies: int = 0) -> tuple[Picture, ...]:
    """The pictures of a development set that has the judged rows."""
    codes = range(len(judged.classes))
    samples = [judged.images[judged.labels == code][:SAMPLES] for code in codes]
    counts = np.bincount(judged.labels, minlength=len(codes)).tolist()
    return data_pictures(counts, samples, judged.classes, judged.shape, copies=copies)


def make_model_pictures(judged: Judged) -> tuple[Picture, ...]:
    """The pictures of a development set that has the judged rows, and of a model on them."""
    weights = make_linear(judged).coefficients
    return (
        *make_data_pictures(judged),
        *holdout_pictures(make_holdout_summary(judged), judged),
        *weight_pictures(weights, judged.classes, judged.shape, meaning=PIXELS),
    )


def make_pictures() -> tuple[Picture, ...]:
    """All that stand on a page of images."""
    result = make_result()
    searched = search_pictures(result, make_estimates(result))
    return (*searched, *make_model_pictures(make_judged()))


def make_estimates(result: SearchResult | None = None) -> Estimates:
    """The outer estimates of a small search."""
    return outer_estimates(result or make_result(), confidence=0.95)


def make_holdout_summary(judged: Judged) -> HoldoutSummary:
    """The summary of predictions."""
    return summarise_holdout(judged, confidence=0.95)


def make_findings(name: str = "toy", judged: Judged | None = None) -> Findings:
    """Findings of a three-fold search and 90 held-out images."""
    judged, result = judged or make_judged(), make_result()
    data = DataInfo(
        name=name,
        classes=tuple(judged.classes),
        image_shape=judged.shape,
        development_rows=36,
        development_digest=TAGS["development_digest"],
        holdout_rows=len(judged.labels),
        holdout_digest=TAGS["holdout_digest"],
    )
    return Findings(
        data=data,
        search=result,
        outer=make_estimates(result),
        holdout=make_holdout_summary(judged),
        origin=origin(TAGS, run_id="b0b" * 10, model_digest="4d" * 32),
        commands=("make repro",),
        multiclass="multinomial",
    )
