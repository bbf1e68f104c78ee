"""The invariants of LOB-22 notice damage: each is broken on purpose, in the engine's own memory."""

import ctypes
import sys
from ctypes import POINTER, c_int8, c_int32, c_int64, c_uint8, c_uint32, c_uint64, c_void_p

import pytest

from tradekernels.orderbook.matching import Kind, MatchingEngine, Tape, message

pytestmark = pytest.mark.skipif(sys.implementation.name != "cpython", reason="looks at CPython's objects")


class Order(ctypes.Structure):
    _fields_ = (
        *(("id", c_int64), ("lots", c_int64), ("tick", c_int32), ("prev", c_int32), ("next", c_int32)),
        *(("side", c_int8), ("used", c_uint8), ("waiting", c_uint8), ("special", c_uint8)),
    )


class Entry(ctypes.Structure):
    _fields_ = (("mark", c_uint32), ("slot", c_int32))


class Level(ctypes.Structure):
    _fields_ = [(name, c_int32) for name in ("head", "tail", "tick", "count")] + [
        ("lots", c_int64),
        ("hidden", c_int64),
    ]


class Ladder(ctypes.Structure):
    _fields_ = (
        [("dense", POINTER(Level)), ("words", POINTER(c_uint64)), ("summary", POINTER(c_uint64)), ("far", c_void_p)]
        + [("number", c_uint64)] + [(name, c_int32) for name in ("n_far", "window", "base", "searches")]
    )  # fmt: skip


class Book(ctypes.Structure):
    """The struct of _matching_arena.pxd."""

    _fields_ = (
        [("orders", POINTER(Order)), ("terms", c_void_p), ("table", POINTER(Entry)), ("far", c_void_p)]
        + [(name, Ladder) for name in ("resting", "buy_stops", "sell_stops")]
        + [(name, c_int32) for name in ("bid", "ask", "lowest_buy_stop", "highest_sell_stop")]
        + [(name, c_int32) for name in ("last_tick", "first_tick")]
        + [(name, c_int32) for name in ("free_slot", "n_live", "n_waiting", "capacity")]
        + [(name, c_int32) for name in ("first_triggered", "last_triggered", "bits")]
        + [("volume_resting", c_int64)] + [(f"volume_{name}", c_uint64) for name in ("in", "traded", "cancelled")]
    )  # fmt: skip


def book_with_everything():
    """Return an engine whose slots 1, 2 stand at 98, 3 at 99, 4 at 101, 5 far off; 6 waits; and its memory."""
    engine = MatchingEngine(16, 64)
    for k, (side, tick) in enumerate([(1, 98), (1, 98), (1, 99), (-1, 101), (-1, 10**6)]):
        engine.submit(id=k + 1, kind=Kind.LIMIT, side=side, lots=5, tick=tick)
    engine.submit(id=6, kind=Kind.STOP, side=1, lots=5, stop_tick=105)
    engine.submit(id=7, kind=Kind.MARKET, side=1, lots=1)
    assert engine.check() == 0
    book = Book.from_address(id(engine) + object.__basicsize__ + ctypes.sizeof(c_void_p))  # after the method table
    assert (book.bid, book.ask, book.capacity, book.n_live, book.n_waiting) == (99, 101, 16, 6, 1)
    return engine, book


def level(book, tick):
    return book.resting.dense[tick - book.resting.base]


DAMAGE = {
    "the book is crossed": lambda book: setattr(book, "bid", 101),
    "a best quote is not the best level": lambda book: setattr(book, "bid", 98),
    "the bitmap disagrees": lambda book: book.resting.words.__setitem__(0, book.resting.words[0] | 1),
    "a level's totals": lambda book: setattr(level(book, 98), "lots", 11),
    "a level's totals ": lambda book: setattr(level(book, 98), "count", 3),
    "a queue's links": lambda book: setattr(book.orders[2], "prev", 3),
    "a queue's links ": lambda book: setattr(level(book, 98), "tail", 1),
    "in the wrong level": lambda book: setattr(book.orders[2], "tick", 97),
    "in the wrong level ": lambda book: setattr(level(book, 98), "tick", 97),
    "the id table": lambda book: setattr(book.orders[2], "id", 12345),
    "free and live orders": lambda book: setattr(book, "free_slot", 0),
    "volume in is not": lambda book: setattr(book, "volume_in", book.volume_in + 1),
    "volume in is not ": lambda book: setattr(book, "volume_resting", book.volume_resting - 1),
    "far levels": lambda book: setattr(book.resting, "n_far", 2),
    "an order rests without lots": lambda book: setattr(book.orders[1], "lots", 0),
    "should have been triggered": lambda book: setattr(book, "last_tick", 105),
}


@pytest.mark.parametrize("fault", DAMAGE)
def test_damage_is_noticed_after_the_next_message(fault):
    engine, book = book_with_everything()
    DAMAGE[fault](book)
    with pytest.raises(AssertionError, match=fault.strip()):
        engine.process(message(kind=7), Tape(), checked=True)
