"""What holds for all tests: none fails for a busy machine, or for how the suite was started."""

import resource
import signal
from collections import defaultdict
from collections.abc import Generator

import pytest
from hypothesis import settings

settings.register_profile("foldwise", deadline=None)
settings.load_profile("foldwise")

# In the background of a shell without job control SIGINT is ignored, and children inherit that.
# With a handler that does nothing we go on ignoring it, but what we start has the default again.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, lambda *_: None)

_COSTLY = {"commands", "world"}  # fixtures that import all, or run the whole pipeline


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Function]) -> None:
    """Let one worker run all who share a costly fixture; else each file's tests stay together."""
    if config.pluginmanager.hasplugin("xdist"):
        for item in items:
            group = min(_COSTLY.intersection(item.fixturenames), default=str(item.path))
            item.add_marker(pytest.mark.xdist_group(group))


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
