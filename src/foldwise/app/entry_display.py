"""What compare shows while it works: a bar on a terminal, now and then a line in a log."""

import sys
import time
from types import TracebackType
from typing import TYPE_CHECKING, Self

from foldwise.app.display import LINE_SECONDS, Pace, progress_bars
from foldwise.report.contest import values_text
from foldwise.search.trials import Progress, ValuesTrial, best_trial
from foldwise.settings import Entry

if TYPE_CHECKING:
    from rich.progress import Progress as Bars


class EntryDisplay:
    """Follows an entry through tuning, refit and holdout; a context manager."""

    def __init__(self, entry: Entry, *, quiet: bool) -> None:
        self._entry, self._quiet = entry, quiet
        self._trials: list[ValuesTrial] = []
        self._pace: Pace | None = None
        self._bars: Bars | None = None if quiet or not sys.stderr.isatty() else progress_bars()
        self._begin("fits")

    def show(self, event: Progress | ValuesTrial) -> None:
        """Take notice of an event."""
        if isinstance(event, ValuesTrial):
            self._trials.append(event)
            if self._bars:
                self._bars.update(self._task, best=self._best())
            return
        if self._pace is None:
            self._pace = Pace(event.done)
        if self._bars:
            self._bars.update(self._task, completed=event.done, total=event.total, pace=self._pace)
        elif time.monotonic() - self._spoke > LINE_SECONDS:
            self.say(self._line(event, self._pace))

    def turn_to(self, what: str) -> None:
        """Say what is done next; its progress starts from nothing."""
        self.say(what)
        self._begin("holdout")

    def say(self, line: str) -> None:
        """Write a line, unless asked to be quiet."""
        self._spoke = time.monotonic()
        if self._bars:
            self._bars.console.print(line)
        elif not self._quiet:
            sys.stderr.write(f"compare {self._entry.name}: {line}\n")
            sys.stderr.flush()

    def _begin(self, what: str) -> None:
        self._spoke = time.monotonic()
        self._pace = None
        self._what = what
        if self._bars:
            self._task = self._bars.add_task(what, total=None, best=self._best())

    def _line(self, progress: Progress, pace: Pace) -> str:
        left = pace.words(progress.done, progress.total)
        return f"{self._what} {progress.done} of {progress.total}{left}; {self._best()}"

    def _best(self) -> str:
        if not self._trials:
            return ""
        metric = self._entry.metric
        best = best_trial(self._trials, metric)
        return f"{values_text(best.values)}: {metric} {best.mean(metric):.4f}"

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
