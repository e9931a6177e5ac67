"""The nested search as a generator of results: no store, no file, no screen, no clock."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from math import isnan
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from foldwise.errors import SearchError
from foldwise.search.jobs import Done, Engine, Job, LeftOut, Model, Task
from foldwise.search.plan import Plan, StudyPlan
from foldwise.search.trials import (
    Event,
    Facts,
    FinalModel,
    FitCounts,
    InnerFold,
    OuterFold,
    Part,
    Progress,
    SearchResult,
    Study,
    Trial,
    Values,
    by_number,
)

if TYPE_CHECKING:  # Optuna, which a GPU machine hasn't
    from foldwise.search.space import Select, Space

Completed = dict[Study, list[Trial]]


class Book(Protocol):
    """Where completed trials are kept."""

    def completed(self, study: Study) -> tuple[Trial, ...]:
        """The study's completed trials, by number."""
        ...

    def add(self, trial: Trial) -> None:
        """Keep a completed trial."""
        ...


@dataclass(slots=True)
class MemoryBook:
    """A book that lasts as long as the process.

    Examples
    --------
    >>> from foldwise import MemoryBook
    >>> from foldwise.search.trials import FINAL
    >>> list(MemoryBook().completed(FINAL))
    []
    """

    trials: list[Trial] = field(default_factory=list)

    def completed(self, study: Study) -> tuple[Trial, ...]:
        """The study's completed trials, by number; of equal numbers the first."""
        return by_number(trial for trial in self.trials if trial.study == study)

    def add(self, trial: Trial) -> None:
        """Keep a completed trial."""
        self.trials.append(trial)


@dataclass(frozen=True, slots=True, eq=False)
class _Proposal:
    """A trial to be made, and its inner folds as they are scored."""

    plan: StudyPlan
    number: int
    values: Values
    inner: dict[Part, InnerFold] = field(default_factory=dict)

    def trial(self) -> Trial:
        """The trial that it has become."""
        inner = tuple(self.inner[part] for part in sorted(self.inner))
        return Trial(self.plan.study, self.number, self.values, inner)


