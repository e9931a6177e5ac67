"""A Dask cluster in place of this machine's cores: the same fits, dealt out in sub-batches.

The arranged pixels are sent to each worker once. A sub-batch is solved on one of a worker's
threads, by the same solver, so that the fits are those of a local run (to the bit on machines of
one kind). Dask itself gives a lost worker's sub-batches to others.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from threadpoolctl import threadpool_limits

from foldwise.errors import SearchError
from foldwise.model.layout import Layout
from foldwise.model.linear import Fit
from foldwise.model.solver import FitRequest, SolverOptions, solve

if TYPE_CHECKING:
    from distributed import Client, Future

PATIENCE_SECONDS = 60.0
"""How long a cluster may be without any worker before the search gives up."""

_LOOK_SECONDS = 2.0
_CONNECT_SECONDS = 10.0


@dataclass(frozen=True, slots=True, eq=False)
class DaskEngine:
    """Solves fits on the workers of a Dask cluster; open it by :func:`connected`."""

    client: "Client"
    layout: "Future"
    options: SolverOptions

    def solve(self, requests: Sequence[FitRequest]) -> Iterator[Fit]:
        """Make each requested fit once; yield them as sub-batches end.

        Raises
        ------
        SearchError
            If the scheduler or all workers are lost, or a worker can't run foldwise.
        """
        with _speaking(_address(self.client)):
            batches = deal(requests, _threads(self.client))
            pending = {
                self.client.submit(solve_batch, self.layout, batch, self.options, pure=False)
                for batch in batches
            }
            while pending:
                done = self._next_done(pending)
                pending -= done
                for future in done:
                    yield from future.result()

    def _next_done(self, pending: "set[Future]") -> "set[Future]":
        from distributed import wait

        waited = 0.0
        while True:
            try:
                return set(wait(pending, timeout=_LOOK_SECONDS, return_when="FIRST_COMPLETED").done)
            except TimeoutError:
                if self.client.status != "running":
                    raise ConnectionError("the connection is closed") from None
                idle = not self.client.scheduler_info(n_workers=1)["workers"]
                waited = waited + _LOOK_SECONDS if idle else 0.0
                if waited > PATIENCE_SECONDS:
                    raise ConnectionError("it has had no worker for a minute") from None


@contextmanager
def connected(address: str, layout: Layout, options: SolverOptions) -> Iterator[DaskEngine]:
    """An engine on the cluster at ``address``, such as ``tcp://scheduler:8786``.

    Raises
    ------
    SearchError
        If ``distributed`` isn't installed, the scheduler doesn't answer, or it has no workers.
    """
    try:
        from distributed import Client
    except ImportError as error:
        raise SearchError(
            "FOLDWISE_DASK needs the package distributed: install foldwise[dask], or unset it"
        ) from error
    with _speaking(address):
        client = Client(address, timeout=_CONNECT_SECONDS, set_as_default=False)
    try:
        with _speaking(address):
            _threads(client)
            scattered = client.scatter(layout, broadcast=True)
        yield DaskEngine(client, scattered, options)
    finally:
        client.close(timeout=_CONNECT_SECONDS)


def deal(requests: Sequence[FitRequest], hands: int) -> list[tuple[FitRequest, ...]]:
    """Deal requests to sub-batches, one for each of ``hands`` threads, none empty."""
    return [tuple(requests[hand::hands]) for hand in range(min(hands, len(requests)))]


def solve_batch(
    layout: Layout, requests: Sequence[FitRequest], options: SolverOptions
) -> tuple[Fit, ...]:
    """What a worker does: make the fits of one sub-batch on one thread."""
    with threadpool_limits(limits=1, user_api="blas"):
        return tuple(solve(layout, requests, replace(options, threads=1)))


def _threads(client: "Client") -> int:
    threads = sum(client.nthreads().values())
    if threads == 0:
        raise ConnectionError("it has no workers")
    return threads


def _address(client: "Client") -> str:
    return str(client.scheduler.address) if client.scheduler else "that was"


@contextmanager
def _speaking(address: str) -> Iterator[None]:
    """Turn what goes wrong on the way to the cluster and back into one line."""
    from distributed import CancelledError, KilledWorker
    from distributed.client import FutureCancelledError

    try:
        yield
    except (OSError, TimeoutError, CancelledError, FutureCancelledError, KilledWorker) as error:
        raise SearchError(
            f"the Dask scheduler {address} must answer and have workers, it says: "
            f"{error or type(error).__name__}: mend the cluster, or unset FOLDWISE_DASK, and run "
            "the same command again; completed trials are kept"
        ) from error
    except ModuleNotFoundError as error:
        raise SearchError(
            f"every Dask worker must have foldwise of this version installed, one says: {error}: "
            "install it there"
        ) from error
