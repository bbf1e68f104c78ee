"""Trend following by rules: entry gates, the phase of a trend, and a stop that only tightens (TRE-1..4).

From: columns of `tradekernels` (ratios of the price), later the running trade's best price. To: `trend_follower`.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

FEATURES = ("ema_20_50", "bb_break_up", "rsi_14", "volume_ratio", "atr_14_pct")  # TRE-1
PLAN_COLUMNS = ("close", "ema_20_50", "atr_14_pct")
TAKE_PROFIT = np.array([1.2, 1.8, 2.5])  # ATR by phase weak, normal, strong (TRE-3)
STOP_LOSS = np.array([0.7, 1.0, 1.0])
WEAK_BELOW, STRONG_ABOVE = 0.5, 1.5  # distance of the two averages in ATR; the spec names the phases, not their bounds
BREAKEVEN_ATR, TRAIL_FROM_ATR, TRAIL_DISTANCE_ATR = 1.0, 1.5, 0.5  # TRE-4


@dataclass(frozen=True)
class TradePlan:
    """What was decided at entry: prices in quote currency."""

    entry: float
    atr: float
    take_profit_atr: float
    stop_loss_atr: float

    @property
    def target(self) -> float:
        return self.entry + self.take_profit_atr * self.atr

    def stop(self, best_price: float) -> float:
        """Return the stop after the best price so far (a finished candle's close); a better one never lowers it."""
        stop = self.entry - self.stop_loss_atr * self.atr
        gain = (best_price - self.entry) / self.atr
        if gain >= BREAKEVEN_ATR:
            stop = max(stop, self.entry)
        if gain >= TRAIL_FROM_ATR:
            stop = max(stop, best_price - TRAIL_DISTANCE_ATR * self.atr)
        return stop


def gates(
    features: pd.DataFrame, rsi_low: float, rsi_high: float, volume_factor: float, atr_ceiling: float
) -> dict[str, pd.Series]:
    """Return each entry gate by name (TRE-2); NaN before the warm-up opens none.

    Parameters
    ----------
    features : DataFrame
        With the columns FEATURES.
    rsi_low, rsi_high : float
        Bounds of RSI 14, 0..100.
    volume_factor : float
        Least volume in means of 20 bars.
    atr_ceiling : float
        Largest ATR as a ratio of the price. A ceiling: as a floor the strategy would never trade on 1h BTC.
    """
    rsi = 100 * features["rsi_14"]
    return {
        "cross": features["ema_20_50"] > 0,
        "band": features["bb_break_up"] == 1,
        "rsi": (rsi >= rsi_low) & (rsi <= rsi_high),
        "volume": features["volume_ratio"] > volume_factor,
        "atr": features["atr_14_pct"] <= atr_ceiling,
    }


def enter_where(opened: Mapping[str, pd.Series], used: Mapping[str, bool]) -> pd.Series:
    """Return where every gate in use is open; without any gate in use nothing enters."""
    chosen = [gate for name, gate in opened.items() if used[name]]
    if not chosen:
        return pd.Series(False, index=next(iter(opened.values())).index)
    return pd.concat(chosen, axis=1).all(axis=1)


def plan_trade(candle: Mapping[str, float], entry: float) -> TradePlan | None:
    """Return the plan for a trade filled at `entry`, from PLAN_COLUMNS of its signal candle; None without an ATR."""
    atr = float(candle["atr_14_pct"]) * float(candle["close"])
    if not (np.isfinite(atr) and atr > 0):
        return None
    strength = float(candle["ema_20_50"] / candle["atr_14_pct"])
    phase = int(strength >= WEAK_BELOW) + int(strength >= STRONG_ABOVE)
    return TradePlan(entry, atr, float(TAKE_PROFIT[phase]), float(STOP_LOSS[phase]))
