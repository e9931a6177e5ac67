"""An entry's study: its trials one after the other, the folds of each side by side."""

from collections.abc import Iterator
from concurrent.futures import Executor, as_completed
from dataclasses import dataclass
from time import perf_counter
from typing import Protocol

from threadpoolctl import threadpool_limits

from foldwise.compare.cores import one_core_threads
from foldwise.compare.estimators import build
from foldwise.compare.predictions import predict
from foldwise.compare.sample import Sample
from foldwise.search.space import ValuesSpace
from foldwise.search.trials import FINAL_STUDY, Progress, ScoredPart, Values, ValuesTrial
from foldwise.settings import Entry


class Book(Protocol):
    """Where completed trials are kept."""

    def completed(self, study: str) -> tuple[ValuesTrial, ...]:
        """The study's completed trials, by number."""
        ...

    def add(self, trial: ValuesTrial) -> None:
        """Keep a completed trial."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class EntryStudy:
    """The search for an entry's best values on a sample.

    Attributes
    ----------
    book : Book
        Completed trials in it are replayed; new ones go in before they are told.
    threads : int
        Folds fitted at once; the score doesn't depend on it.
    """

    entry: Entry
    sample: Sample
    book: Book
    seed: int
    threads: int

    @property
    def space(self) -> ValuesSpace:
        """What the trials draw from."""
        return values_space(self.entry, self.seed)

    def run(self) -> Iterator[Progress | ValuesTrial]:
        """Replay what is complete, do the rest, and tell all of it."""
        completed = list(self.book.completed(FINAL_STUDY))
        yield from completed
        with one_core_threads(self.threads) as pool:
            while (number := len(completed)) < self.entry.trials:
                values = self.space.propose(number, completed)
                for event in self._trial(pool, number, values):
                    if isinstance(event, ValuesTrial):
                        self.book.add(event)
                        completed.append(event)
                    yield event

    def _trial(
        self, pool: Executor, number: int, values: Values
    ) -> Iterator[Progress | ValuesTrial]:
        folds = self.sample.folds
        scored = []
        # All cores are taken by folds: BLAS must not take them a second time.
        with threadpool_limits(limits=1, user_api="blas"):
            waiting = [pool.submit(self._score, values, part) for part in range(folds)]
            try:
                for done in as_completed(waiting):
                    scored.append(done.result())
                    made = number * folds + len(scored)
                    yield Progress(made, self.entry.trials * folds)
            finally:
                for future in waiting:
                    future.cancel()
        yield ValuesTrial(number, values, tuple(sorted(scored, key=lambda each: each.part)))

    def _score(self, values: Values, part: int) -> ScoredPart:
        """Fit on all parts but one, score on that one."""
        sample = self.sample
        trained, held_out = sample.part_of != part, sample.part_of == part
        model = build(self.entry, values, seed=self.seed)
        began = perf_counter()
        model.fit(sample.images[trained], sample.labels[trained])
        seconds = perf_counter() - began
        predictions = predict(model, sample.images[held_out])
        return ScoredPart(part, predictions.scored(sample.labels[held_out]), seconds)


def values_space(entry: Entry, seed: int) -> ValuesSpace:
    """How the entry's values are drawn."""
    return ValuesSpace(entry.name, entry.space, entry.startup_trials, seed, entry.metric)
