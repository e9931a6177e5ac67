"""Every figure can be drawn for data of any shape."""

from dataclasses import replace
from itertools import combinations, pairwise

import numpy as np
import pytest

from foldwise.report.album import data_pictures, fold_pictures, holdout_pictures, search_pictures
from foldwise.report.figures.holdout import confusion_matrix
from foldwise.report.figures.images import confident_mistakes, confused_pairs
from foldwise.report.figures.search import outer_folds, trial_order
from foldwise.report.picture import picture_files
from foldwise.settings import OneOf
from tests.factories import make_outer_fold, make_result
from tests.unit.report.findings_cases import (
    make_estimates,
    make_holdout_summary,
    make_judged,
    make_linear,
)

LETTERS = tuple("abcdefghijklmn")


pytestmark = pytest.mark.usefixtures("sketched")


SHAPES: dict[str, tuple[tuple[str, ...], tuple[int, ...]]] = {
    "two classes": (("no", "yes"), (4, 4)),
    "letters, wide": (LETTERS, (3, 7)),
    "no picture, long names": (("an ankle boot that is brown", "T-shirt/top", "$\\frac$"), (12,)),
    "colour": (("a", "b", "c"), (4, 4, 3)),
    "colour, channels first": (("a", "b", "c"), (3, 4, 5)),
    "grey, channel first": (("a", "b", "c"), (1, 5, 6)),
}


@pytest.mark.parametrize("case", SHAPES)
def test_the_holdout_can_be_drawn_whatever_the_data(case: str) -> None:
    """No class count, name or image shape is hard-wired."""
    classes, shape = SHAPES[case]
    judged = make_judged(classes, shape=shape, rows=4 * len(classes))
    weights = make_linear(judged).coefficients
    drawn = holdout_pictures(make_holdout_summary(judged), judged, weights, meaning="Coefficient")
    drawn += data_pictures(judged.images, judged.labels, classes, shape)
    assert len({picture.name for picture in drawn}) == len(drawn) == 8


@pytest.mark.parametrize(("folds", "metric"), [(3, "log_loss"), (11, "accuracy")])
def test_the_search_can_be_drawn_whatever_its_size(folds: int, metric: str) -> None:
    """More folds than colours, losses and scores."""
    result = make_result(folds=folds, metric=metric)
    names = [each.name for each in search_pictures(result, make_estimates(result))]
    assert names == ["curve", "trials", "outer_folds"]


def test_trials_off_the_scale_are_marked_at_its_edge() -> None:
    """The scale leaves out the worst: they must not seem never to have been made."""
    result = make_result(folds=3, trials=10)
    figure = trial_order(result)
    low, high = figure.axes[0].get_ylim()
    outside = [trial for trial in result.trials if not low <= trial.mean("log_loss") <= high]
    marked = [
        len(np.asarray(line.get_xdata()))
        for axes in figure.axes
        for line in axes.lines
        if line.get_markerfacecolor() == "white"
    ]
    assert sum(marked) == len(outside) > 0


def test_the_lowest_panel_of_each_column_has_its_numbers() -> None:
    """Seven studies fill four columns: the last one's only panel stands in the first row."""
    figure = trial_order(make_result(folds=6))
    figure.draw_without_rendering()
    numbered = [bool(axes.xaxis.get_tick_params()["labelbottom"]) for axes in figure.axes]
    assert numbered == [False] * 3 + [True] * 4


def test_values_of_several_parameters_stand_beside_each_other() -> None:
    """Long names and all: no word on another."""
    result = make_result(folds=3)
    dimensions = {
        **result.space.dimensions,
        "min_samples_leaf": OneOf((1, 20)),
        "kernel": OneOf(("rbf", "poly")),
    }
    folds = [
        replace(
            each,
            best=replace(
                each.best, values={"C": 1.5e-5, "min_samples_leaf": 20, "kernel": "rbf or another"}
            ),
        )
        for each in result.outer
    ]
    space = replace(result.space, dimensions=dimensions)
    several = replace(result, space=space, outer=tuple(folds))
    figure = outer_folds(several, make_estimates(result)["log_loss"])
    figure.draw_without_rendering()
    boxes = [text.get_window_extent() for text in figure.axes[0].texts]
    assert len(boxes) == (1 + 3) * (1 + 3)
    assert not [pair for pair in combinations(boxes, 2) if pair[0].overlaps(pair[1])]


def test_a_perfect_model_has_no_mistakes_to_show() -> None:
    """The galleries say so in place of failing."""
    judged = make_judged(rows=6)
    judged.probabilities[:] = 0.01
    judged.probabilities[range(6), judged.labels] = 0.98
    for draw, words in ((confident_mistakes, "No mistakes"), (confused_pairs, "No confusions")):
        figure = draw(judged)
        figure.draw_without_rendering()
        assert figure.get_suptitle() == words


def test_a_fold_has_its_own_confusion_and_roc() -> None:
    """PNG alone: they are made for every fold."""
    files = picture_files(fold_pictures(make_outer_fold(), ("a", "b", "c")))
    assert set(files) == {"confusion.png", "roc.png"}


@pytest.mark.parametrize("count", [2, 10, 29, 31, 70, 100, 300])
@pytest.mark.parametrize("width", [1, 3, 24])
def test_class_names_never_run_into_each_other(count: int, width: int) -> None:
    """However many classes there are, on both axes of the confusion matrix."""
    classes = [f"{number:0{width}d}" for number in range(count)]
    figure = confusion_matrix(np.eye(count, dtype=np.int64) * 9 + 1, classes)
    figure.draw_without_rendering()
    (axes,) = figure.axes
    for labels in (axes.get_xticklabels(), axes.get_yticklabels()):
        boxes = [label.get_window_extent() for label in labels]
        assert not any(one.overlaps(next_) for one, next_ in pairwise(boxes))
