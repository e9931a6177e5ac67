"""Tables say what the results say, no more, and the same way each time."""

import csv
import io
import json
import re
from collections.abc import Iterator

import numpy as np
import pytest

from foldwise.app.drawing import holdout_metrics
from foldwise.report.page import render_card
from foldwise.report.tables import (
    calibration_csv,
    confusion_csv,
    curve_csv,
    evaluation,
    holdout_headline,
    mistakes_csv,
    outer_headline,
    per_class_csv,
    predictions_csv,
    roc_csv,
    trials_csv,
    tuning,
)
from foldwise.report.wording import csv_of, json_text, rounded
from foldwise.stats.intervals import score_intervals
from foldwise.stats.scores import METRIC, METRICS, calibration_error, per_class, score
from tests.factories import make_result
from tests.unit.report.findings_cases import (
    make_estimates,
    make_findings,
    make_holdout_summary,
    make_judged,
)

AWKWARD = ('a,"b"', "c\nd", "é")
"""Class names that a careless CSV would break on."""


def test_trials_come_back_from_their_csv() -> None:
    """Study, number, part and outcome are kept, C to the last digit, scores to six decimals."""
    result = make_result(folds=4, trials=3)
    rows = list(_rows(trials_csv(result)))
    inner = [(trial, fold) for trial in result.trials for fold in trial.inner]
    assert len(rows) == len(inner)
    for row, (trial, fold) in zip(rows, inner, strict=True):
        assert (row["study"], int(row["trial"]), int(row["part"])) == (
            str(trial.study),
            trial.number,
            fold.part.fold,
        )
        assert float(row["C"]) == trial.values["C"]
        assert row["status"] == fold.facts["status"]
        for metric in METRICS:
            assert float(row[metric]) == pytest.approx(fold.scores[metric], abs=5e-7)


def test_the_curve_has_one_best_point_a_study() -> None:
    """Nothing is worse than the best by less than nothing."""
    excess: dict[str, list[float]] = {}
    for row in _rows(curve_csv(make_result(folds=3, trials=5))):
        assert 10 ** float(row["log10_C"]) == pytest.approx(float(row["C"]), rel=1e-5)
        excess.setdefault(row["study"], []).append(float(row["worse_than_best"]))
    assert set(excess) == {"outer-0", "outer-1", "outer-2", "final"}
    assert all(values.count(0.0) == 1 and min(values) == 0 for values in excess.values())


def test_dvc_compares_few_figures_each_in_one_column() -> None:
    """With the file's path at most twelve columns, in which outer folds and holdout share names."""
    outer = outer_headline(make_result(), make_estimates())
    held = holdout_headline(make_holdout_summary(make_judged()))
    assert {*METRICS, "C"} <= outer.keys()
    assert {*METRICS, "calibration_error"} <= held.keys()
    assert len({"Path", *outer, *held}) <= 12
    document = tuning(make_result(), make_estimates())
    assert {name: document[f"outer_{name}"] for name in METRICS}.items() <= outer.items()


def test_tuning_tells_each_fold_and_both_intervals() -> None:
    """One entry a fold and a metric; each interval says how it was made."""
    document = json.loads(json_text(tuning(make_result(), make_estimates())))
    assert [fold["fold"] for fold in document["folds"]] == [0, 1, 2]
    assert [each["metric"] for each in document["intervals"]] == list(METRICS)
    for each in document["intervals"]:
        assert each["low"] <= each["mean"] <= each["high"]
        assert each["corrected_low"] <= each["mean"] <= each["corrected_high"]
        assert each["method"] == "influence"
        assert each["corrected_method"] == "corrected (Nadeau-Bengio)"


def test_evaluation_is_flat_and_each_metric_has_its_interval_beside_it() -> None:
    """Every value is a plain number, and lies between its low and high."""
    document = evaluation(make_holdout_summary(make_judged()))
    numbers = {key: value for key, value in document.items() if isinstance(value, int | float)}
    assert len(numbers) == len(document)
    for metric in METRICS:
        low, value, high = (numbers[f"{metric}{end}"] for end in ("_low", "", "_high"))
        assert low <= value <= high


def test_nowhere_has_a_holdout_s_figure_more_decimals_than_may_be_shown() -> None:
    """Of log-loss, ROC AUC and calibration, intervals included, a fourth one stands in no text."""
    judged = make_judged()
    findings, exact = make_findings(judged=judged), score(judged.probabilities, judged.labels)
    holdout = findings.holdout
    intervals = score_intervals(judged.probabilities, judged.labels, 0.95)
    hidden = [calibration_error(judged.probabilities, judged.labels)]
    hidden += [each.roc_auc for each in per_class(judged.probabilities, judged.labels)]
    shown = [
        figure
        for each in dict(findings.outer).values()
        for figure in (each.mean, each.interval.low, each.interval.high)
    ]
    for metric in METRICS:
        figures = shown if METRIC[metric].counts else hidden
        figures += [exact[metric], intervals[metric].low, intervals[metric].high]
    texts = (
        json_text(evaluation(holdout)), per_class_csv(holdout), calibration_csv(holdout),
        render_card(findings), findings.headline(),
        json.dumps(holdout_metrics(holdout)),
    )  # fmt: skip
    told = {
        number: 0.5 * 10 ** -min(7, len(number.split(".")[1]))
        for text in texts
        for number in re.findall(r"\d+\.\d{4,}", text)
        if number not in {f"{each:.4f}" for each in shown}
    }
    for figure in hidden:
        assert not [n for n, near in told.items() if abs(float(n) - figure) <= near]
    assert f"{exact['log_loss']:.3f}" in texts[0]
    assert f"{exact['accuracy']:.6f}" in texts[0]
    assert all(len(row["confidence"]) <= 5 for row in _rows(texts[2]))


