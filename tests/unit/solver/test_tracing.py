"""Paths: exact at their anchors, close between them, and nobody else's business."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from foldwise.solver.descent import History
from foldwise.solver.fits import FitRequest, SolverOptions, solve
from foldwise.solver.linear import Fit, Multiclass, probabilities
from foldwise.solver.paths import (
    RegularisationPath,
    Stretch,
    Traced,
    anchors,
    interpolate,
    trace,
)
from tests.unit.solver.solver_cases import Case, digits, reference, sparse_noise

SETS = [frozenset({0}), frozenset({1, 2}), frozenset[int]()]
LOW, HIGH = 1e-3, 1.0
WHOLE = len(anchors(LOW, HIGH))


@pytest.fixture(autouse=True)
def single_threaded_blas() -> Iterator[None]:
    with threadpool_limits(limits=1, user_api="blas"):
        yield


def paths_of(
    case: Case, sets: list[frozenset[int]], **options: Any
) -> dict[frozenset[int], RegularisationPath]:
    return traced(case, [Stretch(new_path(left_out), WHOLE) for left_out in sets], **options)


def traced(
    case: Case, stretches: list[Stretch], **options: Any
) -> dict[frozenset[int], RegularisationPath]:
    events = trace(case.layout(), stretches, SolverOptions(**options))
    return {event.left_out: event for event in events if isinstance(event, RegularisationPath)}


def new_path(left_out: frozenset[int]) -> RegularisationPath:
    return RegularisationPath(left_out, anchors(LOW, HIGH))


def assert_same(path: RegularisationPath, other: RegularisationPath) -> None:
    np.testing.assert_array_equal(path.solutions, other.solutions)
    assert path.evaluations == other.evaluations


def fit_on(case: Case, path: RegularisationPath, C: float, **options: Any) -> Fit:
    request = FitRequest(path.left_out, C, path.at(C))
    [fit] = solve(case.layout(), [request], SolverOptions(**options))
    return fit


@pytest.mark.parametrize("multiclass", ["multinomial", "ovr"])
def test_fits_on_a_path_predict_as_scikit_learn(multiclass: str) -> None:
    """In float64 at tol 1e-9, between the anchors too, probabilities are scikit-learn's."""
    case = sparse_noise()
    tight = {"tol": 1e-9, "double": True, "max_iter": 20_000, "multiclass": multiclass}
    path = paths_of(case, [frozenset({0, 2})], **tight)[frozenset({0, 2})]
    for C in (LOW, 0.047, HIGH):
        ours = probabilities(fit_on(case, path, C, **tight).model, case.images)
        theirs = reference(case, path.left_out, C=C, multiclass=multiclass, tol=1e-10)
        assert np.abs(ours - theirs.predict_proba(case.images)).max() < 1e-4


@pytest.mark.parametrize("multiclass", ["multinomial", "ovr"])
def test_a_path_saves_a_fit_all_evaluations_but_one(multiclass: Multiclass) -> None:
    """At the usual tolerance a fit on its path needs one, and from zero seven and more."""
    case = digits()
    path = paths_of(case, SETS[:1], multiclass=multiclass)[SETS[0]]
    for C in (0.0021, 0.034, 0.47):
        on_path = fit_on(case, path, C, multiclass=multiclass).outcome
        requests, options = [FitRequest(SETS[0], C)], SolverOptions(multiclass=multiclass)
        [cold] = solve(case.layout(), requests, options)
        assert on_path.status == "converged"
        assert on_path.evaluations == 1
        assert cold.outcome.evaluations >= 7
        assert on_path.objective <= cold.outcome.objective * (1 + 1e-4)


@pytest.mark.parametrize("multiclass", ["multinomial", "ovr"])
def test_neither_company_nor_threads_change_a_path(multiclass: str) -> None:
    """Traced alone or with others, by one thread or three: the same bytes."""
    case = digits(300)
    together = paths_of(case, SETS, threads=3, multiclass=multiclass)
    for left_out in SETS:
        alone = paths_of(case, [left_out], multiclass=multiclass)[left_out]
        assert_same(alone, together[left_out])


@pytest.mark.parametrize("multiclass", ["multinomial", "ovr"])
def test_a_path_traced_in_stretches_is_the_one_traced_at_once(multiclass: str) -> None:
    """Whoever else is traced meanwhile, on however many threads; and it begins with its parts."""
    case = digits(300)
    once = paths_of(case, SETS[1:2], multiclass=multiclass)[SETS[1]]
    for reaches in ((4, WHOLE), (1, 2, 5, 6, WHOLE), (WHOLE - 1, WHOLE)):
        path = new_path(SETS[1])
        for turn, reach in enumerate(reaches):
            others = [Stretch(new_path(left_out), turn + 1) for left_out in SETS[::2]]
            made = traced(
                case, [*others, Stretch(path, reach)], threads=turn + 1, multiclass=multiclass
            )
            path = made[SETS[1]]
            assert len(path.solutions) == reach
            np.testing.assert_array_equal(path.solutions, once.solutions[:reach])
        assert_same(path, once)


