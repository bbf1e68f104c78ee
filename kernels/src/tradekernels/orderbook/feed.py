"""A feed: events of one instrument as compact integers. From: captures, order-level files, arrays. To: books, replays.

One copy of the rows, a table of the messages they came in (one pair of times each), and two streams of indices into it:
the venue's, by exchange time, and the trader's, by time of receipt. The given BTCUSDT feed takes 18.4 bytes a row.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ._streams import first_bad_row
from .capture import FeedError, read_lines
from .instrument import MOST_LOTS, MOST_TICKS, Instrument
from .notes import notes_of_array, notes_to_array
from .records import GAP, MESSAGE, ROW, TICKER, Kind
from .streams import arrival_streams, fill_times, venue_streams

SEQUENCES = ("venue", "arrival")
LATEST_NS = 2**62 - 1  # in the year 2116: differences of two times fit into 64 bits


@dataclass(frozen=True, eq=False)
class Feed:
    """Events of one instrument, made by `read_capture`, `read_orders`, `read_lobster`, `Feed.load` or `Feed.from_rows`.

    Attributes
    ----------
    instrument : Instrument
        Symbol and grid; `rows` are whole ticks and lots of it.
    rows : ndarray of ROW, shape (n_rows,)
        lots (int64), tick (int32), kind (see `Kind`), in file order.
    messages : ndarray of MESSAGE, shape (n_messages,)
        exchange_time_ns, local_time_ns (repaired), update_id and first_row of every message.
    venue_stream, trader_stream : ndarray of int32
        Messages by exchange time, and by local time. Times along a stream never go back: what was late counts as
        known at the time of the entry before it.
    clock_shift_ns : int
        What was added to every local time so that no message arrives before it was sent (LOB-4). It is the least
        latency of all, so one line with a clock far in the past shifts every local time; see `counts["clock_back"]`.
    gaps : ndarray of GAP
        Breaks of the chain of update ids: file (index into `files`), line, the id expected, the id stated. The first
        diff after a snapshot must hold the snapshot's id or be the next one, a later one must name the last `u`.
    counts : dict of str to int
        What was skipped or noticed on the way; bad_lines, other_events (of a kind that no book needs), book_ticker,
        not_market_trades (of an insurance fund, ...), clock_back (messages with a local time below the last one's).
        Under `venue` also old_diffs (the book is newer already), stale_snapshots (older than the last one),
        diffs_without_snapshot, gaps, repeated_trades. Order-level feeds: bad_lines, unknown_orders, other_events.
    files : tuple of str
        What was read, in order.
    bad_lines : tuple of FeedError
        The first hundred lines that were skipped, and files that broke off.
    book_ticker : ndarray of TICKER
        Quotes that the exchange sent, in file order, if they were asked for.
    born : ndarray of int32, shape (n_rows,), or None
        Order-level feeds only: the row of the venue's stream at which the order that a row takes from had queued.
    """

    instrument: Instrument
    rows: np.ndarray
    messages: np.ndarray
    venue_stream: np.ndarray
    trader_stream: np.ndarray
    clock_shift_ns: int = 0
    gaps: np.ndarray = field(default_factory=lambda: np.empty(0, GAP))
    counts: dict[str, int] = field(default_factory=dict)
    files: tuple[str, ...] = ()
    bad_lines: tuple[FeedError, ...] = ()
    book_ticker: np.ndarray = field(default_factory=lambda: np.empty(0, TICKER))
    born: np.ndarray | None = None

    def __post_init__(self) -> None:
        _check(self)

    def __len__(self) -> int:
        """Number of rows."""
        return len(self.rows)

    @property
    def nbytes(self) -> int:
        """Bytes held: rows, messages and both streams."""
        arrays = (self.rows, self.messages, self.venue_stream, self.trader_stream, self.born)
        return sum(array.nbytes for array in arrays if array is not None)

    @property
    def first_time_ns(self) -> int:
        """Time of the first event of either stream: where the clock of a replay starts."""
        return min(int(times[order[0]]) for order, times in self._events())

    @property
    def last_time_ns(self) -> int:
        """Time of the last event of either stream."""
        return max(int(times[order].max()) for order, times in self._events())

    def _events(self) -> list[tuple[np.ndarray, np.ndarray]]:
        """Return both streams, each with the times of the messages that it follows."""
        if not len(self.venue_stream):
            raise ValueError("the feed has no event, expected at least one")
        streams = (self.stream_of("venue"), self.stream_of("trader"))
        return [(order, self.messages[name]) for order, name in streams]

    def stream_times(self, stream: str) -> np.ndarray:
        """Return the times of every entry of the `venue` or the `trader` stream, int64 ns."""
        order, name = self.stream_of(stream)
        return np.maximum.accumulate(self.messages[name][order])

    def stream_of(self, stream: str) -> tuple[np.ndarray, str]:
        """Return the `venue` or the `trader` stream, and which times of the messages it follows."""
        if stream == "venue":
            return self.venue_stream, "exchange_time_ns"
        if stream == "trader":
            return self.trader_stream, "local_time_ns"
        raise ValueError(f"stream is {stream!r}, expected 'venue' or 'trader'")

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the feed as an .npz file of plain arrays and one JSON text, which `load` reads without pickle."""
        arrays: dict[str, Any] = {
            "rows": self.rows, "messages": self.messages, "venue_stream": self.venue_stream,
            "trader_stream": self.trader_stream, "gaps": self.gaps, "clock_shift_ns": np.int64(self.clock_shift_ns),
            "instrument": np.array([self.instrument.symbol, self.instrument.tick_size, self.instrument.lot_size]),
            "book_ticker": self.book_ticker, "notes": notes_to_array(self.counts, self.files, self.bad_lines),
        }  # fmt: skip
        if self.born is not None:
            arrays["born"] = self.born
        with open(path, "wb") as file:
            np.savez(file, **arrays)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Feed:
        """Read what `save` wrote; raises ValueError if the file is something else."""
        try:
            with np.load(path, allow_pickle=False) as file:
                held = {name: file[name] for name in file.files}
            return cls(
                Instrument(*map(str, held["instrument"])), held["rows"], held["messages"], held["venue_stream"],
                held["trader_stream"], int(held["clock_shift_ns"]), held["gaps"], *notes_of_array(held["notes"]),
                held["book_ticker"], held.get("born"),
            )  # fmt: skip
        except OSError:
            raise
        except Exception as error:  # zipfile, numpy and TypeErrors of a file that is no feed
            raise ValueError(f"{Path(path).name} is not a saved feed: {error}") from error

    @classmethod
    def from_rows(
        cls, instrument: Instrument, kind: np.ndarray, tick: np.ndarray, lots: np.ndarray,
        exchange_time_ns: np.ndarray, local_time_ns: np.ndarray, *, repair_clock: bool = False,
    ) -> Feed:  # fmt: skip
        """Return a feed of rows in the order of arrival; neighbours with the same two times are one message.

        Parameters
        ----------
        kind, tick, lots, exchange_time_ns, local_time_ns : array_like of int, shape (n_rows,)
            See `Kind`; ticks from 1, lots from 0, nanoseconds, less than 2**62 from 1970.
        repair_clock : bool
            Add the constant of LOB-4 to the local times.

        Raises
        ------
        ValueError
            If the lengths differ or a row is impossible; the message names the row.
        """
        columns = {"kind": kind, "tick": tick, "lots": lots, "exchange_time_ns": exchange_time_ns,
                   "local_time_ns": local_time_ns}  # fmt: skip
        arrays = {name: integers(name, values) for name, values in columns.items()}
        n = len(arrays["kind"])
        for name, array in arrays.items():
            if len(array) != n:
                raise ValueError(f"{name} has {len(array)} values, kind has {n}")
        rows = np.empty(n, ROW)
        bounds = {"kind": (0, int(max(Kind))), "tick": (1, MOST_TICKS), "lots": (0, MOST_LOTS),
                  "exchange_time_ns": (-LATEST_NS, LATEST_NS), "local_time_ns": (-LATEST_NS, LATEST_NS)}  # fmt: skip
        for name, (least, most) in bounds.items():
            wrong = (arrays[name] < least) | (arrays[name] > most)
            if wrong.any():
                row = int(wrong.argmax())
                raise ValueError(f"{name} in row {row} is {int(arrays[name][row])}, expected {least} .. {most}")
        for name in ROW.names or ():
            rows[name] = arrays[name]
        exchange, local = arrays["exchange_time_ns"], arrays["local_time_ns"]
        starts = np.ones(n, bool)
        starts[1:] = (exchange[1:] != exchange[:-1]) | (local[1:] != local[:-1])
        messages = np.zeros(int(starts.sum()), MESSAGE)
        messages["first_row"] = np.flatnonzero(starts)
        messages["exchange_time_ns"], messages["local_time_ns"] = exchange[starts], local[starts]
        shift = _repair(messages, slice(None)) if repair_clock else 0
        venue, trader = arrival_streams(messages)
        return cls(instrument, rows, messages, venue, trader, shift)


def read_capture(
    paths: str | os.PathLike[str] | Sequence[str | os.PathLike[str]],
    instrument: Instrument,
    *,
    sequence: str = "venue",
    skip_bad: bool = False,
    book_ticker: bool = False,
) -> Feed:
    """Read raw captures of Binance USDT-M or spot: lines of `<local_ns> <json>`, gz or plain.

    Parameters
    ----------
    paths : path or sequence of paths
        Files are read one after the other as if they were one.
    instrument : Instrument
        Every price must be a multiple of its tick, every quantity of its lot. Another symbol is a bad line.
    sequence : {"venue", "arrival"}
        `venue` builds the exchange's book: it waits for the snapshot, drops older diffs, applies newer ones whenever
        they were received, and reports gaps. `arrival` applies every row as it comes.
    skip_bad : bool
        Count bad lines in `counts` and keep the first hundred in `bad_lines`, rather than raise.
    book_ticker : bool
        Also keep the bookTicker lines, as `feed.book_ticker`; they never enter the streams.

    Returns
    -------
    Feed

    Raises
    ------
    FeedError
        With file, line and reason, for the first bad line. A truncated gzip stream is one.
    ValueError
        If `sequence` is unknown or nothing usable is in the files.
    """
    if sequence not in SEQUENCES:
        raise ValueError(f"sequence is {sequence!r}, expected one of {SEQUENCES}")
    paths = [paths] if isinstance(paths, (str, os.PathLike)) else list(paths)
    if not paths:
        raise ValueError("paths is empty, expected at least one file")
    capture = read_lines(paths, instrument, drop=sequence == "venue", skip_bad=skip_bad, book_ticker=book_ticker)
    raw, counts = capture.messages, capture.counts
    fill_times(raw)
    rows, gaps = capture.rows, np.empty(0, GAP)
    first_messages = [first for _, first in capture.files]
    if sequence == "arrival":
        venue, trader = arrival_streams(raw)
    else:
        venue, trader, breaks, more = venue_streams(raw, rows, first_messages)
        counts |= more
        gaps = _gaps(breaks, raw, first_messages)
    if not len(trader):
        names = ", ".join(name for name, _ in capture.files)
        if not len(raw) and not any(counts.values()):
            raise ValueError(f"{names} is empty, expected lines of `<local_ns> <json>`")
        raise ValueError(
            f"{names}: no usable event among {len(raw)} messages, expected a snapshot or a trade: {counts}"
        )
    messages = np.empty(len(raw), MESSAGE)
    for name in MESSAGE.names or ():
        messages[name] = raw[name]
    shift = _repair(messages, trader)
    symbol = Instrument(capture.symbol, instrument.tick_size, instrument.lot_size)
    return Feed(
        symbol, rows, messages, venue, trader, shift, gaps, counts, tuple(name for name, _ in capture.files),
        tuple(capture.bad_lines), capture.tickers.copy(),
    )  # fmt: skip


def _repair(messages: np.ndarray, used: np.ndarray | slice) -> int:
    """Add to local times what makes the fastest message take no time (LOB-4); return it."""
    latency = messages["local_time_ns"][used] - messages["exchange_time_ns"][used]
    shift = max(0, -int(latency.min())) if len(latency) else 0
    if shift and shift + int(messages["local_time_ns"].max()) >= 2**63:
        raise ValueError(f"a message arrives {shift} ns before it was sent, expected times of one epoch and unit")
    messages["local_time_ns"] += shift
    return shift


def _gaps(breaks: np.ndarray, raw: np.ndarray, first_messages: list[int]) -> np.ndarray:
    gaps = np.empty(len(breaks), GAP)
    gaps["file"] = np.searchsorted(first_messages, breaks[:, 0], side="right") - 1
    gaps["line"] = raw["line"][breaks[:, 0]]
    gaps["expected_id"], gaps["stated_id"] = breaks[:, 1], breaks[:, 2]
    return gaps


def integers(name: str, values: object) -> np.ndarray:
    """Return values as contiguous int64 of one dimension; raises ValueError if that would change them."""
    array = np.asarray(values)
    if array.ndim != 1 or (array.dtype.kind not in "iu" and len(array)):
        raise ValueError(f"{name} has dtype {array.dtype} and {array.ndim} dimensions, expected integers in one")
    if array.dtype == np.uint64 and (array > np.uint64(2**63 - 1)).any():
        raise ValueError(f"{name} holds {array.max()}, expected less than 2**63")
    return np.ascontiguousarray(array, np.int64)


def _check(feed: Feed) -> None:
    """Refuse arrays that would lead a compiled loop astray."""
    dtypes = {"rows": ROW, "messages": MESSAGE, "venue_stream": np.dtype(np.int32), "trader_stream": np.dtype(np.int32)}
    dtypes |= {"gaps": GAP, "book_ticker": TICKER}
    if feed.born is not None:
        dtypes["born"] = np.dtype(np.int32)
    for name, dtype in dtypes.items():
        array = getattr(feed, name)
        if array.dtype != dtype or array.ndim != 1 or not array.flags.c_contiguous:
            raise ValueError(f"{name} has dtype {array.dtype}, expected one contiguous dimension of {dtype}")
        array.flags.writeable = False
    rows, first = feed.rows, feed.messages["first_row"]
    if len(rows) > 2**31 - 2:
        raise ValueError(f"rows has {len(rows)} rows, expected fewer than 2**31")
    bad = first_bad_row(rows)
    if bad >= 0:
        raise ValueError(
            f"row {bad} is {rows[bad]}, expected lots 0 .. 2**53, a tick 1 .. {MOST_TICKS}, kind 0 .. {max(Kind)}"
        )
    if len(first) and (first[0] < 0 or (first[1:] < first[:-1]).any() or first[-1] > len(rows)):
        raise ValueError("first_row of the messages is not non-decreasing within the rows")
    for name in ("exchange_time_ns", "local_time_ns"):
        if len(first) and feed.messages[name].min() < -LATEST_NS:
            raise ValueError(f"{name} of a message is {feed.messages[name].min()}, expected at least {-LATEST_NS}")
    for name in ("venue_stream", "trader_stream"):
        stream = getattr(feed, name)
        if len(stream) and (stream.min() < 0 or stream.max() >= len(first)):
            raise ValueError(f"{name} holds {int(stream.min())} .. {int(stream.max())}, expected 0 .. {len(first) - 1}")
    if bool(len(feed.venue_stream)) != bool(len(feed.trader_stream)):
        raise ValueError("one stream is empty, expected both or neither")
    if feed.born is not None and len(feed.born) != len(rows):
        raise ValueError(f"born has {len(feed.born)} values, rows has {len(rows)}")


__all__ = ["SEQUENCES", "Feed", "FeedError", "read_capture"]
