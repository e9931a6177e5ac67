"""What every book of trials promises, written once: subclass it, and say which book is meant."""

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from math import log10, nextafter
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from foldwise.search.jobs import Classes, Done, LeftOut, Predictions, Task
from foldwise.search.nested import Book, MemoryBook, NestedSearch
from foldwise.search.plan import Plan
from foldwise.search.space import Space
from foldwise.search.trials import FINAL, SearchResult, Trial, number_of
from foldwise.settings import Between, OneOf
from tests.factories import make_scores, make_trial, outer

SPACE = Space(
    {"C": Between(1e-4, 10.0, is_log=True), "kind": OneOf(("a", None, True))},
    "tpe",
    startup=2,
    seed=5,
    metric="accuracy",
)
ALONE = replace(SPACE, dimensions={"C": SPACE.dimensions["C"]}, sampler="curve", startup=4)
LABELS = np.arange(30) % 3


@dataclass(frozen=True, slots=True)
class Nothing:
    """A model that knows nothing."""

    def predict(self, X: NDArray[Any]) -> Predictions:
        return Predictions(np.full((len(X), 3), 1 / 3))

    def estimator(self, classes: Classes) -> Any:
        raise NotImplementedError(classes)

    def arrays(self) -> dict[str, NDArray[Any]]:
        return {}

    def digest(self, classes: Classes) -> str:
        return repr(classes)


@dataclass(frozen=True, slots=True)
class Guesses:
    """An engine whose scores follow from the job alone, and have no log-loss."""

    done: list[Task] = field(default_factory=list)

    def run(self, tasks: Sequence[Task], *, later: Collection[LeftOut] = ()) -> Iterator[Done]:
        del later
        for task in tasks:
            self.done.append(task)
            values = dict(task.job.values)
            off = abs(log10(number_of(values, "C")) + 2) + (values.get("kind", "a") != "a")
            scores = {
                part: {**make_scores(0.1 * off + 0.01 * part.fold), "log_loss": float("nan")}
                for part in task.score_on
            }
            predictions = {part: Predictions(np.eye(3)) for part in task.score_on}
            yield Done(task, scores, {"seconds": 0.1}, predictions, Nothing()).kept()


def search(book: Book, space: Space = SPACE, trials: int = 4) -> NestedSearch:
    """A search of moments: three outer studies and the final one, four trials each."""
    plan = Plan.stratified(LABELS, folds=3, seed=1)
    return NestedSearch(LABELS, plan, space, trials, Guesses(), book)


def told_trials(book: Book, space: Space = SPACE, trials: int = 4) -> list[Trial]:
    """The trials that a search tells, replayed ones first."""
    return [event for event in search(book, space, trials).run() if isinstance(event, Trial)]


class BookCases:
    """The cases; ``opened`` is a fixture of the subclass: it opens the book, again if asked."""

    def test_trials_come_back_by_number_whatever_the_order_they_came_in(
        self, opened: Callable[[], Book]
    ) -> None:
        """A round's trials end in any order."""
        trials = [make_trial(number=number, C=0.01 * (number + 1)) for number in range(4)]
        trials = [replace(trial, values={**trial.values, "kind": "a"}) for trial in trials]
        book = opened()
        for number in (2, 0, 3, 1):
            book.add(trials[number])
        assert opened().completed(outer(0)) == tuple(trials)

    def test_numbers_are_kept_and_gaps_are_not_closed(self, opened: Callable[[], Book]) -> None:
        """A trial that was never made must still be made, under its own number."""
        book = opened()
        for number in (0, 3):
            book.add(_of_space(make_trial(number=number)))
        assert [trial.number for trial in opened().completed(outer(0))] == [0, 3]

    def test_a_trial_that_was_added_twice_is_there_once(self, opened: Callable[[], Book]) -> None:
        """As it was first: later trials were proposed from that one."""
        first, second = (_of_space(make_trial(C=C)) for C in (0.5, 0.6))
        opened().add(first)
        opened().add(second)
        assert opened().completed(outer(0)) == (first,)

    def test_studies_do_not_meet(self, opened: Callable[[], Book]) -> None:
        """A trial is of its own study alone."""
        book = opened()
        for study in (outer(0), outer(1), FINAL):
            book.add(_of_space(make_trial(study)))
        for study in (outer(0), outer(1), FINAL):
            assert {trial.study for trial in book.completed(study)} == {study}
        assert book.completed(outer(2)) == ()

    def test_floats_come_back_to_the_bit(self, opened: Callable[[], Book]) -> None:
        """In values, scores and facts; NaN is a score's absence, and such a trial isn't lost."""
        numbers, book, kept = (0.1 + 0.2, nextafter(1, 2), 1e-4, float("nan"), -0.0), opened(), []
        for place, number in enumerate(numbers):
            trial = make_trial(number=place, C=number if number > 0 else 0.3)
            inner = tuple(
                replace(
                    fold,
                    scores={**fold.scores, "log_loss": number},
                    facts={"seconds": number, "status": "converged", "iterations": 7},
                )
                for fold in trial.inner
            )
            kept.append(replace(trial, inner=inner, values={**trial.values, "kind": None}))
            book.add(kept[-1])
        assert repr(opened().completed(outer(0))) == repr(tuple(kept))

    @pytest.mark.parametrize(
        ("space", "trials", "cuts"),
        [(SPACE, 4, (0, 3, 8, 11, 16)), (ALONE, 6, (2, 7, 12, 15, 17, 24))],
        ids=["tpe", "curve"],
    )
    def test_a_search_goes_on_after_any_trial_as_if_it_had_never_stopped(
        self, space: Space, trials: int, cuts: Sequence[int], opened: Callable[..., Book]
    ) -> None:
        """Nothing is made twice, nothing left out, and every bit is the same.

        Stopped before, within and after the start-up round of eight, between two rounds, and at
        the end.
        """
        whole = MemoryBook()
        expected = told_trials(whole, space, trials)
        for cut in cuts:
            events = search(opened(space), space, trials).run()
            assert len(list(islice((e for e in events if isinstance(e, Trial)), cut))) == cut
        *_, result = search(opened(space), space, trials).run()
        assert isinstance(result, SearchResult)
        assert sorted(map(repr, result.trials)) == sorted(map(repr, expected))
        for plan in result.plan.studies:
            assert repr(opened(space).completed(plan.study)) == repr(whole.completed(plan.study))

    def test_a_full_book_is_replayed_in_order_and_nothing_is_made(
        self, opened: Callable[[], Book]
    ) -> None:
        """Each study's trials by number, and no fit but the models'."""
        told_trials(opened())
        again = search(opened())
        trials = [event for event in again.run() if isinstance(event, Trial)]
        assert [(str(trial.study), trial.number) for trial in trials] == [
            (str(plan.study), number) for plan in again.plan.studies for number in range(4)
        ]
        assert isinstance(again.engine, Guesses)
        assert {task.keep for task in again.engine.done} == {"model"}


def a_trial() -> Trial:
    """A trial of the space."""
    return _of_space(make_trial())


def _of_space(trial: Trial) -> Trial:
    return replace(trial, values={**trial.values, "kind": "a"})
