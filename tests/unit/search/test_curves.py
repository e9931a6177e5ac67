"""A study's curve compares each C with the best one, paired by inner fold."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from foldwise.search.space import Sampler
from foldwise.search.summary import curves, optimism, optimum_error
from foldwise.search.trials import FINAL, OuterFold, SearchResult, Trial
from tests.factories import make_outer_fold, make_result, make_scores, make_trial, outer


def test_there_is_a_curve_for_each_study_and_the_final_one_is_last() -> None:
    """Curves are named as the studies are, and hold all their trials."""
    result = make_result(folds=4, trials=5)
    drawn = curves(result, "C")
    assert [curve.study for curve in drawn] == [*(outer(fold) for fold in range(4)), FINAL]
    assert all(len(curve.values) == 5 for curve in drawn)


def test_points_rise_in_c_and_the_best_one_has_no_excess() -> None:
    """The best C is not worse than itself, and no C is better."""
    for curve in curves(make_result(trials=6), "C"):
        assert list(curve.values) == sorted(curve.values)
        assert curve.excess[curve.best] == curve.errors[curve.best] == 0.0
        assert all(curve.excess >= 0)


@pytest.mark.parametrize("metric", ["log_loss", "accuracy"])
def test_excess_is_the_difference_of_the_mean_scores(metric: str) -> None:
    """Pairing changes the error, never the difference; worse is positive for every metric."""
    result = make_result(trials=5, metric=metric)
    for curve in curves(result, "C"):
        gaps = np.abs(curve.scores - curve.scores[curve.best])
        assert curve.excess == pytest.approx(gaps)


def test_what_all_inner_folds_share_does_not_count_as_error() -> None:
    """A hard part is as hard at every C: differences that agree have no standard error."""
    curve = curves(make_result(folds=5), "C")[0]
    assert curve.excess[0] > 0
    assert curve.errors[0] == pytest.approx(0, abs=1e-12)


def test_the_error_is_the_standard_error_of_the_paired_differences() -> None:
    """Standard deviation (ddof 1) over the square root of the number of inner folds."""
    result = _with_noise()
    for curve in curves(result, "C"):
        trials = {trial.values["C"]: trial for trial in result.study_trials(curve.study)}
        best = _losses(trials[float(curve.values[curve.best])])
        for value, error in zip(curve.values, curve.errors, strict=True):
            differences = _losses(trials[float(value)]) - best
            expected = differences.std(ddof=1) / np.sqrt(len(differences))
            assert error == pytest.approx(expected)


@pytest.mark.parametrize(("loss", "sign"), [(0.40, 1), (0.20, -1)])
def test_optimism_is_positive_where_the_inner_score_looks_better(loss: float, sign: int) -> None:
    """Whether a metric is a loss or not, a better inner score is optimistic."""
    best = make_trial(log_loss=0.30)
    fold = _scored(make_outer_fold(best=best), loss)
    assert np.sign(optimism(fold, "log_loss")) == sign
    assert np.sign(optimism(fold, "accuracy")) == sign


def _scored(fold: OuterFold, log_loss: float) -> OuterFold:
    return replace(fold, scores=make_scores(log_loss))


def _losses(trial: Trial) -> NDArray[np.float64]:
    return np.array([fold.scores["log_loss"] for fold in trial.inner])


def _with_noise() -> SearchResult:
    """The inner folds of each trial disagree; each study's best trial is the best still."""
    result, rng = make_result(folds=4, trials=5), np.random.default_rng(3)
    trials = tuple(
        replace(
            trial,
            inner=tuple(
                replace(fold, scores=make_scores(fold.scores["log_loss"] + rng.uniform(0, 0.01)))
                for fold in trial.inner
            ),
        )
        for trial in result.trials
    )
    best = {
        name: min(
            (trial for trial in trials if trial.study == name),
            key=lambda trial: trial.mean("log_loss"),
        )
        for name in {trial.study for trial in trials}
    }
    return replace(
        result,
        trials=trials,
        outer=tuple(replace(fold, best=best[fold.study]) for fold in result.outer),
        final=replace(result.final, best=best[FINAL]),
    )


def _chosen_by(sampler: Sampler, strengths: Sequence[float], metric: str) -> SearchResult:
    result = make_result(folds=len(strengths), metric=metric)
    outers = [
        make_outer_fold(fold, make_trial(outer(fold), C=C)) for fold, C in enumerate(strengths)
    ]
    space = replace(result.space, sampler=sampler)
    return replace(result, space=space, outer=tuple(outers))


@pytest.mark.parametrize("folds", [3, 6])
def test_the_error_of_the_optimum_is_the_jackknifes(folds: int) -> None:
    """For a mean over parts, which the choices without one part vary about, it is its own error."""
    each = np.random.default_rng(folds).normal(-2, 0.3, folds)
    without = [10.0 ** np.delete(each, fold).mean() for fold in range(folds)]
    expected = each.std(ddof=1) / np.sqrt(folds)
    assert optimum_error(_chosen_by("curve", without, "log_loss")) == pytest.approx(expected)


@pytest.mark.parametrize(("sampler", "metric"), [("tpe", "log_loss"), ("curve", "accuracy")])
def test_where_choices_differ_by_draws_or_steps_they_tell_no_error(
    sampler: Sampler, metric: str
) -> None:
    """The sampler's noise is no knowledge."""
    assert optimum_error(_chosen_by(sampler, (0.01, 0.02, 0.04), metric)) is None
