"""A Dask cluster in place of this machine's cores: the same work, dealt out in sub-batches.

The arranged pixels are sent to each worker once. Of each round a worker gets one sub-batch, and
does it as a machine alone would: with the same solver, on all its threads. So paths and fits are
those of a local run (to the bit on machines of one kind). Dask itself gives a lost worker's
sub-batch to another.
"""

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from itertools import accumulate, pairwise
from typing import TYPE_CHECKING, Any, TypeVar

from foldwise.errors import SearchError
from foldwise.solver.fits import FitRequest, SolverOptions
from foldwise.solver.layout import Layout
from foldwise.solver.linear import Fit
from foldwise.solver.paths import RegularisationPath, Stretch, Traced

if TYPE_CHECKING:
    from distributed import Client, Future, Scheduler

PATIENCE_SECONDS = 60.0
"""How long a cluster may be without any worker before the search gives up."""

_LOOK_SECONDS = 2.0
_ANSWER_SECONDS = 10.0
_PREFIX = "foldwise-"

T = TypeVar("T")


@dataclass(frozen=True, slots=True, eq=False)
class DaskBackend:
    """Solves fits on the workers of a Dask cluster; open it by :func:`connected`."""

    client: "Client"
    address: str
    options: SolverOptions
    patience: float

    def trace(self, stretches: Sequence[Stretch]) -> Iterator[Traced | RegularisationPath]:
        """Trace each path as far as it is asked for; yield them as sub-batches end.

        Raises
        ------
        SearchError
            If the scheduler or all workers are lost.
        """
        from foldwise.search.engines.dask_worker import trace_batch

        with _speaking(self.address):
            missing = {each.path.left_out: each.missing for each in stretches}
            done = 0
            for path in self._results(trace_batch, stretches):
                done += missing[path.left_out]
                yield Traced(done, sum(missing.values()))
                yield path

    def solve(self, requests: Sequence[FitRequest]) -> Iterator[Fit]:
        """Make each requested fit once; yield them as sub-batches end.

        Raises
        ------
        SearchError
            If the scheduler or all workers are lost.
        """
        from foldwise.search.engines.dask_worker import solve_batch

        with _speaking(self.address):
            # Fits of one C together: trials are complete, and kept, while other workers still run.
            yield from self._results(solve_batch, sorted(requests, key=lambda request: request.C))

    def _results(self, work: Callable[..., tuple[T, ...]], items: Sequence[Any]) -> Iterator[T]:
        """What the workers make of their sub-batches of these items, as they end."""
        submit = partial(self.client.submit, work, _pixels(self.client), pure=False)
        threads = _threads(self.client)
        pending = {
            submit(batch, self.options, workers=worker, allow_other_workers=bool(threads))
            for worker, batch in deal(items, threads).items()
        }
        while pending:
            done = self._next_done(pending)
            pending -= done
            for future in done:
                yield from future.result()

    def _next_done(self, pending: "set[Future[Any]]") -> "set[Future[Any]]":
        from distributed import wait

        idle = 0.0
        while True:
            try:
                with self.client.as_current():
                    ended = wait(pending, timeout=_LOOK_SECONDS, return_when="FIRST_COMPLETED")
                return set(ended.done)
            except TimeoutError:
                idle = 0.0 if _threads(self.client) else idle + _LOOK_SECONDS
                if idle > self.patience:
                    raise ConnectionError(f"no worker for {self.patience:.0f} s") from None


@contextmanager
def connected(
    address: str, layout: Layout, options: SolverOptions, *, patience: float = PATIENCE_SECONDS
) -> Iterator[DaskBackend]:
    """An engine on the cluster at ``address``, such as ``tcp://scheduler:8786``.

    Parameters
    ----------
    address, layout, options
    patience : float
        Seconds the cluster may be without any worker, now or later.

    Raises
    ------
    SearchError
        If ``distributed`` isn't installed, the scheduler doesn't answer, it has no workers, or
        they have no foldwise or another one.
    """
    try:
        from distributed import Client

        from foldwise.search.engines.dask_worker import Pixels
    except ImportError as error:
        raise SearchError(
            "FOLDWISE_DASK needs the package distributed: install foldwise[dask], or unset it"
        ) from error
    # What they say of a lost connection at length, the error says in one line.
    for name in ("distributed.client", "distributed.core", "distributed.comm"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    with _speaking(address):
        client = Client(address, timeout=_ANSWER_SECONDS, set_as_default=False)
    try:
        with _speaking(address):
            client.wait_for_workers(1, timeout=patience)
            _check_code(client)
            _sweep(client)
            client.register_plugin(Pixels(layout), name=_pixels(client))
        try:
            yield DaskBackend(client, address, options, patience)
        finally:
            # The connection may be lost, or a worker never have got them.
            with suppress(OSError, KeyError):
                client.unregister_worker_plugin(_pixels(client))
    finally:
        client.close(timeout=_ANSWER_SECONDS)


def deal(items: Sequence[T], threads: Mapping[str, int]) -> dict[str | None, tuple[T, ...]]:
    """Cut the items into a run for each worker, as long as it has threads; none is empty.

    Without workers all of them are for whoever comes: the key is None.
    """
    if not threads:
        return {None: tuple(items)} if items else {}
    total = sum(threads.values())
    ends = (len(items) * count // total for count in accumulate(threads.values(), initial=0))
    runs = zip(threads, pairwise(ends), strict=True)
    return {worker: tuple(items[low:high]) for worker, (low, high) in runs if low < high}


def _pixels(client: "Client") -> str:
    """Name of the plugin that holds this client's pixels on the workers."""
    return f"{_PREFIX}{client.id}"


def _check_code(client: "Client") -> None:
    from foldwise.search.engines.dask_worker import CODE, OTHER_CODE

    # Nested functions travel by value: who runs them needs no foldwise.
    def code() -> str | None:
        try:
            from foldwise.search.engines import dask_worker as cluster_worker
        except ModuleNotFoundError:
            return None
        return cluster_worker.CODE

    if set(client.run(code).values()) != {CODE}:
        raise SearchError(OTHER_CODE)


def _sweep(client: "Client") -> None:
    """Free the pixels of clients that were killed before they could do it."""
    prefix = _PREFIX

    def abandoned(dask_scheduler: "Scheduler") -> list[str]:
        named = [name for name in dask_scheduler.worker_plugins if name.startswith(prefix)]
        return [name for name in named if name.removeprefix(prefix) not in dask_scheduler.clients]

    for name in client.run_on_scheduler(abandoned):
        client.unregister_worker_plugin(name)


def _threads(client: "Client") -> dict[str, int]:
    """Of each worker, by its address."""
    if client.scheduler is None:
        raise ConnectionError("the connection is closed")
    counts = client.sync(client.scheduler.ncores, workers=None, callback_timeout=_ANSWER_SECONDS)
    return dict(counts)


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
            f"{str(error) or type(error).__name__}: mend the cluster, or unset FOLDWISE_DASK, "
            "and run the same command again; completed trials are kept"
        ) from error
