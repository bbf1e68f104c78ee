"""Volatility that clusters: its logarithm is a sum of hourly AR(1) processes with short, middle and long memory.

From: shocks and jumps. To: `prices.py`. The sum of a few half-lives imitates the slow decay of |return| autocorrelation
that real markets show (Corsi, "A Simple Approximate Long-Memory Model of Realized Volatility", 2009).
"""

from __future__ import annotations

import numpy as np

from ..candles import Values

HALF_LIFE = np.array([3.0, 24.0, 240.0])  # hours
SHARE = np.array([0.30, 0.35, 0.35])  # of the variance of log volatility
DEVIATION = 0.45  # standard deviation of log volatility
AFTERSHOCK = np.array([0.40, 0.15, 0.0])  # rise of log volatility after a jump


def log_volatility(draw: np.random.Generator, jumps_per_hour: Values) -> Values:
    """Return log volatility on the hourly grid, around a level at which the mean variance is one (jumps add to it).

    Parameters
    ----------
    draw : numpy.random.Generator
    jumps_per_hour : ndarray of shape (n_hours,)
        How many jumps each hour had; volatility rises after them.
    """
    decay = 0.5 ** (1 / HALF_LIFE)
    spread = DEVIATION * np.sqrt(SHARE)
    shocks = draw.standard_normal((len(jumps_per_hour), len(HALF_LIFE))) * spread * np.sqrt(1 - decay**2)
    shocks += jumps_per_hour[:, None] * AFTERSHOCK
    state = draw.standard_normal(len(HALF_LIFE)) * spread
    path = np.empty_like(shocks)
    for hour, shock in enumerate(shocks):
        state = state * decay + shock
        path[hour] = state
    return path.sum(axis=1) - DEVIATION**2
