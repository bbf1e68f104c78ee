"""What a caller may name: a pair and a timeframe, and nothing that could be anything else (LIM-5, HUB-6).

From: the path and the query of a request. To: every source, and the names of cache files, which are made of what
passed here and so hold capital letters, digits and underscores alone.
"""

from __future__ import annotations

import re
from enum import StrEnum

from nn.data.timeframe import timeframe_ms
from nn.service.errors import bad_request

PATTERN = "^[A-Z0-9]{1,20}[/_][A-Z0-9]{1,10}([:_][A-Z0-9]{1,10})?$"  # both forms; what the OpenAPI page tells
_PAIR = re.compile(r"([A-Z0-9]{1,20})/([A-Z0-9]{1,10})(?::([A-Z0-9]{1,10}))?")
_FLAT = re.compile(r"([A-Z0-9]{1,20})_([A-Z0-9]{1,10})(?:_([A-Z0-9]{1,10}))?")


class Timeframe(StrEnum):
    """Those whose grid starts at 1970; not every exchange has all of them."""

    M1 = "1m"
    M3 = "3m"
    M5 = "5m"
    M15 = "15m"
    M30 = "30m"
    H1 = "1h"
    H2 = "2h"
    H4 = "4h"
    H6 = "6h"
    H8 = "8h"
    H12 = "12h"
    D1 = "1d"


def parse_pair(text: str) -> str:
    """Return Freqtrade's name of a pair; BTC_USDT_USDT is BTC/USDT:USDT, as in its file names.

    Raises
    ------
    Refused
        400, if it is neither form; the reason does not repeat what was sent.
    """
    match = _PAIR.fullmatch(text) or _FLAT.fullmatch(text)
    if match is None:
        raise bad_request("the symbol is no pair, expected one such as BTC/USDT, BTC/USDT:USDT or BTC_USDT_USDT")
    base, quote, settle = match.groups()
    return f"{base}/{quote}" + (f":{settle}" if settle else "")


def file_stem(pair: str, timeframe: str) -> str:
    """Return the name under which a series lies in the cache, such as BTC_USDT_USDT-15m."""
    return f"{pair.replace('/', '_').replace(':', '_')}-{timeframe}"


def seconds(timeframe: str) -> int:
    """Return the length of a candle."""
    return timeframe_ms(timeframe) // 1000
