"""Order-level feeds (L3): own recordings and LOBSTER's. From: .npy and .csv files, arrays. To: feed.py, with births.

A recording is a plain .npy file of ORDER_EVENT records, so `numpy.save` writes it and nothing is pickled. A replay of
such a feed can use the queue model `fifo`, which knows of every cancelled or executed order whether it was ahead.
"""

from __future__ import annotations

import datetime as dt
import os
import re
from enum import IntEnum
from typing import Any

import numpy as np

from ._orders import FAULTS, decode
from .feed import LATEST_NS, Feed
from .instrument import MOST_TICKS, Instrument
from .records import MESSAGE, ROW
from .streams import arrival_streams

ORDER_EVENT = np.dtype(
    [
        ("exchange_time_ns", "<i8"), ("local_time_ns", "<i8"), ("order_id", "<i8"), ("lots", "<i8"), ("tick", "<i4"),
        ("kind", "u1"), ("side", "u1"), ("unused", "<u2"),
    ]
)  # fmt: skip
_SLOT = np.dtype([("id", "<i8"), ("lots", "<i8"), ("tick", "<i4"), ("born", "<i4"), ("state", "<i8")])
_LOBSTER_FIELDS = ("time", "type", "order id", "size", "price", "direction")
_LOBSTER_KINDS = {"1": 0, "2": 1, "3": 2, "4": 3, "5": 4}  # 6 is an auction, 7 a halt
_WHOLE = re.compile(r"-?[0-9]{1,25}")
_SECONDS = re.compile(r"([0-9]{1,25})(?:\.([0-9]*))?")
_DAY_NS = 86_400_000_000_000


class EventKind(IntEnum):
    """What happened to a resting order; `side` is its own: 0 bid, 1 ask.

    `lots` is what an event adds or takes off, never what is left. `tick` is read of ADD and HIDDEN (and of LOBSTER's
    executions of orders from before the file); other events find their order's own tick and side by its id.
    """

    ADD = 0  # it queued with `lots` at `tick`, behind all that rests there
    REDUCE = 1  # `lots` of it were cancelled; what is left keeps its place
    DELETE = 2  # all that was left of it was cancelled, whatever `lots` says
    EXECUTE = 3  # `lots` of it traded with an order of the other side
    HIDDEN = 4  # `lots` of an order that was never shown traded at `tick`: a trade, and no level moves


class _EventError(ValueError):
    """An event that cannot be: `index` in the order given, and `reason`."""

    def __init__(self, index: int, reason: str) -> None:
        super().__init__(f"event {index}: {reason}")
        self.index, self.reason = index, reason


def read_orders(source: str | os.PathLike[str] | np.ndarray, instrument: Instrument, *, skip_bad: bool = False) -> Feed:
    """Read order-level events: a .npy file, or an array, of ORDER_EVENT.

    Parameters
    ----------
    source : path or ndarray of ORDER_EVENT, shape (n_events,)
        In any order; they are sorted stably by exchange time. A change of price or a larger size is DELETE and ADD.
    instrument : Instrument
    skip_bad : bool
        Count impossible events in `counts["bad_lines"]` rather than raise.

    Returns
    -------
    Feed
        One SET row an event, a trade row before it for an execution; `born` is set.

    Raises
    ------
    ValueError
        If the file is something else, or an event is impossible; the message names its index.
    """
    if isinstance(source, np.ndarray):
        return _feed(source, instrument, skip_bad, open_start=False, counts={})
    name = os.fspath(source)
    try:
        events = np.load(source, allow_pickle=False)
    except (EOFError, ValueError) as error:
        raise ValueError(f"{name} is not a .npy file of plain records: {error}") from error
    try:
        return _feed(events, instrument, skip_bad, open_start=False, counts={})
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from error


def read_lobster(
    path: str | os.PathLike[str], instrument: Instrument, *, day: str, latency_ns: int = 0, skip_bad: bool = False
) -> Feed:
    """Read a LOBSTER message file: `seconds,type,order id,size,price * 10000,direction` without a header.

    Parameters
    ----------
    path : path
    instrument : Instrument
        `tick_size` in dollars, such as "0.01"; `lot_size` in shares.
    day : str
        ISO date whose midnight the seconds count from; times are written as if that were UTC.
    latency_ns : int
        What a message is taken to need to the trader: LOBSTER has exchange times only.
    skip_bad : bool
        Count bad lines and impossible events rather than raise.

    Returns
    -------
    Feed
        Orders that rest from before the file do not show in it; `counts["unknown_orders"]` says how often one was met.
        Auctions, halts and hidden trades between two ticks are counted in `counts["other_events"]`.

    Raises
    ------
    ValueError
        With file and line, for the first bad line or impossible event; with the file if it holds none.
    """
    midnight = _midnight(day)
    counts = {"other_events": 0, "bad_lines": 0}
    events, lines = [], []
    with open(path, encoding="ascii", errors="replace") as file:
        for number, line in enumerate(file, 1):
            try:
                event = _lobster_event(line.rstrip("\r\n"), instrument, midnight, latency_ns)
            except ValueError as error:
                if not skip_bad:
                    raise ValueError(f"{os.fspath(path)}, line {number}: {error}") from None
                counts["bad_lines"] += 1
                continue
            if event is None:
                counts["other_events"] += 1
                continue
            events.append(event)
            lines.append(number)
    try:
        return _feed(np.array(events, ORDER_EVENT), instrument, skip_bad, open_start=True, counts=counts)
    except _EventError as error:
        raise ValueError(f"{os.fspath(path)}, line {lines[error.index]}: {error.reason}") from None
    except ValueError as error:
        raise ValueError(f"{os.fspath(path)}: {error}") from error


