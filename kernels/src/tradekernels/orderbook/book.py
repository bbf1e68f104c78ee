"""L2 books, and what is read from them along a feed. From: feeds (feed.py) or single levels. To: features, strategies.

`Book` is one live book. The functions run a whole feed through one in compiled code and return arrays. Prices are ticks
and sizes are lots; `Instrument.price` and `.quantity` turn them into money.
"""

from __future__ import annotations

import numpy as np

from . import _book
from .feed import Feed, integers
from .instrument import MOST_LOTS, MOST_TICKS
from .records import Kind

SIDES = {"bid": 0, "ask": 1}
QUOTES = np.dtype(
    [("time_ns", "<i8"), ("bid_tick", "<i8"), ("ask_tick", "<i8"), ("bid_lots", "<i8"), ("ask_lots", "<i8")]
)


class Book:
    """One L2 book: total lots at each tick of both sides, best quotes known at any time.

    Crossing levels follow LOB-6: a new best that reaches the opposite best makes that one the first level strictly
    beyond; the crossed levels stay stored until a feed removes them.

    Examples
    --------
    >>> book = Book()
    >>> book.set("bid", 100, 5), book.set("ask", 102, 7)
    (None, None)
    >>> book.best("bid"), book.depth("ask", 2).tolist(), book.depth_imbalance(1)
    ((100, 5), [[102, 7]], -0.16666666666666666)
    """

    def __init__(self, state: _book.BookState | None = None) -> None:
        self._state = state if state is not None else _book.BookState()

    def set(self, side: str, tick: int, lots: int) -> None:
        """Make `lots` the total at a tick; 0 removes the level.

        Raises
        ------
        ValueError
            If the side is neither "bid" nor "ask", the tick is not in 1 .. 2**31 - 2 or the lots not in 0 .. 2**53.
        """
        self._state.set_level(_side(side), _tick(tick), _whole("lots", lots, 0, MOST_LOTS))

    def drop(self, side: str, tick: int) -> None:
        """Erase every level of a side at a tick or better."""
        self._state.clear(Kind.DROP_BID + _side(side), _tick(tick))

    def best(self, side: str) -> tuple[int, int] | None:
        """Return (tick, lots) of the best level, None if the side is empty."""
        return self._state.best(_side(side))

    def lots_at(self, side: str, tick: int) -> int:
        """Return the lots stored at a tick, 0 if there are none."""
        return self._state.lots_at(_side(side), _tick(tick))

    def depth(self, side: str, levels: int) -> np.ndarray:
        """Return up to `levels` levels from the best on: int64 of shape (n, 2), tick and lots."""
        out = np.empty((_whole("levels", levels, 0, MOST_TICKS), 2), np.int64)
        return out[: self._state.depth(_side(side), out)]

    def volume_to(self, side: str, tick: int) -> int:
        """Return the lots from the best level to a tick, both included."""
        return self._state.volume_to(_side(side), _tick(tick))

    @property
    def mid_ticks(self) -> float:
        """Half-sum of the best ticks; NaN while a side is empty."""
        bid, ask = self.best("bid"), self.best("ask")
        return (bid[0] + ask[0]) / 2 if bid and ask else float("nan")

    @property
    def weighted_mid_ticks(self) -> float:
        """Best ticks, each weighted by the other side's lots; NaN while a side is empty."""
        bid, ask = self.best("bid"), self.best("ask")
        if not (bid and ask):
            return float("nan")
        return (bid[0] * ask[1] + ask[0] * bid[1]) / (bid[1] + ask[1])

    def depth_imbalance(self, levels: int) -> float:
        """Return (bid - ask) / (bid + ask) of the lots on the best levels, in [-1, 1]; NaN if both sides are empty."""
        bid, ask = (int(self.depth(side, levels)[:, 1].sum()) for side in SIDES)
        return (bid - ask) / (bid + ask) if bid + ask else float("nan")


def final_book(feed: Feed, *, stream: str = "trader") -> Book:
    """Return the book after a whole stream of a feed."""
    state = _book.BookState()
    _book.run_through(state, feed.rows, feed.messages, feed.stream_of(stream)[0])
    return Book(state)


