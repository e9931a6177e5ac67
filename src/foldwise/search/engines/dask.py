"""A Dask cluster in place of this machine's cores: the same work, dealt out in sub-batches.

The arranged pixels are sent to each worker once. Of each round a worker gets one sub-batch, and
does it as a machine alone would: with the same solver, on all its threads. So paths and fits are
those of a local run (to the bit on machines of one kind). Dask itself gives a lost worker's
sub-batch to another. Workers import this module, too.
"""

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from functools import partial
from importlib import import_module
from itertools import accumulate, pairwise
from threading import Lock
from typing import Any, Literal, TypeVar, cast

import foldwise
from foldwise.errors import SearchError, installing
from foldwise.search.engines.batched import Backend, LocalBackend
from foldwise.search.version import SEARCH_VERSION
from foldwise.solver.fits import FitRequest, SolverOptions
from foldwise.solver.layout import Layout
from foldwise.solver.linear import Fit
from foldwise.solver.paths import RegularisationPath, Stretch, Traced

try:
    from distributed import (
        CancelledError,
        Client,
        Future,
        KilledWorker,
        Scheduler,
        WorkerPlugin,
        get_worker,
        wait,
    )
    from distributed.client import FutureCancelledError
except ImportError as error:
    raise SearchError(
        f"FOLDWISE_DASK needs the package distributed: {installing('dask')}, or unset it"
    ) from error

CODE = f"{foldwise.__version__}, search {SEARCH_VERSION}"
"""What this process computes, as far as numbers go."""

PATIENCE_SECONDS = 60.0
"""How long a cluster may be without any worker before the search gives up."""

_LOOK_SECONDS = 2.0
_ANSWER_SECONDS = 10.0
_PREFIX = "foldwise-"
_ONE_AT_A_TIME = Lock()
"""A worker that has got another's share too does one after the other on its GPU."""

_OTHER_CODE = (
    "every Dask worker must have this same version of foldwise installed, one has none or another: "
    "install it there and start the workers anew"
)

T = TypeVar("T")


class Pixels(WorkerPlugin):
    """The arranged pixels on a worker, sent when the search begins or the worker joins.

    A plugin and no scattered data: of those Dask drops the copies that no task waits for, and
    would send them anew each round; and it can't make them again once their holder is lost.
    """

    def __init__(self, layout: Layout, device: str) -> None:
        self.layout, self.device = layout, device
        self.code = CODE
        self._there: Backend | None = None

    def there(self, options: SolverOptions) -> Backend | None:
        """The worker's GPU, where it has one and the search asks for it."""
        if self._there is None and self.device != "cpu":
            from foldwise.search.engines.gpu import opened  # torch, if it is there: seconds

            self._there = opened(self.layout, options, self.device)
            self.device = "cpu"  # what isn't there now won't be
        return self._there


def batch(
    pixels: str, work: Literal["trace", "solve"], items: Sequence[Any], options: SolverOptions
) -> tuple[Any, ...]:
    """Trace some paths further, or make some fits, on this worker; ``pixels`` names the plugin."""
    plugin, options = _here(pixels, options)
    with _ONE_AT_A_TIME:
        if there := plugin.there(options):
            return tuple(getattr(there, work)(items))
    return tuple(getattr(LocalBackend(plugin.layout, options), work)(items))


def _here(pixels: str, options: SolverOptions) -> tuple[Pixels, SolverOptions]:
    """The worker's pixels, and options to work with on all its threads."""
    worker = get_worker()
    plugin = cast("Pixels", worker.plugins[pixels])
    if plugin.code != CODE:  # it has joined late
        raise SearchError(_OTHER_CODE)
    return plugin, replace(options, threads=worker.state.nthreads)


