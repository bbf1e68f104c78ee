"""Tickers: what the last 24 hours of a series looked like, and its newest prices.

From: a `Listing`. To: `/ticker/*`, `/premiumIndex`.
"""

from __future__ import annotations

import numpy as np

from ..candles import rows_between
from ..intervals import DAY, HOUR
from ..market import Listing
from .book import order_book
from .klines import TRADE_SIZE
from .numbers import decimal

FUNDING_INTERVAL = 8 * HOUR
INTEREST_RATE = 1e-4


def price_ticker(listing: Listing) -> dict:
    answer = {"symbol": listing.instrument.symbol, "price": decimal(listing.last_price)}
    return answer if listing.instrument.venue == "spot" else {**answer, "time": listing.end_time}


def book_ticker(listing: Listing) -> dict:
    (bid, bid_size), (ask, ask_size) = (side[0] for side in order_book(listing, 1))
    answer = {
        "symbol": listing.instrument.symbol,
        "bidPrice": decimal(bid),
        "bidQty": decimal(bid_size),
        "askPrice": decimal(ask),
        "askQty": decimal(ask_size),
    }
    return answer if listing.instrument.venue == "spot" else {**answer, "time": listing.end_time}


def day_ticker(listing: Listing) -> dict:
    """Return the statistics of the 24 hours before the series' end."""
    end = listing.end_time
    trades = listing.trades.load(listing.trades.finest)
    day = trades[rows_between(trades.open_time, end - DAY, end, len(trades))]
    mean_price = (day.open + day.high + day.low + day.close) / 4
    volume, quote_volume = float(day.volume.sum()), float((day.volume * mean_price).sum())
    change = float(day.close[-1] - day.open[0])
    places = listing.instrument.price_decimals
    answer = {
        "symbol": listing.instrument.symbol,
        "priceChange": decimal(round(change, places)),
        "priceChangePercent": decimal(round(100 * change / float(day.open[0]), 3)),
        "weightedAvgPrice": decimal(round(quote_volume / volume, 8) if volume > 0 else float(day.close[-1])),
        "lastPrice": decimal(float(day.close[-1])),
        "openPrice": decimal(float(day.open[0])),
        "highPrice": decimal(float(day.high.max())),
        "lowPrice": decimal(float(day.low.min())),
        "volume": decimal(round(volume, 8)),
        "quoteVolume": decimal(round(quote_volume, 8)),
        "openTime": end - DAY,
        "closeTime": end,
        "count": int(quote_volume // TRADE_SIZE),
    }
    if listing.instrument.venue == "futures":
        return answer
    touch = book_ticker(listing)
    return {**answer, **{name: touch[name] for name in ("bidPrice", "bidQty", "askPrice", "askQty")}}


def premium_index(listing: Listing) -> dict:
    """Return mark price and funding as they stand; no store has the index, so the mark stands in for it."""
    mark = listing.last_price
    if listing.mark.stored:
        mark = float(listing.mark.load(listing.mark.finest).close[-1])
    rates, end = listing.funding.rate, listing.end_time
    return {
        "symbol": listing.instrument.symbol,
        "markPrice": decimal(mark),
        "indexPrice": decimal(mark),
        "estimatedSettlePrice": decimal(mark),
        "lastFundingRate": decimal(np.round(rates[-1], 8)) if len(rates) else "0.0",
        "interestRate": decimal(INTEREST_RATE),
        "nextFundingTime": end // FUNDING_INTERVAL * FUNDING_INTERVAL + FUNDING_INTERVAL,
        "time": end,
    }
