"""What a feed says about candles. From: feeds. To: the optional columns of `tradekernels.features`."""

from __future__ import annotations

import numpy as np

from .book import depth, flows
from .feed import Feed

_LEVELS = 5
_MS = 1_000_000  # ns


def candle_columns(feed: Feed, timeframe: str, *, stream: str = "trader") -> dict[str, np.ndarray]:
    """Return the book and trade columns of every candle that a feed covers.

    Parameters
    ----------
    feed : Feed
    timeframe : str
        Length of a candle: a number and s, m, h or d, such as "1m". Candles start at multiples of it since 1970, UTC.
    stream : {"trader", "venue"}
        Whose book and clock. The trader's holds nothing that was not known at the close.

    Returns
    -------
    dict of ndarray, shape (n_candles,)
        `date` (open time, int64 ms) and float64 columns with the names of `tradekernels.features.OPTIONAL`:
        best_bid, best_ask (quote currency), best_bid_size, best_ask_size, bid_size_5, ask_size_5 (base currency; the
        last two of five levels; the book just before the close), and in base currency over the candle:
        order_flow_imbalance (sum), mean_top_depth (mean over time of the half-sum of both best sizes),
        taker_buy_volume (sum). NaN where the feed does not say: a candle that it covers only in part has no sums, one
        without quotes no book.

    Raises
    ------
    ValueError
        If the timeframe or the stream is none, or the feed has no event.
    """
    bar = bar_ns(timeframe)
    times = feed.stream_times(stream)
    if not len(times):
        raise ValueError("the feed has no event, expected at least one")
    first, last = int(times[0]) // bar, int(times[-1]) // bar
    edges = np.arange(first, last + 2) * bar
    sums = flows(feed, edges, stream=stream)
    sums[(edges[:-1] < times[0]) | (edges[1:] > times[-1] + 1)] = np.nan
    levels = depth(feed, edges[1:] - 1, levels=_LEVELS, stream=stream)
    ticks, lots = levels[..., 0], levels[..., 1]
    tick, lot = float(feed.instrument.tick), float(feed.instrument.lot)
    known = (edges[1:] <= times[-1] + 1)[:, None] & (ticks[:, :, 0] > 0)
    best, best_size = np.where(known, ticks[:, :, 0] * tick, np.nan), np.where(known, lots[:, :, 0] * lot, np.nan)
    size = np.where(known, lots.sum(axis=2) * lot, np.nan)
    return {
        "date": edges[:-1] // _MS, "best_bid": best[:, 0], "best_ask": best[:, 1], "best_bid_size": best_size[:, 0],
        "best_ask_size": best_size[:, 1], "bid_size_5": size[:, 0], "ask_size_5": size[:, 1],
        "order_flow_imbalance": sums[:, 0] * lot, "mean_top_depth": sums[:, 1] * lot,
        "taker_buy_volume": sums[:, 2] * lot,
    }  # fmt: skip


def bar_ns(timeframe: str) -> int:
    """Return the length of a timeframe in ns; raises ValueError if it is none."""
    units = {"s": 1, "m": 60, "h": 3600, "d": 86400}
    number, unit = timeframe[:-1], timeframe[-1:]
    if unit not in units or not number.isascii() or not number.isdigit() or not 0 < int(number) <= 1000:
        raise ValueError(f"timeframe is {timeframe!r}, expected a number and s, m, h or d")
    return int(number) * units[unit] * 10**9
