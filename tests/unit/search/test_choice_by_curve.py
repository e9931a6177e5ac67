"""The curve sampler: where it asks, what it skips, and what can't fool it."""

import json
import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from foldwise.search.archive import archive, restore
from foldwise.search.curve import NEAR, Point, is_over, minimum, next_place, starts, walk, walked
from foldwise.search.engines.batched import BatchedEngine
from foldwise.search.space import Space
from foldwise.search.trials import (
    FINAL,
    InnerFold,
    Part,
    SearchResult,
    Study,
    Trial,
    best_trial,
    number_of,
)
from foldwise.settings import Between, OneOf
from tests.factories import make_scores, outer
from tests.unit.search.search_cases import Memory, finished, nested_search
from tests.unit.solver.solver_cases import Case

SPACE = Space({"C": Between(1e-4, 10.0, is_log=True)}, "curve", 8, seed=5, metric="log_loss")
HARD = (0.0, 0.03, -0.02, 0.05, 0.01)
"""What each inner fold's loss is above the curve: much more than trials differ by."""

Losses = Callable[[float], float]


def asked(
    loss: Losses, *, trials: int = 12, offset: float = 0.4, is_stepped: bool = False
) -> list[Point]:
    """A study of a curve over places: every fold has its own level, and all of them agree."""
    places, points = walk(starts(trials), offset), list[Point]()
    for _ in range(trials):
        place = next_place(points, places, is_stepped=is_stepped)
        points.append(Point(place, tuple(loss(place) + hard for hard in HARD)))
    return points


def places(points: Sequence[Point]) -> list[float]:
    return [point.place for point in points]


def lowest(points: Sequence[Point]) -> float:
    return min(points, key=lambda point: point.mean).place


def valley(at: float) -> Losses:
    """One smooth valley, steeper to the left, as log-loss has it."""
    return lambda place: 0.27 + 0.05 * (math.exp(3 * (at - place)) + 3 * (place - at))


def two_valleys(place: float) -> float:
    """The deeper one at the dear end, behind a hill."""
    return (
        0.4
        - 0.1 * math.exp(-(((place - 0.2) / 0.1) ** 2))
        - 0.2 * math.exp(-(((place - 0.85) / 0.1) ** 2))
    )


@settings(deadline=None, max_examples=30)
@given(at=st.floats(0.05, 0.95), offset=st.floats(0, 0.999))
def test_twelve_trials_find_the_minimum(at: float, offset: float) -> None:
    """To a fiftieth of a decade, of five, wherever it lies."""
    found = lowest(asked(valley(at), offset=offset))
    assert abs(found - at) <= 0.02 / 5


@pytest.mark.parametrize("falling", [False, True])
def test_a_curve_that_falls_to_an_end_of_the_range_is_followed_there(*, falling: bool) -> None:
    """The walk stops short of both ends."""
    points = asked(lambda place: math.exp(-place if falling else place))
    assert lowest(points) == float(falling)


def test_the_walk_goes_up_and_stops_where_two_are_clearly_worse() -> None:
    """The dear end is never asked; what is saved goes into minima."""
    points = asked(valley(0.3))
    walking = walked(points, 8)
    assert places(points)[:walking] == [*walk(8, 0.4)][:walking]
    assert walking < 8
    assert places(points)[walking - 2] > 0.3 > places(points)[walking - 4]
    assert max(places(points)) == places(points)[walking - 1]
    assert len(points) == 12


def test_two_valleys_do_not_fool_it() -> None:
    """Where the curve wasn't convex, the walk goes to its last value and finds the deeper one."""
    points = asked(two_valleys)
    assert walked(points, 8) == 8
    assert abs(lowest(points) - 0.85) < 0.02


