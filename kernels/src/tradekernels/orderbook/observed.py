"""What a depth feed shows (LOB-31). From: a Feed, or FEED rows, real or simulated. To: `Observed`, for facts and fits.

Both sides of a comparison are seen through the same eyes: the rows of a depth feed, one book a message, trades of one
time and side put together to the market order that caused them. Prices are counted in steps of the grid that the feed
really uses: a feed whose every price is a multiple of ten ticks looks like the same feed with a tick ten times coarser.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from . import _flow
from .feed import Feed

FEED = np.dtype([("time", "<i8"), ("lots", "<i8"), ("tick", "<i4"), ("kind", "<i4")])  # exchange time, ns
SET_BID, SET_ASK, CLEAR_BID, CLEAR_ASK, BUY_TRADE, SELL_TRADE = range(6)  # as in records.py

N_BINS = 11  # ticks from the opposite best quote: 1, 2, 3-4, 5-8 .. 513-1024
HALF_RANGE = 1 << 20  # ticks on either side of the median price that are looked at
SECOND = 1_000_000_000
LEAST = 100  # books, and market orders: with fewer there is nothing to measure


@dataclass(frozen=True)
class Observed:
    """What a feed shows.

    Parameters
    ----------
    time, bid, bid_lots, ask, ask_lots : ndarray of int64, shape (n_samples,)
        Best quotes after each depth message; ns, steps of the grid, lots.
    depth : ndarray of float64, shape (N_BINS,)
        Mean lots of a side resting in each distance bin.
    added : ndarray of float64, shape (4, N_BINS)
        Rises of a level, both sides together, by distance bin: how many a second, their lots, the logarithms of the
        lots and the squares of these, summed over a second.
    order_time, order_side, order_lots, order_span : ndarray of int64, shape (n_orders,)
        Market orders; span is the number of steps from their first to their last trade.
    seconds : float
        From the first sample to the last.
    grid : int
        Ticks a step: the greatest number that every price near the market is a multiple of.
    """

    time: np.ndarray
    bid: np.ndarray
    bid_lots: np.ndarray
    ask: np.ndarray
    ask_lots: np.ndarray
    depth: np.ndarray
    added: np.ndarray
    order_time: np.ndarray
    order_side: np.ndarray
    order_lots: np.ndarray
    order_span: np.ndarray
    seconds: float
    grid: int = 1

    @property
    def mid(self) -> np.ndarray:
        """Mid price in half steps."""
        return self.bid + self.ask

    @property
    def spread(self) -> np.ndarray:
        """Steps between the best quotes."""
        return self.ask - self.bid

    @property
    def imbalance(self) -> np.ndarray:
        """(bid - ask) / (bid + ask) of the best sizes."""
        return (self.bid_lots - self.ask_lots) / (self.bid_lots + self.ask_lots)


def feed_rows(feed: Feed) -> np.ndarray:
    """Return the rows of a recorded feed as FEED, in the order and at the times of its exchange's stream."""
    if feed.born is not None:
        raise ValueError("the feed knows single orders, expected a depth feed with trades")
    stream, first = feed.venue_stream, feed.messages["first_row"]
    count = (np.append(first[1:], len(feed.rows)) - first)[stream]
    within = np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count)
    picked = feed.rows[np.repeat(first[stream], count) + within]
    out = np.zeros(len(picked), FEED)
    out["time"] = np.repeat(feed.stream_times("venue"), count)
    for name in ("lots", "tick", "kind"):
        out[name] = picked[name]
    out["kind"][out["kind"] > SELL_TRADE] -= 4  # a snapshot's DROP: as CLEAR
    return out


