"""How long to leave a store alone that has just failed, so that the search can go on."""

import time
from collections.abc import Callable

_FIRST_REST = 30.0
_LONGEST_REST = 300.0


class Patience:
    """Says when to try again: at first after half a minute, then after twice as long each time.

    Parameters
    ----------
    clock : callable
        Seconds that never run backwards.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._rest = 0.0
        self._until = float("-inf")

    @property
    def is_over(self) -> bool:
        """Whether the store may be tried."""
        return self._clock() >= self._until

    def failed(self) -> None:
        """Rest from now on, longer than the last time."""
        self._rest = min(max(2 * self._rest, _FIRST_REST), _LONGEST_REST)
        self._until = self._clock() + self._rest

    def succeeded(self) -> None:
        """The store is back."""
        self._rest = 0.0
        self._until = float("-inf")