def test_rounding_leaves_an_interval_its_width() -> None:
    """Of images that are nearly all certain, log-loss lies within a thousandth."""
    judged = make_judged()
    judged.probabilities[:] = np.eye(3)[judged.labels] * 0.999 + 0.001 / 3
    told = evaluation(make_holdout_summary(judged))
    assert told["log_loss_low"] == 0.0
    assert told["log_loss"] == told["log_loss_high"] == 0.001
    for metric in METRICS:
        low, high = (told[f"{metric}{end}"] for end in ("_low", "_high"))
        assert isinstance(low, float)
        assert isinstance(high, float)
        assert 0 <= low < high <= 1


def test_predictions_come_back_from_their_csv() -> None:
    """Labels and predictions by name, probabilities that add up to 1, whatever the names."""
    judged = make_judged(AWKWARD)
    rows = list(_rows(predictions_csv(judged)))
    assert [row["label"] for row in rows] == [AWKWARD[label] for label in judged.labels]
    for row, probabilities in zip(rows, judged.probabilities, strict=True):
        told = np.array([float(row[f"p_{name}"]) for name in AWKWARD])
        assert told == pytest.approx(probabilities, abs=5e-7)
        assert told.sum() == pytest.approx(1, abs=1e-5)
        assert row["predicted"] == AWKWARD[int(told.argmax())]


def test_the_shares_of_each_actual_class_add_up_to_one() -> None:
    """The cells are the whole matrix: all rows are in it once."""
    judged = make_judged(AWKWARD, rows=80)
    shares = dict.fromkeys(AWKWARD, 0.0)
    images = 0
    for row in _rows(confusion_csv(make_holdout_summary(judged))):
        shares[row["actual"]] += float(row["share"])
        images += int(row["images"])
    assert images == 80
    assert list(shares.values()) == pytest.approx([1, 1, 1], abs=1e-5)


def test_roc_curves_go_from_nothing_to_everything() -> None:
    """Each class's rates rise from 0 to 1."""
    rates: dict[str, list[tuple[float, float]]] = {}
    for row in _rows(roc_csv(make_holdout_summary(make_judged()))):
        point = float(row["false_positive_rate"]), float(row["true_positive_rate"])
        rates.setdefault(row["class"], []).append(point)
    assert set(rates) == {"a", "b", "c"}
    for points in rates.values():
        assert [points[0], points[-1]] == [(0, 0), (1, 1)]
        assert points == sorted(points)


def test_the_area_under_the_mean_curve_is_the_macro_averaged_one() -> None:
    """So the curve that DVC draws is the one that the metric is about."""
    summary = make_holdout_summary(make_judged())
    points = sorted(
        (float(row["false_positive_rate"]), float(row["mean_true_positive_rate"]))
        for row in _rows(roc_csv(summary))
    )
    area = np.trapezoid(*reversed(np.transpose(points)))
    assert area == pytest.approx(summary.scores["roc_auc"], abs=0.01)


def test_every_mistake_is_listed_once_and_nothing_else() -> None:
    """By cell, so that no row is told from another."""
    judged = make_judged(AWKWARD, rows=80)
    cells = [
        (row["actual"], row["predicted"])
        for row in _rows(mistakes_csv(make_holdout_summary(judged)))
    ]
    assert cells == sorted(cells, key=lambda cell: tuple(map(AWKWARD.index, cell)))
    wrong = judged.probabilities.argmax(axis=1) != judged.labels
    assert len(cells) == wrong.sum() > 0
    assert all(actual != predicted for actual, predicted in cells)


def test_classes_and_bins_hold_every_row_once() -> None:
    """Support and bin counts each add up to the holdout."""
    summary = make_holdout_summary(make_judged(rows=50))
    classes = list(_rows(per_class_csv(summary)))
    assert [row["class"] for row in classes] == ["a", "b", "c"]
    assert sum(int(row["support"]) for row in classes) == 50
    assert sum(int(row["rows"]) for row in _rows(calibration_csv(summary))) == 50
    for row in classes:
        assert float(row["f1_low"]) <= float(row["f1"]) <= float(row["f1_high"])


def test_what_is_no_number_is_null_and_zero_has_no_sign() -> None:
    """JSON has no NaN, and -0.0 would be a difference without a difference."""
    assert rounded(float("nan")) is None
    assert str(rounded(-1e-9)) == "0.0"
    assert json_text({"area": rounded(float("nan"))}) == '{\n  "area": null\n}\n'


def test_csv_lines_end_alike_everywhere() -> None:
    """No carriage returns: they would make a difference between systems."""
    assert csv_of([{"a": 1, "b": "x"}]) == "a,b\n1,x\n"


def test_a_table_without_rows_keeps_its_head() -> None:
    """A perfect model makes no mistakes; DVC reads the columns all the same."""
    judged = make_judged(rows=6)
    judged.probabilities[:] = np.eye(3)[judged.labels]
    assert mistakes_csv(make_holdout_summary(judged)) == "actual,predicted\n"


def _rows(text: str) -> Iterator[dict[str, str]]:
    return csv.DictReader(io.StringIO(text, newline=""))
