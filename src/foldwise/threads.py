"""What computes, as the environment asks: threads of ours, BLAS's, one in each, or a device."""

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import lru_cache
from threading import Lock
from typing import Any

from threadpoolctl import ThreadpoolController

from foldwise.errors import SettingsError


def variable(name: str, rule: str, is_right: Callable[[str], object]) -> str:
    """What a variable of the environment says; empty if nothing, refused if it breaks its rule."""
    told = os.environ.get(name, "").strip()
    if told and not is_right(told):
        raise SettingsError(f"{name} must be {rule}, got {told!r}: correct or unset it")
    return told


def threads() -> int:
    """``FOLDWISE_THREADS``, by default one per core this process may use."""

    def is_number(word: str) -> bool:
        return word.isdecimal() and int(word) > 0

    if told := variable("FOLDWISE_THREADS", "a positive whole number", is_number):
        return int(told)
    is_linux = hasattr(os, "sched_getaffinity")
    return len(os.sched_getaffinity(0)) if is_linux else os.cpu_count() or 1


def device() -> str:
    """``FOLDWISE_DEVICE``: what computes paths and fits, "cpu" by default."""
    known = ("cpu", "cuda", "auto")
    return variable("FOLDWISE_DEVICE", "cpu, cuda or auto", known.__contains__) or "cpu"


@contextmanager
def one_blas_thread() -> Iterator[None]:
    """Meanwhile BLAS computes in one thread, in the whole process.

    The first of ours that asks sets the limit, the last one that leaves takes it back: two limits
    that overlap would each restore what it found, and the second found one thread.
    """
    with _CHANGING:
        if not _HOLDING:
            _HOLDING.append(_libraries(len(sys.modules)).limit(limits=1, user_api="blas"))
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


def one_thread() -> AbstractContextManager[object]:
    """Meanwhile BLAS and OpenMP compute in one thread, where this thread asks them."""
    limiting: AbstractContextManager[object] = _libraries(len(sys.modules)).limit(limits=1)
    return limiting


@lru_cache(maxsize=1)
def _libraries(_: int) -> ThreadpoolController:
    """What so many modules have loaded: to find it out takes longer than a fit of a small table."""
    return ThreadpoolController()