def test_a_path_may_be_traced_further_twice_and_without_its_curvature() -> None:
    """Tracing changes nothing that it was given; a path from the shelf begins anew."""
    case = digits(300)
    [part] = traced(case, [Stretch(new_path(SETS[0]), 5)]).values()
    assert part.histories
    bare = replace(part, histories=())
    once = paths_of(case, SETS[:1])[SETS[0]]
    for start in (part, part, bare):
        [whole] = traced(case, [Stretch(start, WHOLE)]).values()
        assert_same(whole, once)
        assert not whole.histories  # megabytes, of no more use


@pytest.mark.parametrize("C", [LOW / 2, LOW, 0.004, 0.03, 0.3, HIGH, 2 * HIGH])
def test_a_fit_starts_alike_on_a_path_traced_as_far_as_it_needs(C: float) -> None:
    """The anchors above add nothing to the four around it."""
    solutions = tuple(np.random.default_rng(1).normal(size=(WHOLE, 2, 3)))
    whole = replace(new_path(SETS[0]), solutions=solutions)
    part = replace(whole, solutions=solutions[: whole.reach(C)])
    np.testing.assert_array_equal(part.at(C), whole.at(C))


def test_a_path_has_not_seen_what_it_left_out() -> None:
    """With other labels and brightness in a left-out part it is the same path, to the bit."""
    case = digits(300)
    images, labels = case.images.copy(), case.labels.copy()
    out = case.parts[0]
    # Dark pixels stay dark: where a pixel stands in the layout depends on which rows light it.
    images[out] = np.where(images[out] > 0, 17 - images[out], 0)
    labels[out] = (labels[out] + 1) % case.classes
    changed = Case("changed", images, labels)
    before, after = (paths_of(data, [SETS[0], SETS[2]]) for data in (case, changed))
    assert_same(before[SETS[0]], after[SETS[0]])
    assert not np.array_equal(before[SETS[2]].at(LOW), after[SETS[2]].at(LOW))


def test_progress_counts_every_anchor_once() -> None:
    """The last word before the last path is that all that was asked for is known."""
    case, new = digits(300), [new_path(left_out) for left_out in SETS]
    [part] = traced(case, [Stretch(new[0], 3)]).values()
    bare = replace(part, left_out=SETS[1], histories=())
    stretches = [Stretch(part, 5), Stretch(bare, 5), Stretch(new[2], 4)]
    events = list(trace(case.layout(), stretches, SolverOptions()))
    told = [event for event in events if isinstance(event, Traced)]
    total = 2 + 5 + 4
    assert [event.done for event in told] == list(range(1, total + 1))
    assert {event.total for event in told} == {total}


def test_more_paths_than_there_is_room_for_wait_their_turn(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """With room for one at a time every path is still traced once."""
    monkeypatch.setattr("foldwise.solver.paths.MOST_COLUMNS", 1)
    assert set(paths_of(digits(300), SETS)) == set(SETS)


@pytest.mark.parametrize(("low", "high"), [(1e-4, 10.0), (0.3, 0.4), (1e-9, 1e9)])
def test_anchors_span_the_range_and_suffice_for_a_cubic(low: float, high: float) -> None:
    """Both ends are anchors, none is further from the next than a third of a decade."""
    strengths = anchors(low, high)
    assert (strengths[0], strengths[-1]) == pytest.approx((low, high))
    assert len(strengths) >= 4
    assert np.diff(np.log10(strengths)).max() <= 1 / 3 + 1e-9


def test_interpolation_is_exact_for_cubics_in_log_c() -> None:
    """And at the anchors it gives what they hold."""
    strengths = np.geomspace(0.01, 10, 4)
    cubic = np.polynomial.Polynomial([1.0, -2.0, 0.5, 0.25])
    points = [np.array([cubic(np.log(C))]) for C in strengths]
    for C in (*strengths, 0.05, 3.0, 30.0):
        assert interpolate(strengths, points, float(C))[0] == pytest.approx(cubic(np.log(C)))


def test_a_history_told_of_a_larger_penalty_is_that_of_the_larger_penalty() -> None:
    """Directions are those of a history that met the new curvature from the start."""
    generator = np.random.default_rng(4)
    root = generator.normal(size=(12, 12))
    free = np.ones(12)
    free[::6] = 0
    loss, gradient = root @ root.T + np.eye(12), generator.normal(size=12)
    told, met = (History(5, 12, np.dtype(np.float64)) for _ in range(2))
    for step in generator.normal(size=(4, 12)):
        told.learn(step, loss @ step + 0.1 * free * step)
        met.learn(step, loss @ step + 0.7 * free * step)
    told.penalise(0.6, width=6)
    np.testing.assert_allclose(told.descend(gradient), met.descend(gradient), rtol=1e-9)


def test_pairs_without_curvature_under_the_new_penalty_go() -> None:
    """A penalty taken away can leave a pair that curves downwards: it is forgotten."""
    history = History(5, 4, np.dtype(np.float64))
    history.learn(np.array([0.0, 1.0, 0.0, 0.0]), np.array([0.0, 0.5, 0.0, 0.0]))
    history.learn(np.array([0.0, 0.0, 1.0, 0.0]), np.array([0.0, 0.0, 5.0, 0.0]))
    history.penalise(-1.0, width=4)
    assert len(history) == 1
