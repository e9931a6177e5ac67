"""How long a failed store is left alone."""

from foldwise.runs.recorder import Patience


class _Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_store_that_works_is_always_tried() -> None:
    """Patience costs nothing while nothing fails."""
    patience = Patience(_Clock())
    patience.succeeded()
    assert patience.is_over


def test_each_failure_is_followed_by_a_longer_rest_up_to_five_minutes() -> None:
    """A dead server costs a search a handful of tries, not one for every trial."""
    clock = _Clock()
    patience = Patience(clock)
    rests = []
    for _ in range(6):
        patience.failed()
        began = clock.now
        while not patience.is_over:
            clock.now += 1.0
        rests.append(clock.now - began)
    assert rests == [30.0, 60.0, 120.0, 240.0, 300.0, 300.0]


def test_after_a_success_the_next_failure_rests_shortly_again() -> None:
    """An outage that is over leaves no grudge."""
    clock = _Clock()
    patience = Patience(clock)
    patience.failed()
    patience.failed()
    patience.succeeded()
    assert patience.is_over
    patience.failed()
    clock.now += 30.0
    assert patience.is_over
