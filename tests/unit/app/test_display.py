"""What tune shows in a log, and when it can tell the time that is left."""

from collections.abc import Iterator
from types import SimpleNamespace
from typing import TYPE_CHECKING, cast

import pytest
from rich import progress as rich

from foldwise.app.display import LINE_SECONDS, Display, span, time_left
from foldwise.search.trials import FINAL, Event, Progress
from tests.factories import make_outer_fold, make_plan, make_result, make_trial

if TYPE_CHECKING:
    from foldwise.search.nested import NestedSearch


class Clock:
    """Time that moves when it is told to."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """The display's clock."""
    clock = Clock()
    monkeypatch.setattr("foldwise.app.display.time.monotonic", clock)
    return clock


def left(clock: Clock, *done: int, total: int | None = 40) -> str:
    """What is said of work of which so much is done every ten seconds."""
    bars = rich.Progress(get_time=clock)
    task = bars.add_task("fits", total=total, first=done[0])
    for each in done:
        bars.update(task, completed=each)
        clock.now += 10
    return time_left(bars.tasks[task])


def test_the_time_left_follows_the_mean_pace(clock: Clock) -> None:
    """Eight of forty in twenty seconds, after the first: the thirty others take 75."""
    assert left(clock, 2, 9, 10) == "about 75 s left"


def test_what_was_replayed_is_not_counted_as_quick_work(clock: Clock) -> None:
    """A resumed search begins with trials that took no time."""
    assert left(clock, 30, 31, 32) == "about 80 s left"


@pytest.mark.parametrize(("done", "total"), [(0, 40), (1, 40), (5, None), (40, 40)])
def test_nothing_is_said_of_time_that_cannot_be_told(
    clock: Clock, done: int, total: int | None
) -> None:
    """Before the first piece, without a total, and at the end."""
    assert left(clock, done, total=total) == ""


def test_a_few_pieces_tell_nothing_of_hundreds(clock: Clock) -> None:
    """From one in twenty on; the first that end may be far quicker, or slower, than the mean."""
    assert left(clock, 40, 45, 57, total=360) == ""
    assert left(clock, 40, 45, 58, total=360) == "about 6 min left"


def test_what_start_up_trials_need_tells_nothing_of_the_rest(
    clock: Clock, capsys: pytest.CaptureFixture[str]
) -> None:
    """It takes long until the first of them ends, and then they end at once: 40 of 100 here."""

    def told() -> Iterator[Event]:
        for seconds, done in ((60, 1), (1, 20), (1, 40), (20, 44), (20, 48)):
            clock.now += seconds
            yield Progress(done, 100)
        yield make_result()

    search = SimpleNamespace(
        run=told,
        space=SimpleNamespace(startup=2, metric="log_loss", numbers=range),
        plan=SimpleNamespace(studies=()),
        trials=5,
    )
    Display("tune").follow(cast("NestedSearch", search))
    assert capsys.readouterr().err.splitlines() == [
        "tune: 1 of 100 fits",
        "tune: 44 of 100 fits",
        "tune: 48 of 100 fits, about 4 min left",
    ]


def test_one_estimate_is_given_for_the_whole_stage(
    clock: Clock, capsys: pytest.CaptureFixture[str]
) -> None:
    """Pieces on the way to the fits have none of their own."""
    display = Display("tune")
    for done in (1, 5, 9):
        clock.now += LINE_SECONDS + 5
        display.show(Progress(done, 10, "points of paths"))
    assert "left" not in capsys.readouterr().err


def test_a_stage_has_one_bar_and_studies_join_it_when_their_fits_begin() -> None:
    """Whatever is counted on the way to the fits, and before any trial is complete."""
    display, result = Display("tune"), make_result()
    events = (
        Progress(1, 10, "points of paths"),
        Progress(0, 16),
        Progress(9, 10, "points of paths"),
        make_trial(FINAL, 0),
        Progress(4, 16),
        result,
    )
    bars: list[list[str]] = []

    def told() -> Iterator[Event]:
        for event in events:
            yield event
            shown = display._bars.tasks
            bars.append([f"{of.description} {of.completed:g}/{of.total:g}" for of in shown])

    search = SimpleNamespace(
        run=told,
        space=SimpleNamespace(startup=4, metric="log_loss", numbers=range),
        plan=make_plan(3),
        trials=4,
    )
    display.follow(cast("NestedSearch", search))
    studies = ["outer-0 0/4", "outer-1 0/4", "outer-2 0/4", "final study 0/4"]
    assert bars[:3] == [["tune 1/10"], ["tune 0/16", *studies], ["tune 0/16", *studies]]
    assert bars[4] == ["tune 4/16", *studies[:3], "final study 1/4"]


def test_long_times_are_told_in_minutes() -> None:
    """Nobody plans by 400 seconds."""
    assert (span(90), span(400)) == ("90 s", "7 min")


def test_a_log_gets_a_line_now_and_then(clock: Clock, capsys: pytest.CaptureFixture[str]) -> None:
    """At most one in fifteen seconds, with how much is done, the time left and the C so far."""
    display = Display("tune")
    display.show(Progress(1, 10, "points of paths"))
    clock.now += LINE_SECONDS + 5
    display.show(Progress(3, 10, "points of paths"))
    display.show(Progress(0, 16))
    display.show(make_trial(FINAL, 0, C=0.02), metric="log_loss", trials=4)
    clock.now += LINE_SECONDS + 1
    display.show(Progress(4, 16))
    assert capsys.readouterr().err.splitlines() == [
        "tune: 3 of 10 points of paths",
        "tune: 4 of 16 fits, about 48 s left; final study: C = 0.0200",
    ]


def test_every_study_s_end_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    """With the C it chose, and the estimate if it has one."""
    display = Display("tune")
    display.show(make_outer_fold(), metric="log_loss")
    display.show(make_result().final)
    first, second = capsys.readouterr().err.splitlines()
    assert first.startswith("tune: outer-0: C = ")
    assert second.startswith("tune: final study: C = ")


def test_nothing_is_estimated_from_the_first_word(
    clock: Clock, capsys: pytest.CaptureFixture[str]
) -> None:
    """A resumed search begins with what is there already: how long that took is not known."""
    display = Display("compare svm")
    clock.now += LINE_SECONDS + 1
    display.show(Progress(30, 40))
    assert capsys.readouterr().err == "compare svm: 30 of 40 fits\n"


def test_quiet_is_quiet(
    clock: Clock, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """No line, however long it takes."""
    monkeypatch.setenv("FOLDWISE_QUIET", "1")
    with Display.of("tune") as display:
        clock.now += 1000
        display.show(Progress(2, 10, "points of paths"))
        display.show(Progress(4, 16))
        display.show(make_outer_fold(), metric="log_loss")
    assert capsys.readouterr() == ("", "")
