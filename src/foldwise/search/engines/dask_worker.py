"""What a Dask worker holds and does for a search: the arranged pixels, and sub-batches of fits."""

from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from typing import cast

from distributed import WorkerPlugin, get_worker
from threadpoolctl import threadpool_limits

import foldwise
from foldwise.errors import SearchError
from foldwise.search.version import SEARCH_VERSION
from foldwise.solver.fits import FitRequest, SolverOptions, solve
from foldwise.solver.layout import Layout
from foldwise.solver.linear import Fit
from foldwise.solver.paths import RegularisationPath, Stretch, trace

CODE = f"{foldwise.__version__}, search {SEARCH_VERSION}"
"""What this process computes, as far as numbers go."""

OTHER_CODE = (
    "every Dask worker must have this same version of foldwise installed, one has none or another: "
    "install it there and start the workers anew"
)


class Pixels(WorkerPlugin):
    """The arranged pixels on a worker, sent when the search begins or the worker joins.

    A plugin and no scattered data: of those Dask drops the copies that no task waits for, and
    would send them anew each round; and it can't make them again once their holder is lost.
    """

    def __init__(self, layout: Layout) -> None:
        self.layout = layout
        self.code = CODE


def trace_batch(
    pixels: str, stretches: Sequence[Stretch], options: SolverOptions
) -> tuple[RegularisationPath, ...]:
    """Trace some paths further on all threads of this worker.

    Raises
    ------
    SearchError
        If the worker, having joined late, has another foldwise than the search.
    """
    traced = trace(_layout(pixels), stretches, _here(options))
    return tuple(event for event in traced if isinstance(event, RegularisationPath))


def solve_batch(
    pixels: str, requests: Sequence[FitRequest], options: SolverOptions
) -> tuple[Fit, ...]:
    """Make the fits of one sub-batch on all threads of this worker; ``pixels`` names the plugin.

    Raises
    ------
    SearchError
        If the worker, having joined late, has another foldwise than the search.
    """
    return tuple(solve(_layout(pixels), requests, _here(options)))


def _here(options: SolverOptions) -> SolverOptions:
    return replace(options, threads=get_worker().state.nthreads)


def _layout(pixels: str) -> Layout:
    plugin = cast("Pixels", get_worker().plugins[pixels])
    if plugin.code != CODE:
        raise SearchError(OTHER_CODE)
    _keep_blas_to_one_thread()
    return plugin.layout


@cache
def _keep_blas_to_one_thread() -> None:
    # For good: a limit that ends with a sub-batch would end it for the threads beside it, too.
    threadpool_limits(limits=1, user_api="blas")
