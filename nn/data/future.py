"""What comes after a bar, and the formula of each of the 24 targets made of it (TGT-1 to TGT-24).

From: prices of a pair and the rows asked about. To: `targets`, which knows for which rows the whole future is there.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from .target_table import (
    DOWN,
    FLAT,
    FULL_SIGNAL,
    HOLD,
    LONG,
    MAX_RISK_REWARD,
    ROUND_TRIP_COST,
    SHORT,
    UP,
    Target,
)
from .timeframe import bars_in

Floats = NDArray[np.float64]
_DECIMALS = 12  # a move of exactly 1% on the price grid must count as 1%, and 1.01 - 1 is not 0.01 in binary


class Future:
    """What comes after some bars, by horizon; computed once and shared by the targets that need it.

    Parameters
    ----------
    close, high, low : ndarray of float64, shape (T,)
    timeframe : str
    rows : ndarray of int64, shape (N,)
        The bars asked about. An answer whose future ends beyond the data holds no meaning.
    """

    def __init__(self, close: Floats, high: Floats, low: Floats, timeframe: str, rows: NDArray[np.int64]) -> None:
        self.close, self.high, self.low, self.timeframe, self.rows = close, high, low, timeframe, rows
        self.now = close[rows]
        self._known: dict[tuple[str, int], Floats] = {}

    def label(self, target: Target) -> Floats:
        """Return one target of every row."""
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
                return self._once("drawdown", target.minutes, lambda h: self.now / self.ahead(self.low, h).min(1) - 1)
            case "risk":
                return self.rise(target.minutes)
            case "action":
                return self.best_action(target.minutes)
            case _:
                unit = {"signal_strength": self.strength, "risk_reward_ratio": self.risk_reward}
                return unit.get(target.name, self.hold)(target.minutes)

    def ahead(self, values: Floats, horizon: int) -> Floats:
        """Return the next `horizon` values of each row, (N, horizon)."""
        return values.take(self.rows[:, None] + np.arange(1, horizon + 1), mode="clip")

    def change(self, minutes: int) -> Floats:
        """Return of the close over the horizon."""
        return self._once("change", minutes, lambda h: self.close.take(self.rows + h, mode="clip") / self.now - 1)

    def rise(self, minutes: int) -> Floats:
        """Rise from the close to the highest high: a long's best excursion."""
        return self._once("rise", minutes, lambda h: self.ahead(self.high, h).max(1) / self.now - 1)

    def fall(self, minutes: int) -> Floats:
        """Fall from the close to the lowest low, positive: a short's best excursion, its own gain."""
        return self._once("fall", minutes, lambda h: 1 - self.ahead(self.low, h).min(1) / self.now)

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
        action = self.best_action(240)  # the action is chosen by the 4h return
        horizon = bars_in(minutes, self.timeframe)
        closes = self.ahead(self.close, horizon)
        best = np.where(action == LONG, closes.argmax(1), closes.argmin(1)) + 1
        return np.where(action == HOLD, 0.0, best / horizon)

    def _once(self, name: str, minutes: int, compute: Callable[[int], Floats]) -> Floats:
        if (name, minutes) not in self._known:
            self._known[name, minutes] = np.round(compute(bars_in(minutes, self.timeframe)), _DECIMALS)
        return self._known[name, minutes]
