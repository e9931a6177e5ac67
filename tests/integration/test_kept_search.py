"""A search with its storage on disk: stopped in one process, it goes on in another."""

import os
import signal
import subprocess
import sys
from pathlib import Path

from tests.integration.kept_search import searched

ROOT = Path(__file__).parents[2]
# What runs in the background of a shell ignores Ctrl-C, and so do its children.
_ENTRY = (
    "import runpy, signal; signal.signal(signal.SIGINT, signal.default_int_handler);"
    "runpy.run_module('tests.integration.kept_search', run_name='__main__', alter_sys=True)"
)


def searching(*words: str, seed: str) -> subprocess.Popen[str]:
    """A process at the search; ``seed`` is that of Python's own hashes."""
    own = os.environ.get("PYTHONPATH", "")  # where foldwise is looked for, if it says so
    places = os.pathsep.join([str(ROOT), *filter(None, [own])])
    environment = {**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": places}
    return subprocess.Popen(
        [sys.executable, "-c", _ENTRY, *words], cwd=ROOT, env=environment, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip


def test_a_stopped_search_goes_on_in_another_process_to_the_same_bits(tmp_path: Path) -> None:
    """What was kept is not fitted again, though cells hold lists and hashes are others there."""
    storage, result = str(tmp_path / "trials.db"), tmp_path / "result"
    with searching(storage, str(result), "14", seed="0") as stopped:
        assert stopped.stdout is not None
        assert stopped.stdout.readline() == "waiting\n"
        stopped.send_signal(signal.SIGINT)
        assert "KeyboardInterrupt" in stopped.communicate()[1]
    assert not result.exists()
    with searching(storage, str(result), "0", seed="1") as later:
        errors = later.communicate()[1]
    assert later.returncode == 0, errors
    told, all_fits = searched(None)
    fits, found = result.read_text().split("\n", 1)
    assert found == told
    assert int(fits) < all_fits
