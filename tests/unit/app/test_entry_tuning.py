"""An entry's search: the same whatever the threads, and whether or not it was interrupted."""

from collections.abc import Generator
from dataclasses import replace

import numpy as np
import pytest
from sklearn.pipeline import Pipeline

from foldwise.app.compare import entry_space
from foldwise.app.entries import build
from foldwise.app.workspace import search_space
from foldwise.entries import Entry
from foldwise.search.engines.estimator import EstimatorEngine, FittedEstimator
from foldwise.search.nested import Book
from foldwise.search.trials import FinalModel, OuterFold, Progress, SearchResult, Trial, Values
from foldwise.settings import Settings, TuneSettings
from tests.unit.app.entry_cases import (
    FOLDS,
    SEED,
    entry_search,
    make_entry,
    make_split,
    shipped_entries,
)
from tests.unit.search.search_cases import Memory, finished, told, untimed


def _trials(entry: Entry, book: Book, threads: int = 2) -> list[Trial]:
    events = entry_search(entry, book, threads=threads).run()
    return [untimed(event) for event in events if isinstance(event, Trial)]


@pytest.mark.parametrize("name", ["svm", "knn", "decision_tree", "logistic_regression"])
def test_the_score_does_not_depend_on_the_threads(name: str) -> None:
    """One fit at a time or three side by side, the same trials with the same scores."""
    shipped = shipped_entries()[name]
    entry = replace(shipped, rows=120, trials=3, startup_trials=2)
    alone, together = (
        sorted(_trials(entry, Memory(), threads=threads), key=lambda trial: trial.number)
        for threads in (1, 3)
    )
    assert list(map(repr, alone)) == list(map(repr, together))  # NaN equals nothing


@pytest.mark.parametrize("kept", [0, 1, 3, 4])
def test_an_interrupted_study_goes_on_as_if_it_had_not_been(kept: int) -> None:
    """Whatever was completed is replayed, the rest comes out the same."""
    entry = make_entry(trials=5)
    whole = _trials(entry, Memory(), threads=1)
    book = Memory(whole[:kept])
    assert _trials(entry, book, threads=1) == whole
    assert list(map(untimed, book.trials)) == whole
    assert book.added == 5 - kept


def test_a_trial_is_kept_before_it_is_told() -> None:
    """Who hears of a trial may rely on its being kept."""
    book = Memory()
    for event in entry_search(make_entry(), book).run():
        if isinstance(event, Trial):
            assert book.trials[-1] == event


def test_a_part_is_scored_by_a_model_that_has_not_seen_it() -> None:
    """The scores are those of a fit on the other parts' rows alone, none of them in reserve."""
    entry, split = make_entry(trials=1), make_split()
    search = entry_search(entry, Memory())
    result = finished(search)
    [trial] = result.trials
    assert [each.part for each in trial.inner] == list(search.plan.parts)
    for each in trial.inner:
        seen, held_out = search.plan.part_of[0], search.plan.rows(each.part)
        rows = np.flatnonzero((seen >= 0) & (seen != each.part.fold))
        model = build(entry, trial.values, seed=SEED)
        model.fit(split.images[rows].astype(np.float32), split.labels[rows])
        expected = FittedEstimator(model).predict(split.images[held_out])
        assert each.scores == expected.scores(split.labels[held_out])


def test_the_final_model_has_seen_every_row() -> None:
    """Those in reserve, too: the values were found on a sample, the model is made of all."""
    entry, split = make_entry(trials=2), make_split()
    result = finished(entry_search(entry, Memory()))
    model = build(entry, result.final.best.values, seed=SEED)
    model.fit(split.images.astype(np.float32), split.labels)
    np.testing.assert_array_equal(
        result.final.model.predict(split.images).values,
        FittedEstimator(model).predict(split.images).values,
    )


def test_without_outer_folds_there_is_a_final_study_alone() -> None:
    """Nothing is estimated, and the fits are those of one study and of its model."""
    events = told(entry_search(make_entry(trials=3), Memory()))
    assert not any(isinstance(event, OuterFold) for event in events)
    *_, final, result = events
    assert isinstance(final, FinalModel)
    assert isinstance(result, SearchResult)
    assert result.outer == ()
    assert {trial.study for trial in result.trials} == {final.best.study}
    assert result.fits.logical == 3 * FOLDS + 1


def test_progress_counts_every_fit() -> None:
    """From the first to the last, those of replayed trials left out; the final one is told last."""
    entry = make_entry(trials=3)
    search = entry_search(entry, Memory(), threads=1)
    first = next(event for event in search.run() if isinstance(event, Trial))
    again = entry_search(entry, Memory([first])).run()
    shown = [event for event in again if isinstance(event, Progress)]
    assert [event.done for event in shown] == list(range(FOLDS + 1, 3 * FOLDS + 1))
    assert {event.total for event in shown} == {3 * FOLDS + 1}


def test_stopping_makes_no_further_fit() -> None:
    """Who stops listening gets his machine back: waiting fits are not begun."""
    begun: list[Values] = []
    search = entry_search(make_entry(trials=50, startup_trials=50), Memory(), threads=1)
    engine = search.engine
    assert isinstance(engine, EstimatorEngine)

    def build_counted(values: Values) -> Pipeline:
        begun.append(values)
        return engine.build(values)

    events = replace(search, engine=replace(engine, build=build_counted)).run()
    assert isinstance(events, Generator)
    assert isinstance(next(events), Progress)
    events.close()
    assert search.book.completed(search.plan.studies[0].study) == ()
    assert len(begun) <= 3


def test_an_entry_with_one_real_number_is_searched_by_its_curve_and_others_by_tpe() -> None:
    """With as many start-up trials as each wants."""
    spaces = {name: entry_space(entry, 1) for name, entry in shipped_entries().items()}
    curve = {name for name, space in spaces.items() if space.method == "curve"}
    assert curve == {"logistic_regression", "filters"}
    assert spaces["logistic_regression"].startup == 8
    told = shipped_entries()["knn"]
    assert entry_space(replace(told, startup_trials=None), 1).startup == 6
    assert entry_space(replace(told, startup_trials=3), 1).startup == 3


@pytest.mark.parametrize(
    ("tune", "startup"),
    [
        (TuneSettings(), 8),
        (TuneSettings(trials=6), 4),
        (TuneSettings(search="tpe"), 5),
        (TuneSettings(startup_trials=3), 3),
    ],
)
def test_start_up_trials_fit_the_sampler_unless_they_are_told(
    tune: TuneSettings, startup: int
) -> None:
    """As many as ever with TPE, so that old searches come out the same."""
    assert search_space(Settings(tune=tune)).startup == startup
