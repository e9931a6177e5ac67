"""Which figures a fold, a search, a holdout and a data set get, by name, and as files."""

from collections.abc import Callable, Iterable, Iterator, Sequence

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from foldwise.model.linear import LinearModel
from foldwise.model.scores import confusion, per_class, roc_curve_points
from foldwise.report.figures.calibration import reliability_diagram
from foldwise.report.figures.classes import class_f1, class_samples
from foldwise.report.figures.coefficients import coefficient_images
from foldwise.report.figures.confusion import confusion_matrix
from foldwise.report.figures.curve import inner_curves
from foldwise.report.figures.mistakes import confident_mistakes, confused_pairs
from foldwise.report.figures.outer import outer_folds
from foldwise.report.figures.pictures import Shape
from foldwise.report.figures.roc import roc_curves
from foldwise.report.figures.style import png, svg
from foldwise.report.figures.trials import trial_order
from foldwise.report.holdout import ROC_POINTS, HoldoutSummary
from foldwise.report.judged import Judged
from foldwise.report.summary import SearchSummary
from foldwise.search.results import OuterFold, SearchResult

_EXAMPLES = 10

Named = Iterator[tuple[str, Figure]]


def data_figures(
    images: NDArray[np.uint8], labels: NDArray[np.int64], classes: Sequence[str], shape: Shape
) -> Named:
    """Class counts, and the first images of each class."""
    counts = np.bincount(labels, minlength=len(classes)).tolist()
    samples = [images[np.flatnonzero(labels == code)[:_EXAMPLES]] for code in range(len(classes))]
    yield "classes", class_samples(counts, samples, classes, shape)


def fold_figures(fold: OuterFold, classes: Sequence[str]) -> Named:
    """Confusion matrix and ROC curves of one outer fold."""
    probabilities, labels = fold.probabilities, fold.labels
    yield "confusion", confusion_matrix(confusion(probabilities, labels), classes)
    areas = [each.roc_auc for each in per_class(probabilities, labels)]
    yield "roc", roc_curves(roc_curve_points(probabilities, labels, ROC_POINTS), areas, classes)


def search_figures(result: SearchResult, summary: SearchSummary, *, startup: int) -> Named:
    """The key picture, the trials in order, and the outer folds."""
    yield "inner_curves", inner_curves(result, low=summary.low, high=summary.high)
    yield "trials", trial_order(result, startup=startup)
    estimate = summary.outer[result.metric]
    yield (
        "outer_folds",
        outer_folds(result, corrected=estimate.corrected, pooled=estimate.pooled),
    )


def holdout_figures(judged: Judged, holdout: HoldoutSummary, model: LinearModel) -> Named:
    """All that shows how the final model does on the holdout, and what it looks at."""
    classes = holdout.classes
    yield "confusion", confusion_matrix(holdout.confusion, classes)
    yield "roc", roc_curves(holdout.curves, [c.roc_auc for c in holdout.by_class], classes)
    yield "calibration", reliability_diagram(holdout.bins, holdout.calibration_error)
    scores = [each.f1 for each in holdout.by_class]
    yield "class_f1", class_f1(scores, holdout.f1_intervals, classes)
    yield "coefficients", coefficient_images(model, classes, judged.shape)
    yield "confident_mistakes", confident_mistakes(judged)
    yield "confused_pairs", confused_pairs(judged)


def rendered(
    figures: Iterable[tuple[str, Figure]], *, kinds: tuple[str, ...] = ("png",)
) -> dict[str, bytes]:
    """The figures as files: ``roc.png`` and, if asked for, ``roc.svg``."""
    writers: dict[str, Callable[[Figure], bytes]] = {"png": png, "svg": svg}
    return {f"{name}.{kind}": writers[kind](figure) for name, figure in figures for kind in kinds}


def headlines(figures: Iterable[tuple[str, Figure]]) -> dict[str, str]:
    """What each figure says of itself: for the alternative text beside it."""
    return {name: figure.get_suptitle() for name, figure in figures}
