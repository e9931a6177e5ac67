"""What the environment says of where and how to run: never of what the result is."""

import os
import re
from pathlib import Path

from foldwise.errors import SettingsError

_SQLITE = "sqlite:///"
_ADDRESS = re.compile(r"[a-z]+://[^\s/]+:\d+")


def study_storage(root: Path) -> str:
    """Optuna's storage: ``FOLDWISE_STUDY_STORAGE``, by default ``<root>/mlruns/optuna.db``.

    A relative SQLite path lies under the root, too: DVC runs stages in other folders.
    """
    told = os.environ.get("FOLDWISE_STUDY_STORAGE", "").strip() or f"{_SQLITE}mlruns/optuna.db"
    path = told.removeprefix(_SQLITE)
    return told if path in ("", ":memory:", told) else f"{_SQLITE}{root / path}"


def threads() -> int:
    """``FOLDWISE_THREADS``, by default one per core this process may use.

    Raises
    ------
    SettingsError
        If it isn't a positive whole number.
    """
    told = os.environ.get("FOLDWISE_THREADS")
    if not told:
        return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else _cores()
    if not told.isdecimal() or int(told) < 1:
        raise SettingsError(
            f"FOLDWISE_THREADS must be a positive whole number, got {told!r}: correct or unset it"
        )
    return int(told)


def dask_scheduler() -> str | None:
    """``FOLDWISE_DASK``: a Dask scheduler's address; None for this machine.

    Raises
    ------
    SettingsError
        If it is no address.
    """
    told = os.environ.get("FOLDWISE_DASK", "").strip()
    if not told:
        return None
    if not _ADDRESS.fullmatch(told):
        raise SettingsError(
            f"FOLDWISE_DASK must be like tcp://scheduler:8786, got {told!r}: correct or unset it"
        )
    return told


def is_fresh() -> bool:
    """Whether ``FOLDWISE_FRESH=1`` asks to abandon an open search."""
    return os.environ.get("FOLDWISE_FRESH") == "1"


def is_quiet() -> bool:
    """Whether ``FOLDWISE_QUIET=1`` asks for no progress display."""
    return os.environ.get("FOLDWISE_QUIET") == "1"


def _cores() -> int:
    return os.cpu_count() or 1
