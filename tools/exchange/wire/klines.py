"""Pages of candles in Binance's twelve columns.

From: a `History`. To: `/klines` and `/markPriceKlines` of every venue.

A Freqtrade store has no quote volume, trade count or taker side. They are estimates here: the volume at the bar's mean
price, a trade for every 1,000 of it, half of it bought by takers.
"""

from __future__ import annotations

import numpy as np

from ..candles import Values, rows_between
from ..history import History, TooFine
from ..intervals import next_opens
from . import errors
from .numbers import decimal
from .parameters import Parameters

TRADE_SIZE = 1_000.0  # quote currency
DEFAULT_LIMIT = 500


def klines(
    history: History, query: Parameters, intervals: tuple[str, ...], max_limit: int, *, strict: bool
) -> list[list]:
    """Return the candles that a request asks for."""
    interval = query.text("interval")
    if interval not in intervals:
        raise errors.bad_interval()
    limit = query.limit(DEFAULT_LIMIT, max_limit, strict=strict)
    start, end = query.span(strict=strict)
    if not history.stored:
        return []
    try:
        candles = history.candles(interval)
    except TooFine as error:
        raise errors.bad_interval(f"{str(error).capitalize()}.") from error
    page = candles[rows_between(candles.open_time, start, end, limit)]
    close_time = next_opens(interval, page.open_time) - 1
    quote_volume = page.volume * (page.open + page.high + page.low + page.close) / 4
    trades = np.where(page.volume > 0, np.maximum(1, quote_volume // TRADE_SIZE), 0).astype(np.int64)
    columns = [
        page.open_time.tolist(),
        *(texts(column) for column in page.columns()[1:]),
        close_time.tolist(),
        texts(np.round(quote_volume, 8)),
        trades.tolist(),
        texts(np.round(page.volume / 2, 8)),
        texts(np.round(quote_volume / 2, 8)),
    ]
    return [[*row, "0"] for row in zip(*columns, strict=True)]


def texts(column: Values) -> list[str]:
    return [decimal(value) for value in column.tolist()]
