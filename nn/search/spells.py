"""Normal, choppy and trending spells of a market, and what a policy is worth over all three (SEA-3).

From: closes; limits from train candles. To: `policy_objective`. A candle's spell is known at its close: how far the
price has come in the past day over how far it went, Kaufman's (1995) efficiency ratio. The straightest third of the
train candles is trending, the least straight third choppy, the rest normal. What a position earns in the next candle
counts for that spell, so no return decides which spell it is counted in.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..data.timeframe import timeframe_ms
from .space import SPELLS

NORMAL, CHOPPY, TRENDING = SPELLS
DAY_MS = 86_400_000
MOST = 10.0  # a year's Sortino ratio beyond it says that there were few losses, not much more
FEWEST = 20  # candles; a spell with fewer says nothing
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class SpellLimits:
    """Efficiency ratios below which a candle is choppy, and above which it is trending."""

    choppy: float
    trending: float

    @classmethod
    def fit(cls, closes: Sequence[Floats], timeframe: str) -> SpellLimits:
        """Return the limits of train candles, one array of closes a pair."""
        found = np.concatenate([efficiency_ratio(each, timeframe) for each in closes])
        found = found[np.isfinite(found)]
        if len(found) < 3:
            raise ValueError(f"{len(found)} train candles have a day before them, expected at least 3")
        return cls(*np.quantile(found, (1 / 3, 2 / 3)).tolist())

    def of(self, close: Floats, timeframe: str) -> NDArray[np.str_]:
        """Return the spell (n,) of each candle; normal where less than a day lies before it."""
        ratio = efficiency_ratio(close, timeframe)
        return np.select([ratio < self.choppy, ratio > self.trending], [CHOPPY, TRENDING], NORMAL)


def efficiency_ratio(close: Floats, timeframe: str) -> Floats:
    """Return abs(way made) / way gone of the log close in the past day (n,), 0..1; NaN where there is no such day."""
    bars = max(2, DAY_MS // timeframe_ms(timeframe))
    steps = np.diff(np.log(np.asarray(close, dtype=np.float64)))
    out = np.full(len(close), np.nan)
    if len(steps) >= bars:
        windows = np.lib.stride_tricks.sliding_window_view(steps, bars)
        gone = np.abs(windows).sum(1)
        out[bars:] = np.abs(windows.sum(1)) / np.where(gone > 0, gone, 1.0)
    return out


def sortino(growth: Floats, timeframe: str) -> float:
    """Return a year's mean growth over its downside deviation (Sortino and Price 1994), 365 days, within +-10.

    0 for an account that never moved.
    """
    downside = float(np.sqrt(np.mean(np.minimum(growth, 0.0) ** 2)))
    mean = float(np.mean(growth))
    if downside == 0:
        return MOST if mean > 0 else 0.0
    per_year = 365 * DAY_MS / timeframe_ms(timeframe)
    return float(np.clip(mean / downside * per_year**0.5, -MOST, MOST))


def weighted_sortino(
    growth: Floats, spells: NDArray[np.str_], weights: Mapping[str, float], timeframe: str
) -> tuple[float, dict[str, float]]:
    """Return the mean of the spells' Sortino ratios by these weights, and each of them.

    A spell with fewer than 20 candles is left out, and its weight goes to the others in proportion.
    """
    found = {name: sortino(growth[spells == name], timeframe) for name in SPELLS if (spells == name).sum() >= FEWEST}
    total = sum(weights[name] for name in found)
    if total <= 0:
        raise ValueError(
            f"{len(growth)} candles have no spell of {FEWEST} candles with a weight above 0, expected at least one"
        )
    return sum(weights[name] * each for name, each in found.items()) / total, found
