"""Every figure can be drawn for data of any shape."""

import math
from collections.abc import Callable
from dataclasses import replace
from itertools import combinations, pairwise

import numpy as np
import pytest
from matplotlib.collections import PolyCollection
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.text import Text

from foldwise.report.album import (
    PIXELS,
    holdout_pictures,
    outcome_pictures,
    search_pictures,
    weight_pictures,
)
from foldwise.report.figures.columns import coefficient_bars, column_profile
from foldwise.report.figures.holdout import confusion_matrix, roc_curves
from foldwise.report.figures.images import (
    coefficient_images,
    confident_mistakes,
    confused_pairs,
    tallness,
)
from foldwise.report.figures.search import inner_curves, outer_folds, trial_order
from foldwise.report.judged import Judged
from foldwise.report.picture import picture_files
from foldwise.search.summary import best_trials
from foldwise.search.trials import FINAL, Part, Study, Trial, number_of
from foldwise.settings import Between
from tests.factories import make_outer_fold, make_result
from tests.unit.report.findings_cases import (
    make_data_pictures,
    make_estimates,
    make_holdout_summary,
    make_judged,
    make_linear,
)

LETTERS = tuple("abcdefghijklmn")


pytestmark = pytest.mark.usefixtures("sketched")


CLASSES: dict[str, tuple[str, ...]] = {
    "two": ("no", "yes"),
    "letters": LETTERS,
    "long names": ("an ankle boot that is brown", "T-shirt/top", "$\\frac$"),
}
SHAPES: dict[str, tuple[int, ...]] = {
    "wide": (3, 7),
    "no picture": (12,),
    "colour": (4, 4, 3),
    "colour, channels first": (3, 4, 5),
    "grey, channel first": (1, 5, 6),
}


@pytest.mark.parametrize("case", CLASSES)
def test_the_holdout_can_be_drawn_whatever_the_classes(case: str) -> None:
    """No class count or name is hard-wired; of two there is precision against recall."""
    classes = CLASSES[case]
    judged = make_judged(classes, rows=max(60, 4 * len(classes)))
    drawn = holdout_pictures(make_holdout_summary(judged), judged)
    names = {"class_f1", "confusion", "roc", "calibration", "confused_pairs", "mistakes"}
    of_two = {"precision_recall"} if len(classes) == 2 else set()
    assert {each.name for each in drawn} == names | of_two


@pytest.mark.parametrize("case", SHAPES)
def test_images_can_be_drawn_whatever_their_shape(case: str) -> None:
    """Some of each class, those that are mistaken, and what the model looks for."""
    judged = make_judged(shape=SHAPES[case], rows=60)
    weights = make_linear(judged).coefficients
    drawn = (
        *make_data_pictures(judged),
        *weight_pictures(weights, judged.classes, judged.shape, meaning=PIXELS),
    )
    assert [each.name for each in drawn] == ["classes", "coefficients"]
    for figure in (confident_mistakes(judged), confused_pairs(judged)):
        figure.draw_without_rendering()


@pytest.mark.parametrize("shape", [(1, 30), (30, 1), (1, 30, 3)])
def test_a_line_of_pixels_is_drawn_as_stripes(shape: tuple[int, ...]) -> None:
    """A strip one pixel high could hardly be seen, nor one that is one pixel wide."""
    judged = make_judged(shape=shape, rows=60)
    drawn = np.asarray(confident_mistakes(judged).axes[0].images[0].get_array())
    assert len(drawn) == np.prod(shape) // 3
    assert tallness(shape) == 1 / 3


def test_shifted_copies_are_told_apart_in_the_picture_of_the_classes() -> None:
    """Beside the words, which count them apart, the picture would contradict them."""
    judged = make_judged(rows=60)
    (none,), (some,) = (make_data_pictures(judged, copies=copies) for copies in (0, 48))
    assert "60 images of 3 classes" in none.alt
    assert "60 images, 48 of them shifted copies, of 3 classes" in some.alt


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


def test_a_perfect_model_has_no_pictures_of_mistakes() -> None:
    """An empty one tells nothing."""
    judged = make_judged(rows=6)
    judged.probabilities[:] = 0.01
    judged.probabilities[range(6), judged.labels] = 0.98
    drawn = holdout_pictures(make_holdout_summary(judged), judged)
    assert not {"confused_pairs", "mistakes"} & {picture.name for picture in drawn}


