"""Stylised facts of an order-driven market (LOB-31). From: feed rows, real or simulated. To: numbers and gates.

Both sides of a comparison are seen through the same eyes: the rows of a depth feed, one book a message, trades of one
time and side put together to the market order that caused them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from . import _flow

if TYPE_CHECKING:
    from .feed import Feed

FEED = np.dtype([("time", "<i8"), ("lots", "<i8"), ("tick", "<i4"), ("kind", "<i4")])  # exchange time, ns
SET_BID, SET_ASK, CLEAR_BID, CLEAR_ASK, BUY_TRADE, SELL_TRADE = range(6)  # as in records.py

N_BINS = 11  # ticks from the opposite best quote: 1, 2, 3-4, 5-8 .. 513-1024
HALF_RANGE = 1 << 20  # ticks on either side of the median price that are looked at
SECOND = 1_000_000_000


@dataclass(frozen=True)
class Observed:
    """What a feed shows.

    Parameters
    ----------
    time, bid, bid_lots, ask, ask_lots : ndarray of int64, shape (n_samples,)
        Best quotes after each depth message; ns, ticks, lots.
    depth : ndarray of float64, shape (N_BINS,)
        Mean lots of a side resting in each distance bin.
    added : ndarray of float64, shape (4, N_BINS)
        Rises of a level, both sides together, by distance bin: how many a second, their lots, the logarithms of the
        lots and the squares of these, summed over a second.
    order_time, order_side, order_lots, order_span : ndarray of int64, shape (n_orders,)
        Market orders; span is the number of ticks from their first to their last trade.
    seconds : float
        From the first sample to the last.
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

    @property
    def mid(self) -> np.ndarray:
        """Mid price in half ticks."""
        return self.bid + self.ask

    @property
    def imbalance(self) -> np.ndarray:
        """(bid - ask) / (bid + ask) of the best sizes."""
        return (self.bid_lots - self.ask_lots) / (self.bid_lots + self.ask_lots)


def feed_rows(feed: Feed) -> np.ndarray:
    """Return the rows of a recorded feed as FEED, in the order and at the times of its exchange's stream."""
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


def observe(rows: np.ndarray) -> Observed:
    """Replay feed rows, sorted by time, and return what they show.

    Raises
    ------
    ValueError
        If rows are not FEED, go back in time, or show fewer than 100 books with two sides or 100 market orders.
    """
    if rows.dtype != FEED or rows.ndim != 1:
        raise ValueError(f"rows have dtype {rows.dtype} and shape {rows.shape}, expected one row of FEED")
    rows = np.ascontiguousarray(rows)
    late = np.flatnonzero(np.diff(rows["time"]) < 0)
    if len(late):
        raise ValueError(f"row {late[0] + 1} is {rows['time'][late[0] + 1]} ns, expected no time before the row above")
    sets = rows["kind"] <= SET_ASK
    if not sets.any():
        raise ValueError("rows set no level, expected a depth feed")
    middle = int(
        np.median(rows["tick"][rows["kind"] >= BUY_TRADE] if (rows["kind"] >= BUY_TRADE).any() else rows["tick"][sets])
    )
    near = rows["tick"][sets & (np.abs(rows["tick"].astype(np.int64) - middle) < HALF_RANGE)].astype(np.int64)
    base, width = int(near.min()) - 1, int(near.max() - near.min()) + 3
    samples = np.zeros((len(rows), 5), np.int64)
    depth, added = np.zeros(N_BINS), np.zeros((4, N_BINS))
    lots = np.zeros((2, width), np.int64)
    n = _flow.replay(rows.view(np.int8), base, lots, samples, depth, added)
    orders = market_orders(rows)
    if n < 100 or len(orders[0]) < 100:
        raise ValueError(f"rows show {n} books and {len(orders[0])} market orders, expected at least 100 of each")
    time, bid, bid_lots, ask, ask_lots = samples[:n].T.copy()
    seconds = float(time[-1] - time[0]) / SECOND
    return Observed(time, bid, bid_lots, ask, ask_lots, depth / n, added / seconds, *orders, seconds)


