"""What is written down of each event, before any store is touched."""

import math
from dataclasses import replace

import pytest

from foldwise.runs.tree import (
    NOTE_TAG,
    Point,
    RunNode,
    nodes_of,
    outcome_node,
    study_begun,
    study_node,
    trial_node,
)
from foldwise.search.trials import FINAL, FitCounts, InnerFold, Progress
from foldwise.stats.scores import METRICS
from tests.factories import make_outer_fold, make_result, make_space, make_trial, outer

KEY = "abc:1"
SPACE = make_space()


def _series(record: RunNode, key: str) -> list[tuple[int, float]]:
    return [(point.step, point.value) for point in record.points if point.key == key]


def _value(record: RunNode, key: str) -> float:
    [(_, value)] = _series(record, key)
    return value


def test_every_run_of_a_search_has_a_key_and_a_name_of_its_own() -> None:
    """Keys make recording idempotent, names are what people read."""
    result = make_result(folds=4, trials=12)
    records = [trial_node(KEY, trial, SPACE) for trial in result.trials]
    records += [study_begun(KEY, study) for study in {trial.study for trial in result.trials}]
    assert len({record.key for record in records}) == len(records)
    assert len({record.name for record in records}) == len(records)


def test_a_trials_name_tells_study_number_and_strength_within_twenty_characters() -> None:
    """MLflow cuts longer names in its columns."""
    assert trial_node(KEY, make_trial(outer(0), 3, C=0.5123), SPACE).name == "o0·t03 C=0.512"
    assert trial_node(KEY, make_trial(FINAL, 11, C=1e-4), SPACE).name == "final·t11 C=0.0001"
    for C in (1.23456e-4, 9.99999, 0.0123456):
        assert len(trial_node(KEY, make_trial(outer(5), 11, C=C, folds=6), SPACE).name) <= 20


def test_a_trial_hangs_below_its_study_and_the_study_below_the_pipeline() -> None:
    """The three levels are one chain of keys."""
    trial, study = trial_node(KEY, make_trial(outer(1), 2), SPACE), study_begun(KEY, outer(1))
    assert trial.parent == study.key
    assert study.parent == KEY


def test_inner_scores_are_stepped_by_the_part_that_was_scored() -> None:
    """A chart by step compares the same part over all trials."""
    trial = make_trial(outer(1), 0, folds=4, log_loss=0.3)
    steps = _series(trial_node(KEY, trial, SPACE), "inner_log_loss")
    assert steps == [(0, 0.3), (2, 0.302), (3, 0.303)]


@pytest.mark.parametrize("metric", METRICS)
def test_a_trials_mean_is_the_mean_of_its_steps(metric: str) -> None:
    """The figure studies are compared by, and the figures it comes from, agree."""
    record = trial_node(KEY, make_trial(folds=5), SPACE)
    steps = [value for _, value in _series(record, f"inner_{metric}")]
    assert _value(record, f"inner_{metric}_mean") == pytest.approx(sum(steps) / 4, abs=1e-6)


def test_the_exact_strength_is_a_param_and_its_logarithm_a_metric() -> None:
    """The param gives C back to the last bit; MLflow has no logarithmic axis for the metric."""
    C = 0.1 + 0.2
    record = trial_node(KEY, make_trial(C=C), SPACE)
    assert float(record.params["C"]) == C
    assert _value(record, "C") == pytest.approx(C, rel=1e-5)
    assert _value(record, "log10_C") == pytest.approx(math.log10(C), abs=1e-4)


def test_a_trial_counts_its_fits_that_did_not_converge() -> None:
    """An exhausted fit must be seen where trials are compared."""
    exhausted = trial_node(KEY, make_trial(folds=4, status="exhausted"), SPACE)
    assert _value(exhausted, "fits_not_converged") == 3
    assert _value(trial_node(KEY, make_trial(), SPACE), "fits_not_converged") == 0


