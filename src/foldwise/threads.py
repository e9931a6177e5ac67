"""How many threads compute: ours, one a core, and BLAS's, one in each of ours."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from threading import Lock

from threadpoolctl import ThreadpoolController

from foldwise.errors import SettingsError


def threads() -> int:
    """``FOLDWISE_THREADS``, by default one per core this process may use.

    Raises
    ------
    SettingsError
        If it isn't a positive whole number.
    """
    told = os.environ.get("FOLDWISE_THREADS")
    if not told:
        is_linux = hasattr(os, "sched_getaffinity")
        return len(os.sched_getaffinity(0)) if is_linux else os.cpu_count() or 1
    if not told.isdecimal() or int(told) < 1:
        raise SettingsError(
            f"FOLDWISE_THREADS must be a positive whole number, got {told!r}: correct or unset it"
        )
    return int(told)


@contextmanager
def one_blas_thread() -> Iterator[None]:
    """Meanwhile BLAS computes in one thread, in the whole process.

    Where somebody of ours has limited it already, nothing is done: who comes second would find one
    thread, and put that one back after the first has put back all.
    """
    if not _LIMITED.acquire(blocking=False):
        yield
        return
    try:
        with _libraries().limit(limits=1, user_api="blas"):
            yield
    finally:
        _LIMITED.release()


_LIMITED = Lock()


@cache
def _libraries() -> ThreadpoolController:
    """What is loaded, which takes longer to find out than a fit of a small table."""
    return ThreadpoolController()
