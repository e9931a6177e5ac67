"""Seconds and memory: of calls in turn, and of work in processes of their own."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent


class Used(NamedTuple):
    """Processor and wall seconds of a process, the most bytes held at once, what it printed."""

    processor: float
    wall: float
    memory: int
    told: str


def seconds_of(work: Callable[[], object]) -> float:
    """Wall time of a call."""
    began = perf_counter()
    work()
    return perf_counter() - began


@contextmanager
def adding_to(seconds: dict[str, float], name: str) -> Iterator[None]:
    """Add the wall time that passes meanwhile to what stands under a name."""
    began = perf_counter()
    yield
    seconds[name] = seconds.get(name, 0.0) + perf_counter() - began


def alternated(works: Sequence[Callable[[], float]], repeats: int) -> list[float]:
    """Run all in turn, ``repeats`` times round; the median of what each returns."""
    rounds = [[work() for work in works] for _ in range(repeats)]
    return [median(values) for values in zip(*rounds, strict=True)]


def apart(*command: str, folder: Path = ROOT, **environment: str) -> Used:
    """Run Python with these arguments, unmoved by what is set for foldwise or MLflow here."""
    ours = {k: v for k, v in os.environ.items() if not k.startswith(("MLFLOW_", "FOLDWISE_"))}
    began = perf_counter()
    process = subprocess.Popen(
        [sys.executable, *command], cwd=folder, stdout=subprocess.PIPE, text=True,
        env={**ours, "FOLDWISE_QUIET": "1", **environment},
    )  # fmt: skip
    assert process.stdout is not None
    told = process.stdout.read()
    # Linux begins a process's peak at its parent's memory: who asks for it holds nothing large.
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"python {' '.join(command)} ended with status {process.returncode}")
    wall = perf_counter() - began
    return Used(usage.ru_utime + usage.ru_stime, wall, _bytes(usage.ru_maxrss), told)


def high_water() -> int:
    """Most bytes of memory this process has had at once, its parent's left out where it can be."""
    status = Path("/proc/self/status")
    if status.exists():
        return int(status.read_text().partition("VmHWM:")[2].split()[0]) * 1024
    import resource

    return _bytes(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)


def _bytes(maxrss: int) -> int:
    return maxrss * (1 if sys.platform == "darwin" else 1024)