@settings(deadline=None, max_examples=30)
@given(means=st.lists(st.floats(0.1, 1.0), min_size=3, max_size=8), offset=st.floats(0, 0.999))
def test_a_curve_that_was_not_convex_is_walked_to_its_end(
    means: list[float], offset: float
) -> None:
    """Whatever it is: an early end has only convex points before it, and two worse ones last."""
    points = [
        Point(place, tuple(mean + hard for hard in HARD))
        for place, mean in zip(walk(8, offset), means, strict=False)
    ]
    slopes = np.diff([point.mean for point in points])
    is_convex = bool((np.diff(slopes) >= 0).all())
    are_worse = min(point.mean for point in points[-2:]) > min(point.mean for point in points)
    assert is_over(points) <= (is_convex and are_worse)


def test_one_value_clearly_worse_is_not_enough() -> None:
    """The next one must be worse than the best, too."""
    points = [
        Point(number / 8, tuple(mean + hard for hard in HARD))
        for number, mean in enumerate((0.40, 0.28, 0.33, 0.45))
    ]
    assert not is_over(points[:3])
    assert is_over(points)


@pytest.mark.parametrize(("spread", "ends"), [(0.01, True), (0.05, False)])
def test_worse_is_paired_over_the_inner_folds(*, spread: float, ends: bool) -> None:
    """Folds may differ by much more than trials do: what counts is the difference's error."""
    worse = (-spread, 0.0, spread, 0.0, 0.0)
    means = (0.30, 0.28, 0.30, 0.33)
    points = [
        Point(
            number / 8,
            tuple(mean + h + (number > 1) * w for h, w in zip(HARD, worse, strict=True)),
        )
        for number, mean in enumerate(means)
    ]
    assert is_over(points) is ends


def test_a_value_near_one_asked_is_not_asked_again() -> None:
    """The gap beside it is halved instead, so that each of many trials teaches something."""
    points = asked(valley(0.3), trials=60)
    apart = np.diff(sorted(places(points)))
    assert apart.min() >= NEAR
    assert min(abs(place - 0.3) for place in places(points)) < NEAR


@pytest.mark.parametrize("asked_at", [0.4166, 0.4168, 0.5, 0.7032])
def test_five_cells_of_the_grid_are_near_wherever_they_lie(asked_at: float) -> None:
    """Their difference is NEAR, and in binary a little more or less."""
    for side in (-1, 1):
        true = asked_at + side * NEAR
        points = [Point(p, ((p - true) ** 2,)) for p in (0.1, 0.3, asked_at, 0.8, 0.9)]
        assert abs(minimum(points, is_stepped=False) - asked_at) > 0.05


@pytest.mark.parametrize("low", [0.4166, 0.4168, 0.5, 0.7032])
def test_a_gap_of_ten_cells_is_narrow_wherever_it_lies(low: float) -> None:
    """Its middle is near both ends."""
    asked = (0.1, 0.3, low - NEAR, low, low + 2 * NEAR, 0.8, 0.9)
    points = [Point(p, ((p - low) ** 2,)) for p in asked]
    assert abs(minimum(points, is_stepped=False) - low) > 0.03


def test_with_a_known_minimum_the_wider_gap_beside_it_is_halved() -> None:
    """Far from the dear end."""
    points = [Point(p, ((p - 0.5) ** 2,)) for p in (0.1, 0.3, 0.5, 0.6, 0.9)]
    assert minimum(points, is_stepped=False) == pytest.approx(0.4)


@pytest.mark.parametrize("failing", [{0}, {3}, {2, 3, 4}, set(range(12)), set(range(11))])
def test_a_trial_that_failed_breaks_nothing(failing: set[int]) -> None:
    """It is asked around: all trials are made, none twice, and what is known decides."""
    places, points, loss = walk(8, 0.4), list[Point](), valley(0.45)
    for number in range(12):
        place = next_place(points, places, is_stepped=False)
        assert place not in [point.place for point in points]
        mean = math.nan if number in failing else loss(place)
        points.append(Point(place, tuple(mean + hard for hard in HARD)))
    if len(failing) < 6:
        known = [point for point in points if math.isfinite(point.mean)]
        assert abs(lowest(known) - 0.45) <= 0.02 / 5