def observe(feed: Feed | np.ndarray) -> Observed:
    """Replay a feed, or FEED rows sorted by time, and return what it shows.

    Raises
    ------
    ValueError
        If rows are not FEED, go back in time, set no level, or show fewer than LEAST books with two sides or LEAST
        market orders.
    """
    rows = np.ascontiguousarray(checked(feed))
    rows, grid = on_its_grid(rows)
    sets = rows["kind"] <= SET_ASK
    near = rows["tick"][sets & (np.abs(rows["tick"].astype(np.int64) - middle_of(rows)) < HALF_RANGE)].astype(np.int64)
    base, width = int(near.min()) - 1, int(near.max() - near.min()) + 3
    samples = np.zeros((len(rows), 5), np.int64)
    depth, added = np.zeros(N_BINS), np.zeros((4, N_BINS))
    n = _flow.replay(rows.view(np.int8), base, np.zeros((2, width), np.int64), samples, depth, added)
    orders = market_orders(rows)
    if n < LEAST or len(orders[0]) < LEAST:
        raise ValueError(
            f"the feed shows {n} books with two sides and {len(orders[0])} market orders, expected {LEAST} of each"
        )
    time, bid, bid_lots, ask, ask_lots = samples[:n].T.copy()
    seconds = float(time[-1] - time[0]) / SECOND
    return Observed(time, bid, bid_lots, ask, ask_lots, depth / n, added / seconds, *orders, seconds, grid)


def checked(feed: Feed | np.ndarray) -> np.ndarray:
    """Return the rows of a feed; refuse rows that are none."""
    rows = feed_rows(feed) if isinstance(feed, Feed) else feed
    if not isinstance(rows, np.ndarray) or rows.dtype != FEED or rows.ndim != 1:
        what = f"dtype {rows.dtype} and shape {rows.shape}" if isinstance(rows, np.ndarray) else f"type {type(rows)}"
        raise ValueError(f"feed has {what}, expected a Feed or one row of FEED")
    late = np.flatnonzero(np.diff(rows["time"]) < 0)
    if len(late):
        raise ValueError(f"row {late[0] + 1} is {rows['time'][late[0] + 1]} ns, expected no time before the row above")
    wrong = np.flatnonzero((rows["kind"] < SET_BID) | (rows["kind"] > SELL_TRADE) | (rows["lots"] < 0))
    if len(wrong):
        row = rows[wrong[0]]
        raise ValueError(
            f"row {wrong[0]} has kind {row['kind']} and {row['lots']} lots, expected kind 0 to 5, lots from 0"
        )
    if not (rows["kind"] <= SET_ASK).any():
        raise ValueError("rows set no level, expected a depth feed")
    return rows


def middle_of(rows: np.ndarray) -> int:
    """Return the median price of trades, or of levels where there is no trade."""
    trades = rows["kind"] >= BUY_TRADE
    return int(np.median(rows["tick"][trades if trades.any() else rows["kind"] <= SET_ASK]))


def on_its_grid(rows: np.ndarray) -> tuple[np.ndarray, int]:
    """Return rows with prices in steps of the grid that they are on, and the ticks of a step."""
    near = (np.abs(rows["tick"].astype(np.int64) - middle_of(rows)) < HALF_RANGE) & (
        (rows["kind"] <= SET_ASK) | (rows["kind"] >= BUY_TRADE)
    )
    grid = int(np.gcd.reduce(rows["tick"][near])) if near.any() else 1
    if grid <= 1:
        return rows, 1
    out = rows.copy()
    up = rows["kind"] == CLEAR_BID  # from a price on: what lies between two steps clears from the upper one
    out["tick"] = np.where(up, -(-rows["tick"] // grid), rows["tick"] // grid)
    return out, grid


def market_orders(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return (time, side, lots, span) of market orders: runs of trades of one time and side."""
    trades = rows[rows["kind"] >= BUY_TRADE]
    if len(trades) == 0:
        return (np.empty(0, np.int64),) * 4
    new = np.concatenate([[True], (np.diff(trades["time"]) != 0) | (np.diff(trades["kind"]) != 0)])
    first = np.flatnonzero(new)
    ticks = trades["tick"].astype(np.int64)
    return (
        trades["time"][first],
        np.where(trades["kind"][first] == BUY_TRADE, 1, -1).astype(np.int64),
        np.add.reduceat(trades["lots"], first),
        np.maximum.reduceat(ticks, first) - np.minimum.reduceat(ticks, first),
    )


def bin_name(k: int) -> str:
    """Return the ticks of a distance bin in words."""
    return str(k + 1) if k < 2 else f"{2 ** (k - 1) + 1}-{2**k}"
