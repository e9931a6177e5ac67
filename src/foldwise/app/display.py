"""What a stage shows while it works: bars on a terminal, now and then a line in a log."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from typing import Self

from rich import progress as rich
from rich.console import Console
from rich.text import Text

from foldwise.app.exits import is_quiet
from foldwise.report.wording import number, values_text
from foldwise.search.nested import NestedSearch
from foldwise.search.trials import (
    FINAL,
    Event,
    FinalModel,
    OuterFold,
    Progress,
    SearchResult,
    Study,
    Trial,
    best_trial,
)

LINE_SECONDS = 15.0


class Display:
    """Follows a stage; silent where ``FOLDWISE_QUIET`` asks for it.

    On a terminal a bar for each kind of work with the time left, and one a study with its best
    values so far; otherwise a line at most every 15 seconds and at each study's end.
    """

    @classmethod
    @contextmanager
    def of(cls, stage: str) -> Iterator[Self]:
        """Its bars stay as long as the block."""
        display = cls(stage)
        with display._bars or nullcontext():
            yield display

    def __init__(self, stage: str) -> None:
        self._stage = stage
        self._best: dict[Study, Trial] = {}
        self._paces: dict[str, Pace] = {}
        self._spoke = time.monotonic()
        self._bars = None if is_quiet() or not sys.stderr.isatty() else _bars()
        self._tasks: dict[str, rich.TaskID] = {}

    def follow(self, search: NestedSearch, *heard: Callable[[Event], None]) -> SearchResult:
        """Run a search to its result; each event is shown, then told to all who want to hear."""
        for event in search.run():
            self.show(event, metric=search.space.metric, trials=search.trials)
            for hear in heard:
                hear(event)
            if isinstance(event, SearchResult):
                return event
        raise AssertionError("a search ends with its result")

    def show(self, event: Event, *, metric: str = "", trials: int | None = None) -> None:
        """Take notice of an event, of a search by this metric with so many trials a study."""
        match event:
            case Progress():
                self._progress(event)
            case Trial():
                self._trial(event, metric, trials)
            case OuterFold():
                score = f"outer {metric} {number(event.scores[metric])}"
                self.say(f"{event.study}: {values_text(event.best.values)}, {score}")
            case FinalModel():
                self.say(f"final: {values_text(event.best.values)}")
                if self._bars and "fits" in self._tasks:  # the last models are fits that go untold
                    total = self._bars.tasks[self._tasks["fits"]].total
                    self._bars.update(self._tasks["fits"], completed=total)

    def _trial(self, trial: Trial, metric: str, trials: int | None) -> None:
        best = best_trial((self._best.get(trial.study, trial), trial), metric)
        self._best[trial.study] = best
        if self._bars:
            words = f"{values_text(best.values)}  {metric} {number(best.mean(metric))}"
            self._bars.update(self._bar(str(trial.study), trials), advance=1, best=words)

    def _progress(self, made: Progress) -> None:
        pace = self._paces.setdefault(made.what, Pace(made.done))  # what was replayed took no time
        if self._bars:
            task = self._bar(made.what, made.total, pace)
            self._bars.update(task, completed=made.done, total=made.total)
        elif time.monotonic() - self._spoke > LINE_SECONDS:
            best = self._best.get(FINAL)
            found = f"; final study: {values_text(best.values)}" if best else ""
            left = pace.words(made.done, made.total)
            self.say(f"{made.done:,} of {made.total:,} {made.what}{left}{found}")

    def _bar(self, name: str, total: int | None, pace: "Pace | None" = None) -> rich.TaskID:
        if name not in self._tasks and self._bars:
            self._tasks[name] = self._bars.add_task(name, total=total, best="", pace=pace)
        return self._tasks[name]

    def say(self, line: str) -> None:
        """Write a line, unless asked to be quiet."""
        if is_quiet():
            return
        self._spoke = time.monotonic()
        if self._bars:
            self._bars.console.print(line)
        else:
            sys.stderr.write(f"{self._stage}: {line}\n")
            sys.stderr.flush()


class Pace:
    """How long work of equal pieces still takes, by the mean pace since its first piece.

    The pace of the last seconds would promise too much: pieces end in bursts, the quick ones first.
    """

    def __init__(self, done: int = 0) -> None:
        self._began, self._first = time.monotonic(), done

    def words(self, done: float, total: float | None) -> str:
        """``, about 40 s left``, or nothing while it can't be told or is over."""
        made = done - self._first
        if total is None or made <= 0 or done >= total:
            return ""
        return f", about {span((total - done) * (time.monotonic() - self._began) / made)} left"


class _PaceColumn(rich.ProgressColumn):
    """The time left, of tasks with a field ``pace``."""

    def render(self, task: rich.Task) -> Text:
        pace = task.fields.get("pace")
        words = pace.words(task.completed, task.total) if isinstance(pace, Pace) else ""
        return Text(words.removeprefix(", "))


def _bars() -> rich.Progress:
    """Bars on stderr, each with a field ``best`` for what was found so far, and its ``pace``."""
    return rich.Progress(
        rich.TextColumn("{task.description:<8}"),
        rich.BarColumn(bar_width=30),
        rich.MofNCompleteColumn(),
        _PaceColumn(),
        rich.TextColumn("{task.fields[best]}"),
        console=Console(stderr=True),
    )


def span(seconds: float) -> str:
    """A stretch of time as people say it."""
    return f"{seconds / 60:.0f} min" if seconds > 90 else f"{seconds:.0f} s"
