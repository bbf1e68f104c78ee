"""Slippage (EXE-2): max(spread/2, min_half_spread) + k x volatility x sqrt(size/liquidity). To: basis points.

The square root is the impact law found on every market looked at: Toth et al., "Anomalous price impact and the
critical nature of liquidity in financial markets", Physical Review X 1, 021006 (2011).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from . import _costs
from .decimals import as_number, as_numbers, together


@dataclass(frozen=True)
class Slippage:
    """How far from the mid a market order fills.

    Parameters
    ----------
    k : float
        Impact of an order as large as the liquidity, in volatilities; `calibrate_slippage` fits it.
    spread_bps : float
        Between the best quotes where the market data has none.
    min_half_spread_bps : float
        The least half spread that is believed.
    """

    k: float = 0.8
    spread_bps: float = 2.0
    min_half_spread_bps: float = 0.5

    def __post_init__(self) -> None:
        for name in ("k", "spread_bps", "min_half_spread_bps"):
            as_number(name, getattr(self, name), 0.0)

    def half_spread_bps(self, spread_bps: Any = None) -> np.ndarray:
        """Return max(spread/2, min_half_spread)."""
        spread = as_numbers("spread_bps", self.spread_bps if spread_bps is None else spread_bps, 0.0)
        return np.maximum(spread / 2, self.min_half_spread_bps)

    def bps(self, size: Any, liquidity: Any, volatility_bps: Any, spread_bps: Any = None) -> np.ndarray:
        """Return the slippage of orders.

        Parameters
        ----------
        size, liquidity : array_like
            In one unit, base or quote; liquidity is what trades in the time that `volatility_bps` spans. Where it is
            0, the order counts as all of it.
        volatility_bps : array_like
            Standard deviation of returns over that time.
        spread_bps : array_like, optional
            Between the best quotes at that moment.

        Returns
        -------
        ndarray of float64
            Basis points of the mid, against the trader.
        """
        size, liquidity, volatility, half_spread = together(
            size=as_numbers("size", size, 0.0),
            liquidity=as_numbers("liquidity", liquidity, 0.0),
            volatility_bps=as_numbers("volatility_bps", volatility_bps, 0.0),
            spread_bps=self.half_spread_bps(spread_bps),
        )
        out = np.empty(size.size)
        _costs.slippage(half_spread.ravel(), self.k, volatility.ravel(), size.ravel(), liquidity.ravel(), out)
        return out.reshape(size.shape)
