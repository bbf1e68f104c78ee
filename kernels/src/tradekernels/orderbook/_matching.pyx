"""Compiled part of `tradekernels.orderbook.matching`. From: message arrays matching.py has checked. To: NumPy tapes.

The book itself is in _matching.pxd, inline, so that other compiled loops can drive it too.
"""

from cpython.ref cimport PyObject
from libc.stdint cimport int32_t, int64_t
from libc.string cimport memset

import numpy as np

from ._matching cimport (
    MAX_CAPACITY, MAX_SLICES, Book, Event, Grow, Message, Order, Tape, Trade, book_clear, book_start, book_stop,
    depth_of, find, look_ahead, max_lots, submit,
)
from ._matching_arena cimport hidden_of, owner_of
from ._matching_far cimport MAX_TICK, NO_ASK, NO_BID, Level
from ._matching_invariants cimport broken
from ._matching_levels cimport find_level, next_above

LIMITS = {"MAX_TICK": MAX_TICK, "MAX_LOTS": max_lots(), "MAX_SLICES": MAX_SLICES, "MAX_CAPACITY": MAX_CAPACITY}


cdef bint grow_arrays(Tape* tape, bint trades) noexcept with gil:
    """Give a tape arrays twice as long; what was handed out before keeps the old ones."""
    try:
        (<TapeArrays> <PyObject*> tape.owner).grow(trades)
    except MemoryError:
        return False
    return True


cdef class TapeArrays:
    """Two growing NumPy arrays that the book writes to. Views of what is written stay valid when they grow."""

    cdef Tape tape
    cdef object trade_array, event_array
    cdef bint busy  # a book is writing to it, without the GIL

    def __cinit__(self, trade_dtype, event_dtype, Py_ssize_t room):
        memset(&self.tape, 0, sizeof(Tape))
        self.tape.owner = <PyObject*> self
        self.tape.grow = <Grow> grow_arrays
        self.trade_array, self.event_array = np.empty(0, trade_dtype), np.empty(0, event_dtype)
        self.tape.trade_room = self.tape.event_room = 0
        self.adopt(np.empty(room, trade_dtype), True)
        self.adopt(np.empty(room, event_dtype), False)

    cdef adopt(self, array, bint trades):
        cdef char[::1] memory = array.view(np.int8)
        if trades:
            array[:self.tape.n_trades] = self.trade_array[:self.tape.n_trades]
            self.trade_array, self.tape.trades = array, <Trade*> &memory[0]
            self.tape.trade_room = len(array)
        else:
            array[:self.tape.n_events] = self.event_array[:self.tape.n_events]
            self.event_array, self.tape.events = array, <Event*> &memory[0]
            self.tape.event_room = len(array)

    cdef grow(self, bint trades):
        old = self.trade_array if trades else self.event_array
        self.adopt(np.empty(2 * len(old), old.dtype), trades)

    @property
    def trades(self):
        """View of the trades so far."""
        return self.trade_array[:self.tape.n_trades]

    @property
    def events(self):
        """View of the order events so far."""
        return self.event_array[:self.tape.n_events]

    @property
    def lost(self):
        """Records that found no memory."""
        return self.tape.n_lost

    def clear(self):
        """Start anew in the same memory: views handed out before are overwritten."""
        if self.busy:
            raise RuntimeError("the tape is being written by another thread, expected to be at rest")
        self.tape.n_trades = self.tape.n_events = self.tape.n_lost = 0


