"""What a stage shows while it works: bars on a terminal, now and then a line in a log."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Self

from rich import progress as rich
from rich.console import Console
from rich.text import Text

from foldwise.app.exits import is_quiet, tell
from foldwise.report.wording import number, values_text
from foldwise.runs.tree import study_name
from foldwise.search import trials as events
from foldwise.search.nested import NestedSearch

LINE_SECONDS = 15.0
_WHOLE = ("fits", "rows")
"""The pieces that work is made of; others are on the way to them."""
_TELLING = 0.05
"""Share of all pieces from whose pace the rest can be told."""
_FOREVER = 1e9
"""Seconds: by the mean pace, as pieces end in bursts, the quick ones first."""


class Display:
    """Follows a stage; silent where ``FOLDWISE_QUIET`` asks for it.

    On a terminal a bar with the time left, and below it one a study with its best values so far;
    otherwise a line at most every 15 seconds and at each study's end.
    """

    @classmethod
    @contextmanager
    def of(cls, stage: str) -> Iterator[Self]:
        """Its bars stay as long as the block."""
        display = cls(stage)
        with display._bars:
            yield display

    def __init__(self, stage: str) -> None:
        self._stage = stage
        self._best: dict[events.Study, events.Trial] = {}
        self._burst = 0.0
        self._spoke = time.monotonic()
        self._is_drawn = not is_quiet() and sys.stderr.isatty()
        # Where none is drawn they still count, and keep the time.
        self._bars = rich.Progress(
            rich.TextColumn("{task.description:<11}"),
            rich.BarColumn(bar_width=30),
            rich.MofNCompleteColumn(),
            rich.TextColumn("{task.fields[what]}"),
            _Left(),
            rich.TextColumn("{task.fields[best]}"),
            console=Console(stderr=True),
            get_time=time.monotonic,
            speed_estimate_period=_FOREVER,
            disable=not self._is_drawn,
        )
        self._tasks: dict[str, rich.TaskID] = {}
        self._studies: dict[events.Study, int] = {}

    def follow(
        self, search: NestedSearch, *heard: Callable[[events.Event], None]
    ) -> events.SearchResult:
        """Run a search to its result; each event is shown, then told to all who want to hear."""
        if search.space.startup < search.trials:
            self._burst = search.space.startup / search.trials
        trials = len(search.space.numbers(search.trials))
        self._studies = {each.study: trials for each in search.plan.studies}
        for event in search.run():
            self.show(event, metric=search.space.metric, trials=trials)
            for hear in heard:
                hear(event)
            if isinstance(event, events.SearchResult):
                return event
        raise AssertionError("a search ends with its result")

    def show(self, event: events.Event, *, metric: str = "", trials: int | None = None) -> None:
        """Take notice of an event, of a search by this metric with so many trials a study."""
        match event:
            case events.Progress():
                self._progress(event)
            case events.Trial():
                best = events.best_trial((self._best.get(event.study, event), event), metric)
                self._best[event.study] = best
                words = f"{values_text(best.values)}  {metric} {number(best.mean(metric))}"
                bar = self._bar(study_name(event.study), trials)
                self._bars.update(bar, advance=1, best=words)
            case events.OuterFold():
                score = f"outer {metric} {number(event.scores[metric])}"
                self.say(f"{study_name(event.study)}: {values_text(event.best.values)}, {score}")
            case events.FinalModel():
                self.say(f"{study_name(events.FINAL)}: {values_text(event.best.values)}")
                if self._stage in self._tasks:  # the last models are fits that go untold
                    total = self._bars.tasks[self._tasks[self._stage]].total
                    self._bars.update(self._tasks[self._stage], completed=total)

    def _progress(self, made: events.Progress) -> None:
        place = self._bar(self._stage, made.total)
        bar = self._bars.tasks[place]
        is_whole, was_whole = made.what in _WHOLE, bar.fields["what"] in _WHOLE
        # What was replayed took no time; other pieces than these are on the way to them. The first
        # burst tells nothing: what start-up trials need is done before any of them ends, and then
        # they end at once.
        if is_whole and (not was_whole or made.done <= self._burst * made.total):
            self._bars.reset(bar.id, total=made.total)
            self._bars.advance(bar.id, made.done)
            self._bars.update(bar.id, first=made.done)
            for study, trials in self._studies.items():
                self._bar(study_name(study), trials)
        if is_whole or not was_whole or bar.finished:
            self._bars.update(bar.id, completed=made.done, total=made.total, what=made.what)
        if not self._is_drawn and time.monotonic() - self._spoke > LINE_SECONDS:
            best = self._best.get(events.FINAL)
            found = f"; {study_name(events.FINAL)}: {values_text(best.values)}" if best else ""
            left = time_left(bar)
            self.say(f"{made.done:,} of {made.total:,} {made.what}{left and f', {left}'}{found}")

    def _bar(self, name: str, total: int | None) -> rich.TaskID:
        if name not in self._tasks:
            self._tasks[name] = self._bars.add_task(name, total=total, best="", first=None, what="")
        return self._tasks[name]

    def say(self, line: str) -> None:
        """Write a line, but an empty one, unless asked to be quiet."""
        if is_quiet() or not line:
            return
        self._spoke = time.monotonic()
        if self._is_drawn:
            self._bars.console.print(line)
        else:
            tell(f"{self._stage}: {line}\n", sys.stderr)


def time_left(task: rich.Task) -> str:
    """``about 40 s left``, or nothing while too few pieces tell of it, or it is over."""
    first, total = task.fields["first"], task.total
    if first is None or total is None or task.completed - first < _TELLING * total:
        return ""
    left = task.time_remaining
    return f"about {span(left)} left" if left else ""


class _Left(rich.ProgressColumn):
    """The time left."""

    def render(self, task: rich.Task) -> Text:
        return Text(time_left(task))


def span(seconds: float) -> str:
    """A stretch of time as people say it."""
    return f"{seconds / 60:.0f} min" if seconds > 90 else f"{seconds:.0f} s"
