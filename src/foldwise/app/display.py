"""What tune shows while it works: bars on a terminal, now and then a line in a log."""

import sys
import time
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TaskID,
    TextColumn,
)
from rich.text import Text

from foldwise.report.wording import values_text
from foldwise.search import trials as results
from foldwise.search.trials import FINAL, Event, FinalModel, OuterFold, Study, Trial
from foldwise.stats.scores import is_loss

LINE_SECONDS = 15.0


class Display:
    """Follows the events of a search; a context manager.

    On a terminal a bar per study with its best C so far, and one each for all paths and all fits
    with the time left; otherwise a line at most every 15 seconds and at each study's end.
    """

    def __init__(
        self, stage: str, studies: tuple[Study, ...], trials: int, metric: str, *, quiet: bool
    ) -> None:
        self._stage, self._metric, self._trials = stage, metric, trials
        self._best: dict[Study, Trial] = {}
        self._spoke = time.monotonic()
        self._tracing_pace = Pace()
        self._fits_pace: Pace | None = None
        self._quiet = quiet
        self._bars: Progress | None = None
        self._tasks: dict[Study, TaskID] = {}
        if not quiet and sys.stderr.isatty():
            self._bars = progress_bars()
            self._paths = self._bars.add_task("paths", total=None, best="", pace=self._tracing_pace)
            self._whole = self._bars.add_task("fits", total=None, best="")
            self._tasks = {
                study: self._bars.add_task(str(study), total=trials, best="") for study in studies
            }

    def show(self, event: Event) -> None:
        """Take notice of an event."""
        match event:
            case Trial():
                self._trial(event)
            case results.Progress(what="fits"):
                self._progress(event)
            case results.Progress():
                self._preparing(event)
            case OuterFold():
                values, score = values_text(event.best.values), event.scores[self._metric]
                self.say(f"{event.study}: {values}, outer {self._metric} {score:.4f}")
            case FinalModel():
                self.say(f"final: {values_text(event.best.values)}")
                self._complete()

    def _trial(self, trial: Trial) -> None:
        sign = 1 if is_loss(self._metric) else -1
        best = self._best.get(trial.study, trial)
        self._best[trial.study] = min(best, trial, key=lambda t: sign * t.mean(self._metric))
        if self._bars:
            best = self._best[trial.study]
            words = f"{values_text(best.values)}  {self._metric} {best.mean(self._metric):.4f}"
            self._bars.update(self._tasks[trial.study], advance=1, best=words)

    def _preparing(self, tracing: results.Progress) -> None:
        if self._bars:
            self._bars.update(self._paths, completed=tracing.done, total=tracing.total)
        elif self._is_time():
            left = self._tracing_pace.words(tracing.done, tracing.total)
            self.say(f"{tracing.done} of {tracing.total} {tracing.what}{left}, then the fits")

    def _progress(self, progress: results.Progress) -> None:
        if self._fits_pace is None:
            self._fits_pace = Pace(progress.done)  # what is replayed took no time
        if self._bars:
            self._bars.update(
                self._whole, completed=progress.done, total=progress.total, pace=self._fits_pace
            )
        elif self._is_time():
            self.say(self._line(progress, self._fits_pace))

    def _complete(self) -> None:
        """The models at the end are fits too, told by their studies' ends."""
        if self._bars:
            total = self._bars.tasks[self._whole].total
            self._bars.update(self._whole, completed=total)

    def _is_time(self) -> bool:
        """Whether a log should get a line again."""
        return not self._quiet and time.monotonic() - self._spoke > LINE_SECONDS

    def _line(self, progress: results.Progress, pace: "Pace") -> str:
        left = pace.words(progress.done, progress.total)
        best = self._best.get(FINAL)
        found = f"; final study: {values_text(best.values)}" if best else ""
        return f"{progress.done} of {progress.total} fits{left}{found}"

    def say(self, line: str) -> None:
        """Write a line, unless asked to be quiet."""
        if self._quiet:
            return
        self._spoke = time.monotonic()
        if self._bars:
            self._bars.console.print(line)
        else:
            sys.stderr.write(f"{self._stage}: {line}\n")
            sys.stderr.flush()

    def __enter__(self) -> Self:
        if self._bars:
            self._bars.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._bars:
            self._bars.stop()


class Pace:
    """How long work of equal pieces still takes, by the mean pace since its beginning.

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


class _PaceColumn(ProgressColumn):
    """The time left, of tasks with a field ``pace``."""

    def render(self, task: Task) -> Text:
        pace = task.fields.get("pace")
        words = pace.words(task.completed, task.total) if isinstance(pace, Pace) else ""
        return Text(words.removeprefix(", "))


def progress_bars() -> Progress:
    """Bars on stderr, each with a field ``best`` for what was found so far; ``pace`` if wanted."""
    return Progress(
        TextColumn("{task.description:<8}"),
        BarColumn(bar_width=30),
        MofNCompleteColumn(),
        _PaceColumn(),
        TextColumn("{task.fields[best]}"),
        console=Console(stderr=True),
    )


def span(seconds: float) -> str:
    """A stretch of time as people say it."""
    return f"{seconds / 60:.0f} min" if seconds > 90 else f"{seconds:.0f} s"
