"""Binance's errors: an HTTP status with `{"code", "msg"}`.

From: the checks of every route. To: ccxt, which turns codes into exceptions.
"""

from __future__ import annotations

import orjson
from fastapi import Request, Response
from starlette.exceptions import HTTPException


class BinanceError(Exception):
    """A refusal in Binance's words."""

    def __init__(self, code: int, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.code, self.message, self.status = code, message, status


def bad_symbol() -> BinanceError:
    return BinanceError(-1121, "Invalid symbol.")


def bad_interval(reason: str = "") -> BinanceError:
    return BinanceError(-1120, f"Invalid interval. {reason}".strip())


def missing(name: str) -> BinanceError:
    return BinanceError(-1102, f"Mandatory parameter '{name}' was not sent, was empty/null, or malformed.")


def illegal(name: str, pattern: str) -> BinanceError:
    return BinanceError(-1100, f"Illegal characters found in parameter '{name}'; legal range is '{pattern}'.")


def not_valid(name: str) -> BinanceError:
    return BinanceError(-1130, f"Data sent for parameter '{name}' is not valid.")


def reply(content: object, status: int = 200) -> Response:
    """Return JSON, as fast as it gets: a page of candles is thousands of short strings."""
    return Response(orjson.dumps(content), status_code=status, media_type="application/json")


async def on_binance_error(_request: Request, error: Exception) -> Response:
    assert isinstance(error, BinanceError)
    return reply({"code": error.code, "msg": error.message}, error.status)


async def on_http_error(request: Request, error: Exception) -> Response:
    """Answer what no route wants (wrong path or method) as Binance's futures servers do."""
    assert isinstance(error, HTTPException)
    message = f"Path {request.url.path}, Method {request.method} is invalid"
    return reply({"code": -5000, "msg": message}, 404 if error.status_code == 405 else error.status_code)
