"""A drift that can be planted: prices lean up or down for hours, so that there is something to forecast.

From: a seed and a strength. To: `prices.py`. Off unless asked for: real markets hide their drift far better, and what
a model earns on a planted one says that the path from candles to orders works, nothing else.
"""

from __future__ import annotations

import numpy as np

from ..candles import Values
from .clock import Clock
from .coins import stream

HALF_LIFE = 12.0  # hours


def lean(clock: Clock, seed: int, name: str) -> Values:
    """Return where prices lean at each bar: a standard normal AR(1) process on the hourly grid, known by its past."""
    decay = 0.5 ** (1 / HALF_LIFE)
    draw = stream(seed, name, "trend").standard_normal(clock.n_hours)
    state = draw[0]
    path = np.empty(clock.n_hours)
    for hour, shock in enumerate(draw):
        path[hour] = state
        state = state * decay + shock * np.sqrt(1 - decay**2)
    return clock.from_hourly(path)


def drift(clock: Clock, lean_of_bars: Values, strength: float) -> Values:
    """Return the drift of each bar in daily volatilities, for a strength in hourly volatilities an hour.

    At strength 1 an hour's drift is as large as an hour's noise.
    """
    hours_per_bar = 24 / clock.bars_per_day
    return strength * lean_of_bars * hours_per_bar / np.sqrt(24)