@dataclass(frozen=True, slots=True, eq=False)
class DaskBackend:
    """Solves fits on the workers of a Dask cluster; open it by :func:`connected`.

    If the scheduler or all workers are lost, it ends in a SearchError.
    """

    client: Client
    address: str
    options: SolverOptions

    def trace(self, stretches: Sequence[Stretch]) -> Iterator[Traced | RegularisationPath]:
        """Trace each path as far as it is asked for; yield them as sub-batches end."""
        missing = {each.path.left_out: each.missing for each in stretches}
        done = 0
        for path in self._results("trace", stretches):
            if isinstance(path, RegularisationPath):
                done += missing[path.left_out]
                yield Traced(done, sum(missing.values()))
                yield path

    def solve(self, requests: Sequence[FitRequest]) -> Iterator[Fit]:
        """Make each requested fit once; yield them as sub-batches end."""
        # Fits of one C together: trials are complete, and kept, while other workers still run.
        return self._results("solve", sorted(requests, key=lambda request: request.C))

    def _results(self, work: Literal["trace", "solve"], items: Sequence[Any]) -> Iterator[Any]:
        """What the workers make of their sub-batches of these items, as they end."""
        submit = partial(self.client.submit, batch, _pixels(self.client), work, pure=False)
        with _speaking(self.address):
            threads = _threads(self.client)
            pending = {
                submit(own, self.options, workers=worker, allow_other_workers=bool(threads))
                for worker, own in deal(items, threads).items()
            }
            while pending:
                done = self._next_done(pending)
                pending -= done
                for future in done:
                    yield from future.result()

    def _next_done(self, pending: set[Future[Any]]) -> set[Future[Any]]:
        idle = 0.0
        while True:
            try:
                with self.client.as_current():
                    ended = wait(pending, timeout=_LOOK_SECONDS, return_when="FIRST_COMPLETED")
                return set(ended.done)
            except TimeoutError:
                idle = 0.0 if _threads(self.client) else idle + _LOOK_SECONDS
                if idle > PATIENCE_SECONDS:
                    raise ConnectionError(f"no worker for {PATIENCE_SECONDS:.0f} s") from None


@contextmanager
def connected(
    address: str, layout: Layout, options: SolverOptions, *, device: str = "cpu"
) -> Iterator[DaskBackend]:
    """An engine on the cluster at ``address``, such as ``tcp://scheduler:8786``.

    Parameters
    ----------
    device : str
        "cuda" or "auto" for the workers' GPUs: every worker must have one, or those that have.

    Raises
    ------
    SearchError
        If the scheduler doesn't answer, it has no workers, or they have no foldwise or another.
    """
    # What they say of a lost connection at length, the error says in one line.
    for name in ("distributed.client", "distributed.core", "distributed.comm"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    with _speaking(address):
        client = Client(address, timeout=_ANSWER_SECONDS, set_as_default=False)
    try:
        with _speaking(address):
            client.wait_for_workers(1, timeout=PATIENCE_SECONDS)
            _check_code(client)
            _sweep(client)
            client.register_plugin(Pixels(layout, device), name=_pixels(client))
        try:
            yield DaskBackend(client, address, options)
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


def _pixels(client: Client) -> str:
    """Name of the plugin that holds this client's pixels on the workers."""
    return f"{_PREFIX}{client.id}"


def _check_code(client: Client) -> None:
    module = __name__

    # Nested functions travel by value: who runs them needs no foldwise.
    def code() -> str | None:
        try:
            return getattr(import_module(module), "CODE", None)
        except ImportError:
            return None

    if set(client.run(code).values()) != {CODE}:
        raise SearchError(_OTHER_CODE)


def _sweep(client: Client) -> None:
    """Free the pixels of clients that were killed before they could do it."""
    prefix = _PREFIX

    def abandoned(dask_scheduler: Scheduler) -> list[str]:
        named = [name for name in dask_scheduler.worker_plugins if name.startswith(prefix)]
        return [name for name in named if name.removeprefix(prefix) not in dask_scheduler.clients]

    for name in client.run_on_scheduler(abandoned):
        client.unregister_worker_plugin(name)


def _threads(client: Client) -> dict[str, int]:
    """Of each worker, by its address."""
    if client.scheduler is None:
        raise ConnectionError("the connection is closed")
    counts = client.sync(client.scheduler.ncores, workers=None, callback_timeout=_ANSWER_SECONDS)
    return dict(counts)


@contextmanager
def _speaking(address: str) -> Iterator[None]:
    """Turn what goes wrong on the way to the cluster and back into one line."""
    try:
        yield
    except (OSError, TimeoutError, CancelledError, FutureCancelledError, KilledWorker) as error:
        raise SearchError(
            f"the Dask scheduler {address} must answer and have workers, it says: "
            f"{str(error) or type(error).__name__}: mend the cluster, or unset FOLDWISE_DASK, "
            "and run the same command again; completed trials are kept"
        ) from error
