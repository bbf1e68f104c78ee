"""COIN-M futures: the venue is open and lists nothing, which is what ccxt wants to hear when it loads all markets.

To: `app.py`, under `/dapi/v1`.
"""

from __future__ import annotations

from fastapi import APIRouter, Response

from .errors import reply
from .rules import exchange_info
from .venue import common_routes, server_time


def coin_futures_routes() -> APIRouter:
    """Return the routes of `/dapi/v1`."""
    routes = common_routes()

    @routes.get("/exchangeInfo")
    async def info() -> Response:
        return reply(exchange_info("futures", [], server_time()))

    return routes
