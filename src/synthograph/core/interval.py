"""Confidence intervals, as statistics compute and results record them."""

import math
from dataclasses import dataclass

from synthograph.core.errors import UserError


@dataclass(frozen=True)
class Interval:
    """A confidence interval. `level` is the share of repeated studies whose interval contains the
    true value, 0..1.
    """

    low: float
    high: float
    level: float = 0.95

    def __post_init__(self) -> None:
        for number in (self.low, self.high):
            if not math.isfinite(number):
                raise UserError(f"interval: {number} is not a finite number and cannot be reported")
        if self.low > self.high:
            raise UserError(f"interval from {self.low} to {self.high}: its ends are swapped")

    def __contains__(self, number: float) -> bool:
        return self.low <= number <= self.high
