"""What kind of market a moment was in, by what was known then: high volatility, trend, or neither.

From: the quarter hours of the past day; limits from train rows. To: stability by regime, the worst regime (PRM-6).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..baselines.naive import trailing_log_volatility
from ..baselines.rows import PAST, Rows

REGIMES = ("chop", "trend", "high_volatility")
CHOP, TREND, HIGH_VOLATILITY = range(3)
LOUD, STRAIGHT = 0.8, 0.7  # quantiles of train rows: a fifth is loud, a third of all goes straight


@dataclass(frozen=True)
class RegimeLimits:
    log_volatility: float  # of the past day
    efficiency: float  # of the past day, 0..1

    @classmethod
    def fit(cls, rows: Rows) -> RegimeLimits:
        """Return the limits of train rows."""
        volatility, efficiency = np.quantile(trailing_log_volatility(rows, PAST), LOUD), efficiency_ratio(rows)
        return cls(float(volatility), float(np.quantile(efficiency, STRAIGHT)))

    def of(self, rows: Rows) -> NDArray[np.int64]:
        """Return the regime (N,) of each row."""
        trend = np.where(efficiency_ratio(rows) > self.efficiency, TREND, CHOP)
        loud = trailing_log_volatility(rows, PAST) > self.log_volatility
        return np.where(loud, HIGH_VOLATILITY, trend).astype(np.int64)


def efficiency_ratio(rows: Rows) -> NDArray[np.float64]:
    """Return the way made over the way gone in the past day (Kaufman, 1995): 1 is a straight line."""
    gone = np.abs(rows.past).sum(1, dtype=np.float64)
    return np.abs(rows.past.sum(1, dtype=np.float64)) / np.maximum(gone, 1e-12)
