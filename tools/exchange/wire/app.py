"""The application: which routes live under which of Binance's addresses.

From: a `Market`. To: `server.py`. Everything here is public market data. Accounts and orders (`/sapi/v1`, `/fapi/v3`),
the statistics of `/futures/data` and the streams have no route yet and answer 404.
"""

from __future__ import annotations

from fastapi import FastAPI
from starlette.exceptions import HTTPException

from ..market import Market
from .coin_futures import coin_futures_routes
from .errors import BinanceError, on_binance_error, on_http_error
from .futures import futures_routes, futures_routes_v2
from .venue import Desk, market_routes


def create_app(market: Market) -> FastAPI:
    """Return the exchange over a market."""
    app = FastAPI(title="Candlewright simulated exchange", openapi_url=None, docs_url=None, redoc_url=None)
    app.add_exception_handler(BinanceError, on_binance_error)
    app.add_exception_handler(HTTPException, on_http_error)
    app.include_router(market_routes(Desk(market, "spot")), prefix="/api/v3")
    app.include_router(futures_routes(market), prefix="/fapi/v1")
    app.include_router(futures_routes_v2(market), prefix="/fapi/v2")
    app.include_router(coin_futures_routes(), prefix="/dapi/v1")
    return app
