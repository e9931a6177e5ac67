"""A pipeline that is stopped again and again, each time gone on with, and what it ends as."""

import random
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from foldwise.store.open import open_store
from tests.e2e.outcome import Outcome, outcome, result_files
from tests.e2e.project import Ended, Project
from tests.e2e.stages import Moment, StageServer, stage_server

STAGES = ("prepare", "tune", "evaluate")
STOPS = {"prepare": 1, "tune": 3, "evaluate": 2}
_MADE = ("mlruns", "data/prepared", "data/.prepared.partial", "models", "reports")


@dataclass(frozen=True, slots=True)
class Extent:
    """How much a stage does when nobody stops it."""

    events: int
    seconds: float


@dataclass(frozen=True, slots=True)
class World:
    """A project, a fast way to run its stages in it, and what comes of them undisturbed.

    Attributes
    ----------
    folder : Path
        Where everything happens, time and again: MLflow keeps absolute paths.
    after : mapping
        What there is after each stage of an undisturbed pipeline.
    saved : Path
        Copies of what lies in the folder before the first stage and after each.
    """

    folder: Path
    server: StageServer
    extents: dict[str, Extent]
    after: dict[str, Outcome]
    saved: Path

    @property
    def undisturbed(self) -> Outcome:
        """What there is in the end."""
        return self.after[STAGES[-1]]

    def begin_after(self, stage: str) -> None:
        """Go back to the moment when an undisturbed stage had ended; ``nothing`` ended at first.

        Even then there is an empty tracking store: it takes two seconds to create.
        """
        self.clear()
        shutil.copytree(self.saved / stage, self.folder, dirs_exist_ok=True)

    def clear(self) -> None:
        """Take away all that stages have made."""
        for name in _MADE:
            shutil.rmtree(self.folder / name, ignore_errors=True)

    def finish(self) -> None:
        """Run all stages to their ends."""
        for stage in STAGES:
            self.go_on(stage)

    def live(
        self, life: int, lives: int, *, how: str, without_store: bool = False
    ) -> Iterator[Ended]:
        """Begin anew and go through the stages, each stopped as often as `STOPS` says.

        Yields how each stop ended, before the stage goes on. The moments are drawn from the
        life's number; the first of each stage is in the stratum that belongs to it, so that
        together the lives cover the stage from its beginning to its end.
        """
        rng = random.Random(f"{how} {life}")
        if without_store:
            self.clear()
        else:
            self.begin_after("nothing")
        for stage in STAGES:
            left, part = STOPS[stage], (life + rng.random()) / lives
            while left:
                stopped = self._stop_at(stage, part, rng, how=how)
                if stopped.status != 0:  # a stop by the clock may come after the end
                    left -= 1
                    yield stopped
                part = rng.random() * max(1 - part, 0.05)
            self.go_on(stage)

    def go_on(self, stage: str) -> None:
        """Run a stage to its end."""
        done = self.server.run(stage, self.folder)
        assert done.status == 0, done.errors

    def _stop_at(self, stage: str, part: float, rng: random.Random, *, how: str) -> Ended:
        """Run a stage, stopped after about a part of its events, or of its time."""
        extent = self.extents[stage]
        if rng.random() < 0.7:
            moment = Moment(at=1 + int(part * extent.events), how=how)
            return self.server.run(stage, self.folder, moment)
        return self.server.run_for(stage, self.folder, part * extent.seconds, how=how)

    def check_no_half_result(self) -> None:
        """What lies there is what the undisturbed pipeline ends with, or nothing."""
        for name, content in result_files(self.folder).items():
            if ".partial" not in name and not name.endswith(".lock"):
                assert content == self.undisturbed.files.get(name), f"{name} is another or half"


@contextmanager
def make_world(project: Project) -> Iterator[World]:
    """Run the project undisturbed, and keep what came of it as a yardstick."""
    folder, saved = project.folder, project.folder.with_name("saved")
    open_store(folder)
    _save(folder, saved / "nothing")
    extents, after = {}, {}
    with stage_server(project, folder.with_name("logs")) as server:
        for stage in STAGES:
            began = time.monotonic()
            events = server.count_events(stage, folder)
            extents[stage] = Extent(events, time.monotonic() - began)
            after[stage] = outcome(folder)
            _save(folder, saved / stage)
        yield World(folder, server, extents, after, saved)


def _save(folder: Path, target: Path) -> None:
    for name in _MADE:
        if (folder / name).exists():
            shutil.copytree(folder / name, target / name)