@pytest.mark.parametrize("draw", [confident_mistakes, confused_pairs])
def test_each_mistake_has_its_row_s_number_below_it(draw: Callable[[Judged], Figure]) -> None:
    """By which it is found in predictions.csv."""
    judged = make_judged()
    shown = {text.get_text() for axes in draw(judged).axes for text in axes.texts}
    numbers = {int(text.removeprefix("no. ")) for text in shown if text.startswith("no. ")}
    assert numbers
    assert numbers <= set(judged.mistakes().tolist())
    assert f"no. {judged.mistakes()[0]}" in shown


@pytest.mark.parametrize("shape", [(9, 11), (9, 11, 3), (3, 9, 11)])
def test_the_scale_of_coefficients_is_of_what_is_drawn(shape: tuple[int, ...]) -> None:
    """Channels are added: hardly any pixel may lie beyond the scale's ends."""
    weights = np.abs(np.random.default_rng(1).normal(size=(4, math.prod(shape))))
    figure = coefficient_images(weights, ["a", "b", "c", "d"], shape, meaning="evidence")
    shown = [image for axes in figure.axes for image in axes.get_images()]
    values = np.array([image.get_array() for image in shown])
    low, high = shown[0].get_clim()
    assert -low == high
    assert 0 < (values > high).mean() < 0.01


@pytest.mark.parametrize("positive", [0, 1])
def test_two_classes_have_one_roc_curve_with_the_positive_class_named(positive: int) -> None:
    """The other class's is the same from behind."""
    holdout = make_holdout_summary(make_judged(("well", "ill")))
    areas = [each.roc_auc for each in holdout.by_class]
    figure = roc_curves(holdout.curves, areas, holdout.classes, positive=positive)
    name = ("well", "ill")[positive]
    assert f"for {name} against" in figure.get_suptitle()
    drawn = [line for line in figure.axes[0].lines if len(np.asarray(line.get_xdata())) > 2]
    np.testing.assert_array_equal(drawn[0].get_ydata(), holdout.curves[positive][1])
    assert len(drawn) == 1


def test_a_table_without_gaps_has_no_empty_panel() -> None:
    assert len(column_profile([3, 4], ["a", "b"], {"x": 0.0}).axes) == 1
    assert len(column_profile([3, 4], ["a", "b"], {"x": 0.5}).axes) == 2


@pytest.mark.parametrize("classes", [("no", "yes"), ("a", "b", "c")])
def test_coefficients_are_bars_from_the_largest_down_with_a_point_for_each_outer_fold(
    classes: tuple[str, ...],
) -> None:
    """Small ones are left out where there is no room; so are points of folds that have none."""
    draws = np.random.default_rng(0)
    weights = draws.normal(size=(1 if len(classes) == 2 else 3, 40))
    outer = weights + draws.normal(size=(4, *weights.shape))
    outer[3, :, :20] = np.nan
    names = [f"feature {place}" for place in range(40)]
    figure = coefficient_bars(weights, outer, names, classes)
    assert len(figure.axes) == len(weights)
    for axes, own, points in zip(figure.axes, weights, outer.swapaxes(0, 1), strict=True):
        told = [names.index(label.get_text()) for label in axes.get_yticklabels()]
        widths = [bar.get_width() for bar in axes.patches if isinstance(bar, Rectangle)]
        assert widths == own[told].tolist() == sorted(widths, reverse=True)
        assert min(map(abs, widths)) >= np.abs(np.delete(own, told)).max()
        dotted = [np.asarray(line.get_xdata()) for line in axes.lines if line.get_marker() == "o"]
        np.testing.assert_array_equal(dotted, points[:, told].T)


def test_columns_with_gaps_are_named_from_the_worst_down_with_their_shares() -> None:
    missing = {"none": 0.0, "some": 0.125, "most": 0.75}
    figure = column_profile([30, 10], ["a", "b"], missing)
    left, right = figure.axes
    assert [label.get_text() for label in right.get_yticklabels()] == ["most", "some"]
    shares = [bar.get_width() for bar in right.patches if isinstance(bar, Rectangle)]
    assert shares == [0.75, 0.125]
    assert [text.get_text().strip() for text in right.texts] == ["75.0 %", "12.5 %"]
    assert [text.get_text().strip() for text in left.texts] == ["30", "10"]
    assert figure.get_suptitle() == "40 rows of 2 classes, 3 columns, 1 of them without gaps"