def quotes(feed: Feed, at: np.ndarray | None = None, *, stream: str = "trader") -> np.ndarray:
    """Return the best quotes along a feed.

    Parameters
    ----------
    feed : Feed
    at : array_like of int of shape (n_times,), optional
        Times in ns, not decreasing; the state is the one after all events with time <= it. Default: every distinct
        time of the stream.
    stream : {"trader", "venue"}
        Whose book, on whose clock.

    Returns
    -------
    ndarray of QUOTES, shape (n_times,)
        time_ns, bid_tick and ask_tick (ticks), bid_lots and ask_lots (lots); 0 where a side is empty.
    """
    times, at = _times(feed, at, stream)
    out = np.empty((len(at), 4), np.int64)
    _book.quotes_at(_book.BookState(), feed.rows, feed.messages, feed.stream_of(stream)[0], times, at, out)
    table = np.empty(len(at), QUOTES)
    table["time_ns"] = at
    for k, name in enumerate(("bid_tick", "ask_tick", "bid_lots", "ask_lots")):
        table[name] = out[:, k]
    return table


def depth(feed: Feed, at: np.ndarray | None = None, *, levels: int = 5, stream: str = "trader") -> np.ndarray:
    """Return the best levels of both sides along a feed; parameters as those of `quotes`.

    Returns
    -------
    ndarray of int64, shape (n_times, 2, levels, 2)
        Time, side (bid, ask), level from the best on, (tick, lots); zeros where there is no such level.
    """
    levels = _whole("levels", levels, 1, MOST_TICKS)
    times, at = _times(feed, at, stream)
    out = np.zeros((len(at), 2, levels, 2), np.int64)
    _book.depth_at(_book.BookState(), feed.rows, feed.messages, feed.stream_of(stream)[0], times, at, out)
    return out


def depth_imbalance(levels: np.ndarray) -> np.ndarray:
    """Return (bid - ask) / (bid + ask) of the lots that `depth` gave, float64 of shape (n_times,); NaN if all empty."""
    lots = levels[..., 1].sum(axis=2)
    total = lots.sum(axis=1)
    return np.divide(lots[:, 0] - lots[:, 1], total, out=np.full(len(lots), np.nan), where=total > 0)


def order_flow_imbalance(feed: Feed, edges: np.ndarray, *, stream: str = "trader") -> np.ndarray:
    """Return the order flow imbalance between times, in lots, after Cont et al. (2014).

    Parameters
    ----------
    edges : array_like of int of shape (n + 1,)
        Increasing times in ns; span k holds the events with edges[k] <= time < edges[k + 1].

    Returns
    -------
    ndarray of float64, shape (n,)
        Lots a span of `edges`: a sum, no rate. Positive when buying pressure grew; the best quotes are compared after
        every message.
    """
    return flows(feed, edges, stream=stream)[:, 0]


def flows(feed: Feed, edges: np.ndarray, *, stream: str = "trader") -> np.ndarray:
    """Return float64 of shape (n, 4): order flow imbalance, mean lots at the best quotes, lots bought and lots sold.

    All are per span of `edges`, as in `order_flow_imbalance`. The mean is over time and over both sides; NaN where no
    two-sided quote stood.
    """
    edges = integers("edges", edges)
    if len(edges) < 2 or (edges[1:] <= edges[:-1]).any():
        raise ValueError(f"edges has shape {edges.shape}, expected at least two increasing times")
    out = np.zeros((len(edges) - 1, 4))
    _book.flows_between(
        _book.BookState(), feed.rows, feed.messages, feed.stream_of(stream)[0], feed.stream_times(stream), edges, out
    )
    return out


def _times(feed: Feed, at: np.ndarray | None, stream: str) -> tuple[np.ndarray, np.ndarray]:
    times = feed.stream_times(stream)
    if at is None:
        return times, np.unique(times)
    at = integers("at", at)
    if (at[1:] < at[:-1]).any():
        raise ValueError(f"at has a time {(at[:-1] - at[1:]).max()} ns before the last, expected none to go back")
    return times, at


def _side(side: str) -> int:
    if side not in SIDES:
        raise ValueError(f"side is {side!r}, expected 'bid' or 'ask'")
    return SIDES[side]


def _tick(tick: int) -> int:
    return _whole("tick", tick, 1, MOST_TICKS)


def _whole(name: str, value: int, least: int, most: int) -> int:
    if not isinstance(value, (int, np.integer)) or not least <= value <= most:
        raise ValueError(f"{name} is {value!r}, expected {least} .. {most}, a whole number")
    return int(value)
