"""All pictures of a stage, a line each, and where on the page each stands and how it is read.

The figures, and with them matplotlib, are imported by who draws: it may be another process.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from foldwise.data.dataset import DataInfo
from foldwise.report.contest import Contestant
from foldwise.report.judged import ROC_POINTS, HoldoutSummary, Judged
from foldwise.report.picture import Picture
from foldwise.report.rivals import SearchComparison
from foldwise.report.versus import NAMED
from foldwise.report.wording import brief, counted
from foldwise.search.summary import Estimates
from foldwise.search.trials import SearchResult
from foldwise.stats.scores import PUBLISHED, confusion, per_class, roc_curve_points

PIXELS, EVIDENCE = "Coefficient (per standard deviation)", "Evidence (added to the score)"
"""What images of weights can mean."""
SAMPLES = 10
"""So many images are shown of each class."""
# By the section of the page that pictures stand in: how they are to be read.
_CAPTIONS = {
    "data": {
        "classes": "How often each class occurs, and what it looks like.",
        "columns": "How often each class occurs, and how much is missing.",
    },
    "search": {
        "curve": "Each point is a trial: the mean over the study's inner folds. Below, enlarged,"
        " the difference from the study's best, paired by inner fold: hard folds are hard at every"
        " value, so that the pairs tell more than the scores. Where a band, one standard error,"
        " touches zero, that value is hardly worse than the best.",
        "trials": "Did the search still find better? The line is the best so far.",
    },
    "outer": {
        "outer_folds": "Filled: the estimate. Open: the score that chose. Optimism: how much better"
        " the open one is.",
    },
    "holdout": {
        "class_f1": "How far each F1 could have come out, had other rows been held out.",
        "roc": "The further up and left a curve, the better its class is told from the rest.",
        "precision_recall": "Of rare classes it tells more than the ROC curve: the dotted line is"
        " what guessing would give.",
    },
    "mistakes": {
        "confusion": "Rows are actual classes, columns predicted ones.",
        "confused_pairs": "Above each image the probability that the model gave to its wrong"
        " answer, below it its number: the row in predictions.csv, counted from 0, of the holdout"
        " if there is one.",
        "mistakes": "Where to look for wrong labels, and for images that would puzzle a person"
        " too.",
    },
    "calibration": {
        "calibration": "Below the diagonal the model is too sure of itself, above it too careful.",
    },
    "looks": {
        PIXELS: "Coefficients of the standardised pixels: light pixels speak for the class, dark"
        " ones against it.",
        EVIDENCE: "What the pixels of each class's images add to its score, on average, to begin"
        " with that of an empty image. Light, yellow ones speak for the class, dark, blue ones"
        " against it, grey ones neither. The class that an empty image looks like most, of digits"
        " the 1, is dark throughout: it wins where the others lose more.",
        "coefficients": "Of numbers per standard deviation, of a category's values 0 or 1. Points"
        " are the outer folds' models: where they scatter about zero, the sign isn't known. Numbers"
        " that tell the same share their weight.",
    },
}
_PLACES = {name: (place, told) for place, of in _CAPTIONS.items() for name, told in of.items()}


def _drawn(name: str, figure: Any, *, of: str = "", with_svg: bool = True) -> Picture:
    from foldwise.report.figures.style import drawn

    return drawn(name, figure, *_PLACES.get(of or name, ()), with_svg=with_svg)


def data_pictures(
    counts: Sequence[int],
    samples: Sequence[NDArray[np.uint8]],
    classes: Sequence[str],
    shape: tuple[int, ...],
    *,
    copies: int = 0,
) -> tuple[Picture, ...]:
    """Draw the class counts and some images of each class: ``classes``."""
    from foldwise.report.figures import images as of_images

    figure = of_images.class_samples(counts, samples, classes, shape, copies=copies)
    return (_drawn("classes", figure, with_svg=False),)


def search_pictures(
    result: SearchResult, outer: Estimates, *, unit: str = "image"
) -> tuple[Picture, ...]:
    """Draw the search: ``curve`` (the key picture), ``trials``, ``outer_folds`` if estimated.

    Each further numeric parameter has a ``curve_`` of its own. ``unit`` is what a row is.
    """
    from foldwise.report.figures import search as of_search

    pictures = []
    for place, name in enumerate(result.space.ranges):
        curve = of_search.inner_curves(result, name, unit=unit)
        pictures.append(_drawn(f"curve_{name}" if place else "curve", curve, of="curve"))
    pictures.append(_drawn("trials", of_search.trial_order(result, unit=unit)))
    if result.metric in outer:
        folds = of_search.outer_folds(result, outer[result.metric], unit=unit)
        pictures.append(_drawn("outer_folds", folds))
    return tuple(pictures)


def outcome_pictures(
    judged: Judged,
    answered: NDArray[np.float64] | None = None,
    *,
    positive: int = 1,
    with_svg: bool = True,
) -> tuple[Picture, ...]:
    """Draw who was taken for whom, ``confusion``, and each class's ``roc`` curve.

    Of two classes it is the ``positive`` one's, and there is its ``precision_recall``. The
    confusion is that of what was ``answered`` (rows, classes), if that isn't the most probable
    class.
    """
    from foldwise.report.figures import columns as of_columns
    from foldwise.report.figures import holdout as of_holdout

    values, labels, classes = judged.probabilities, judged.labels, judged.classes
    counts = confusion(values if answered is None else answered, labels)
    curves = roc_curve_points(values, labels, ROC_POINTS)
    areas = [round(each.roc_auc, PUBLISHED) for each in per_class(values, labels)]
    figures = {
        "confusion": of_holdout.confusion_matrix(counts, classes),
        "roc": of_holdout.roc_curves(curves, areas, classes, positive=positive),
    }
    if len(classes) == 2:
        figures["precision_recall"] = of_columns.precision_recall(
            values[:, positive], labels == positive, classes[positive]
        )
    return tuple(_drawn(name, figure, with_svg=with_svg) for name, figure in figures.items())


def outer_pictures(
    result: SearchResult,
    classes: Sequence[str],
    *,
    positive: int = 1,
    answered: SearchResult | None = None,
) -> tuple[Picture, ...]:
    """Draw what the first partition's outer models predicted, and what they ``answered``."""
    _, labels, values = result.pooled()
    said = None if answered is None else answered.pooled()[2]
    return outcome_pictures(Judged(None, labels, values, classes, ()), said, positive=positive)