def test_a_trial_whose_fits_needed_no_iteration_tells_of_none() -> None:
    """It started at its solution: a 0 would look like a fit that did nothing."""
    trial = make_trial()
    assert _value(trial_node(KEY, trial, SPACE), "iterations_max") == 90
    still = tuple(replace(fold, facts={**fold.facts, "iterations": 0}) for fold in trial.inner)
    keys = {point.key for point in trial_node(KEY, replace(trial, inner=still), SPACE).points}
    assert "iterations_max" not in keys
    assert "fits_not_converged" in keys


def test_a_studys_curve_is_sorted_by_strength_whatever_the_order_of_trials() -> None:
    """MLflow joins the points by step, so the step must be the rank by C."""
    trials = [make_trial(number=n, C=C) for n, C in enumerate((1.0, 0.001, 0.1))]
    record = study_node(KEY, make_outer_fold(0, trials[1]), trials, SPACE)
    assert _series(record, "search_log10_C") == [(0, -3.0), (1, -1.0), (2, 0.0)]
    losses = [value for _, value in _series(record, "search_inner_log_loss")]
    assert losses == [
        pytest.approx(trial.mean("log_loss"), abs=1e-6)
        for trial in (trials[1], trials[2], trials[0])
    ]


def test_an_outer_study_has_an_estimate_and_the_final_study_has_none() -> None:
    """The final model has no part of its own to be scored on."""
    result = make_result()
    estimated = study_node(KEY, result.outer[0], result.study_trials(outer(0)), SPACE)
    final = study_node(KEY, result.final, result.study_trials(FINAL), SPACE)
    assert _value(estimated, "outer_log_loss") == pytest.approx(
        result.outer[0].scores["log_loss"], abs=1e-6
    )
    assert not any(point.key.startswith("outer_") for point in final.points)
    assert final.name == "final study"


def test_a_study_and_its_trials_share_a_colour_no_other_study_has() -> None:
    """One colour a fold, wherever MLflow draws it."""
    result = make_result(folds=6, trials=2)
    colours = {
        (record.tags["study"], record.tags["mlflow.runColor"])
        for trial in result.trials
        for record in (trial_node(KEY, trial, SPACE), study_begun(KEY, trial.study))
    }
    assert len(colours) == 7
    assert len({colour for _, colour in colours}) == 7


def test_the_outcome_tells_how_the_fits_ended() -> None:
    """Counts of the fits made, and of those that did not converge, stand on the pipeline."""
    result = replace(make_result(), fits=FitCounts(9, 6, converged=3, stalled=2, exhausted=1))
    record = outcome_node(KEY, result)
    assert _value(record, "fits_distinct") == 6
    assert _value(record, "fits_not_converged") == 3
    assert _value(record, "C") == pytest.approx(result.final.best.values["C"], rel=1e-5)
    inner = result.final.best.mean("log_loss")
    assert _value(record, "inner_log_loss_mean") == pytest.approx(inner, abs=1e-6)


@pytest.mark.parametrize("metric", METRICS)
def test_the_pipelines_outer_score_is_the_mean_over_the_outer_folds(metric: str) -> None:
    """The figure pipelines are compared by is the estimate of the nested cross-validation."""
    result = make_result(folds=5)
    scores = [fold.scores[metric] for fold in result.outer]
    value = _value(outcome_node(KEY, result), f"outer_{metric}")
    assert value == pytest.approx(sum(scores) / 5, abs=1e-6)


def test_each_outer_fold_is_a_point_of_a_line_and_few_metrics_are_bars() -> None:
    """MLflow draws a series as a line, and each metric of one value as a bar of its own."""
    result = make_result(folds=5)
    points = outcome_node(KEY, result).points
    for metric in METRICS:
        line = [(each.step, each.value) for each in points if each.key == f"by_outer_fold/{metric}"]
        scores = [round(fold.scores[metric], 6) for fold in result.outer]
        assert line == [*enumerate(scores)]
    assert len([each for each in points if "/" not in each.key]) <= 13


def test_every_note_begins_with_its_headline() -> None:
    """MLflow shows three lines of a note: the answer must be in the first."""
    result = make_result()
    records = (
        trial_node(KEY, result.trials[0], SPACE),
        study_begun(KEY, FINAL),
        study_node(KEY, result.outer[0], result.study_trials(outer(0)), make_space("f1")),
        outcome_node(KEY, result),
    )
    assert all(record.tags["mlflow.note.content"].startswith("**") for record in records)


