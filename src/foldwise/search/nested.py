"""The nested search: a generator of frozen events over parts, studies and trials.

Scoring fits on the parts that they left out, some at a time.

The nested search as a generator of results: no store, no file, no screen, no clock.
"""

from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from foldwise.search.engines.batched import Engine
from foldwise.search.plan import FoldPlan, InnerPlan, StudyPlan
from foldwise.search.space import SearchSpace
from foldwise.search.trials import (
    Event,
    FinalModel,
    InnerFold,
    OuterFold,
    Progress,
    SearchResult,
    Tracing,
    Trial,
    best_trial,
    count_fits,
)
from foldwise.solver.fits import FitRequest
from foldwise.solver.layout import require_bytes
from foldwise.solver.linear import Fit, probabilities
from foldwise.solver.paths import Path, anchors
from foldwise.stats.scores import Scores, score

ScoredFit = tuple[Fit, dict[int, Scores]]


@dataclass(frozen=True, slots=True, eq=False)
class Scorer:
    """The development set, to judge fits by.

    Attributes
    ----------
    images : uint8 array (rows, features)
    labels : int array (rows,)
        Class codes.
    plan : FoldPlan
        Which rows a part is scored by.
    threads : int
        Fits scored at a time.
    """

    images: NDArray[np.uint8]
    labels: NDArray[np.int64]
    plan: FoldPlan
    threads: int

    def score(self, fit: Fit, part: int) -> tuple[Scores, NDArray[np.float64]]:
        """A fit's scores on a part, and the probabilities (part's rows, classes) behind them."""
        rows = self.plan.scored_rows(part)
        predicted = probabilities(fit.model, self.images[rows])
        return score(predicted, self.labels[rows]), predicted

    def score_all(
        self, fits: Iterable[Fit], parts_of: Callable[[Fit], Iterable[int]]
    ) -> Iterator[ScoredFit]:
        """Each fit, in their order, with its scores on its parts; scored while others are made."""
        with ThreadPoolExecutor(self.threads) as pool:
            scoring: deque[Future[ScoredFit]] = deque()
            for fit in fits:
                scoring.append(pool.submit(self._score_parts, fit, parts_of(fit)))
                while len(scoring) > self.threads:
                    yield scoring.popleft().result()
            while scoring:
                yield scoring.popleft().result()

    def _score_parts(self, fit: Fit, parts: Iterable[int]) -> ScoredFit:
        return fit, {part: self.score(fit, part)[0] for part in parts}


Done = dict[str, list[Trial]]
Paths = dict[frozenset[int], Path]


class Book(Protocol):
    """Where completed trials are kept."""

    def completed(self, study: str) -> tuple[Trial, ...]:
        """The study's completed trials, by number."""
        ...

    def add(self, trial: Trial) -> None:
        """Keep a completed trial."""
        ...


class Shelf(Protocol):
    """Where paths are kept until the search is over."""

    def find(self, left_out: frozenset[int]) -> Path | None:
        """The path of the training set without these parts, if it is known."""
        ...

    def keep(self, path: Path) -> None:
        """Keep a path."""
        ...


@dataclass(frozen=True, slots=True)
class Candidate:
    """A trial to be made."""

    study: StudyPlan
    number: int
    C: float


Wanted = dict[FitRequest, list[tuple[Candidate, InnerPlan]]]


