"""The solver's peak memory, in a process of its own: `python -m benchmarks.memory ROWS FITS`."""

import resource
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.workload import ROOT, Workload
from foldwise.model.fitting import SolverOptions
from foldwise.model.layout import Layout
from foldwise.model.path import anchors
from foldwise.model.solver import FitRequest
from foldwise.search.engine import LocalEngine
from foldwise.search.folds import FoldPlan

ITERATIONS = 12
"""Of every anchor of a path: more in all than the correction pairs that a path keeps."""


@dataclass(frozen=True, slots=True)
class Peak:
    """Bytes: of the images on the disk, and of the solver beyond interpreter and libraries."""

    images: int
    solver: int


def measure(workload: Workload, fits: int) -> Peak:
    """Trace all paths and solve ``fits`` fits at once, in a fresh process that maps the images."""
    with tempfile.TemporaryDirectory() as folder:
        np.save(Path(folder) / "images.npy", workload.images)
        np.save(Path(folder) / "labels.npy", workload.labels)
        command = [sys.executable, "-m", "benchmarks.memory", folder, str(fits)]
        command += [str(workload.size.folds), str(workload.threads)]
        told = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)
    return Peak(workload.images.nbytes, int(told.stdout))


def _solve(folder: Path, fits: int, folds: int, threads: int) -> int:
    before = _high_water()
    images = np.load(folder / "images.npy", mmap_mode="r")
    labels = np.load(folder / "labels.npy")
    plan = FoldPlan.stratified(labels, folds=folds, seed=1)
    layout = Layout.build(images, labels, plan.parts, classes=10)
    engine = LocalEngine(layout, SolverOptions(max_iter=ITERATIONS, tol=1e-9, threads=threads))
    sets = {inner.left_out for study in plan.studies for inner in study.inner} | {frozenset[int]()}
    for _ in engine.trace(sorted(sets, key=sorted), anchors(1e-4, 10.0)):
        pass
    requests = [FitRequest(frozenset({fit % folds}), 0.1 / (1 + fit)) for fit in range(fits)]
    for _ in engine.solve(requests):
        pass
    return _high_water() - before


def _high_water() -> int:
    """Most bytes of memory this process has had at once.

    Linux's ru_maxrss begins at the parent's when a process is started by vfork; the status file
    does not.
    """
    status = Path("/proc/self/status")
    if status.exists():
        for line in status.read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


if __name__ == "__main__":
    print(_solve(Path(sys.argv[1]), *(int(argument) for argument in sys.argv[2:])))