def test_notes_say_what_a_last_value_and_a_step_are() -> None:
    """MLflow shows a series' last value beside means, and calls a fold's number a step."""
    result = make_result()
    of_trial = trial_node(KEY, result.trials[0], SPACE).tags[NOTE_TAG]
    assert "of `inner_…`, stepped by the part scored, MLflow shows the last fold's" in of_trial
    assert "*Step* is the outer fold" in outcome_node(KEY, result).tags[NOTE_TAG]


def test_no_key_breaks_mlflows_rules_for_names() -> None:
    """MLflow takes letters, digits, underscore, dash, dot, blank, colon and slash."""
    result = make_result()
    record = study_node(KEY, result.outer[0], result.study_trials(outer(0)), make_space("roc_auc"))
    keys = {
        point.key for point in (*record.points, *trial_node(KEY, result.trials[0], SPACE).points)
    }
    assert all(key.replace("_", "").isalnum() for key in keys)


def test_an_event_is_the_nodes_it_changes() -> None:
    """A trial shows that its study began; a study shows its own trials alone; progress nothing."""
    result = make_result()
    trial, fold = result.trials[0], result.outer[0]
    begun, own = nodes_of(KEY, trial, (), SPACE)
    assert begun == study_begun(KEY, trial.study)
    assert own == trial_node(KEY, trial, SPACE)
    [ended] = nodes_of(KEY, fold, result.trials, SPACE)
    assert ended == study_node(KEY, fold, result.study_trials(fold.study), SPACE)
    assert nodes_of(KEY, result, result.trials, SPACE) == (outcome_node(KEY, result),)
    assert nodes_of(KEY, Progress(1, 2), result.trials, SPACE) == ()


def test_told_late_that_a_study_began_it_has_ended_all_the_same() -> None:
    """After an outage a whole search may be told again before any of it is written."""
    result = make_result()
    ended = study_node(KEY, result.outer[0], result.study_trials(outer(0)), SPACE)
    begun = study_begun(KEY, outer(0))
    assert ended.merged(begun) == ended
    assert begun.merged(ended) == ended


def test_what_is_told_last_of_a_run_is_wanted() -> None:
    """A metric told twice has its later value, and what only one telling had stays."""
    first = RunNode(KEY, "cv", {"a": "1"}, {"p": "1"}, (Point("x", 1.0), Point("y", 1.0)))
    both = first.merged(RunNode(KEY, tags={"b": "2"}, points=(Point("x", 2.0),)))
    assert both == RunNode(
        KEY, "cv", {"a": "1", "b": "2"}, {"p": "1"}, (Point("x", 2.0), Point("y", 1.0))
    )


@pytest.mark.parametrize(
    ("node", "name"),
    [
        (RunNode(KEY), "the pipeline"),
        (RunNode(f"{KEY}/final"), "final study"),
        (RunNode(f"{KEY}/outer-1.3/7"), "trial 7 of outer-1.3"),
        (RunNode(f"{KEY}/outer-0", files={"a": b"", "b": b""}), "2 files of outer-0"),
    ],
)
def test_a_node_is_named_as_people_know_it(node: RunNode, name: str) -> None:
    """What is missing at the end is told by these names."""
    assert str(node) == name


def test_a_device_other_than_the_cores_is_a_tag() -> None:
    """Of the trial that it made, and of the search; both names where some fits are the cores'."""
    trial = make_trial(outer(1), 0)
    on_device = InnerFold(trial.inner[0].part, trial.inner[0].scores, {"device": "a GPU"})
    mixed = replace(trial, inner=(on_device, *trial.inner[1:]))
    assert "device" not in trial_node(KEY, trial, SPACE).tags
    assert trial_node(KEY, mixed, SPACE).tags["device"] == "a GPU, processor cores"
    result = make_result()
    assert "device" not in outcome_node(KEY, result).tags
    assert (
        outcome_node(KEY, replace(result, trials=(mixed,))).tags["device"]
        == "a GPU, processor cores"
    )