def holdout_pictures(
    holdout: HoldoutSummary, judged: Judged, *, unit: str = "image"
) -> tuple[Picture, ...]:
    """Draw the final model on the holdout; ``unit`` is what a row is.

    Of images those are shown that it mistakes, if it does, but no row of a table.
    """
    from foldwise.report.figures import holdout as of_holdout
    from foldwise.report.figures import images as of_images

    f1 = [each.f1 for each in holdout.by_class]
    of_classes = of_holdout.class_f1(f1, holdout.f1_intervals, holdout.classes)
    diagram = of_holdout.reliability_diagram(holdout.bins, holdout.calibration_error, unit=unit)
    galleries = {}
    if unit == "image" and len(judged.mistakes()):
        galleries["confused_pairs"] = of_images.confused_pairs(judged)
        galleries["mistakes"] = of_images.confident_mistakes(judged)
    return (
        _drawn("class_f1", of_classes),
        *outcome_pictures(judged),
        _drawn("calibration", diagram),
        *(_drawn(name, gallery, with_svg=False) for name, gallery in galleries.items()),
    )


def weight_pictures(
    weights: NDArray[np.float64], classes: Sequence[str], shape: tuple[int, ...], *, meaning: str
) -> tuple[Picture, ...]:
    """Draw what a linear model looks for, ``coefficients``: images of weights (classes, pixels)."""
    from foldwise.report.figures import images as of_images

    looks = of_images.coefficient_images(weights, classes, shape, meaning=meaning)
    return (_drawn("coefficients", looks, of=meaning, with_svg=False),)


def coefficient_pictures(
    coefficients: NDArray[np.float64], names: Sequence[str], classes: Sequence[str]
) -> tuple[Picture, ...]:
    """Draw a linear model of a table: ``coefficients``.

    They (1 + outer folds, classes, features) are the final model's, then the outer ones', NaN where
    an outer one has none; ``names`` are the features'.
    """
    from foldwise.report.figures import columns as of_columns

    final, *outer = coefficients
    bars = of_columns.coefficient_bars(final, np.array(outer), names, classes)
    return (_drawn("coefficients", bars),)


def column_pictures(
    counts: Sequence[int], classes: Sequence[str], missing: Mapping[str, float]
) -> tuple[Picture, ...]:
    """Draw the class counts and what share of each column is missing: ``classes``."""
    from foldwise.report.figures import columns as of_columns

    figure = of_columns.column_profile(counts, classes, missing)
    return (_drawn("classes", figure, of="columns"),)


def contest_pictures(models: Sequence[Contestant], data: DataInfo) -> tuple[Picture, ...]:
    """Draw ``accuracy_time``: what each classifier's accuracy costs."""
    from foldwise.report.figures import versus as of_versus

    rows, holdout = data.development_rows, data.holdout_rows
    figure = of_versus.accuracy_against_time(models, rows=rows, holdout=holdout)
    return (_drawn("accuracy_time", figure),)


def versus_pictures(
    comparison: SearchComparison,
    images: NDArray[np.uint8] | None = None,
    classes: Sequence[str] = (),
    shape: tuple[int, ...] = (),
) -> tuple[Picture, ...]:
    """Draw ``versus``, the folds' differences, and of two searches ``rows_apart`` where images are.

    ``images`` (rows, features) are the development set's.
    """
    if not comparison.together:
        return ()
    from foldwise.report.figures import versus as of_versus

    folds = _drawn("versus", of_versus.difference_panels(comparison))
    if images is None or len(comparison.rivals) > 1:
        return (folds,)
    (rival,), strips = comparison.rivals, []
    for right, rows, wrong in (
        (rival.entrant, rival.won, comparison.reference),
        (comparison.reference, rival.lost, rival.entrant),
    ):
        known, labels, values = wrong.result.pooled()
        places = [int(np.flatnonzero(known == row)[0]) for row in rows[:NAMED]]
        said = values.argmax(axis=1)
        names = [f"{classes[labels[place]]} → {classes[said[place]]}" for place in places]
        title = f"{brief(right.name, 40)} alone has {counted(len(rows), 'image')} right"
        strips.append((title, images[rows[:NAMED]], names))
    return (folds, _drawn("rows_apart", of_versus.rows_apart(strips, shape), with_svg=False))
