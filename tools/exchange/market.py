"""What is listed where: instruments with their trading rules, and their histories. Every source ends in a `Market`.

From: `synthetic/` or `datadir.py`. To: `wire/`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal

import numpy as np

from .candles import Times, Values
from .history import History

Venue = Literal["spot", "futures"]


@dataclass(frozen=True)
class Instrument:
    """A coin against its quote currency on one venue, and the grid on which it trades."""

    base: str
    quote: str
    venue: Venue
    price_decimals: int  # tick size is 10 ** -price_decimals
    lot_decimals: int  # step size is 10 ** -lot_decimals

    @property
    def symbol(self) -> str:
        """Binance's name."""
        return self.base + self.quote

    @property
    def pair(self) -> str:
        """Freqtrade's name."""
        return f"{self.base}/{self.quote}" + (f":{self.quote}" if self.venue == "futures" else "")


@dataclass(frozen=True, eq=False)
class Funding:
    """Funding rates of a perpetual, oldest first."""

    time: Times  # ms since 1970, UTC
    rate: Values  # share of the position's value that longs pay to shorts

    @staticmethod
    def none() -> Funding:
        return Funding(np.empty(0, np.int64), np.empty(0))


@dataclass(frozen=True, eq=False)
class Listing:
    """An instrument and everything known about it; `mark` and `load_funding` belong to perpetuals only."""

    instrument: Instrument
    trades: History
    mark: History = field(default_factory=lambda: History({}))
    load_funding: Callable[[], Funding] = Funding.none

    @cached_property
    def funding(self) -> Funding:
        return self.load_funding()

    @property
    def last_price(self) -> float:
        return float(self.trades.load(self.trades.finest).close[-1])

    @property
    def first_time(self) -> int:
        """Open time of the oldest candle in ms: the listing date."""
        return min(int(self.trades.load(interval).open_time[0]) for interval in self.trades.stored)

    @property
    def end_time(self) -> int:
        """Time at which the finest series stands still, ms."""
        return int(self.trades.candles(self.trades.finest).open_time[-1])


class Market:
    """All listings of a source, found by venue and Binance's symbol."""

    def __init__(self, description: str, listings: list[Listing]) -> None:
        self.description = description
        self.venues: dict[Venue, dict[str, Listing]] = {"spot": {}, "futures": {}}
        for listing in sorted(listings, key=lambda listing: listing.instrument.symbol):
            self.venues[listing.instrument.venue][listing.instrument.symbol] = listing
