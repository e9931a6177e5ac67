"""The nested search: no leakage, each fit once, and the same story however often it is cut."""

from collections.abc import Generator
from dataclasses import replace
from itertools import islice

import numpy as np
import pytest

from foldwise.errors import DataError
from foldwise.search.space import SearchSpace
from foldwise.search.trials import FINAL_STUDY, FinalModel, OuterFold, SearchResult, Trial
from foldwise.solver.linear import probabilities
from tests.unit.search.search_cases import SPACE, Memory, nested_search, told


@pytest.fixture(scope="module")
def whole() -> SearchResult:
    result = told(nested_search(Memory()))[-1]
    assert isinstance(result, SearchResult)
    return result


def test_every_study_gets_its_trials(whole: SearchResult) -> None:
    """Three outer studies with two inner folds, a final one with three, five trials each."""
    for study, inner in (("outer-0", 2), ("outer-1", 2), ("outer-2", 2), (FINAL_STUDY, 3)):
        trials = whole.study_trials(study)
        assert [trial.number for trial in trials] == list(range(5))
        assert {len(trial.inner) for trial in trials} == {inner}


def test_no_inner_fold_scores_the_outer_part(whole: SearchResult) -> None:
    """A study never touches its outer part."""
    for fold in range(3):
        parts = {i.part for t in whole.study_trials(f"outer-{fold}") for i in t.inner}
        assert parts == set(range(3)) - {fold}


def test_start_up_values_are_shared_by_all_studies(whole: SearchResult) -> None:
    """Common random numbers first; then each study goes its own way."""
    drawn = {tuple(t.C for t in whole.trials if t.study == s)[:3] for s in ("outer-0", "final")}
    assert len(drawn) == 1
    assert len({whole.study_trials(s)[3].C for s in ("outer-0", "outer-1", "outer-2")}) > 1


def test_the_best_trial_has_the_least_mean_loss(whole: SearchResult) -> None:
    """Selection is by the mean over inner folds."""
    for study, best in [(f.study, f.best) for f in whole.outer] + [(FINAL_STUDY, whole.final.best)]:
        assert best.mean("log_loss") == min(t.mean("log_loss") for t in whole.study_trials(study))


def test_outer_estimates_are_the_outer_models_on_their_parts(whole: SearchResult) -> None:
    """Each outer model has left out its part only, and its probabilities are of that part."""
    search = nested_search(Memory())
    for fold in whole.outer:
        assert fold.fit.left_out == frozenset({fold.fold})
        assert fold.fit.model.C == fold.best.C
        np.testing.assert_array_equal(fold.rows, search.plan.scored_rows(fold.fold))
        expected = probabilities(fold.fit.model, search.images[fold.rows])
        np.testing.assert_array_equal(fold.probabilities, expected)
    assert whole.final.fit.left_out == frozenset()


def test_distinct_fits_are_fewer_than_logical_ones(whole: SearchResult) -> None:
    """Start-up trials share (o, i) with (i, o), and {o} with the final study: 6 fits for 9."""
    assert whole.fits.logical == 5 * (3 * 2 + 3) + 4
    startup, later, refits = 3 * 6, 2 * 9, 4
    assert whole.fits.distinct <= startup + later + refits
    ended = whole.fits.converged + whole.fits.stalled + whole.fits.exhausted
    assert ended == whole.fits.distinct


@pytest.mark.parametrize("cut", [0, 1, 2, 7, 11, 12, 13, 17, 19, 20])
def test_a_cut_search_goes_on_as_if_it_had_never_stopped(cut: int, whole: SearchResult) -> None:
    """After any number of trials: same C's, same scores to the bit, and no trial made twice."""
    book = Memory()
    events = nested_search(book).run()
    trials = (event for event in events if isinstance(event, Trial))
    kept = tuple(islice(trials, cut))
    assert isinstance(events, Generator)
    events.close()
    resumed = Memory(kept)
    result = told(nested_search(resumed))[-1]
    assert isinstance(result, SearchResult)
    assert result.trials == whole.trials
    assert resumed.added == len(whole.trials) - cut
    assert [f.scores for f in result.outer] == [f.scores for f in whole.outer]
    assert result.fits == whole.fits


def test_a_complete_search_is_only_replayed(whole: SearchResult) -> None:
    """With all trials in the book none is made, and only the models are fitted again."""
    book = Memory(whole.trials)
    events = told(nested_search(book))
    assert book.added == 0
    assert [type(e) for e in events[-5:]] == [OuterFold] * 3 + [FinalModel, SearchResult]


def test_the_reports_search_draws_linearly() -> None:
    """random_uniform draws every value at once, the same in all studies, mostly large ones."""
    space = SearchSpace(0.01, 10.0, "random_uniform", 3, seed=5, metric="accuracy")
    result = told(nested_search(Memory(), space=space))[-1]
    assert isinstance(result, SearchResult)
    values = [t.C for t in result.study_trials("outer-0")]
    assert values == [t.C for t in result.study_trials(FINAL_STUDY)]
    assert all(0.01 <= C <= 10 for C in values)
    best = result.final.best.mean("accuracy")
    assert best == max(t.mean("accuracy") for t in result.study_trials(FINAL_STUDY))


def test_log_uniform_draws_fill_the_range_by_logarithm() -> None:
    """Of many start-up draws about half lie below the geometric middle."""
    many = SearchSpace(1e-4, 10.0, "tpe", 200, seed=1, metric="log_loss")
    below = sum(many.propose("any", n, []) < 10**-1.5 for n in range(200))
    assert 70 < below < 130
    assert SPACE.propose("outer-0", 0, []) == SPACE.propose("final", 0, [])


def test_images_of_another_type_than_the_layouts_are_refused() -> None:
    """Fits on bytes, scored on the same images as fractions, look like bad fits."""
    search = nested_search(Memory())
    with pytest.raises(DataError, match=r"must be uint8, .* got float64"):
        replace(search, images=search.images / 16)  # type: ignore[arg-type]