def test_the_panel_that_decides_is_the_larger_and_shows_what_is_near_the_best() -> None:
    """How much worse than the best, over the values that are not far off."""
    result = make_result(trials=12)
    figure = inner_curves(result, "C")
    figure.draw_without_rendering()
    above, below = figure.axes
    assert below.get_position().height > above.get_position().height
    (first, last), (low, high) = above.get_xlim(), below.get_xlim()
    chosen = [number_of(trial.values, "C") for trial in best_trials(result)]
    assert first < low < min(chosen)
    assert max(chosen) < high < last


@pytest.mark.parametrize(("folds", "bands"), [(6, 7), (7, 1)])
def test_bands_of_many_studies_do_not_hide_the_lines(folds: int, bands: int) -> None:
    """The final study's alone is drawn then."""
    _, below = inner_curves(make_result(folds=folds), "C").axes
    assert sum(isinstance(each, PolyCollection) for each in below.collections) == bands


def test_whole_numbers_are_written_as_such() -> None:
    """A depth of 3 is no measurement to three digits, and has no half."""

    def whole(trial: Trial) -> Trial:
        return replace(trial, values={"depth": 3 + trial.number})

    result = make_result()
    told = replace(
        result,
        space=replace(result.space, dimensions={"depth": Between(2, 9, is_log=True)}),
        trials=tuple(map(whole, result.trials)),
        outer=tuple(replace(fold, best=whole(fold.best)) for fold in result.outer),
        final=replace(result.final, best=whole(result.final.best)),
    )
    figure = inner_curves(told, "depth")
    figure.draw_without_rendering()
    axes = figure.axes[0]
    legend = axes.get_legend()
    assert legend is not None
    ticks = [text.get_text() for text in axes.get_xticklabels()]
    words = [*(text.get_text() for text in legend.texts), figure.get_suptitle(), *ticks]
    assert f"outer fold 0: {told.outer[0].best.values['depth']}" in words
    assert ticks == ["2", "3", "5", "7"]
    assert not [word for word in words if "." in word]


def test_folds_of_several_partitions_are_told_apart() -> None:
    """Fold 0 of the first isn't fold 0 of the second; the words stay in their panels."""

    def again(trial: Trial) -> Trial:
        part = trial.study.part
        return trial if part is None else replace(trial, study=Study(Part(1, part.fold)))

    result = make_result()
    told = replace(
        result,
        trials=(*result.trials, *(again(each) for each in result.trials if each.study != FINAL)),
        outer=(*result.outer, *(replace(fold, best=again(fold.best)) for fold in result.outer)),
    )
    curve, order = inner_curves(told, "C"), trial_order(told)
    folds = outer_folds(told, make_estimates(result)["log_loss"])
    for figure in (curve, order, folds):
        figure.draw_without_rendering()
    legend = curve.axes[0].get_legend()
    assert legend is not None
    of_curve = [text.get_text().partition(":")[0] for text in legend.texts]
    of_order = [axes.get_title(loc="left").partition(":")[0] for axes in order.axes]
    of_folds = [text.get_text() for text in folds.axes[0].get_yticklabels()]
    names = [f"repeat {repeat}, fold {fold}" for repeat in range(2) for fold in range(3)]
    for told_in in (of_curve, of_order, of_folds):
        assert [word for word in told_in if word.startswith("repeat")] == names
    texts = order.findobj(Text)
    titles = [text.get_window_extent() for text in texts if "C = " in text.get_text()]
    assert len(titles) == len(order.axes)
    assert not [pair for pair in combinations(titles, 2) if pair[0].overlaps(pair[1])]


def test_a_fold_has_its_own_confusion_and_roc() -> None:
    """PNG alone: they are made for every fold."""
    fold = make_outer_fold()
    judged = Judged(None, fold.labels, fold.predictions.values, ("a", "b", "c"), ())
    drawn = outcome_pictures(judged, with_svg=False)
    files = picture_files(drawn)
    assert set(files) == {"confusion.png", "roc.png"}


@pytest.mark.parametrize("count", [2, 10, 29, 300])
@pytest.mark.parametrize("width", [3, 24])
def test_class_names_never_run_into_each_other(count: int, width: int) -> None:
    """However many classes there are, on both axes of the confusion matrix."""
    classes = [f"{number:0{width}d}" for number in range(count)]
    figure = confusion_matrix(np.eye(count, dtype=np.int64), classes)
    figure.draw_without_rendering()
    (axes,) = figure.axes
    for labels in (axes.get_xticklabels(), axes.get_yticklabels()):
        boxes = [label.get_window_extent() for label in labels]
        assert not any(one.overlaps(next_) for one, next_ in pairwise(boxes))
