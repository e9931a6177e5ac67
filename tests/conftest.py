"""What holds for all tests: none fails for a busy machine, or for how the suite was started."""

import re
import resource
import signal
from collections import defaultdict
from collections.abc import Generator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from xdist.scheduler import LoadScopeScheduling

settings.register_profile("foldwise", deadline=None)
settings.load_profile("foldwise")

# In the background of a shell without job control SIGINT is ignored, and children inherit that.
# With a handler that does nothing we go on ignoring it, but what we start has the default again.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, lambda *_: None)

_COSTLY = {"commands": "commands|reproduced", "world": "world", "pictures": "rendered"}
"""Fixtures that import all, run the whole pipeline or draw, and the words that ask for each."""


class Together(LoadScopeScheduling):  # type: ignore[misc]  # has no types
    """Each file's tests go to one worker, and files that share a costly fixture to the same.

    What a module or session makes for its tests would be made by both otherwise. xdist's own
    groups are marks that it writes into ids, where pytest 9.2 doesn't look for them any more.
    """

    def _split_scope(self, nodeid: str) -> str:
        file = self.config.rootpath / nodeid.partition("::")[0]
        return _group_of(file)


@cache
def _group_of(file: Path) -> str:
    text = file.read_text(encoding="utf-8")
    shared = (name for name, words in _COSTLY.items() if re.search(rf"\b(?:{words}): ", text))
    return next(shared, str(file))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Together:
    """Let workers have what belongs together."""
    return Together(config, log)


def _spent() -> float:
    """CPU seconds of this process and of those that it waited for."""
    used = map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(each.ru_utime + each.ru_stime for each in used)


_before = [_spent()]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Note what a test's setup, call or teardown took of the processors, whoever else is at it."""
    report = yield
    now = _spent()
    report.__dict__["cpu"], _before[0] = now - _before[0], now
    return report


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Name the dearest tests, as many as ``--durations`` asks for, and what all took."""
    count = terminalreporter.config.getoption("durations")
    reports = (each for of_kind in terminalreporter.stats.values() for each in of_kind)
    cpu: defaultdict[str, float] = defaultdict(float)
    for each in reports:
        if hasattr(each, "cpu"):
            cpu[each.nodeid] += each.cpu
    if count and cpu:
        terminalreporter.section(f"CPU seconds: {sum(cpu.values()):.0f}, the dearest {count}")
        for name in sorted(cpu, key=cpu.__getitem__, reverse=True)[:count]:
            terminalreporter.line(f"{cpu[name]:7.1f} {name}")
