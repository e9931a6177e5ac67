"""What every engine promises, written once: subclass it, and say which engine is meant."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import combinations
from typing import Any

import numpy as np
import pytest
import skops.io
from numpy.typing import NDArray

from foldwise.search.engines.estimator import FittedEstimator
from foldwise.search.jobs import Classes, Done, Engine, Job, LeftOut, Model, Task
from foldwise.search.plan import Plan
from foldwise.search.trials import Progress, Values


@dataclass(frozen=True)  # no slots: what was made is kept
class Given:
    """An engine and what it is asked about.

    ``engine_of`` makes it for rows, with nothing prepared; ``tried`` are values that give other
    models. One that scores elsewhere than it predicts may round otherwise, by a share of
    ``rounding``. ``whole`` is what a new engine made of all tasks, for who only looks at it.
    """

    engine_of: Callable[[NDArray[Any]], Engine]
    X: NDArray[Any]
    labels: NDArray[np.int64]
    classes: Classes
    plan: Plan
    tried: tuple[Values, ...]
    rounding: float = 0.0

    def make(self) -> Engine:
        """The engine anew."""
        return self.engine_of(self.X)

    def changed(self, rows: NDArray[np.int64]) -> "Given":
        """The same with some rows' features dealt to each other's labels."""
        X = self.X.copy()
        X[rows] = X[rows][::-1]
        return replace(self, X=X)

    @property
    def sets(self) -> tuple[LeftOut, ...]:
        """All that a nested search leaves out: nothing, a part, two parts of one partition."""
        parts = self.plan.parts
        some = (frozenset(left) for count in range(3) for left in combinations(parts, count))
        return tuple(left for left in some if len({part.repeat for part in left}) <= 1)

    @property
    def tasks(self) -> tuple[Task, ...]:
        """A model of each training set at each of the values, scored on what it left out."""
        return tuple(
            Task(Job.of(left_out, values), tuple(sorted(left_out)), "model")
            for left_out in self.sets
            for values in self.tried
        )

    @cached_property
    def whole(self) -> dict[Job, Done]:
        """What a new engine makes of all tasks."""
        return self.run(self.tasks)

    def run(self, tasks: Sequence[Task], *, later: Iterable[LeftOut] = ()) -> dict[Job, Done]:
        """What a new engine makes of the tasks."""
        return self.by_job(self.make(), tasks, later=later)

    def by_job(
        self, engine: Engine, tasks: Sequence[Task], *, later: Iterable[LeftOut] = ()
    ) -> dict[Job, Done]:
        """What this engine makes of the tasks."""
        events = list(engine.run(tasks, later=tuple(later)))
        assert all(isinstance(event, Progress | Done) for event in events)
        done = [event for event in events if isinstance(event, Done)]
        assert sorted(map(repr, (each.task for each in done))) == sorted(map(repr, tasks))
        return {each.task.job: each for each in done}


class EngineCases:
    """The cases; ``given`` is a fixture of the subclass, made once for all of them."""

    def test_every_task_is_done_once(self, given: Given) -> None:
        """None is left out, none made twice, and each comes back with its own job."""
        assert set(given.whole) == {task.job for task in given.tasks}

    def test_nothing_to_do_is_done_at_once(self, given: Given) -> None:
        assert given.run([]) == {}

    def test_progress_stays_within_its_total(self, given: Given) -> None:
        shown = [event for event in given.make().run(given.tasks) if isinstance(event, Progress)]
        assert all(0 < event.done <= event.total for event in shown)

    def test_a_fit_is_scored_on_the_parts_asked_and_no_others(self, given: Given) -> None:
        """A study never touches its outer part: the engine must not score it by itself."""
        parts = given.plan.parts
        asked: list[tuple[Any, ...]] = [(), parts[:1], parts[:2], tuple(reversed(parts[:2]))]
        for score_on in asked:
            task = Task(Job.of(frozenset(parts[:2]), given.tried[0]), score_on, "predictions")
            [done] = given.run([task]).values()
            assert set(done.scores) == set(done.predictions) == set(score_on)

    def test_a_score_is_that_of_the_parts_scored_rows(self, given: Given) -> None:
        """In the plan's order, against the rows' own labels."""
        for task in given.tasks:
            done = given.whole[task.job]
            for part in task.score_on:
                rows = given.plan.scored_rows(part)
                assert len(done.predictions[part].values) == len(rows)
                scores = done.predictions[part].scores(given.labels[rows])
                if given.rounding:
                    assert done.scores[part] == pytest.approx(scores, rel=given.rounding)
                else:
                    assert repr(done.scores[part]) == repr(scores)

    def test_only_what_is_to_be_kept_is_kept(self, given: Given) -> None:
        """Scores always, predictions if asked, a model with its predictions."""
        part = given.plan.parts[0]
        job = Job.of(frozenset({part}), given.tried[0])
        kept = {
            keep: given.run([Task(job, (part,), keep)])[job]
            for keep in ("scores", "predictions", "model")
        }
        assert {keep: bool(done.predictions) for keep, done in kept.items()} == {
            "scores": False, "predictions": True, "model": True,
        }  # fmt: skip
        assert {keep: done.model is not None for keep, done in kept.items()} == {
            "scores": False, "predictions": False, "model": True,
        }  # fmt: skip
        assert len({repr(done.scores) for done in kept.values()}) == 1

    def test_equal_jobs_give_the_same_bits_in_any_batch_and_order(self, given: Given) -> None:
        """All at once, one at a time, and asked again, the other way round."""
        engine = given.make()
        singly = {task.job: given.by_job(engine, [task])[task.job] for task in given.tasks}
        assert_same_bits(singly, given.whole, given.classes)
        again = given.by_job(engine, tuple(reversed(given.tasks)))
        assert_same_bits(again, given.whole, given.classes)

    def test_later_changes_no_bit(self, given: Given) -> None:
        """What an engine prepares for fits to come is nobody's business."""
        task = given.tasks[-1]
        alone = given.run([task])
        assert_same_bits(given.run([task], later=given.sets), alone, given.classes)

    def test_a_model_predicts_what_was_scored(self, given: Given) -> None:
        """To the bit: the figures that are told are those of the model that is kept."""
        for task in given.tasks:
            done = given.whole[task.job]
            for part in task.score_on:
                rows = given.plan.scored_rows(part)
                found = model(done).predict(given.X[rows])
                np.testing.assert_array_equal(found.values, done.predictions[part].values)
                assert found.are_probabilities == done.predictions[part].are_probabilities

    def test_a_fit_has_not_seen_what_it_left_out(self, given: Given) -> None:
        """Rows that a job leaves out may be anything: its model is the same; no other's is."""
        part, other = given.plan.parts[:2]
        changed = given.changed(given.plan.rows(part))
        for left_out, is_same in ((part, True), (other, False)):
            task = Task(Job.of(frozenset({left_out}), given.tried[0]), (left_out,), "model")
            before = model(given.whole[task.job]).digest(given.classes)
            after = model(changed.run([task])[task.job]).digest(given.classes)
            assert (before == after) == is_same

    def test_equal_models_have_equal_digests_and_others_others(self, given: Given) -> None:
        """Fitted twice it is one model; other values or rows are another."""
        first = {job: model(done).digest(given.classes) for job, done in given.whole.items()}
        task = given.tasks[0]
        assert model(given.run([task])[task.job]).digest(given.classes) == first[task.job]
        assert len(set(first.values())) == len(first)

    def test_a_digest_survives_storing_and_loading(self, given: Given) -> None:
        """Through the estimator, skops and back, without a pickle; and it predicts the same."""
        for task in given.tasks[:2]:
            kept = model(given.whole[task.job])
            stored = skops.io.dumps(kept.estimator(given.classes))
            trusted = skops.io.get_untrusted_types(data=stored)
            loaded = FittedEstimator(skops.io.loads(stored, trusted=trusted))
            assert loaded.digest(given.classes) == kept.digest(given.classes)
            np.testing.assert_allclose(
                loaded.predict(given.X).values, kept.predict(given.X).values, rtol=0, atol=1e-5
            )

    def test_the_estimator_answers_the_classes_as_the_model_ranks_them(self, given: Given) -> None:
        """The largest prediction is the class that scikit-learn would answer."""
        kept = model(given.whole[given.tasks[0].job])
        answered = kept.estimator(given.classes).predict(given.X.astype(np.float32))
        found = np.asarray(given.classes)[kept.predict(given.X).values.argmax(axis=1)]
        np.testing.assert_array_equal(answered, found)

    def test_facts_are_numbers_and_words(self, given: Given) -> None:
        """They go into JSON as they are."""
        for done in given.whole.values():
            assert done.facts
            assert all(isinstance(fact, int | float | str) for fact in done.facts.values())


def model(done: Done) -> Model:
    """The model that was kept."""
    assert done.model is not None
    return done.model


def assert_same_bits(one: dict[Job, Done], other: dict[Job, Done], classes: Classes) -> None:
    """Scores, predictions, models and facts, but for the time it took."""
    assert one.keys() == other.keys()
    for job, done in one.items():
        counterpart = other[job]
        assert repr(dict(sorted(done.scores.items()))) == repr(
            dict(sorted(counterpart.scores.items()))
        )
        for part, predictions in done.predictions.items():
            np.testing.assert_array_equal(predictions.values, counterpart.predictions[part].values)
        assert model(done).digest(classes) == model(counterpart).digest(classes)
        assert _untimed(done) == _untimed(counterpart)


def _untimed(done: Done) -> dict[str, float | str]:
    return {name: fact for name, fact in done.facts.items() if name != "seconds"}
