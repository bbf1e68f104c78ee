"""What every source of market data can do, and the three ways in which it fails.

From: `data_directory`, `bot`, `exchange`. To: `hub`, which asks them in order.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import pandas as pd

from nn.data.candles import BadCandles, check_candles
from nn.data.quality import OHLCV
from nn.data.timeframe import timeframe_ms

COLUMNS = ("date", *OHLCV)


class SourceDown(Exception):
    """It did not answer, or answered that it cannot: 503."""


class BadAnswer(Exception):
    """It answered with something that no market says: 502."""


class NoSuchPair(Exception):
    """It knows no such series: 404 unless another source does."""


@dataclass(frozen=True)
class Price:
    """Last price of a pair, quote currency, and when the source says it was made (ms since 1970, UTC)."""

    value: float
    time_ms: int


class Source(Protocol):
    """Reasons in its exceptions go to callers: they name the source and what is wrong, no address and no path."""

    name: str

    async def candles(self, pair: str, timeframe: str, limit: int) -> pd.DataFrame:
        """Return up to `limit` newest rows of COLUMNS, oldest first; the last may still be open."""

    async def price(self, pair: str) -> Price: ...

    async def close(self) -> None: ...


def frame_of(rows: Sequence[Sequence[Any]]) -> pd.DataFrame:
    """Return rows of (open time in ms, open, high, low, close, volume) as a frame, or refuse what is not numbers."""
    try:
        frame = pd.DataFrame(rows, columns=list(COLUMNS))
        return frame.astype({"date": "int64", **dict.fromkeys(OHLCV, "float64")})
    except (ValueError, TypeError, OverflowError) as fault:
        raise BadAnswer("candles are not rows of six numbers") from fault


def closed_candles(frame: pd.DataFrame, pair: str, timeframe: str, now_s: float) -> pd.DataFrame:
    """Return the candles that have closed, after the rules of nn.data (DQ-1): on the grid, in order, sound prices."""
    frame = frame[frame["date"] + timeframe_ms(timeframe) <= now_s * 1000].reset_index(drop=True)
    try:
        check_candles(frame, pair, timeframe)
    except BadCandles as fault:
        raise BadAnswer(str(fault)) from fault
    return frame
