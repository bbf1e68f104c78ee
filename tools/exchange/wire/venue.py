"""The routes that spot and futures share, built once for each.

From: a `Market`. To: `spot.py`, `futures.py`.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from fastapi import APIRouter, Request, Response

from ..intervals import FUTURES_INTERVALS, SPOT_INTERVALS
from ..market import Listing, Market, Venue
from . import errors
from .book import order_book
from .errors import reply
from .klines import klines
from .numbers import decimal
from .parameters import Parameters
from .rules import exchange_info
from .tickers import book_ticker, day_ticker, price_ticker

MAX_KLINES: dict[Venue, int] = {"spot": 1000, "futures": 1500}
INTERVALS: dict[Venue, tuple[str, ...]] = {"spot": SPOT_INTERVALS, "futures": FUTURES_INTERVALS}
MAX_SPOT_DEPTH = 5000
FUTURES_DEPTHS = (5, 10, 20, 50, 100, 500, 1000)


def server_time() -> int:
    """Return the server's clock in ms. It is the real one: only the market's history ends earlier."""
    return time.time_ns() // 1_000_000


class Desk:
    """Finds a venue's listings for the routes, or refuses in Binance's words."""

    def __init__(self, market: Market, venue: Venue) -> None:
        self.venue = venue
        self.listings = market.venues[venue]

    def one(self, query: Parameters) -> Listing:
        return self.named(query.symbol())

    def named(self, symbol: str) -> Listing:
        if symbol not in self.listings:
            raise errors.bad_symbol()
        return self.listings[symbol]

    def some(self, query: Parameters) -> list[Listing]:
        """Return the listings asked for, all if none is named."""
        wanted = query.symbols()
        return list(self.listings.values()) if wanted is None else [self.named(symbol) for symbol in wanted]


def common_routes() -> APIRouter:
    """Return the routes that every venue has, even one with no listing."""
    routes = APIRouter()

    @routes.get("/ping")
    async def ping() -> Response:
        return reply({})

    @routes.get("/time")
    async def clock() -> Response:
        return reply({"serverTime": server_time()})

    return routes


def market_routes(desk: Desk) -> APIRouter:
    """Return the market data routes of spot or futures."""
    routes = common_routes()
    strict = desk.venue == "futures"

    @routes.get("/exchangeInfo")
    async def info(request: Request) -> Response:
        listings = desk.some(Parameters(request.query_params))
        return reply(exchange_info(desk.venue, listings, server_time()))

    @routes.get("/klines")
    async def candles(request: Request) -> Response:
        query = Parameters(request.query_params)
        history = desk.one(query).trades
        return reply(klines(history, query, INTERVALS[desk.venue], MAX_KLINES[desk.venue], strict=strict))

    @routes.get("/depth")
    async def depth(request: Request) -> Response:
        query = Parameters(request.query_params)
        listing = desk.one(query)
        if strict and (query.integer("limit") or 500) not in FUTURES_DEPTHS:
            raise errors.BinanceError(-4021, f"{query.integer('limit')} is not valid depth limit")
        limit = query.limit(500 if strict else 100, MAX_SPOT_DEPTH, strict=strict)
        bids, asks = ([[decimal(price), decimal(size)] for price, size in side] for side in order_book(listing, limit))
        answer: dict = {"lastUpdateId": listing.end_time, "bids": bids, "asks": asks}
        return reply({**answer, "E": listing.end_time, "T": listing.end_time} if strict else answer)

    def ticker(path: str, shape: Callable[[Listing], dict]) -> None:
        """Add a ticker: an object for one symbol, a list for several or all."""

        @routes.get(f"/ticker/{path}")
        async def tickers(request: Request) -> Response:
            query = Parameters(request.query_params)
            answers = [shape(listing) for listing in desk.some(query)]
            return reply(answers[0] if "symbol" in query.query else answers)

    ticker("24hr", day_ticker)
    ticker("price", price_ticker)
    ticker("bookTicker", book_ticker)
    return routes
