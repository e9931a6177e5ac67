"""How many threads compute: ours, one a core, and BLAS's, one in each of ours."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from threading import Lock
from typing import Any

from threadpoolctl import ThreadpoolController

from foldwise.errors import SettingsError


def threads() -> int:
    """``FOLDWISE_THREADS``, by default one per core this process may use.

    Raises
    ------
    SettingsError
        If it isn't a positive whole number.
    """
    told = os.environ.get("FOLDWISE_THREADS", "").strip()
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

    The first of ours that asks sets the limit, the last one that leaves takes it back: two limits
    that overlap would each restore what it found, and the second found one thread.
    """
    with _CHANGING:
        if not _HOLDING:
            _HOLDING.append(_libraries().limit(limits=1, user_api="blas"))
        _HOLDING.append(None)
    try:
        yield
    finally:
        with _CHANGING:
            _HOLDING.pop()
            if len(_HOLDING) == 1:
                _HOLDING.pop().restore_original_limits()


_CHANGING = Lock()
_HOLDING: list[Any] = []
"""The limit, if there is one, and an entry for each that relies on it."""


@cache
def _libraries() -> ThreadpoolController:
    """What is loaded, which takes longer to find out than a fit of a small table."""
    return ThreadpoolController()