@dataclass(frozen=True, slots=True, eq=False)
class NestedSearch:
    """Nested cross-validation of C: K outer studies and the final one.

    Attributes
    ----------
    images : uint8 array (rows, features)
    labels : int array (rows,)
        Class codes.
    plan, space, trials
        The folds, how C is drawn, and how many trials a study gets.
    engine : Engine
        Solves the fits.
    book : Book
        Completed trials in it are replayed; new ones go in before they are told.
    shelf : Shelf
        Paths on it aren't traced again.
    threads : int
        Fits scored at a time.
    """

    images: NDArray[np.uint8]
    labels: NDArray[np.int64]
    plan: FoldPlan
    space: SearchSpace
    trials: int
    engine: Engine
    book: Book
    shelf: Shelf
    threads: int = 1

    def __post_init__(self) -> None:
        # The layout holds bytes: fits on those, scored on anything else, would be worth nothing.
        require_bytes(self.images)

    def run(self) -> Iterator[Event]:
        """Replay what is complete, do the rest, and tell all of it.

        First the paths of the training sets that are still wanted. Then rounds: a round solves
        the next trials of all studies side by side, first those that depend on no result, then
        one a study.
        """
        done: Done = {study.name: list(self.book.completed(study.name)) for study in self._studies}
        for trials in done.values():
            yield from trials
        paths = yield from self._trace(done)
        while candidates := [c for study in self._studies for c in self._next(study, done)]:
            for event in self._round(candidates, done, paths):
                if isinstance(event, Trial):
                    self.book.add(event)
                    done[event.study].append(event)
                yield event
        yield from self._conclude(done, paths)

    def _trace(self, done: Done) -> Generator[Tracing, None, Paths]:
        """The paths of all training sets of incomplete studies, and of the models at the end."""
        wanted = {study.refit for study in self._studies} | {
            inner.left_out
            for study in self._studies
            if len(done[study.name]) < self.trials
            for inner in study.inner
        }
        found = {left_out: self.shelf.find(left_out) for left_out in sorted(wanted, key=sorted)}
        paths = {left_out: path for left_out, path in found.items() if path is not None}
        missing = [left_out for left_out in found if left_out not in paths]
        strengths = anchors(self.space.low, self.space.high)
        for event in self.engine.trace(missing, strengths):
            if isinstance(event, Path):
                self.shelf.keep(event)
                paths[event.left_out] = event
            else:
                yield Tracing(event.done, event.total)
        return paths

    @property
    def _studies(self) -> tuple[StudyPlan, ...]:
        return self.plan.studies

    @property
    def _scorer(self) -> Scorer:
        return Scorer(self.images, self.labels, self.plan, self.threads)

    def _next(self, study: StudyPlan, done: Done) -> list[Candidate]:
        """The study's trials that can be made now."""
        completed = sorted(done[study.name], key=lambda trial: trial.number)
        numbers = {trial.number for trial in completed}
        missing = [number for number in range(self.trials) if number not in numbers]
        ready = [number for number in missing if self.space.is_drawn(number)] or missing[:1]
        return [
            Candidate(study, number, self.space.propose(study.name, number, completed))
            for number in ready
        ]

    def _round(
        self, candidates: Sequence[Candidate], done: Done, paths: Paths
    ) -> Iterator[Progress | Trial]:
        """Make each distinct fit once, score it wherever it is wanted, and complete the trials."""
        wanted: Wanted = {}
        for candidate in candidates:
            for inner in candidate.study.inner:
                request = _request(inner.left_out, candidate.C, paths)
                wanted.setdefault(request, []).append((candidate, inner))
        folds: dict[Candidate, dict[int, InnerFold]] = {c: {} for c in candidates}

        def parts_of(fit: Fit) -> set[int]:
            return {inner.scored for _, inner in wanted[_answered(fit)]}

        fits = self.engine.solve(tuple(wanted))
        for fit, scores in self._scorer.score_all(fits, parts_of):
            for candidate, inner in wanted[_answered(fit)]:
                scored = InnerFold(inner.scored, scores[inner.scored], fit.outcome)
                folds[candidate][inner.scored] = scored
                if len(folds[candidate]) == len(candidate.study.inner):
                    yield _complete(candidate, folds.pop(candidate))
            yield self._progress(done, sum(map(len, folds.values())))

    def _progress(self, done: Done, partial: int) -> Progress:
        inner = {study.name: len(study.inner) for study in self._studies}
        complete = sum(len(trials) * inner[name] for name, trials in done.items())
        refits = len(self._studies)
        return Progress(complete + partial, sum(inner.values()) * self.trials + refits)

    def _conclude(self, done: Done, paths: Paths) -> Iterator[Event]:
        """Fit every study's model at its best C; estimate the outer ones."""
        best = {name: best_trial(trials, self.space.metric) for name, trials in done.items()}
        requests = {s.name: _request(s.refit, best[s.name].C, paths) for s in self._studies}
        fits = {fit.left_out: fit for fit in self.engine.solve(tuple(requests.values()))}
        *outer_studies, final_study = self._studies
        outer = []
        for fold, study in enumerate(outer_studies):
            outer.append(self._outer(fold, best[study.name], fits[study.refit]))
            yield outer[-1]
        final = FinalModel(best[final_study.name], fits[final_study.refit])
        yield final
        trials = tuple(t for s in self._studies for t in sorted(done[s.name], key=_number))
        counts = count_fits(trials, outer, final)
        yield SearchResult(self.space.metric, trials, tuple(outer), final, counts)

    def _outer(self, fold: int, best: Trial, fit: Fit) -> OuterFold:
        scores, predicted = self._scorer.score(fit, fold)
        rows = self.plan.scored_rows(fold)
        return OuterFold(fold, best, fit, scores, rows, self.labels[rows], predicted)


def _request(left_out: frozenset[int], C: float, paths: Paths) -> FitRequest:
    return FitRequest(left_out, C, paths[left_out].at(C))


def _answered(fit: Fit) -> FitRequest:
    return FitRequest(fit.left_out, fit.model.C)


def _complete(candidate: Candidate, folds: dict[int, InnerFold]) -> Trial:
    inner = tuple(folds[part] for part in sorted(folds))
    return Trial(candidate.study.name, candidate.number, candidate.C, inner)


def _number(trial: Trial) -> int:
    return trial.number