def test_one_lucky_row_does_not_draw_the_search_if_the_metric_moves_in_steps() -> None:
    """A spline through all would look for more beside it; the smoothed curve knows better."""
    points = [Point(p, (0.1 + (p - 0.6) ** 2,)) for p in np.linspace(0.05, 0.95, 10).tolist()]
    lucky = [*points[:2], Point(points[2].place, (0.098,)), *points[3:]]
    assert abs(minimum(lucky, is_stepped=False) - points[2].place) < 0.06
    assert abs(minimum(lucky, is_stepped=True) - 0.6) < 0.1


@pytest.mark.parametrize(("trials", "first"), [(1, 1), (2, 2), (4, 3), (12, 8), (13, 8), (99, 8)])
def test_the_walk_grows_with_the_trials(trials: int, first: int) -> None:
    """Two thirds of them, until the spline has enough to go by: then more trials go on."""
    assert starts(trials) == first


# The sampler in a study


def _told(space: Space, loss: Losses, *, study: Study = FINAL, trials: int = 12) -> list[Trial]:
    told: list[Trial] = []
    for number in range(trials):
        values = space.propose(study, number, told)
        place = space.ranges["C"].place(number_of(values, "C"))
        inner = tuple(
            InnerFold(Part(0, fold), make_scores(loss(place) + hard))
            for fold, hard in enumerate(HARD)
        )
        told.append(Trial(study, number, values, inner))
    return told


def _strengths(trials: Sequence[Trial]) -> list[float]:
    return [number_of(trial.values, "C") for trial in trials]


def test_all_studies_begin_with_the_same_values_one_in_each_part_of_the_range() -> None:
    """Spread by logarithm, the same for every study, others for another seed."""
    first = _strengths(_told(SPACE, two_valleys))[:8]
    assert first == _strengths(_told(SPACE, two_valleys, study=outer(2)))[:8]
    eighths = np.geomspace(1e-4, 10.0, 9).tolist()
    assert all(
        low <= C < high for low, C, high in zip(eighths[:-1], first, eighths[1:], strict=True)
    )
    assert first != _strengths(_told(replace(SPACE, seed=6), two_valleys))[:8]


def test_a_score_is_maximised_as_a_loss_is_minimised() -> None:
    """By the metric's own direction."""
    up = replace(SPACE, metric="roc_auc")
    assert best_trial(_told(up, valley(0.4)), "roc_auc").values["C"] == pytest.approx(
        1e-4 * 10**2, rel=0.05
    )


def test_the_values_skipped_are_known() -> None:
    """Those of the walk that come after its end; none where it was walked whole."""
    told = _told(SPACE, valley(0.3))
    count = SPACE.startup_trials(told)
    whole = _strengths(_told(SPACE, two_valleys))[:8]
    assert SPACE.skipped(told) == tuple(whole[count:]) != ()
    assert SPACE.skipped(_told(SPACE, two_valleys)) == ()
    assert max(_strengths(told)) < min(SPACE.skipped(told))


@pytest.mark.parametrize(
    "dimensions",
    [
        {"C": Between(1e-4, 10.0, is_log=True), "kind": OneOf(("a", "b"))},
        {"C": Between(1e-4, 10.0, is_log=True), "D": Between(0.1, 1.0, is_log=False)},
        {"depth": Between(1, 9, is_log=False)},
    ],
)
def test_where_not_one_real_number_is_searched_tpe_stays(
    dimensions: dict[str, Between | OneOf],
) -> None:
    """The same draws, to the bit."""
    curve = Space(dimensions, "curve", 3, seed=5, metric="log_loss")
    told: list[Trial] = []
    for number in range(6):
        values = curve.propose(FINAL, number, told)
        assert values == replace(curve, sampler="tpe").propose(FINAL, number, told)
        told.append(Trial(FINAL, number, values, (InnerFold(Part(0, 0), make_scores(number)),)))
    assert curve.method == "tpe"


