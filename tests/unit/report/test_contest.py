"""The comparison in tables and pictures."""

import csv
import io
from dataclasses import replace

import pytest

from foldwise.data.dataset import DataInfo
from foldwise.report.album import contest_pictures, outcome_pictures
from foldwise.report.contest import (
    Contestant,
    model_card,
    model_report,
    models_csv,
    pairs_csv,
)
from foldwise.report.figures.versus import accuracy_against_time
from foldwise.report.wording import json_text, values_text
from foldwise.stats.intervals import Interval
from tests.unit.app.result_cases import ROWS, make_contestant, make_judged

DATA = DataInfo("blobs", (0, 1, 2), (4, 4), 60, "e" * 64, 60, "f" * 64)


def test_what_is_no_probability_has_no_log_loss_and_no_calibration() -> None:
    """Neither as a figure nor as an interval; the other five metrics stand."""
    report = model_report(make_contestant(are_probabilities=False))
    assert not [key for key in report if "log_loss" in key or "calibration" in key]
    assert report["accuracy"] == pytest.approx(1 - 6 / ROWS)
    assert report["roc_auc"] is not None
    with_probabilities = model_report(make_contestant())
    assert {"log_loss", "log_loss_low", "calibration_error"} <= with_probabilities.keys()


def test_scores_lie_in_their_intervals() -> None:
    """The summary's figures are those of the predictions."""
    summary = make_contestant()
    assert summary.right.sum() == ROWS - 6
    for metric, interval in summary.holdout.intervals.items():
        assert interval.low <= summary.holdout.scores[metric] <= interval.high


@pytest.mark.parametrize("are_probabilities", [False, True])
def test_a_report_is_json_and_tells_the_best_values(*, are_probabilities: bool) -> None:
    """No NaN, which JSON has not."""
    report = model_report(make_contestant(are_probabilities=are_probabilities))
    assert "NaN" not in json_text(report)
    assert report["best"] == {"C": 1.5, "kind": "a"}
    assert report["title"] == "Tree"


def test_the_tables_list_every_model_and_every_pair() -> None:
    """Read back as CSV; an absent log-loss is an empty cell."""
    models = [make_contestant(), make_contestant(are_probabilities=False, mistakes=20)]
    rows = list(csv.DictReader(io.StringIO(models_csv(models))))
    assert [float(row["accuracy"]) for row in rows] == pytest.approx([0.9, 1 - 20 / ROWS], abs=1e-6)
    assert [row["log_loss"] == "" for row in rows] == [False, True]
    assert rows[0]["best"] == "C = 1.50, kind = a"


def test_a_pair_counts_the_rows_that_one_got_right_alone() -> None:
    """The model with 20 mistakes is wrong on the 6 of the other one too: 14 rows differ."""
    better, worse = make_contestant(), make_contestant(mistakes=20)
    worse = replace(worse, entry=replace(worse.entry, name="other"))
    [row] = csv.DictReader(io.StringIO(pairs_csv([better, worse])))
    assert (row["first"], row["second"]) == ("tree", "other")
    assert (row["first_only"], row["second_only"]) == ("14", "0")
    assert float(row["p_value_holm"]) == pytest.approx(2 * 0.5**14, rel=0.01)


def _costing(title: str, accuracy: float, fit: float, predict: float) -> Contestant:
    model = make_contestant()
    holdout = replace(
        model.holdout,
        scores={"accuracy": accuracy},
        intervals={"accuracy": Interval(accuracy - 0.003, accuracy + 0.003, 0.95, "Wilson")},
    )
    result = replace(model.result, seconds={"fit_seconds": fit, "predict_seconds": predict})
    return replace(model, entry=replace(model.entry, title=title), result=result, holdout=holdout)


def test_every_model_stands_in_the_picture_at_its_time_and_accuracy() -> None:
    """On logarithmic axes, a time too short to measure included."""
    costs = [
        _costing("SVM (RBF)", 0.98, 163.0, 74.0),
        _costing("k-nearest neighbours", 0.97, 0.0, 9.0),
    ]
    figure = accuracy_against_time(costs, rows=60_000, holdout=10_000)
    fit, predict = figure.axes
    drawn = [tuple(float(v[0]) for v in bars[0].get_data()) for bars in fit.containers]
    assert drawn == [(163.0, 0.98), (0.01, 0.97)]
    assert (fit.get_xscale(), predict.get_xscale()) == ("log", "log")
    assert "SVM (RBF), 98.00 %" in figure.get_suptitle()
    [legend] = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == [cost.entry.title for cost in costs]


@pytest.mark.usefixtures("sketched")
def test_pictures_have_words_for_those_who_cannot_see_them() -> None:
    """Of all side by side, and of one that has no probabilities."""
    models = [make_contestant(), make_contestant(are_probabilities=False, mistakes=20)]
    of_one = outcome_pictures(make_judged(are_probabilities=False, mistakes=20))
    drawn = (*contest_pictures(models, DATA), *of_one)
    assert [picture.name for picture in drawn] == ["accuracy_time", "confusion", "roc"]
    assert all(picture.alt.endswith(".") for picture in drawn)


def test_the_card_begins_with_a_line_of_plain_text() -> None:
    """The list of versions shows it raw; what follows tells procedure and scores."""
    first, *rest = model_card(make_contestant(), DATA).splitlines()
    assert first == "blobs: Tree, accuracy 0.9000 on 60 held-out images; C = 1.50, kind = a"
    assert "## Holdout" in rest
    assert any(line.startswith("- log_loss: ") for line in rest)


def test_a_title_is_text_and_never_markup() -> None:
    """`![p](http://...)` would make the browser of whoever reads the card ask a foreign server."""
    model = make_contestant()
    named = replace(model, entry=replace(model.entry, title="![p](http://x.example/p)"))
    assert "![p](http:" not in model_card(named, DATA)


def test_values_stand_in_one_line() -> None:
    """Three significant digits, words as they are."""
    text = values_text({"C": 5.31234, "gamma": 0.0213456, "weights": "uniform", "p": 2})
    assert text == "C = 5.31, gamma = 0.0213, weights = uniform, p = 2"
