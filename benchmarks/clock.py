"""Seconds and memory: of calls in turn, and of work in processes of their own."""

import os
import resource
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from time import perf_counter

ROOT = Path(__file__).resolve().parent.parent


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


def apart(*command: str, **environment: str) -> tuple[float, str]:
    """Seconds of Python with these arguments, and what it prints; nothing is set for foldwise."""
    ours = {k: v for k, v in os.environ.items() if not k.startswith(("MLFLOW_", "FOLDWISE_"))}
    began = perf_counter()
    told = subprocess.run(
        [sys.executable, *command], cwd=ROOT, env=ours | environment, check=True,
        stdout=subprocess.PIPE, text=True,
    ).stdout  # fmt: skip
    return perf_counter() - began, told


def high_water() -> int:
    """Most bytes of memory this process has had at once, its parent's left out where it can be."""
    status = Path("/proc/self/status")
    if status.exists():
        return int(status.read_text().partition("VmHWM:")[2].split()[0]) * 1024
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most * (1 if sys.platform == "darwin" else 1024)