def market_orders(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return (time, side, lots, span in ticks) of market orders: runs of trades of one time and side."""
    trades = rows[rows["kind"] >= BUY_TRADE]
    trades = trades[trades["kind"] <= SELL_TRADE]
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


# ---- the facts themselves


def autocorrelation(values: np.ndarray, lag: int) -> float:
    """Return the correlation of a series with itself `lag` later."""
    x = values - values.mean()
    power = float(np.dot(x, x))
    return float(np.dot(x[:-lag], x[lag:]) / power) if len(x) > lag and power > 0 else 0.0


def on_grid(time: np.ndarray, values: np.ndarray, step_ns: int) -> np.ndarray:
    """Return the last value known at every step from the first time to the last."""
    grid = np.arange(time[0], time[-1] + 1, step_ns)
    return values[np.searchsorted(time, grid, side="right") - 1]


def fano_factor(time: np.ndarray, window_ns: int) -> float:
    """Return variance over mean of the counts in windows; 1 for a Poisson flow."""
    counts = np.bincount((time - time[0]) // window_ns)[:-1]
    return float(counts.var() / counts.mean()) if len(counts) > 1 and counts.mean() > 0 else 0.0


def excess_kurtosis(values: np.ndarray) -> float:
    """Return the fourth standardised moment less 3."""
    x = values - values.mean()
    variance = float(np.mean(x**2))
    return float(np.mean(x**4) / variance**2 - 3.0) if variance > 0 else 0.0


def variance_ratio(seen: Observed, long_ns: int, short_ns: int) -> float:
    """Return the variance of long returns over that of short ones, for equal times; 1 for a random walk."""
    mid = on_grid(seen.time, seen.mid, short_ns).astype(float)
    k = long_ns // short_ns
    short, long = np.diff(mid), mid[k:] - mid[:-k]
    return float(long.var() / (k * short.var())) if short.var() > 0 else 0.0


def order_flow_r2(seen: Observed, window_ns: int = SECOND) -> float:
    """Return the R2 of mid changes on order flow imbalance, after Cont, Kukanov and Stoikov (2014)."""
    b, bq, a, aq = seen.bid, seen.bid_lots, seen.ask, seen.ask_lots
    flow = (b[1:] >= b[:-1]) * bq[1:] - (b[1:] <= b[:-1]) * bq[:-1]
    flow = flow - ((a[1:] <= a[:-1]) * aq[1:] - (a[1:] >= a[:-1]) * aq[:-1])
    total = np.concatenate([[0], np.cumsum(flow)])
    moves = np.diff(on_grid(seen.time, seen.mid, window_ns).astype(float))
    flows = np.diff(on_grid(seen.time, total, window_ns).astype(float))
    return float(np.corrcoef(moves, flows)[0, 1] ** 2) if moves.std() > 0 and flows.std() > 0 else 0.0


IMBALANCE_EDGES = np.array([-1.0, -0.8, -0.3, 0.3, 0.8, 1.0])


def next_move_up(seen: Observed) -> np.ndarray:
    """Return for each range of imbalance the share of books whose next other mid is higher; NaN where none is seen."""
    mid, imbalance = seen.mid, seen.imbalance
    change = np.flatnonzero(np.diff(mid)) + 1
    following = np.searchsorted(change, np.arange(len(mid)), side="right")
    known = following < len(change)
    up = mid[change[following[known]]] > mid[known]
    which = np.clip(np.digitize(imbalance[known], IMBALANCE_EDGES) - 1, 0, len(IMBALANCE_EDGES) - 2)
    with np.errstate(invalid="ignore"):
        return np.bincount(which, up, len(IMBALANCE_EDGES) - 1) / np.bincount(which, minlength=len(IMBALANCE_EDGES) - 1)


def facts(seen: Observed) -> dict[str, float]:
    """Return every gated figure, and a few that are only told, by name."""
    gaps = np.diff(seen.order_time)
    up = next_move_up(seen)
    mid_1s = np.diff(on_grid(seen.time, seen.mid, SECOND).astype(float)) / 2
    mid_10s = on_grid(seen.time, seen.mid, SECOND).astype(float) / 2
    out = {
        "one-tick spread share": float(np.mean(seen.ask - seen.bid == 1)),
        "market orders a second": len(seen.order_time) / seen.seconds,
        "median size": float(np.median(seen.order_lots)),
        "90 % size": float(np.quantile(seen.order_lots, 0.9)),
        "sign autocorrelation 1": autocorrelation(seen.order_side.astype(float), 1),
        "sign autocorrelation 10": autocorrelation(seen.order_side.astype(float), 10),
        "sign autocorrelation 50": autocorrelation(seen.order_side.astype(float), 50),
        "inter-arrival CV": float(gaps.std() / gaps.mean()),
        "Fano factor 1 s": fano_factor(seen.order_time, SECOND),
        "excess kurtosis 1 s": excess_kurtosis(mid_1s),
        "excess kurtosis 10 s": excess_kurtosis(mid_10s[10:] - mid_10s[:-10]),
        "variance ratio 10 s / 0.1 s": variance_ratio(seen, 10 * SECOND, SECOND // 10),
        "order flow R2 1 s": order_flow_r2(seen),
        "up below -0.8": float(up[0]),
        "up above 0.8": float(up[-1]),
        "up is monotone": float(np.all(np.diff(up) > 0)),
        "mid deviation 1 s, ticks": float(mid_1s.std()),
        "books a second": len(seen.time) / seen.seconds,
    }
    return out | {f"depth {bin_name(k)}": float(value) for k, value in enumerate(seen.depth)}


def bin_name(k: int) -> str:
    """Return the ticks of a distance bin in words."""
    return str(k + 1) if k < 2 else f"{2 ** (k - 1) + 1}-{2**k}"


@dataclass(frozen=True)
class Gate:
    """A figure of a simulated feed, the real one beside it, and where it has to lie."""

    name: str
    real: float
    simulated: float
    low: float
    high: float

    @property
    def passed(self) -> bool:
        """Whether the simulated figure lies within its bounds; NaN does not."""
        return self.low <= self.simulated <= self.high


BOUNDS = {
    "one-tick spread share": (0.97, 1.0),
    "sign autocorrelation 1": (0.15, 0.45),
    "sign autocorrelation 10": (0.08, 0.17),
    "sign autocorrelation 50": (0.01, 1.0),
    "inter-arrival CV": (1.3, 1.9),
    "Fano factor 1 s": (8.0, 30.0),
    "excess kurtosis 1 s": (4.0, np.inf),
    "variance ratio 10 s / 0.1 s": (0.7, 1.7),
    "order flow R2 1 s": (0.35, 0.65),
    "up below -0.8": (0.10, 0.25),
    "up above 0.8": (0.75, 0.90),
    "up is monotone": (1.0, 1.0),
}
WITHIN = {"market orders a second": 0.10, "median size": 0.20, "90 % size": 0.20}
DEPTH_WITHIN = 0.25


def gates(real: dict[str, float], simulated: dict[str, float]) -> list[Gate]:
    """Return the gates of LOB-31: some of absolute bounds, some of closeness to the real figure."""
    out = []
    for name, value in simulated.items():
        within = DEPTH_WITHIN if name.startswith("depth") else WITHIN.get(name)
        if within is not None:
            out.append(Gate(name, real[name], value, real[name] * (1 - within), real[name] * (1 + within)))
        elif name in BOUNDS:
            out.append(Gate(name, real[name], value, *BOUNDS[name]))
        elif name == "excess kurtosis 10 s":  # falls with the horizon
            out.append(Gate(name, real[name], value, -np.inf, simulated["excess kurtosis 1 s"]))
    return out
