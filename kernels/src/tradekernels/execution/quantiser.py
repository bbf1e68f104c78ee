"""The venue's grid: price and amount steps and the least notional (EXE-4). From: floats. To: whole ticks and lots.

Exact at the borders: a float counts as the decimal it was parsed from, as in ccxt, whose results these are.

>>> grid = Quantiser(tick_size="0.01", lot_size="0.001", min_notional="5")
>>> float(grid.amount(0.3)), float(grid.price(0.285)), float(grid.price(0.285, "down"))
(0.3, 0.29, 0.28)
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from typing import Any, Literal

import numpy as np

from . import _costs
from .decimals import Number, as_numbers, at_least_0, exact_step

DIRECTIONS = {"down": -1, "nearest": 0, "up": 1}
LARGEST = 1e15  # steps; up to here a double tells neighbours apart exactly


@dataclass(frozen=True)
class Quantiser:
    """Tick, lot and least notional of one pair; the defaults are those of BTC/USDT on Binance spot.

    Parameters
    ----------
    tick_size, lot_size : str, int, float or Decimal
        Quote and base currency; decimal texts are safest.
    min_notional : str, int, float or Decimal
        Quote currency; an order of exactly this much is accepted.
    """

    tick_size: Number = "0.01"
    lot_size: Number = "0.00001"
    min_notional: Number = "5"

    def __post_init__(self) -> None:
        exact_step("tick_size", self.tick_size)
        exact_step("lot_size", self.lot_size)
        at_least_0("min_notional", self.min_notional)

    @cached_property
    def tick(self) -> Fraction:
        """The price step, exactly."""
        return exact_step("tick_size", self.tick_size)

    @cached_property
    def lot(self) -> Fraction:
        """The amount step, exactly."""
        return exact_step("lot_size", self.lot_size)

    @cached_property
    def least(self) -> int:
        """The least notional, in ticks times lots, rounded up."""
        return -(-at_least_0("min_notional", self.min_notional) // (self.tick * self.lot))

    def price_ticks(self, price: Any, direction: Literal["down", "nearest", "up"] = "nearest") -> np.ndarray:
        """Return prices as int64 ticks; half a tick goes up.

        Raises
        ------
        ValueError
            If a price is not finite or below 0, beyond 10^15 ticks, or the direction is none of the three.
        """
        if direction not in DIRECTIONS:
            raise ValueError(f"direction is {direction!r}, expected one of {', '.join(DIRECTIONS)}")
        return _steps("price", as_numbers("price", price, 0.0), self.tick, DIRECTIONS[direction])

    def amount_lots(self, amount: Any) -> np.ndarray:
        """Return amounts as int64 lots, towards 0; negative amounts are sales."""
        amount = as_numbers("amount", amount)
        return np.where(amount < 0, -1, 1) * _steps("amount", np.abs(amount), self.lot, -1)

    def price(self, price: Any, direction: Literal["down", "nearest", "up"] = "nearest") -> np.ndarray:
        """Return prices on the grid, as the doubles their decimal texts parse to."""
        return self.price_ticks(price, direction) * float(self.tick.numerator) / self.tick.denominator

    def amount(self, amount: Any) -> np.ndarray:
        """Return amounts on the grid, never larger than asked."""
        return self.amount_lots(amount) * float(self.lot.numerator) / self.lot.denominator

    def accepts(self, price: Any, amount: Any) -> np.ndarray:
        """Return whether orders, put on the grid, reach the least notional."""
        ticks, lots = self.price_ticks(price), np.abs(self.amount_lots(amount))
        needed = np.array([-(-self.least // int(t)) if t else LARGEST * 2 for t in ticks.flat]).reshape(ticks.shape)
        return (lots >= needed) & (lots > 0)


def _steps(name: str, values: np.ndarray, step: Fraction, direction: int) -> np.ndarray:
    if values.size and values.max() / float(step) >= LARGEST:
        raise ValueError(f"{name} is {values.max()}, expected less than {LARGEST:g} steps of {float(step):g}")
    out = np.empty(values.size)
    _costs.steps(values.ravel(), float(step.numerator), float(step.denominator), direction, out)
    return out.astype(np.int64).reshape(values.shape)
