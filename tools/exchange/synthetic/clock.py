"""The time grid of a synthetic market and the rhythm of its days.

From: the span asked for. To: every other file here.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ..candles import Times, Values
from ..intervals import DAY, FIXED, HOUR

BASE_INTERVALS = tuple(interval for interval, length in FIXED.items() if length >= 60_000 and HOUR % length == 0)


@dataclass(frozen=True)
class Clock:
    """Bars of one length from `start` up to `end`, both ms since 1970, whole days of UTC."""

    start: int
    end: int
    interval: str

    @property
    def length(self) -> int:
        return FIXED[self.interval]

    @property
    def bars_per_day(self) -> int:
        return DAY // self.length

    @property
    def n_hours(self) -> int:
        """Points of the hourly grid, both ends included."""
        return (self.end - self.start) // HOUR + 1

    @cached_property
    def open_time(self) -> Times:
        return np.arange(self.start, self.end, self.length, dtype=np.int64)

    def from_hourly(self, values: Values) -> Values:
        """Return values of the hourly grid, read at each bar's close, straight lines in between."""
        hours = np.arange(self.n_hours) * float(HOUR)
        return np.interp(self.open_time + self.length - self.start, hours, values)

    @cached_property
    def log_activity(self) -> Values:
        """How busy the time of day and week is, as the logarithm of a volatility factor with mean square one.

        Busiest in the American morning, quietest before the European one, slower at weekends: crypto's rhythm.
        """
        hour = self.open_time % DAY / HOUR
        weekday = (self.open_time // DAY + 3) % 7  # Monday is 0
        shape = (
            0.22 * np.cos(2 * np.pi * (hour - 15.0) / 24)
            + 0.10 * np.cos(4 * np.pi * (hour - 14.5) / 24)
            - 0.20 * (weekday >= 5)
        )
        return shape - 0.5 * np.log(np.mean(np.exp(2 * shape)))