cdef class Engine:
    """A book in C memory; no method but `run` is meant for speed."""

    cdef Book book
    cdef bint busy  # `run` is at work, without the GIL

    cdef int at_rest(self) except -1:
        """Keep other threads out of a book at work: it has no locks of its own."""
        if self.busy:
            raise RuntimeError("the engine is at work in another thread, expected to be at rest")
        return 0

    def __cinit__(self, int32_t capacity, int32_t window):
        if not book_start(&self.book, capacity, window):
            raise MemoryError(f"no memory for a book of {capacity} orders and {window} ticks")

    def __dealloc__(self):
        book_stop(&self.book)

    def run(self, const char[::1] messages, TapeArrays tape, bint checked):
        """Take packed messages in order; with `checked` the invariants are looked at after each.

        Returns (messages taken, fault): all of them and 0, or up to the one that broke an invariant.
        """
        cdef Py_ssize_t i = 0, n = messages.shape[0] // <Py_ssize_t> sizeof(Message)
        cdef const Message* message
        cdef int fault = 0
        if n == 0:
            return 0, 0
        self.at_rest()
        if tape.busy:
            raise RuntimeError("the tape is being written by another thread, expected to be at rest")
        message = <const Message*> &messages[0]
        self.busy = tape.busy = True
        with nogil:
            for i in range(n):
                look_ahead(&self.book, message + i, n - i)
                submit(&self.book, message + i, &tape.tape)
                if checked:
                    fault = broken(&self.book)
                    if fault:
                        break
        self.busy = tape.busy = False
        return (i + 1 if fault else n), fault

    def check(self):
        """Return the number of the first invariant that does not hold, or 0."""
        self.at_rest()
        return broken(&self.book)

    def clear(self):
        self.at_rest()
        book_clear(&self.book)

    def quotes(self):
        """Return (bid, bid lots, ask, ask lots, last tick); a side without orders, and no trade yet, are 0."""
        cdef const Level* level
        self.at_rest()
        bid = ask = (0, 0)
        if self.book.bid != NO_BID:
            level = find_level(&self.book.resting, self.book.bid)
            bid = (level.tick, level.lots)
        if self.book.ask != NO_ASK:
            level = find_level(&self.book.resting, self.book.ask)
            ask = (level.tick, level.lots)
        return *bid, *ask, self.book.last_tick

    def counts(self):
        """Return how many orders live and how many of them wait, and the volume in, resting, traded and cancelled."""
        self.at_rest()
        return {
            "live": self.book.n_live, "waiting": self.book.n_waiting, "in": self.book.volume_in,
            "resting": self.book.volume_resting, "traded": self.book.volume_traded,
            "cancelled": self.book.volume_cancelled,
        }  # fmt: skip

    def depth(self, int side, int64_t[:, ::1] out):
        """Write (tick, displayed lots, orders) of the best levels; return how many there are."""
        self.at_rest()
        return depth_of(&self.book, side, out)

    def order(self, int64_t id):
        """Return (side, tick, displayed, hidden, owner, waiting, orders ahead, lots ahead) of a live order, or None."""
        cdef int64_t place, lots_ahead = 0, ahead = 0
        cdef Order order
        cdef int32_t slot, found
        self.at_rest()
        place = find(&self.book, id)
        if place < 0:
            return None
        found = self.book.table[place].slot
        order = self.book.orders[found]
        slot = order.prev
        while slot:
            ahead += 1
            lots_ahead += self.book.orders[slot].lots
            slot = self.book.orders[slot].prev
        return (order.side, self.book.terms[found].stop_tick if order.waiting else order.tick, order.lots,
                hidden_of(&self.book, found), owner_of(&self.book, found),
                bool(order.waiting), ahead, lots_ahead)

    def rows(self):
        """Return (id, side, tick, displayed, hidden, owner) of every resting order: by rising tick, first in line first."""
        cdef int32_t tick, slot
        cdef Order order
        self.at_rest()
        out = []
        tick = next_above(&self.book.resting, NO_BID)
        while tick != NO_ASK:
            slot = find_level(&self.book.resting, tick).head
            while slot:
                order = self.book.orders[slot]
                out.append((order.id, order.side, order.tick, order.lots, hidden_of(&self.book, slot), owner_of(&self.book, slot)))
                slot = order.next
            tick = next_above(&self.book.resting, tick)
        return out


FAULTS = (
    "", "the book is crossed", "a best quote is not the best level", "the bitmap disagrees with the levels",
    "a level's totals are not those of its orders", "a queue's links are broken", "an order is in the wrong level",
    "the id table does not lead to an order", "free and live orders are not the capacity",
    "volume in is not resting, traded and cancelled", "far levels are not those of their tree, or not far",
    "an order rests without lots", "a stop that should have been triggered waits",
)
