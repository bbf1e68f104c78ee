"""Fees (EXE-1). From: notionals. To: quote currency, rounded up to the quote step.

>>> float(Fees(taker_bps=10).fee(100.0)), float(Fees(taker_bps=10, pay_in_bnb=True).fee(100.0))
(0.1, 0.075)
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np

from . import _costs
from .decimals import Number, as_numbers, at_least_0, exact_step

BNB_DISCOUNT = Fraction(1, 4)  # Binance spot: https://www.binance.com/en/fee/schedule


@dataclass(frozen=True)
class Fees:
    """Maker and taker fees.

    Parameters
    ----------
    maker_bps, taker_bps : str, int, float or Decimal
        Share of the notional, in 1/10,000.
    pay_in_bnb : bool
        Pay a quarter less, as one does who holds BNB.
    quote_step : str, int, float or Decimal
        Quote currency; an amount charged is a whole number of these.
    """

    maker_bps: Number = 10
    taker_bps: Number = 10
    pay_in_bnb: bool = False
    quote_step: Number = "0.00000001"

    def __post_init__(self) -> None:
        for name in ("maker_bps", "taker_bps"):
            bps = at_least_0(name, getattr(self, name))
            if bps >= 10_000 or bps.denominator > 10**6:
                raise ValueError(f"{name} is {getattr(self, name)!r}, expected below 10,000 with at most 6 decimals")
        exact_step("quote_step", self.quote_step)

    def rate(self, maker: bool = False) -> Fraction:
        """Return the share of the notional, exactly."""
        bps = at_least_0("maker_bps", self.maker_bps) if maker else at_least_0("taker_bps", self.taker_bps)
        return bps / 10_000 * (1 - BNB_DISCOUNT if self.pay_in_bnb else 1)

    def fee(self, notional: Any, maker: bool = False) -> np.ndarray:
        """Return what is charged for trades of `notional` (quote currency, any shape).

        Raises
        ------
        ValueError
            If a notional is not finite or below 0.
        """
        notional = as_numbers("notional", notional, 0.0)
        step, rate = exact_step("quote_step", self.quote_step), self.rate(maker)
        if rate == 0:
            return np.zeros_like(notional)
        reach = step / rate  # one more step is charged with every so much notional
        out = np.empty(notional.size)
        _costs.steps(notional.ravel(), float(reach.numerator), float(reach.denominator), 1, out)
        return out.reshape(notional.shape) * float(step.numerator) / step.denominator + 0.0
