"""How much is traded in each bar: more when prices move, when they are about to, and at busy hours.

From: `prices.py`, `clock.py`. To: `market.py`.
"""

from __future__ import annotations

import numpy as np

from ..candles import Values
from .clock import Clock
from .coins import Coin, stream
from .prices import Path

BAR_NOISE, HOURLY_NOISE = 0.40, 0.35  # standard deviations of log turnover
HOURLY_MEMORY = 0.9  # autocorrelation of the hourly part from one hour to the next


def turnover(clock: Clock, seed: int, coin: Coin, path: Path, venue: str) -> Values:
    """Return the quote currency that changes hands in each bar; its mean is near the coin's daily turnover."""
    draw = stream(seed, coin.name, f"turnover-{venue}")
    hourly = np.empty(clock.n_hours)
    state = 0.0
    for hour, shock in enumerate(draw.standard_normal(clock.n_hours) * np.sqrt(1 - HOURLY_MEMORY**2)):
        hourly[hour] = state = HOURLY_MEMORY * state + shock
    # log_volatility already holds the time of day and week; the constant keeps the mean where the coin wants it
    log_size = (
        1.1 * path.log_volatility
        + 0.35 * np.minimum(np.abs(path.surprise), 6.0)
        + HOURLY_NOISE * clock.from_hourly(hourly)
        + BAR_NOISE * draw.standard_normal(len(path.close))
        - 0.45
    )
    return coin.daily_turnover / clock.bars_per_day * np.exp(log_size)
