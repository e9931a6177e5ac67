"""The pictures of the comparison, drawn and described."""

from collections.abc import Sequence

from foldwise.report.album import confusion_and_roc
from foldwise.report.contest import ModelSummary
from foldwise.report.figures import drawn
from foldwise.report.figures.contest import ModelCost, accuracy_against_time
from foldwise.report.picture import Picture


def model_pictures(model: ModelSummary, classes: Sequence[str]) -> tuple[Picture, ...]:
    """Draw one classifier's ``confusion`` matrix and ``roc`` curves on the holdout."""
    areas = [each.roc_auc for each in model.by_class]
    return confusion_and_roc(model.confusion, model.curves, areas, classes)


def contest_pictures(
    models: Sequence[ModelSummary], *, rows: int, holdout: int
) -> tuple[Picture, ...]:
    """Draw ``accuracy_time``: what each classifier's accuracy costs."""
    costs = [
        ModelCost(
            title=model.entry.title,
            accuracy=model.scores.accuracy,
            low=model.intervals["accuracy"].low,
            high=model.intervals["accuracy"].high,
            fit_seconds=model.result.fit_seconds,
            predict_seconds=model.result.predict_seconds,
        )
        for model in models
    ]
    alt = "Holdout accuracy of each classifier against the time to fit and to predict."
    return (drawn("accuracy_time", alt, accuracy_against_time(costs, rows=rows, holdout=holdout)),)
