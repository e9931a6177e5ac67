"""How long the command line takes to say what it can do."""

import subprocess
import sys
from pathlib import Path
from statistics import median

from benchmarks.measured import seconds_of


def help_seconds(repeats: int) -> float | None:
    """Median wall time of ``foldwise --help``; None where the command isn't installed."""
    command = Path(sys.executable).with_name("foldwise")
    if not command.exists() or _run(command).returncode:
        return None
    return median(seconds_of(lambda: _run(command)) for _ in range(repeats))


def _run(command: Path) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run([command, "--help"], capture_output=True, check=False)