def _lobster_event(line: str, instrument: Instrument, midnight: int, latency_ns: int) -> tuple[int, ...] | None:
    """Return the ORDER_EVENT of a line, None if it is an auction, a halt or a hidden trade between two ticks.

    Raises
    ------
    ValueError
        With the name of the first field that cannot be, its value and what was expected.
    """
    fields = line.split(",")
    if len(fields) < len(_LOBSTER_FIELDS):
        raise ValueError(f"the line is {line[:60]!r}, expected six fields: {', '.join(_LOBSTER_FIELDS)}")
    said = dict(zip(_LOBSTER_FIELDS, fields, strict=False))

    def bad(name: str, expected: str) -> ValueError:
        return ValueError(f"{name} is {said[name][:60]!r}, expected {expected}")

    def whole(name: str) -> int:
        if not _WHOLE.fullmatch(said[name]) or abs(int(said[name])) >= 2**63:
            raise bad(name, "a whole number of less than 2**63")
        return int(said[name])

    kind = said["type"]
    if kind in ("6", "7"):
        return None
    if kind not in _LOBSTER_KINDS:
        raise bad("type", "1 .. 7")
    seconds = _SECONDS.fullmatch(said["time"])
    time = midnight + int(seconds[1]) * 10**9 + int((seconds[2] or "")[:9].ljust(9, "0")) if seconds else -1
    if not (0 <= time <= LATEST_NS and 0 <= time + latency_ns <= LATEST_NS):
        raise bad("time", f"seconds after midnight, which end before the year 2116 with a latency of {latency_ns} ns")
    order_id, size, price = whole("order id"), whole("size"), whole("price")
    unit, lot = instrument.tick * 10_000, instrument.lot
    tick, off_price = divmod(price * unit.denominator, unit.numerator)
    if off_price and kind == "5":  # hidden orders may trade between two ticks
        return None
    if off_price or not 1 <= tick <= MOST_TICKS:
        raise bad("price", f"dollars * 10000 from one to {MOST_TICKS} times the tick {instrument.tick_size}")
    lots, off_size = divmod(size * lot.denominator, lot.numerator)
    if off_size or not 0 <= lots <= MOST_TICKS:
        raise bad("size", f"shares from none to {MOST_TICKS} times the lot {instrument.lot_size}")
    if said["direction"] not in ("1", "-1"):
        raise bad("direction", "1 (buy) or -1 (sell)")
    return time, time + latency_ns, order_id, lots, tick, _LOBSTER_KINDS[kind], int(said["direction"] == "-1"), 0


def _midnight(day: str) -> int:
    """Return the start of a day in ns, UTC."""
    try:
        return int((np.datetime64(dt.date.fromisoformat(day), "D")).astype(np.int64)) * _DAY_NS
    except (TypeError, ValueError):
        raise ValueError(f"day is {day!r}, expected an ISO date such as '2012-06-21'") from None


def _feed(events: np.ndarray, instrument: Instrument, skip_bad: bool, open_start: bool, counts: dict[str, int]) -> Feed:
    if events.dtype == ORDER_EVENT and events.shape == (0,):
        raise ValueError(f"no order event, expected at least one: {counts}")
    if events.dtype != ORDER_EVENT or events.ndim != 1:
        raise ValueError(f"events have dtype {events.dtype} and shape {events.shape}, expected ORDER_EVENT in one")
    place = np.argsort(events["exchange_time_ns"], kind="stable")
    events = np.ascontiguousarray(events[place])
    n_adds = int((events["kind"] == EventKind.ADD).sum())
    slots = np.zeros(1 << max(4, (4 * n_adds).bit_length()), _SLOT)
    rows, born = np.empty(2 * len(events), ROW), np.empty(2 * len(events), np.int32)
    row_of = np.empty(len(events), np.int64)
    if 2 * len(events) > 2**31 - 2:
        raise ValueError(f"{len(events)} events, expected fewer than 2**30")
    n, n_bad, n_unknown, stopped, fault = decode(events, slots, rows, born, row_of, skip_bad, open_start)
    if fault and not skip_bad:
        raise _EventError(int(place[stopped]), f"{FAULTS[fault]}: {events[stopped].tolist()[:-1]}")
    if not n:
        raise ValueError(f"{len(events)} events but no usable one")
    messages = np.zeros(len(events), MESSAGE)
    for name in ("exchange_time_ns", "local_time_ns"):
        messages[name] = events[name]
    messages["update_id"], messages["first_row"] = events["order_id"], row_of
    counts["bad_lines"] = counts.get("bad_lines", 0) + n_bad
    counts["unknown_orders"] = n_unknown
    return Feed(
        instrument, rows[:n].copy(), messages, *arrival_streams(messages), counts=counts, born=born[:n].copy()
    )  # fmt: skip


def order_events(rows: list[tuple[Any, ...]]) -> np.ndarray:
    """Return ORDER_EVENT records of (exchange time, local time, order id, lots, tick, kind, side) tuples."""
    return np.array([(*row, 0) for row in rows], ORDER_EVENT)