@dataclass(frozen=True, slots=True, eq=False)
class NestedSearch:
    """Nested cross-validation: a study for each outer fold of the plan, and the final one.

    Attributes
    ----------
    labels : int array (rows,)
        Class codes.
    plan, space, trials
        The folds, how values are drawn, and how many trials a study gets, of each kind.
    book : Book
        Completed trials in it are replayed; new ones go in before they are told.
    select : "best" or "one_se"
        Which of a study's trials its values are, see :meth:`Space.chosen`.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.tree import DecisionTreeClassifier
    >>> from foldwise import Between, EstimatorEngine, NestedSearch, Plan, Space
    >>> X, y = np.arange(60.0)[:, None], (np.arange(60) > 30).astype(int)
    >>> plan = Plan.stratified(y, folds=3, seed=1)
    >>> space = Space({"max_depth": Between(1, 3, is_log=False)}, "tpe", 2, 1, "accuracy")
    >>> engine = EstimatorEngine(X, y, (0, 1), plan, lambda of: DecisionTreeClassifier(**of))
    >>> *events, result = NestedSearch(y, plan, space, 2, engine).run()
    >>> len(result.outer), len(result.trials)
    (3, 8)
    """

    labels: NDArray[np.int64]
    plan: Plan
    space: "Space"
    trials: int
    engine: Engine
    book: Book = field(default_factory=MemoryBook)
    select: "Select" = "best"

    def run(self) -> Iterator[Event]:
        """Replay what is complete, do the rest, and tell all of it.

        In rounds: a round makes the next trials of all studies side by side, first those that
        depend on no result, then one a study.
        """
        studies = self.plan.studies
        done: Completed = {each.study: self._completed(each.study) for each in studies}
        for trials in done.values():
            yield from trials
        later = {study.refit for study in studies}
        while proposals := [each for study in studies for each in self._next(study, done)]:
            for event in self._round(proposals, done, later):
                if isinstance(event, Trial):
                    self.book.add(event)
                    done[event.study].append(event)
                yield event
        yield from self._conclude(done)

    def _completed(self, study: Study) -> list[Trial]:
        """The kept trials that are asked for: the book may have more, of a longer search."""
        numbers = self.space.numbers(self.trials)
        return [trial for trial in self.book.completed(study) if trial.number in numbers]

    def _next(self, plan: StudyPlan, done: Completed) -> list[_Proposal]:
        """The study's trials that can be made now."""
        completed = by_number(done[plan.study])
        numbers = {trial.number for trial in completed}
        missing = [each for each in self.space.numbers(self.trials) if each not in numbers]
        ready = self.space.ready(missing)
        return [
            _Proposal(plan, number, self.space.propose(plan.study, number, completed))
            for number in ready
        ]

    def _round(
        self, proposals: Sequence[_Proposal], done: Completed, later: set[LeftOut]
    ) -> Iterator[Progress | Trial]:
        """Make each distinct fit once, score it wherever it is wanted, and complete the trials."""
        wanted: dict[Job, dict[Part, list[_Proposal]]] = {}
        for proposal in proposals:
            for part in proposal.plan.inner:
                job = Job.of(proposal.plan.left_out(part), proposal.values)
                wanted.setdefault(job, {}).setdefault(part, []).append(proposal)
        tasks = [Task(job, tuple(parts)) for job, parts in wanted.items()]
        scored, total = self._progress(done)
        for event in self.engine.run(tasks, later=later):
            if isinstance(event, Progress):
                yield event
                continue
            for part, scores in event.scores.items():
                for proposal in wanted[event.task.job][part]:
                    proposal.inner[part] = InnerFold(part, scores, event.facts)
                    scored += 1
                    if len(proposal.inner) == len(proposal.plan.inner):
                        yield proposal.trial()
            yield Progress(scored, total)

    def _progress(self, done: Completed) -> tuple[int, int]:
        """How many inner folds are scored, and how many fits of theirs and of models there are."""
        folds = {plan.study: len(plan.inner) for plan in self.plan.studies}
        complete = sum(len(trials) * folds[study] for study, trials in done.items())
        trials = len(self.space.numbers(self.trials))
        return complete, sum(folds.values()) * trials + len(folds)

    def _conclude(self, done: Completed) -> Iterator[Event]:
        """Fit every study's model at its best values; estimate the outer ones."""
        best = {study: self.space.chosen(told, self.select) for study, told in done.items()}
        for study, trial in best.items():
            if isnan(trial.mean(self.space.metric)):
                raise SearchError(
                    f"a study must have a trial with a score, none of the {len(done[study])} of"
                    f" {study} has one: their fits fail, or the scorer gives no number; warnings"
                    " say which, correct it"
                )
        tasks = {}
        for plan in self.plan.studies:
            scored = () if plan.study.part is None else (plan.study.part,)
            job = Job.of(plan.refit, best[plan.study].values)
            tasks[plan.study] = Task(job, scored, keep="model")
        made: dict[Job, Done] = {}
        for event in self.engine.run(tuple(tasks.values())):
            if isinstance(event, Done):
                made[event.task.job] = event
            else:
                yield event
        outer = []
        for plan in self.plan.studies:
            study, fit = plan.study, made[tasks[plan.study].job]
            if study.part is not None:
                outer.append(self._outer(best[study], study.part, fit))
                yield outer[-1]
        final_fit = made[tasks[Study()].job]
        final = FinalModel(best[Study()], _model(final_fit), final_fit.facts)
        yield final
        trials = tuple(trial for plan in self.plan.studies for trial in by_number(done[plan.study]))
        counts = count_fits(trials, {job: fit.facts for job, fit in made.items()})
        yield SearchResult(self.plan, self.space, trials, tuple(outer), final, counts)

    def _outer(self, best: Trial, part: Part, fit: Done) -> OuterFold:
        rows = self.plan.scored_rows(part)
        return OuterFold(
            best=best,
            model=_model(fit),
            facts=fit.facts,
            scores=fit.scores[part],
            rows=rows,
            labels=self.labels[rows],
            predictions=fit.predictions[part],
        )


def count_fits(trials: Sequence[Trial], models: Mapping[Job, Facts]) -> FitCounts:
    """Count from the results alone, so that a resumed search counts as an uninterrupted one.

    ``models`` are the studies' at their best values, and how their fits ended.
    """
    ended = {
        Job.of(trial.left_out(fold.part), trial.values): fold.facts
        for trial in trials
        for fold in trial.inner
    } | dict(models)
    statuses = Counter(facts.get("status") for facts in ended.values())
    return FitCounts(
        logical=sum(len(trial.inner) for trial in trials) + len(models),
        distinct=len(ended),
        converged=statuses["converged"],
        stalled=statuses["stalled"],
        exhausted=statuses["exhausted"],
    )


def _model(fit: Done) -> Model:
    if fit.model is None:
        raise TypeError("an engine must keep the model of a task that asks for it")
    return fit.model
