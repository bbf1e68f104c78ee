"""The flow of a small order book inside each candle (LOB-41). From: shares and quantiles. To: one record for the loop.

All sizes are in minutes of the traded volume, so that one table serves every pair: the loop multiplies them by what the
market of a row trades a minute. The flow of `tradekernels.orderbook.flow` fits one market's ticks and lots and lives on
for hours, with parent orders and excitement to remember; this one is begun anew for each order, on any market, and is
over in a few hundred nanoseconds. Both run on the same matching engine.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from ..execution.decimals import as_number, as_numbers

MAX_LEVELS, MAX_EVENTS = 16, 1000
MAX_DISTANCE, MAX_DEVIATION = 1000, 10  # levels; of a logarithm
FLOW = np.dtype(
    [("events", np.int64), ("n_levels", np.int64), ("limit_orders", np.int64)]
    + [("market", np.float64), ("add", np.float64), ("sign_memory", np.float64)]
    + [("depth", np.float64, (MAX_LEVELS,))]
    + [(name, np.float64, (256,)) for name in ("depth_factor", "limit_factor", "market_factor")]
    + [("market_size", np.float64), ("limit_size", np.float64), ("distance", np.int64, (256,))]
)
MIDDLES = (np.arange(256) + 0.5) / 256


@dataclass(frozen=True)
class BookFlow:
    """What happens in the book of a candle, and how own orders are sent to it.

    The defaults are what `tradekernels.environment.calibration.calibrate_flow` found on six minutes of BTCUSDT
    perpetuals (Binance, 8 August 2024), in levels of 2 bps. The events are a sample of those of a candle: what they
    leave of a limit order is filled, up to what bars of late have traded, if the candle itself trades beyond its price
    and beyond its open, which comes before the order. It ends with the candle.

    Parameters
    ----------
    orders : {"market", "limit"}
        Own orders take what the book shows, or join the queue of the best price on their side until the candle ends.
    events : int
        Of the flow, in each candle in which there is an own order.
    market, add : float
        Shares of the events that are market and limit orders; the others cancel a resting order.
    sign_memory : float
        How often a market order has the side of the last one for certain; else the side is drawn.
    depth : tuple of float
        Resting at each level of a side, one tick apart and from the best on, in minutes of the traded volume.
    market_size : float
        Mean market order, in minutes of the traded volume.
    depth_deviation, limit_deviation, market_deviation : float
        Of the logarithm of sizes: levels, limit orders (over the mean of their level), market orders; at most 10.
    limit_size : float
        Mean limit order, as a share of what rests at its level.
    distance : float
        Mean levels behind the touch of a new limit order, geometrically distributed; at most 1000.
    """

    orders: Literal["market", "limit"] = "market"
    events: int = 10
    market: float = 0.02
    add: float = 0.50
    sign_memory: float = 0.20
    depth: tuple[float, ...] = (0.049, 0.099, 0.173, 0.085, 0.117)
    market_size: float = 0.0011
    limit_size: float = 0.015
    depth_deviation: float = 0.67
    limit_deviation: float = 2.1
    market_deviation: float = 2.1
    distance: float = 1.6

    def __post_init__(self) -> None:
        if self.orders not in ("market", "limit"):
            raise ValueError(f"orders is {self.orders!r}, expected 'market' or 'limit'")
        if not isinstance(self.events, int) or isinstance(self.events, bool) or not 0 <= self.events <= MAX_EVENTS:
            raise ValueError(f"events is {self.events!r}, expected a whole number from 0 to {MAX_EVENTS}")
        depth = as_numbers("depth", self.depth, 0.0)
        if depth.ndim != 1 or not 1 <= len(depth) <= MAX_LEVELS:
            raise ValueError(f"depth has shape {depth.shape}, expected 1 to {MAX_LEVELS} levels")
        limits = dict.fromkeys(("depth_deviation", "limit_deviation", "market_deviation"), MAX_DEVIATION)
        limits["distance"] = MAX_DISTANCE
        for name in ("market", "add", "sign_memory", "market_size", "limit_size", *limits):
            value = as_number(name, getattr(self, name), 0.0)
            if value > limits.get(name, np.inf):
                raise ValueError(f"{name} is {value}, expected at most {limits[name]}")
        if self.market + self.add > 1 or self.sign_memory > 1:
            raise ValueError(f"shares are {self.market}, {self.add} and {self.sign_memory}, expected at most 1")

    def record(self) -> np.ndarray:
        """Return the table as the loop reads it."""
        out = np.zeros(1, dtype=FLOW)
        out["events"], out["n_levels"], out["limit_orders"] = self.events, len(self.depth), self.orders == "limit"
        for name in ("market", "add", "sign_memory", "market_size", "limit_size"):
            out[name] = getattr(self, name)
        out["depth"][0, : len(self.depth)] = self.depth
        for name in ("depth", "limit", "market"):
            out[f"{name}_factor"] = lognormal_quantiles(getattr(self, f"{name}_deviation"))
        stay = self.distance / (1 + self.distance)  # P(one level further)
        out["distance"] = np.floor(np.log1p(-MIDDLES) / np.log(stay)) if stay > 0 else 0
        return out


def lognormal_quantiles(deviation: float) -> np.ndarray:
    """Return 256 equally likely sizes with mean 1 whose logarithms have about this standard deviation."""
    # Logistic quantiles, which need no inverse error function; their tails are heavier, as those of sizes are.
    sizes = np.exp(deviation * np.sqrt(3) / np.pi * np.log(MIDDLES / (1 - MIDDLES)))
    return sizes / sizes.mean()
