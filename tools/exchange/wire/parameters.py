"""Query parameters, checked with Binance's words.

From: a request's query string. To: the routes.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import orjson

from . import errors

NUMBER = r"^[0-9]{1,20}$"
SYMBOL = r"^[A-Z0-9-_.]{1,20}$"
MAX_TIME = 2**62


class Parameters:
    """The parameters of one request."""

    def __init__(self, query: Mapping[str, str]) -> None:
        self.query = query

    def text(self, name: str) -> str:
        value = self.query.get(name)
        if not value:
            raise errors.missing(name)
        return value

    def symbol(self) -> str:
        value = self.text("symbol")
        if not re.match(SYMBOL, value):
            raise errors.illegal("symbol", SYMBOL)
        return value

    def symbols(self) -> list[str] | None:
        """Return what `symbol` or `symbols` (a JSON list) asks for; None asks for all."""
        if "symbols" not in self.query:
            return [self.symbol()] if "symbol" in self.query else None
        try:
            wanted = orjson.loads(self.query["symbols"])
        except orjson.JSONDecodeError:
            wanted = None
        if not isinstance(wanted, list) or not wanted or not all(isinstance(symbol, str) for symbol in wanted):
            raise errors.illegal("symbols", r'^\["[A-Z0-9-_.]{1,20}"(,"[A-Z0-9-_.]{1,20}"){0,}\]$')
        return wanted

    def integer(self, name: str) -> int | None:
        value = self.query.get(name)
        if value is None:
            return None
        if not re.match(NUMBER, value):
            raise errors.illegal(name, NUMBER)
        return min(int(value), MAX_TIME)

    def limit(self, default: int, maximum: int, *, strict: bool) -> int:
        """Return how many rows to send; above the maximum spot sends the maximum and futures refuse."""
        value = self.integer("limit")
        if value is None:
            return default
        if value == 0 or (strict and value > maximum):
            raise errors.not_valid("limit")
        return min(value, maximum)

    def span(self, *, strict: bool) -> tuple[int | None, int | None]:
        """Return startTime and endTime in ms; futures refuse a start after the end."""
        start, end = self.integer("startTime"), self.integer("endTime")
        if strict and start is not None and end is not None and start > end:
            raise errors.BinanceError(-1023, "Start time is greater than end time.")
        return start, end
