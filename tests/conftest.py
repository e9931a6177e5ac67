"""What holds for all tests: none fails for a busy machine, or for how the suite was started."""

import signal

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