def test_a_trial_without_a_score_is_never_the_best() -> None:
    """Nor does it keep the next ones from being proposed."""
    told = _told(SPACE, lambda place: math.nan if place < 0.2 else valley(0.4)(place))
    assert math.isnan(told[0].mean("log_loss"))
    assert best_trial(told, "log_loss").values["C"] == pytest.approx(1e-4 * 10**2, rel=0.05)
    assert best_trial(told[:1], "log_loss") == told[0]


@pytest.fixture(scope="module")
def overfitted() -> Case:
    """More pixels than a fit can bear: the loss has one steep valley, far from the dear end."""
    generator = np.random.default_rng(3)
    labels = np.arange(200) % 2
    centres = generator.integers(90, 110, (2, 200))
    images = np.clip(centres[labels] + generator.normal(0, 60, (200, 200)), 0, 255)
    return Case("overfitted", images.astype(np.uint8), labels)


DEAR = Space({"C": Between(1e-3, 1e3, is_log=True)}, "curve", 6, seed=5, metric="log_loss")


@pytest.fixture(scope="module")
def whole(overfitted: Case) -> tuple[BatchedEngine, SearchResult]:
    search = nested_search(Memory(), trials=8, space=DEAR, case=overfitted, folds=5)
    assert isinstance(search.engine, BatchedEngine)
    return search.engine, finished(search)


def test_paths_are_traced_no_further_than_the_walk(
    whole: tuple[BatchedEngine, SearchResult],
) -> None:
    """No fit at the dear end is made, nor its path."""
    engine, result = whole
    for plan in result.plan.studies:
        assert result.space.skipped(result.study_trials(plan.study))
    assert all(len(path.solutions) < len(path.anchors) for path in engine._paths.values())


def test_the_archive_says_which_values_were_skipped(
    whole: tuple[BatchedEngine, SearchResult], tmp_path: Path
) -> None:
    """And by what sampler; read back and archived again it gives the same bytes."""
    files = archive(whole[1])
    told = json.loads(files["search.json"])
    assert told["sampler"] == "curve"
    assert not told["smoothed"]
    walking = whole[1].space.startup_trials(whole[1].study_trials(FINAL))
    asked = [t["values"]["C"] for t in told["trials"] if t["study"] == "final"][:walking]
    assert len(asked) + len(told["skipped"]["final"]) == 6
    assert max(asked) < min(told["skipped"]["final"])
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
    assert archive(restore(tmp_path)) == files


@pytest.mark.parametrize("cut", [7, 28, 41])
def test_a_cut_search_asks_the_same_and_ends_with_the_same_bits(
    cut: int, overfitted: Case, whole: tuple[BatchedEngine, SearchResult]
) -> None:
    """Amid the walk and amid the minima, with paths that are traced anew."""
    book = Memory([*sorted(whole[1].trials, key=lambda t: (t.number, str(t.study)))[:cut]])
    result = finished(nested_search(book, trials=8, space=DEAR, case=overfitted, folds=5))
    assert result.trials == whole[1].trials
    assert [f.scores for f in result.outer] == [f.scores for f in whole[1].outer]


def test_beyond_trials_that_failed_nothing_more_is_asked() -> None:
    """The curve falls up to where fits fail: the minimum lies at its last point, or beside it."""
    known = [Point(place, (1 - place,)) for place in (0.11111, 0.33333, 0.55555)]
    failed = [Point(place, (math.nan,)) for place in (0.7, 0.9)]
    assert 0.3 < minimum([*known, *failed], is_stepped=False) < 0.7
    mirrored = [Point(1 - place, losses) for place, losses in (*known, *failed)]
    assert 0.3 < minimum(mirrored, is_stepped=False) < 0.7
    assert minimum(known, is_stepped=False) == 1
