"""Who solves the fits: the seam between the search and the machine it runs on."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from threadpoolctl import threadpool_limits

from foldwise.model.layout import Layout
from foldwise.model.linear import Fit
from foldwise.model.solver import FitRequest, SolverOptions, solve


class Engine(Protocol):
    """Solves distinct fits and yields each as it ends, in any order."""

    def solve(self, requests: Sequence[FitRequest]) -> Iterator[Fit]:
        """Make each requested fit once."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class LocalEngine:
    """The cores of this machine: threads take lanes of blocks, BLAS has one thread in each."""

    layout: Layout
    options: SolverOptions

    def solve(self, requests: Sequence[FitRequest]) -> Iterator[Fit]:
        """Make each requested fit once, all side by side."""
        with threadpool_limits(limits=1, user_api="blas"):
            yield from solve(self.layout, requests, self.options)
