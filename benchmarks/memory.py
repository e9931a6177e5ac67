"""The solver's peak memory, in a process of its own: `python -m benchmarks.memory FOLDER ...`."""

import resource
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

from benchmarks import own
from benchmarks.work import ROOT, Size, Work

ITERATIONS = 12
"""Of every anchor of a path: more in all than the correction pairs that a path keeps."""


def peak(work: Work, fits: int) -> int:
    """Bytes beyond interpreter and libraries for all paths, then ``fits`` fits at once.

    In a fresh process that maps the images.
    """
    with tempfile.TemporaryDirectory() as folder:
        np.save(Path(folder) / "images.npy", work.images)
        np.save(Path(folder) / "labels.npy", work.labels)
        command = [sys.executable, "-m", "benchmarks.memory", folder]
        command += [str(work.size.folds), str(fits)]
        told = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)
    return int(told.stdout)


def section(work: Work) -> str:
    """Measure, and say how much."""
    return (
        f"The images take {work.images.nbytes / 1e6:.0f} MB; all paths, then {own.MOST_FITS} fits"
        f" at once, the most there ever are, take {peak(work, own.MOST_FITS) / 1e6:.0f} MB."
    )


def _solve(folder: Path, folds: int, fits: int) -> int:
    before = _high_water()
    images = np.load(folder / "images.npy", mmap_mode="r")
    labels = np.load(folder / "labels.npy")
    work = own.dealt(Size(rows=len(labels), folds=folds), images, labels)
    own.trace(own.engine(work, max_iter=ITERATIONS, tol=1e-9), work)
    own.side_by_side(work, fits, max_iter=ITERATIONS, tol=1e-9)
    return _high_water() - before


def _high_water() -> int:
    """Most bytes of memory this process has had at once.

    Linux's ru_maxrss begins at the parent's when a process is started by vfork; the status file
    does not.
    """
    status = Path("/proc/self/status")
    if status.exists():
        return int(status.read_text().partition("VmHWM:")[2].split()[0]) * 1024
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most * (1 if sys.platform == "darwin" else 1024)


if __name__ == "__main__":
    print(_solve(Path(sys.argv[1]), *(int(argument) for argument in sys.argv[2:])))
