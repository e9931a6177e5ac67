"""Where a change of the registry may be watched, step by step: tests kill the process there."""

from collections.abc import Callable

Watcher = Callable[[str], object]
"""Told the name of each step once it is done."""


def unwatched(_step: str) -> None:
    """Nobody watches."""
