"""USDT-M futures: what spot has, and mark price, funding and leverage. Served under `/fapi`.

From: a `Market`. To: `app.py`. Orders and positions will be routers beside these.
"""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from ..candles import rows_between
from ..intervals import FUTURES_INTERVALS
from ..market import Listing, Market
from .errors import reply
from .klines import klines
from .numbers import decimal
from .parameters import Parameters
from .rules import leverage_brackets
from .tickers import premium_index, price_ticker
from .venue import MAX_KLINES, Desk, market_routes

DEFAULT_FUNDING, MAX_FUNDING = 100, 1000


def funding_rates(listing: Listing, query: Parameters) -> list[dict]:
    """Return the funding rates that a request asks for, oldest first."""
    limit = query.limit(DEFAULT_FUNDING, MAX_FUNDING, strict=True)
    funding = listing.funding
    rows = rows_between(funding.time, *query.span(strict=True), limit)
    symbol = listing.instrument.symbol
    return [
        {"symbol": symbol, "fundingTime": time, "fundingRate": decimal(rate)}
        for time, rate in zip(funding.time[rows].tolist(), funding.rate[rows].tolist(), strict=True)
    ]


def futures_routes(market: Market) -> APIRouter:
    """Return the routes of `/fapi/v1`."""
    desk = Desk(market, "futures")
    routes = market_routes(desk)

    @routes.get("/markPriceKlines")
    async def mark_candles(request: Request) -> Response:
        query = Parameters(request.query_params)
        return reply(klines(desk.one(query).mark, query, FUTURES_INTERVALS, MAX_KLINES["futures"], strict=True))

    @routes.get("/fundingRate")
    async def funding(request: Request) -> Response:
        query = Parameters(request.query_params)
        return reply([row for listing in desk.some(query) for row in funding_rates(listing, query)])

    @routes.get("/premiumIndex")
    async def premium(request: Request) -> Response:
        query = Parameters(request.query_params)
        answers = [premium_index(listing) for listing in desk.some(query)]
        return reply(answers[0] if "symbol" in query.query else answers)

    @routes.get("/leverageBracket")
    async def brackets(request: Request) -> Response:
        return reply([leverage_brackets(listing) for listing in desk.some(Parameters(request.query_params))])

    return routes


def futures_routes_v2(market: Market) -> APIRouter:
    """Return the routes of `/fapi/v2`."""
    desk = Desk(market, "futures")
    routes = APIRouter()

    @routes.get("/ticker/price")
    async def prices(request: Request) -> Response:
        query = Parameters(request.query_params)
        answers = [price_ticker(listing) for listing in desk.some(query)]
        return reply(answers[0] if "symbol" in query.query else answers)

    return routes
