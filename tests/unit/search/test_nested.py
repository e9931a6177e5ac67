"""The nested search: no leakage, each fit once, and the same story however often it is cut."""

from collections.abc import Generator
from itertools import islice

import numpy as np
import pytest

from foldwise.search.engines.batched import LinearClassifier
from foldwise.search.space import Space
from foldwise.search.trials import (
    FINAL,
    FinalModel,
    OuterFold,
    Part,
    SearchResult,
    Trial,
    number_of,
)
from foldwise.settings import Between
from foldwise.solver.linear import probabilities
from tests.factories import outer
from tests.unit.search.search_cases import SPACE, Memory, finished, nested_search, told
from tests.unit.solver.solver_cases import digits


@pytest.fixture(scope="module")
def whole() -> SearchResult:
    return finished(nested_search(Memory()))


def test_every_study_gets_its_trials(whole: SearchResult) -> None:
    """Three outer studies with two inner folds, a final one with three, five trials each."""
    for study, inner in ((outer(0), 2), (outer(1), 2), (outer(2), 2), (FINAL, 3)):
        trials = whole.study_trials(study)
        assert [trial.number for trial in trials] == list(range(5))
        assert {len(trial.inner) for trial in trials} == {inner}


def test_no_inner_fold_scores_the_outer_part(whole: SearchResult) -> None:
    """A study never touches its outer part."""
    for fold in range(3):
        parts = {i.part for t in whole.study_trials(outer(fold)) for i in t.inner}
        assert parts == {Part(0, other) for other in range(3)} - {Part(0, fold)}


def test_start_up_values_are_shared_by_all_studies(whole: SearchResult) -> None:
    """Common random numbers first; then each study goes its own way."""
    studies = [plan.study for plan in whole.plan.studies]
    drawn = {tuple(t.values["C"] for t in whole.study_trials(s)[:3]) for s in studies}
    assert len(drawn) == 1
    assert len({whole.study_trials(study)[3].values["C"] for study in studies[:3]}) > 1


def test_the_best_trial_has_the_least_mean_loss(whole: SearchResult) -> None:
    """Selection is by the mean over inner folds."""
    for study, best in [(f.study, f.best) for f in whole.outer] + [(FINAL, whole.final.best)]:
        assert best.mean("log_loss") == min(t.mean("log_loss") for t in whole.study_trials(study))


def test_outer_estimates_are_the_outer_models_on_their_parts(whole: SearchResult) -> None:
    """Each fold's predictions and scores are its model's, of its own part, which it never saw."""
    case = digits(300)
    for fold in whole.outer:
        assert isinstance(fold.model, LinearClassifier)
        assert fold.best.values["C"] == fold.model.numbers.C
        np.testing.assert_array_equal(fold.rows, whole.plan.scored_rows(fold.part))
        expected = probabilities(fold.model.numbers, case.images[fold.rows])
        np.testing.assert_array_equal(fold.predictions.values, expected)
        np.testing.assert_array_equal(fold.labels, case.labels[fold.rows])
        assert fold.scores == fold.predictions.scores(fold.labels)
        seen = case.images[whole.plan.training_rows(frozenset({fold.part}))]
        np.testing.assert_allclose(fold.model.numbers.mean, seen.mean(axis=0))
    assert isinstance(whole.final.model, LinearClassifier)
    np.testing.assert_allclose(whole.final.model.numbers.mean, case.images.mean(axis=0))


def test_distinct_fits_are_fewer_than_logical_ones(whole: SearchResult) -> None:
    """Start-up trials share (o, i) with (i, o), and {o} with the final study: 6 fits for 9."""
    assert whole.fits.logical == 5 * (3 * 2 + 3) + 4
    startup, later, refits = 3 * 6, 2 * 9, 4
    assert whole.fits.distinct <= startup + later + refits
    ended = whole.fits.converged + whole.fits.stalled + whole.fits.exhausted
    assert ended == whole.fits.distinct


def test_a_cut_search_goes_on_as_if_it_had_never_stopped(whole: SearchResult) -> None:
    """Again and again, after any number of trials: same C's and bits, and no trial made twice."""
    book = Memory()
    for cut in (0, 7, 12, 17, 20):
        events = nested_search(book).run()
        told = [*islice((event for event in events if isinstance(event, Trial)), cut)]
        assert isinstance(events, Generator)
        events.close()
        assert len(told) == book.added == cut
    result = finished(nested_search(book))
    assert result.trials == whole.trials
    assert book.added == len(whole.trials)
    assert [f.scores for f in result.outer] == [f.scores for f in whole.outer]
    assert result.fits == whole.fits


def test_a_complete_search_is_only_replayed(whole: SearchResult) -> None:
    """With all trials in the book none is made, and only the models are fitted again."""
    book = Memory(list(whole.trials))
    events = told(nested_search(book))
    assert book.added == 0
    assert [type(e) for e in events[-5:]] == [OuterFold] * 3 + [FinalModel, SearchResult]


def test_a_trial_is_kept_before_it_is_told() -> None:
    """Who hears of a trial may rely on its being kept."""
    book = Memory()
    for event in nested_search(book, trials=2).run():
        if isinstance(event, Trial):
            assert book.trials[-1] is event


def test_the_reports_search_draws_linearly() -> None:
    """random_uniform draws every value at once, the same in all studies, mostly large ones."""
    searched = {"C": Between(0.01, 10.0, is_log=False)}
    space = Space(searched, "random_uniform", 3, seed=5, metric="accuracy")
    result = finished(nested_search(Memory(), space=space))
    values = [number_of(t.values, "C") for t in result.study_trials(outer(0))]
    assert values == [t.values["C"] for t in result.study_trials(FINAL)]
    assert all(0.01 <= C <= 10 for C in values)
    assert sum(C > 1 for C in values) > len(values) / 2
    best = result.final.best.mean("accuracy")
    assert best == max(t.mean("accuracy") for t in result.study_trials(FINAL))


def test_log_uniform_draws_fill_the_range_by_logarithm() -> None:
    """Of many start-up draws about half lie below the geometric middle."""
    searched = Between(1e-4, 10.0, is_log=True)
    many = Space({"C": searched}, "tpe", 200, seed=1, metric="log_loss")
    drawn = [number_of(many.propose(FINAL, n, []), "C") for n in range(200)]
    assert 70 < sum(C < 10**-1.5 for C in drawn) < 130
    assert SPACE.propose(outer(0), 0, []) == SPACE.propose(FINAL, 0, [])
