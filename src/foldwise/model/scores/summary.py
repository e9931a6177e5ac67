"""The six metrics of a set of predictions, as scikit-learn defines them, and the same per class."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from foldwise.model.scores.confusion import ClassCounts, confusion
from foldwise.model.scores.ranking import area_under_curve, areas_by_class

METRICS = ("accuracy", "precision", "recall", "f1", "roc_auc", "log_loss")


def is_loss(metric: str) -> bool:
    """Whether smaller is better."""
    return metric == "log_loss"


@dataclass(frozen=True, slots=True)
class Scores:
    """The six metrics; precision, recall, F1 and ROC AUC are macro averages over classes."""

    accuracy: float
    precision: float
    recall: float
    f1: float
    roc_auc: float
    log_loss: float

    def value(self, metric: str) -> float:
        """The metric of that name, one of ``METRICS``."""
        return self.as_dict()[metric]

    def as_dict(self) -> dict[str, float]:
        """All metrics by name, in the order of ``METRICS``."""
        return {metric: getattr(self, metric) for metric in METRICS}


@dataclass(frozen=True, slots=True)
class ClassScores:
    """One class against the rest; ``support`` counts the rows of the class."""

    precision: float
    recall: float
    f1: float
    support: int
    roc_auc: float


def score(probabilities: NDArray[np.float64], labels: NDArray[np.int64]) -> Scores:
    """Score probabilities (rows, classes) against class codes (rows,), by scikit-learn's formulas.

    Precision, recall and F1 are means over the classes that occur among the labels or the
    predictions (``average="macro"``, ``zero_division=0``). ROC AUC is the mean over classes, one
    against the rest; with two classes the plain AUC. Where scikit-learn refuses, because the rows
    lack a class, it is the mean over the classes that occur, and NaN if only one does.
    """
    counts = ClassCounts.of(confusion(probabilities, labels))
    return Scores(
        accuracy=float(counts.accuracy),
        precision=float(counts.macro(counts.precision)),
        recall=float(counts.macro(counts.recall)),
        f1=float(counts.macro(counts.f1)),
        roc_auc=_roc_auc(probabilities, labels),
        log_loss=float(row_losses(probabilities, labels).mean()),
    )


def row_losses(
    probabilities: NDArray[np.floating], labels: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Each row's log-loss: minus the natural logarithm of its true class's probability (rows,).

    Clipped by the machine precision of the probabilities' type, so that it is finite.
    """
    stated = probabilities[np.arange(len(labels)), labels]
    precision = np.finfo(stated.dtype).eps
    return np.asarray(-np.log(np.clip(stated, precision, 1 - precision)))


def per_class(
    probabilities: NDArray[np.float64], labels: NDArray[np.int64]
) -> tuple[ClassScores, ...]:
    """Every class's own scores, by code. A class without rows has NaN for ``roc_auc``."""
    counts = ClassCounts.of(confusion(probabilities, labels))
    columns = (
        counts.precision.tolist(),
        counts.recall.tolist(),
        counts.f1.tolist(),
        counts.true.astype(int).tolist(),
        areas_by_class(probabilities, labels).tolist(),
    )
    return tuple(ClassScores(*row) for row in zip(*columns, strict=True))


def _roc_auc(probabilities: NDArray[np.float64], labels: NDArray[np.int64]) -> float:
    if probabilities.shape[1] == 2:
        return area_under_curve(probabilities[:, 1], np.asarray(labels == 1))
    areas = areas_by_class(probabilities, labels)
    return float("nan") if np.isnan(areas).all() else float(np.nanmean(areas))
