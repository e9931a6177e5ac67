"""What holds for all tests: none fails for a busy machine, or for how the suite was started."""

import signal

from hypothesis import settings

settings.register_profile("foldwise", deadline=None)
settings.load_profile("foldwise")

# In the background of a shell without job control SIGINT is ignored, and children inherit that.
# With a handler that does nothing we go on ignoring it, but what we start has the default again.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, lambda *_: None)
