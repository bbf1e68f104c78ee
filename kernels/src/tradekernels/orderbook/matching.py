"""A matching engine with price-time priority. From: messages as one structured array. To: a tape of trades and events.

    engine, tape = MatchingEngine(), Tape()
    engine.process(messages, tape)      # millions a second: no Python call a message
    tape.trades, tape.events            # structured arrays; digest(tape) names their bytes

Orders queue by price, then by time. A smaller order keeps its place, a larger or repriced one goes to the end; so does
an iceberg that shows its next piece. Trades print at the price of the order that was there first.

A stop is triggered by the first trade at its price or beyond, at once if the last trade was there already, and executed
after the message that caused it: buys by rising price, then sells by falling price, older ones first. A stop that waits
can only be cancelled.

Bad input becomes a REJECTED event with a `Reason`, and changes nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from hashlib import blake2b
from operator import index
from typing import Any

import numpy as np

from ._matching import FAULTS, LIMITS, Engine, TapeArrays

MAX_TICK: int = LIMITS["MAX_TICK"]
MAX_LOTS: int = LIMITS["MAX_LOTS"]
MAX_SLICES: int = LIMITS["MAX_SLICES"]
MAX_CAPACITY: int = LIMITS["MAX_CAPACITY"]

MESSAGE = np.dtype(
    [
        ("time", "<i8"),  # ns; passed on, never compared
        ("id", "<i8"),  # any number that no live order has
        ("lots", "<i8"),  # REDUCE: how many to take away; MODIFY: the new total
        ("peak", "<i8"),  # lots an iceberg shows at once, at most MAX_SLICES times; 0 for an order that shows all
        ("tick", "<i4"),  # limit price
        ("stop_tick", "<i4"),
        ("owner", "<i4"),  # for self-trade prevention; 0 is nobody and meets everybody
        ("kind", "u1"),
        ("side", "i1"),  # 1 buys, -1 sells
        ("policy", "u1"),
        ("self_trade", "u1"),  # the arriving order's wish
    ]
)
TRADE = np.dtype(
    [("time", "<i8"), ("taker", "<i8"), ("maker", "<i8"), ("lots", "<i8"), ("tick", "<i4"), ("side", "<i4")]
)  # the side is the taker's
EVENT = np.dtype(
    [("time", "<i8"), ("id", "<i8"), ("lots", "<i8"), ("tick", "<i4"), ("kind", "u1"), ("reason", "u1"),
     ("reserved", "<u2")]
)  # fmt: skip  # what `lots` counts stands at EventKind; the tick is 0 for orders without a price


class Kind(IntEnum):
    """What a message asks for."""

    LIMIT = 0
    MARKET = 1  # what finds no counterpart is cancelled
    STOP = 2  # a market order once `stop_tick` trades
    STOP_LIMIT = 3
    CANCEL = 4
    REDUCE = 5  # by `lots`; by all or more is a cancel
    MODIFY = 6  # to `tick` and `lots`


class Policy(IntEnum):
    """How long an order lasts."""

    GTC = 0
    IOC = 1
    FOK = 2
    POST_ONLY = 3  # rejected if it would trade at once


class SelfTrade(IntEnum):
    """What happens where an order meets one of the same owner."""

    ALLOW = 0
    CANCEL_NEWEST = 1  # the arriving order ends
    CANCEL_OLDEST = 2  # the resting order ends, the arriving one goes on
    CANCEL_BOTH = 3


class EventKind(IntEnum):
    """What happened to an order, and what `lots` of the event counts."""

    RESTING = 1  # lots now in the book, hidden ones included
    WAITING = 2  # a stop, lots it will trade
    TRIGGERED = 3
    FILLED = 4  # to the last lot: 0
    CANCELLED = 5  # lots that left without a trade
    MODIFIED = 6  # lots now
    REFILLED = 7  # lots an iceberg now shows
    REJECTED = 8  # lots of the message


class Reason(IntEnum):
    """Why an order was cancelled or a message rejected."""

    NO_REASON = 0
    REQUESTED = 1
    UNFILLED = 2  # the rest of a market, IOC or FOK order
    SELF_TRADE = 3
    WOULD_CROSS = 4  # a post-only order
    BAD_KIND = 16
    BAD_SIDE = 17
    BAD_POLICY = 18
    BAD_PRICE = 19  # outside 1 .. MAX_TICK
    BAD_SIZE = 20  # outside 1 .. MAX_LOTS
    BAD_PEAK = 21  # negative, on an order that cannot rest, or more than MAX_SLICES pieces
    BAD_STOP = 22
    BAD_SELF_TRADE = 23
    DUPLICATE_ID = 24  # an order with this id lives
    UNKNOWN_ID = 25
    BOOK_FULL = 26  # as many orders live as the engine has room for
    STILL_WAITING = 27  # a stop that waits can only be cancelled


class Tape(TapeArrays):
    """Trades and order events, in growing arrays. `trades` and `events` are views of what is written so far."""

    def __new__(cls, room: int = 1024) -> Tape:
        """Return an empty tape with room for `room` records of each kind before it first grows."""
        if room < 1:
            raise ValueError(f"room is {room}, expected at least 1")
        return super().__new__(cls, TRADE, EVENT, room)


def digest(tape: Tape) -> str:
    """Return a name for every byte of a tape: equal tapes, equal names, on any machine."""
    state = blake2b(digest_size=16)
    for array in (tape.trades, tape.events):
        state.update(len(array).to_bytes(8, "little"))
        state.update(np.ascontiguousarray(array).view(np.uint8).data)
    return state.hexdigest()


@dataclass(frozen=True)
class Quotes:
    """Best prices in ticks with their displayed lots; a side without orders, and no trade yet, is 0."""

    bid: int
    bid_lots: int
    ask: int
    ask_lots: int
    last: int


@dataclass(frozen=True)
class LiveOrder:
    """An order in the book, or a stop that waits at `tick`."""

    side: int
    tick: int
    lots: int
    hidden: int
    owner: int
    waiting: bool
    orders_ahead: int
    lots_ahead: int


class MatchingEngine(Engine):
    """One instrument's book with price-time priority.

    Parameters
    ----------
    capacity : int
        Live orders it has room for, stops included; 64 bytes each plus two table entries. More are rejected.
    window : int
        Ticks around the touch whose levels are an array: a multiple of 4096, or 64, 128 .. 2048; 32 bytes each.
        Levels farther off cost a few look-ups in a hash table. The window follows the market.
    """

    def __new__(cls, capacity: int = 1 << 17, window: int = 1 << 14) -> MatchingEngine:
        """Return an empty book."""
        if not 1 <= capacity <= MAX_CAPACITY:
            raise ValueError(f"capacity is {capacity}, expected 1 to {MAX_CAPACITY} orders")
        small = window in (64, 128, 256, 512, 1024, 2048)
        if not (small or (window > 0 and window % 4096 == 0 and window <= 1 << 24)):
            raise ValueError(f"window is {window} ticks, expected 64, 128 .. 2048 or a multiple of 4096")
        return super().__new__(cls, capacity, window)

    def process(self, messages: np.ndarray, tape: Tape, *, checked: bool = False) -> None:
        """Take messages in order and write what comes of them to the tape.

        Parameters
        ----------
        messages : ndarray of MESSAGE, shape (n_messages,)
            Read in place if contiguous.
        tape : Tape
            Written at its end.
        checked : bool
            Look at every invariant of LOB-22 after each message: slow, for tests.

        Raises
        ------
        TypeError, ValueError
            If messages is no array, or has another dtype or shape.
        RuntimeError
            If another thread is at work on the engine or on the tape; the same holds for whatever looks at the book.
        AssertionError
            If `checked` and an invariant does not hold: an error in the engine.
        MemoryError
            If the tape could not grow; the book is sound, the tape lacks `tape.lost` records.
        """
        if not isinstance(messages, np.ndarray):
            raise TypeError(f"messages are a {type(messages).__name__}, expected an array of MESSAGE")
        if messages.dtype != MESSAGE or messages.ndim != 1:
            raise ValueError(
                f"messages have dtype {messages.dtype} and shape {messages.shape},"
                " expected a one-dimensional array of MESSAGE"
            )
        done, fault = self.run(np.ascontiguousarray(messages).view(np.int8), tape, checked)
        if fault:
            raise AssertionError(f"after message {done - 1}, {messages[done - 1]}: {FAULTS[fault]}")
        if tape.lost:
            raise MemoryError(f"the tape lacks {tape.lost} records")

    def submit(self, **fields: Any) -> tuple[np.ndarray, np.ndarray]:
        """Take one message given by its fields; return copies of (trades, events). For people, not for loops.

        >>> engine = MatchingEngine()
        >>> trades, events = engine.submit(id=1, kind=Kind.LIMIT, side=1, tick=100, lots=5)
        >>> EventKind(events["kind"][0]).name
        'RESTING'
        """
        tape = Tape(room=16)
        self.process(message(**fields), tape)
        return tape.trades.copy(), tape.events.copy()

    @property
    def best(self) -> Quotes:
        """Best quotes and the last trade's price."""
        return Quotes(*self.quotes())

    def levels(self, side: int, n_levels: int = 10) -> np.ndarray:
        """Return (tick, displayed lots, orders) of the best levels of a side, int64 of shape (<= n_levels, 3)."""
        if side not in (1, -1):
            raise ValueError(f"side is {side}, expected 1 for bids or -1 for asks")
        out = np.zeros((n_levels, 3), np.int64)
        return out[: self.depth(side, out)]

    def find(self, order_id: int) -> LiveOrder | None:
        """Return a live order and its place in the queue, or None."""
        row = self.order(order_id)
        return None if row is None else LiveOrder(*row)


def message(**fields: Any) -> np.ndarray:
    """Return one message as an array of one row; fields left out are 0. The engine judges the values."""
    unknown = set(fields) - set(MESSAGE.names or ())
    if unknown:
        raise ValueError(f"a message has no field {sorted(unknown)[0]!r}, expected {', '.join(MESSAGE.names or ())}")
    row = np.zeros(1, MESSAGE)
    for name, value in fields.items():
        try:
            row[name] = index(value)  # 2.5 lots are no 2
        except (TypeError, OverflowError) as error:
            raise type(error)(f"{name} is {value!r}, expected an integer of {MESSAGE[name]}") from None
    return row
