"""All pictures of a stage, drawn and described: what is saved, logged and put on the page."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from foldwise.report import figures
from foldwise.report.figures.style import drawn
from foldwise.report.findings import ROC_POINTS, HoldoutSummary, Judged
from foldwise.report.picture import Picture
from foldwise.search.summary import SearchSummary
from foldwise.search.trials import OuterFold, SearchResult
from foldwise.solver.linear import LinearModel
from foldwise.stats.scores import Rates, confusion, per_class, roc_curve_points


def data_pictures(
    images: NDArray[np.uint8],
    labels: NDArray[np.int64],
    classes: Sequence[str],
    shape: tuple[int, ...],
    *,
    examples: int = 10,
) -> tuple[Picture, ...]:
    """Draw the class counts and the first ``examples`` images of each class: ``classes``."""
    counts = np.bincount(labels, minlength=len(classes)).tolist()
    samples = [images[np.flatnonzero(labels == code)[:examples]] for code in range(len(classes))]
    figure = figures.class_samples(counts, samples, classes, shape)
    alt = "Number of images of each class, and the first of them."
    return (drawn("classes", alt, figure, with_svg=False),)


def search_pictures(
    result: SearchResult, search: SearchSummary, *, startup: int
) -> tuple[Picture, ...]:
    """Draw the search: ``curve`` (the key picture), ``trials`` and ``outer_folds``."""
    estimate = search.outer[search.metric]
    at_random = startup if search.space.sampler == "tpe" else search.trials
    name = next(iter(search.space.ranges))
    return (
        drawn(
            "curve",
            f"Mean inner score against {name} for each outer fold and the final study, and below "
            f"how much worse each {name} is than the study's best, with one standard error.",
            figures.inner_curves(result, name),
        ),
        drawn(
            "trials",
            "Inner score of each trial in order, with the best so far, a panel a study.",
            figures.trial_order(result, startup=at_random),
        ),
        drawn(
            "outer_folds",
            "Outer and inner score of each outer fold, their optimism, and the mean's interval.",
            figures.outer_folds(result, corrected=estimate.corrected, pooled=estimate.pooled),
        ),
    )


def fold_pictures(fold: OuterFold, classes: Sequence[str]) -> tuple[Picture, ...]:
    """Draw one outer fold's own ``confusion`` matrix and ``roc`` curves; PNG alone, for speed."""
    probabilities, labels = fold.predictions.values, fold.labels
    return confusion_and_roc(
        confusion(probabilities, labels),
        roc_curve_points(probabilities, labels, ROC_POINTS),
        [each.roc_auc for each in per_class(probabilities, labels)],
        classes,
        with_svg=False,
    )


def holdout_pictures(
    holdout: HoldoutSummary, judged: Judged, model: LinearModel
) -> tuple[Picture, ...]:
    """Draw the final model on the holdout.

    ``confusion``, ``roc``, ``class_f1``, ``calibration``, ``confused_pairs``, ``mistakes`` and
    ``coefficients``.
    """
    areas = [each.roc_auc for each in holdout.by_class]
    return (
        *confusion_and_roc(holdout.confusion, holdout.curves, areas, holdout.classes),
        drawn(
            "class_f1",
            "F1 score of each class with its interval, the hardest class first.",
            figures.class_f1(
                [each.f1 for each in holdout.by_class], holdout.f1_intervals, holdout.classes
            ),
        ),
        drawn(
            "calibration",
            "Share of correct predictions against the stated confidence, and below the number "
            "of images at each confidence.",
            figures.reliability_diagram(holdout.bins, holdout.calibration_error),
        ),
        drawn(
            "confused_pairs",
            "The pairs of classes most often confused, each with the images taken for the other.",
            figures.confused_pairs(judged),
            with_svg=False,
        ),
        drawn(
            "mistakes",
            "The wrong predictions the model was surest of, with actual and predicted class.",
            figures.confident_mistakes(judged),
            with_svg=False,
        ),
        drawn(
            "coefficients",
            "The coefficients of each class as an image: light pixels speak for the class.",
            figures.coefficient_images(model, holdout.classes, judged.shape),
            with_svg=False,
        ),
    )


def confusion_and_roc(
    counts: NDArray[np.int64],
    curves: Sequence[Rates],
    areas: Sequence[float],
    classes: Sequence[str],
    *,
    with_svg: bool = True,
) -> tuple[Picture, ...]:
    """Draw who was taken for whom, and each class's curve: ``confusion`` and ``roc``."""
    return (
        drawn(
            "confusion",
            "Confusion matrix: actual against predicted class, counts and shares of the row.",
            figures.confusion_matrix(counts, classes),
            with_svg=with_svg,
        ),
        drawn(
            "roc",
            "ROC curve of each class against the rest, whole and enlarged at the upper left.",
            figures.roc_curves(curves, areas, classes),
            with_svg=with_svg,
        ),
    )
