"""A step length by the weak Wolfe conditions, one evaluation at a time.

The value must fall enough (Armijo) and the slope must have risen enough; bracketing as in Lewis
and Overton (2013, algorithm 2.6), with interpolation inside the bracket. Near the minimum the
value's rounding hides its fall: there Hager and Zhang's approximate condition (2005, equation
4.1) judges by the slope alone.
"""

from dataclasses import dataclass
from typing import Literal

FALL = 1e-4
RISE = 0.9
GROWTH = 4.0
MOST_TRIES = 20

Verdict = Literal["take", "again", "fail"]


@dataclass(slots=True)
class LineSearch:
    """The search along one direction.

    Attributes
    ----------
    value, slope : float
        At the origin; ``slope`` is negative.
    step : float
        To be tried next, in multiples of the direction.
    rounding : float
        Values closer than this can't be told apart.
    """

    value: float
    slope: float
    step: float
    rounding: float
    tries: int = 0
    low: float = 0.0
    low_value: float = float("nan")
    low_slope: float = float("nan")
    high: float = float("inf")

    def __post_init__(self) -> None:
        self.low_value, self.low_slope = self.value, self.slope

    def judge(self, value: float, slope: float) -> Verdict:
        """Say what to do with the step just tried; after "again", ``step`` is the next one."""
        self.tries += 1
        fallen = value <= self.value + FALL * self.step * self.slope or (
            value <= self.value + self.rounding and slope <= (2 * FALL - 1) * self.slope
        )
        if fallen and slope >= RISE * self.slope:
            return "take"
        if self.tries == MOST_TRIES:
            return "fail"
        if not fallen:
            self.high = self.step
            self.step = self._inside(value)
        else:
            self.low, self.low_value, self.low_slope = self.step, value, slope
            grown = GROWTH * self.step
            self.step = grown if self.high == float("inf") else (self.low + self.high) / 2
        return "again"

    def _inside(self, high_value: float) -> float:
        """Minimiser of the parabola through both ends, kept off the ends (also for inf and nan)."""
        length = self.high - self.low
        bend = high_value - self.low_value - self.low_slope * length
        share = -self.low_slope * length / (2 * bend) if bend > 0 else 0.5
        return self.low + length * min(0.9, max(0.1, share))
