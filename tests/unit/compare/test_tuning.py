"""An entry's study: the same whatever the threads, and whether or not it was interrupted."""

from collections.abc import Generator
from dataclasses import replace

import numpy as np
import pytest

from foldwise.compare.estimators import build
from foldwise.compare.predictions import predict
from foldwise.compare.tuning import Book, EntryStudy
from foldwise.search.trials import Progress, ValuesTrial
from foldwise.settings import Entry
from tests.unit.compare.entry_cases import (
    FOLDS,
    SEED,
    Memory,
    make_entry,
    make_sample,
    shipped_entries,
)


def _study(entry: Entry, book: Book, threads: int = 2) -> EntryStudy:
    return EntryStudy(entry, make_sample(entry), book, SEED, threads)


def _untimed(trials: list[ValuesTrial]) -> list[ValuesTrial]:
    return [
        replace(trial, inner=tuple(replace(each, seconds=0.0) for each in trial.inner))
        for trial in trials
    ]


def _trials(entry: Entry, book: Book, threads: int = 2) -> list[ValuesTrial]:
    told = _study(entry, book, threads).run()
    return _untimed([event for event in told if isinstance(event, ValuesTrial)])


@pytest.mark.parametrize("name", ["svm", "knn", "decision_tree", "logistic_regression"])
def test_the_score_does_not_depend_on_the_threads(name: str) -> None:
    """One fold at a time or three side by side, the same trials with the same scores."""
    shipped = shipped_entries()[name]
    entry = replace(shipped, rows=120, trials=3, startup_trials=2)
    alone, together = (_trials(entry, Memory(), threads=threads) for threads in (1, 3))
    assert list(map(repr, alone)) == list(map(repr, together))  # NaN equals nothing


@pytest.mark.parametrize("kept", [0, 1, 3, 4])
def test_an_interrupted_study_goes_on_as_if_it_had_not_been(kept: int) -> None:
    """Whatever was completed is replayed, the rest comes out the same."""
    entry = make_entry(trials=5)
    whole = _trials(entry, Memory())
    book = Memory(*whole[:kept])
    assert _trials(entry, book) == whole
    assert _untimed(book.trials) == whole


def test_a_trial_is_kept_before_it_is_told() -> None:
    """Who hears of a trial may rely on its being kept."""
    book = Memory()
    for event in _study(make_entry(), book).run():
        if isinstance(event, ValuesTrial):
            assert book.trials[-1] == event


def test_a_part_is_scored_by_a_model_that_has_not_seen_it() -> None:
    """The scores are those of a fit on the other parts' rows alone."""
    entry = make_entry(trials=1)
    sample = make_sample(entry)
    [trial] = _trials(entry, Memory())
    assert [each.part for each in trial.inner] == list(range(FOLDS))
    for each in trial.inner:
        held_out = sample.part_of == each.part
        model = build(entry, trial.values, seed=SEED)
        model.fit(sample.images[~held_out], sample.labels[~held_out])
        expected = predict(model, sample.images[held_out].astype(np.uint8))
        assert each.scores == expected.scored(sample.labels[held_out])


def test_progress_counts_every_fit() -> None:
    """From the first to the last, those of replayed trials left out."""
    entry = make_entry(trials=3)
    first = next(event for event in _study(entry, Memory()).run() if isinstance(event, ValuesTrial))
    told = [e.done for e in _study(entry, Memory(first)).run() if isinstance(e, Progress)]
    assert told == list(range(FOLDS + 1, 3 * FOLDS + 1))


def test_stopping_makes_no_further_fit() -> None:
    """Who stops listening gets his machine back: waiting folds are not begun."""
    book = Memory()
    events = _study(make_entry(trials=50), book, threads=1).run()
    assert isinstance(events, Generator)
    assert isinstance(next(events), Progress)
    events.close()
    assert book.trials == []
