"""The engine of this machine: paths and fits the batched solver, its paths kept.

Who solves the fits: the seam between the search and the machine it runs on.

Paths on the disk while their search is open: a stopped search doesn't trace them again.

They follow from the search key (data, parameters, code), so a file that is missing, damaged or
finds no room only costs the time to trace it anew.
"""

import io
import shutil
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path as FilePath
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from foldwise.errors import OutputError
from foldwise.files import write_bytes
from foldwise.solver.fits import FitRequest, SolverOptions, solve
from foldwise.solver.layout import Layout
from foldwise.solver.linear import Fit
from foldwise.solver.paths import Path, Traced, trace


class Engine(Protocol):
    """Traces the paths of training sets, and solves the distinct fits."""

    def trace(
        self, sets: Sequence[frozenset[int]], strengths: NDArray[np.float64]
    ) -> Iterator[Traced | Path]:
        """Trace each training set's path over these C's; yield each as it ends."""
        ...

    def solve(self, requests: Sequence[FitRequest]) -> Iterator[Fit]:
        """Make each requested fit once; yield each as it ends, in any order."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class LocalEngine:
    """The cores of this machine: threads take lanes of blocks, BLAS has one thread in each."""

    layout: Layout
    options: SolverOptions

    def trace(
        self, sets: Sequence[frozenset[int]], strengths: NDArray[np.float64]
    ) -> Iterator[Traced | Path]:
        """Trace all paths side by side."""
        with threadpool_limits(limits=1, user_api="blas"):
            yield from trace(self.layout, sets, strengths, self.options)

    def solve(self, requests: Sequence[FitRequest]) -> Iterator[Fit]:
        """Make each requested fit once, all side by side."""
        with threadpool_limits(limits=1, user_api="blas"):
            yield from solve(self.layout, requests, self.options)


@dataclass(frozen=True, slots=True)
class PathShelf:
    """One search's paths, a file each, in a folder of their own."""

    folder: FilePath

    def find(self, left_out: frozenset[int]) -> Path | None:
        """The path of the training set without these parts; None if there is no whole file."""
        try:
            content = self._file(left_out).read_bytes()
            with np.load(io.BytesIO(content), allow_pickle=False) as stored:
                points, strengths = stored["points"], stored["strengths"]
                return Path(left_out, strengths, points, int(stored["evaluations"]))
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
            return None

    def keep(self, path: Path) -> None:
        """Write a path whole, or not at all if the disk has no room for it."""
        buffer = io.BytesIO()
        np.savez(
            buffer,
            allow_pickle=False,
            points=path.points,
            strengths=path.strengths,
            evaluations=path.evaluations,
        )
        with suppress(OSError, OutputError):
            write_bytes(self._file(path.left_out), buffer.getvalue())

    def clear(self) -> None:
        """Forget all paths: the search is over."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _file(self, left_out: frozenset[int]) -> FilePath:
        name = "-".join(map(str, sorted(left_out))) or "none"
        return self.folder / f"without-{name}.npz"
