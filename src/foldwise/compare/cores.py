"""Threads that don't multiply: each does one piece of work on one core."""

from concurrent.futures import ThreadPoolExecutor

from threadpoolctl import threadpool_limits


def one_core_threads(count: int) -> ThreadPoolExecutor:
    """A pool whose threads keep OpenMP to one core each; BLAS has one limit for the process."""
    return ThreadPoolExecutor(count, initializer=_take_one_core)


def _take_one_core() -> None:
    # OpenMP keeps its limit per thread, and these threads need it to their end.
    threadpool_limits(limits=1, user_api="openmp")
