"""The batched engine traces paths as far as it is asked, and nobody can tell."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import permutations
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from threadpoolctl import threadpool_info, threadpool_limits

from foldwise.search.engines.batched import BatchedEngine, LinearClassifier, LocalBackend, PathShelf
from foldwise.search.jobs import Done, Job, Task
from foldwise.search.trials import Part, Progress
from foldwise.solver.fits import FitRequest, SolverOptions
from foldwise.solver.linear import Fit, probabilities
from foldwise.solver.paths import RegularisationPath, Stretch, Traced
from tests.conformance.test_engines import CASE, PLAN, arranged

LEFT_OUT = frozenset({Part(0, 1)})
LATER = frozenset({Part(0, 0), Part(0, 1)})
SMALL, MIDDLE, LARGE = 0.002, 0.05, 0.9
ANCHORS = 10  # three for each of three decades, and one


@dataclass(frozen=True, slots=True, eq=False)
class Watched(LocalBackend):
    """A backend that notes what it was asked to trace."""

    asked: list[dict[frozenset[int], tuple[int, int]]] = field(default_factory=list)

    def trace(self, stretches: Sequence[Stretch]) -> Iterator[Traced | RegularisationPath]:
        self.asked.append({each.path.left_out: (each.missing, each.reach) for each in stretches})
        return LocalBackend(self.layout, self.options).trace(stretches)


def engine(shelf: PathShelf | None = None) -> tuple[BatchedEngine, Watched]:
    backend = Watched(arranged(CASE.images), SolverOptions())
    made = BatchedEngine(CASE.images, CASE.labels, PLAN, backend, 1e-3, 1.0)
    return (replace(made, shelf=shelf) if shelf else made), backend


def task(C: float) -> Task:
    return Task(Job.of(LEFT_OUT, {"C": C}), (), "model")


def coefficients(batched: BatchedEngine, C: float) -> bytes:
    [done] = (event for event in batched.run([task(C)]) if isinstance(event, Done))
    assert isinstance(done.model, LinearClassifier)
    return done.model.numbers.coefficients.tobytes()


def test_a_path_goes_as_far_as_the_tasks_ask_and_on_from_there() -> None:
    """Later training sets go with the largest C, once; what is known isn't traced again."""
    batched, backend = engine()
    list(batched.run([task(SMALL), task(MIDDLE)], later=[LATER]))
    [first] = backend.asked
    assert first.keys() == {frozenset({1}), frozenset({0, 1})}
    assert set(first.values()) == {(8, 8)}
    list(batched.run([task(SMALL)], later=[LATER]))
    list(batched.run([task(LARGE)], later=[LATER]))
    assert backend.asked[1:] == [{}, {frozenset({1}): (2, ANCHORS)}]


@pytest.mark.parametrize("order", list(permutations((SMALL, MIDDLE, LARGE))), ids=str)
def test_whatever_was_asked_first_the_bits_are_the_same(order: tuple[float, ...]) -> None:
    """Extended or traced at once, a fit is what its job says."""
    at_once, _ = engine()
    list(at_once.run([task(C) for C in order]))
    in_turns, _ = engine()
    for C in order:
        assert coefficients(in_turns, C) == coefficients(at_once, C)


def test_a_path_from_the_shelf_is_traced_anew_to_the_same_bits(tmp_path: Path) -> None:
    """It comes without its curvature: as far as it goes it serves, beyond it begins from zero."""
    first, _ = engine(PathShelf(tmp_path))
    expected = {C: coefficients(first, C) for C in (SMALL, MIDDLE)}
    resumed, backend = engine(PathShelf(tmp_path))
    assert coefficients(resumed, MIDDLE) == expected[MIDDLE]
    assert backend.asked == [{}]
    whole, _ = engine()
    assert coefficients(resumed, LARGE) == coefficients(whole, LARGE)
    assert backend.asked[1:] == [{frozenset({1}): (ANCHORS, ANCHORS)}]
    again, backend = engine(PathShelf(tmp_path))
    assert coefficients(again, LARGE) == coefficients(whole, LARGE)
    assert backend.asked == [{}]


def test_progress_counts_what_this_run_traces() -> None:
    """The total is that of the stretch under way, and is reached."""
    batched, _ = engine()
    for C, total in ((SMALL, 4), (LARGE, 6)):
        shown = [event for event in batched.run([task(C)]) if isinstance(event, Progress)]
        assert [(event.done, event.total) for event in shown] == [
            (done, total) for done in range(1, total + 1)
        ]


class Eager(LocalBackend):
    """A backend that has made all fits before the first is scored."""

    def solve(self, requests: Sequence[FitRequest]) -> Iterator[Fit]:
        return iter(list(LocalBackend.solve(self, requests)))


def test_predictions_are_summed_by_one_blas_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    """While fits are made and afterwards alike: with two threads the last bits are others."""
    seen: set[int] = set()

    def predicted(*given: Any) -> NDArray[np.float64]:
        seen.update(each["num_threads"] for each in threadpool_info() if each["user_api"] == "blas")
        return probabilities(*given)

    monkeypatch.setattr("foldwise.search.engines.batched.probabilities", predicted)
    backend = Eager(arranged(CASE.images), SolverOptions())
    batched = BatchedEngine(CASE.images, CASE.labels, PLAN, backend, 1e-3, 1.0)
    scored = Task(Job.of(LEFT_OUT, {"C": SMALL}), (Part(0, 1),))
    with threadpool_limits(limits=2, user_api="blas"):
        list(batched.run([scored]))
    assert seen == {1}
