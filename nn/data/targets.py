"""The 24 labels of every bar, and a mask that says which of them are known.

From: checked candles. To: training and evaluation, never a feature (WIN-5). The future of bar t is t+1..t+h; where it
ends beyond the data or crosses a gap the label is NaN and its mask False (TGT-26).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from .quality import OHLCV, check_prices, numbers, open_times
from .target_table import (
    ACTIONS,
    DIRECTIONS,
    DOWN,
    FLAT,
    FORECAST_COLUMNS,
    FULL_SIGNAL,
    HOLD,
    LONG,
    MAX_RISK_REWARD,
    ROUND_TRIP_COST,
    SHORT,
    TARGET_NAMES,
    TARGETS,
    UP,
    Target,
    horizon_bars,
    max_horizon_bars,
)
from .timeframe import bars_in, timeframe_ms

__all__ = [
    "ACTIONS",
    "DIRECTIONS",
    "DOWN",
    "FLAT",
    "FORECAST_COLUMNS",
    "HOLD",
    "LONG",
    "ROUND_TRIP_COST",
    "SHORT",
    "TARGETS",
    "TARGET_NAMES",
    "UP",
    "Target",
    "Targets",
    "horizon_bars",
    "make_targets",
    "max_horizon_bars",
]

Floats = NDArray[np.float64]
_DECIMALS = 12  # a move of exactly 1% on the price grid must count as 1%, and 1.01 - 1 is not 0.01 in binary


@dataclass(frozen=True)
class Targets:
    """Labels of T bars: `values` is NaN exactly where `mask` is False; a class label holds its code."""

    names: tuple[str, ...]
    values: NDArray[np.float32]  # (T, 24)
    mask: NDArray[np.bool_]  # (T, 24), True where the whole future is known
    horizons: tuple[int, ...]  # bars, per target


def make_targets(frame: pd.DataFrame, timeframe: str) -> Targets:
    """Return all 24 targets of every bar.

    Parameters
    ----------
    frame : DataFrame
        Candles: date (open time), open, high, low, close; times ascending on the grid, gaps allowed.
    timeframe : str
        15m, or one of which 15 minutes is a whole number of bars.

    Raises
    ------
    BadCandles
        If a rule of data quality is broken.
    ValueError
        If a horizon is not a whole number of bars.

    Notes
    -----
    Drawdown and rally are the specification's ratios and not floored: a future wholly above the close has a drawdown
    below 0. Excursions (TGT-23) are ratios of the close; the drawdown of TGT-17 is the rise needed to come back.
    """
    horizons = horizon_bars(timeframe)
    times = open_times(frame, "targets", timeframe)
    columns = {name: numbers(frame, name, "targets") for name in OHLCV[:4]}
    check_prices(columns, times, "targets")
    future = Future(columns["close"], columns["high"], columns["low"], timeframe)
    values = np.full((len(times), len(TARGETS)), np.nan, dtype=np.float32)
    mask = np.zeros(values.shape, dtype=bool)
    for column, (target, horizon) in enumerate(zip(TARGETS, horizons, strict=True)):
        known = contiguous(times, horizon, timeframe_ms(timeframe))
        values[known, column] = future.label(target)[known]
        mask[:, column] = known
    return Targets(TARGET_NAMES, values, mask, horizons)


def contiguous(times: NDArray[np.int64], horizon: int, step: int) -> NDArray[np.bool_]:
    """Tell for each bar whether the next `horizon` bars are all there, one bar apart."""
    known = np.zeros(len(times), dtype=bool)
    if len(times) > horizon:
        known[:-horizon] = times[horizon:] - times[:-horizon] == horizon * step
    return known


class Future:
    """What comes after each bar, by horizon; computed once and shared by the targets that need it."""

    def __init__(self, close: Floats, high: Floats, low: Floats, timeframe: str) -> None:
        self.close, self.high, self.low, self.timeframe = close, high, low, timeframe
        self._known: dict[tuple[str, int], Floats] = {}

    def label(self, target: Target) -> Floats:
        """Return one target of every bar; rows whose future ends beyond the data hold no meaning."""
        match target.kind:
            case "return":
                return self.change(target.minutes)
            case "direction":
                change = self.change(target.minutes)
                return np.where(change > target.threshold, UP, np.where(change < -target.threshold, DOWN, FLAT)).astype(
                    float
                )
            case "reach":
                gain = self.rise(target.minutes) if target.side == "long" else self.fall(target.minutes)
                return (gain >= target.threshold).astype(np.float64)
            case "risk" if target.side == "long":
                return self._once("drawdown", target.minutes, lambda h: self.close / ahead(self.low, h, np.minimum) - 1)
            case "risk":
                return self.rise(target.minutes)
            case "action":
                return self.best_action(target.minutes)
            case _:
                unit = {"signal_strength": self.strength, "risk_reward_ratio": self.risk_reward}
                return unit.get(target.name, self.hold)(target.minutes)

    def change(self, minutes: int) -> Floats:
        """Return of the close over the horizon."""
        return self._once("change", minutes, lambda h: shifted(self.close, h) / self.close - 1)

    def rise(self, minutes: int) -> Floats:
        """Rise from the close to the highest high: a long's best excursion."""
        return self._once("rise", minutes, lambda h: ahead(self.high, h, np.maximum) / self.close - 1)

    def fall(self, minutes: int) -> Floats:
        """Fall from the close to the lowest low, positive: a short's best excursion, its own gain."""
        return self._once("fall", minutes, lambda h: 1 - ahead(self.low, h, np.minimum) / self.close)

    def best_action(self, minutes: int) -> Floats:
        """Code of the side whose return pays the round trip (TGT-21); both cannot."""
        change = self.change(minutes)
        return np.where(change > ROUND_TRIP_COST, LONG, np.where(-change > ROUND_TRIP_COST, SHORT, HOLD)).astype(float)

    def strength(self, minutes: int) -> Floats:
        """Net return of the best action as a share of 2%, at most 1 (TGT-22)."""
        net = np.abs(self.change(minutes)) - ROUND_TRIP_COST
        return np.where(self.best_action(minutes) == HOLD, 0.0, np.minimum(net / FULL_SIGNAL, 1.0))

    def risk_reward(self, minutes: int) -> Floats:
        """Favourable over adverse excursion of the best action (TGT-23)."""
        action = self.best_action(minutes)
        rise, fall = self.rise(minutes), self.fall(minutes)
        good, bad = np.where(action == LONG, rise, fall), np.where(action == LONG, fall, rise)
        ratio = np.full(len(good), MAX_RISK_REWARD)
        np.divide(good, bad, out=ratio, where=bad > 0)
        return np.where(action == HOLD, 0.0, np.clip(ratio, 0.0, MAX_RISK_REWARD))

    def hold(self, minutes: int) -> Floats:
        """Bar of the best close for the side of the best action, the first of equals, over the horizon (TGT-24)."""
        horizon = bars_in(minutes, self.timeframe)
        action = self.best_action(240)  # the action is chosen by the 4h return
        best = np.where(action == LONG, best_bar(self.close, horizon), best_bar(-self.close, horizon))
        return np.where(action == HOLD, 0.0, best / horizon)

    def _once(self, name: str, minutes: int, compute: Callable[[int], Floats]) -> Floats:
        if (name, minutes) not in self._known:
            self._known[name, minutes] = np.round(compute(bars_in(minutes, self.timeframe)), _DECIMALS)
        return self._known[name, minutes]


def shifted(values: Floats, bars: int) -> Floats:
    """Return the value `bars` later, NaN where there is none."""
    later = np.full(len(values), np.nan)
    later[:-bars] = values[bars:]
    return later


def ahead(values: Floats, horizon: int, pick: np.ufunc) -> Floats:
    """Return the maximum or minimum of the next `horizon` values; the loop is over bars of the horizon, not rows."""
    best = shifted(values, 1)
    for bars in range(2, horizon + 1):
        pick(best, shifted(values, bars), out=best)
    return best


def best_bar(values: Floats, horizon: int) -> Floats:
    """Return which of the next `horizon` values is the greatest, counted from 1, the first of equals."""
    best, bar = shifted(values, 1), np.ones(len(values))
    for bars in range(2, horizon + 1):
        candidate = shifted(values, bars)
        better = candidate > best
        best[better], bar[better] = candidate[better], bars
    return bar
