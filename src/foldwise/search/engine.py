"""Who solves the fits: the seam between the search and the machine it runs on."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from foldwise.model.fitting import SolverOptions
from foldwise.model.layout import Layout
from foldwise.model.linear import Fit
from foldwise.model.path import Path
from foldwise.model.solver import FitRequest, solve
from foldwise.model.tracing import Traced, trace


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
