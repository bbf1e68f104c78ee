"""Put a synthetic market together: every coin gets a spot listing and a perpetual over one index path.

From: a seed, pairs and a span. To: the exchange. The same arguments give the same market to the byte, and a
coin stays as it is when others join.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

import numpy as np

from ..history import History
from ..market import Instrument, Listing, Market, Venue
from .clock import BASE_INTERVALS, Clock
from .coins import coin_named
from .derivatives import MARK_DECIMALS, funding, hourly_premium, mark, traded
from .prices import COMMON_JUMPS_PER_DAY, MARKET, Factor, factor, path
from .turnover import turnover

PAIR = re.compile(r"^([A-Z0-9]{1,12})/([A-Z0-9]{2,6})(?::([A-Z0-9]{2,6}))?$")
SPOT_SHARE = 0.25  # of the perpetual's turnover


def synthetic_market(
    seed: int, pairs: list[str], days: int, end: datetime, interval: str = "1m", planted_trend: float = 0.0
) -> Market:
    """Return the market of a seed.

    Parameters
    ----------
    seed : int
    pairs : list of str
        Freqtrade's names; `BTC/USDT` and `BTC/USDT:USDT` both list the coin on spot and futures.
    days : int
        Length of the history.
    end : datetime
        Midnight at which it ends, UTC.
    interval : str
        Base interval of which all others are built.
    planted_trend : float
        Strength of a drift common to all coins, in an hour's volatilities; 0 makes prices fair games.

    Raises
    ------
    ValueError
        If an argument is none of these.
    """
    if interval not in BASE_INTERVALS:
        raise ValueError(f"timeframe is {interval}, expected one of {', '.join(BASE_INTERVALS)}")
    if seed < 0:
        raise ValueError(f"seed is {seed}, expected a whole number from 0")
    if not 1 <= days <= 3660:
        raise ValueError(f"days is {days}, expected 1 to 3660")
    if not 0 <= planted_trend <= 1:
        raise ValueError(f"planted_trend is {planted_trend}, expected 0 to 1")
    end = end.replace(tzinfo=UTC)
    clock = Clock(round((end - timedelta(days=days)).timestamp() * 1000), round(end.timestamp() * 1000), interval)
    common = factor(clock, seed, MARKET, COMMON_JUMPS_PER_DAY)
    coins = dict.fromkeys(parse_pair(pair) for pair in pairs)
    listings = [listing for coin in coins for listing in list_coin(clock, seed, coin, common, planted_trend)]
    span = f"{end - timedelta(days=days):%Y-%m-%d} to {end:%Y-%m-%d}"
    planted = f", planted trend {planted_trend}" if planted_trend else ""
    return Market(f"synthetic, seed {seed}, {len(coins)} coins, {interval} candles, {span}{planted}", listings)


def parse_pair(pair: str) -> tuple[str, str]:
    """Return base and quote of a pair's name."""
    match = PAIR.match(pair)
    if not match or match[3] not in (None, match[2]):
        raise ValueError(f"pair is {pair}, expected a name like BTC/USDT or BTC/USDT:USDT")
    return match[1], match[2]


def grid(price: float, venue: Venue) -> tuple[int, int]:
    """Return price and lot decimals near Binance's: five or six digits of price, lots of a few USDT or less."""
    magnitude = int(np.floor(np.log10(price)))
    finer = 1 if venue == "spot" else 0
    return max(0, 5 + finer - magnitude), max(0, magnitude + finer)


def list_coin(clock: Clock, seed: int, names: tuple[str, str], common: Factor, planted_trend: float) -> list[Listing]:
    """Return a coin's spot listing and perpetual."""
    base, quote = names
    coin = coin_named(base, seed)
    index = path(clock, seed, coin, common, planted_trend)
    hourly = hourly_premium(clock, seed, coin)
    premium = clock.from_hourly(hourly)

    spot = Instrument(base, quote, "spot", *grid(coin.price, "spot"))
    spot_size = SPOT_SHARE * turnover(clock, seed, coin, index, "spot")
    spot_candles = traded(clock, index, np.zeros(len(premium)), spot_size, spot)

    perpetual = Instrument(base, quote, "futures", *grid(coin.price, "futures"))
    candles = traded(clock, index, premium, turnover(clock, seed, coin, index, "futures"), perpetual)
    mark_candles = mark(clock, index, premium)
    rates = funding(clock, hourly)
    return [
        Listing(spot, History({clock.interval: lambda: spot_candles}, spot.lot_decimals)),
        Listing(
            perpetual,
            History({clock.interval: lambda: candles}, perpetual.lot_decimals),
            History({clock.interval: lambda: mark_candles}, MARK_DECIMALS),
            lambda: rates,
        ),
    ]
