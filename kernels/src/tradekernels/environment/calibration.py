"""Measures the flow of a book inside a candle on a recorded feed. From: `tradekernels.orderbook.Feed`. To: BookFlow."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..orderbook import Feed, Kind, depth, quotes
from .flow import MAX_LEVELS, BookFlow

N_SAMPLES = 200  # of the book, at equal times
MIN_ORDERS = 100
DEEP = 2000  # ticks from the best that are looked at


def calibrate_flow(feed: Feed, spread_bps: float = 2.0, levels: int = 5, **others: Any) -> BookFlow:
    """Return the flow of a feed, its levels as wide as the spread that the environment assumes.

    Parameters
    ----------
    feed : Feed
        Of any instrument: what is measured is relative to its price and volume.
    spread_bps : float
        Width of a level: the `spread_bps` of the environment's `Slippage`.
    levels : int
        On each side.
    **others
        orders, events: as `BookFlow` takes them.

    Raises
    ------
    ValueError
        If the feed has fewer than 100 market orders, limit orders or cancels near the touch, or a level is always
        empty.
    """
    if not isinstance(levels, int) or not 1 <= levels <= MAX_LEVELS:
        raise ValueError(f"levels is {levels!r}, expected 1 to {MAX_LEVELS}")
    times = feed.stream_times("trader")
    minutes = (times[-1] - times[0]) / 60e9
    at = np.linspace(times[0], times[-1], N_SAMPLES + 2)[1:-1].astype(np.int64)
    mid_ticks = float(np.median(quotes(feed, at)["bid_tick"]))
    width = max(1.0, spread_bps * 1e-4 * mid_ticks)
    resting = _resting(feed, at, width, levels)
    if not (resting.mean(axis=0) > 0).all():
        raise ValueError(f"levels of {width:g} ticks hold {resting.mean(axis=0).tolist()} lots, expected some in each")
    market, signs = _market_orders(feed)
    rises, levels_of_rises, n_falls = _changes(feed, width, levels)
    if min(len(market), len(rises), n_falls) < MIN_ORDERS:
        counts = f"{len(market)} market orders, {len(rises)} limit orders and {n_falls} falls"
        raise ValueError(f"feed has {counts}, expected at least {MIN_ORDERS} of each")
    volume = market.sum() / minutes
    n_cancels = max(n_falls - len(market), 0)
    n_events = len(market) + len(rises) + n_cancels
    mean_depth = resting.mean(axis=0)
    return BookFlow(
        market=len(market) / n_events,
        add=len(rises) / n_events,
        sign_memory=float(np.clip(np.mean(signs[1:] * signs[:-1]), 0, 1)),
        depth=tuple((mean_depth / volume).tolist()),
        market_size=float(market.mean() / volume),
        limit_size=float(np.mean(rises / mean_depth[levels_of_rises])),
        depth_deviation=float(np.log(np.maximum(resting, 1)).std(axis=0).mean()),
        limit_deviation=float(np.log(rises).std()),
        market_deviation=float(np.log(market).std()),
        distance=float(levels_of_rises.mean()),
        **others,
    )


def _resting(feed: Feed, at: np.ndarray, width: float, levels: int) -> np.ndarray:
    """Return the lots of each level at the times, both sides below one another: (2 n_times, levels)."""
    book = depth(feed, at, levels=DEEP)  # (n_times, side, level, (tick, lots))
    ticks, lots = book[..., 0], book[..., 1]
    level = np.abs(ticks - ticks[:, :, :1]) // width
    return np.concatenate([(lots * (level == k)).sum(axis=2) for k in range(levels)]).reshape(levels, -1).T


def _market_orders(feed: Feed) -> tuple[np.ndarray, np.ndarray]:
    """Return lots and sides of market orders: trades of one side at one exchange time are one."""
    kinds = feed.rows["kind"]
    rows = np.flatnonzero((kinds == Kind.BUY_TRADE) | (kinds == Kind.SELL_TRADE))
    time = feed.messages["exchange_time_ns"][np.searchsorted(feed.messages["first_row"], rows, side="right") - 1]
    side = np.where(kinds[rows] == Kind.BUY_TRADE, 1, -1)
    new = np.flatnonzero(np.concatenate([[True], (np.diff(time) != 0) | (np.diff(side) != 0)])) if len(rows) else rows
    return (np.add.reduceat(feed.rows["lots"][rows], new), side[new]) if len(rows) else (rows, rows)


def _changes(feed: Feed, width: float, levels: int) -> tuple[np.ndarray, np.ndarray, int]:
    """Return lots and levels of what was added near the touch, and how often something was taken away there."""
    kinds, ticks = feed.rows["kind"], feed.rows["tick"]
    rows = np.flatnonzero(kinds <= Kind.SET_ASK)
    order = np.lexsort((rows, ticks[rows], kinds[rows]))
    rows = rows[order]
    change = np.diff(feed.rows["lots"][rows], prepend=0)
    first = np.concatenate([[True], (np.diff(ticks[rows]) != 0) | (np.diff(kinds[rows]) != 0)])
    message = np.searchsorted(feed.messages["first_row"], rows, side="right") - 1
    stands = quotes(feed, np.sort(feed.messages["local_time_ns"]))  # a quote a message, by time of receipt
    quote = stands[np.argsort(np.argsort(feed.messages["local_time_ns"], kind="stable"), kind="stable")[message]]
    buys = kinds[rows] == Kind.SET_BID
    level = np.where(buys, quote["bid_tick"] - ticks[rows], ticks[rows] - quote["ask_tick"]) // width
    near = ~first & (level >= 0) & (level < levels)  # the first row of a tick says nothing about what it held before
    added = near & (change > 0)
    return change[added].astype(float), level[added].astype(int), int((near & (change < 0)).sum())
