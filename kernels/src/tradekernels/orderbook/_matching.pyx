"""Compiled part of `tradekernels.orderbook.matching`. From: message arrays matching.py has checked. To: NumPy tapes.

The book itself is in _matching.pxd, inline, so that other compiled loops can drive it too.
"""

from cpython.ref cimport PyObject
from libc.stdint cimport int32_t, int64_t, uint32_t, uint64_t
from libc.string cimport memcpy, memset

import numpy as np

from ._matching cimport (
    BUY, MAX_CAPACITY, MAX_SLICES, SELL, Book, Event, Grow, Message, Order, Tape, Trade, book_clear, book_start, book_stop,
    depth_of, find, look_ahead, max_lots, submit,
)
from ._matching_levels cimport MAX_TICK, NO_ASK, NO_BID, Ladder, Level, find_level, is_dense, next_above, next_below

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
        self.tape.n_trades = self.tape.n_events = self.tape.n_lost = 0


cdef class Engine:
    """A book in C memory; no method but `run` is meant for speed."""

    cdef Book book

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
        message = <const Message*> &messages[0]
        with nogil:
            for i in range(n):
                look_ahead(&self.book, message + i, n - i)
                submit(&self.book, message + i, &tape.tape)
                if checked:
                    fault = broken(&self.book)
                    if fault:
                        break
        return (i + 1 if fault else n), fault

    def check(self):
        """Return the number of the first invariant that does not hold, or 0."""
        return broken(&self.book)

    def clear(self):
        book_clear(&self.book)

    def quotes(self):
        """Return (bid, bid lots, ask, ask lots, last tick); a side without orders, and no trade yet, are 0."""
        cdef const Level* level
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
        return {
            "live": self.book.n_live, "waiting": self.book.n_waiting, "in": self.book.volume_in,
            "resting": self.book.volume_resting, "traded": self.book.volume_traded,
            "cancelled": self.book.volume_cancelled,
        }  # fmt: skip

    def depth(self, int side, int64_t[:, ::1] out):
        """Write (tick, displayed lots, orders) of the best levels; return how many there are."""
        return depth_of(&self.book, side, out)

    def order(self, int64_t id):
        """Return (side, tick, displayed, hidden, owner, waiting, orders ahead, lots ahead) of a live order, or None."""
        cdef int64_t place = find(&self.book, id), lots_ahead = 0, ahead = 0
        cdef Order order
        cdef int32_t slot
        if place < 0:
            return None
        order = self.book.orders[self.book.table[place].slot]
        slot = order.prev
        while slot:
            ahead += 1
            lots_ahead += self.book.orders[slot].lots
            slot = self.book.orders[slot].prev
        return (order.side, order.stop_tick if order.waiting else order.tick, order.lots, order.hidden, order.owner,
                bool(order.waiting), ahead, lots_ahead)

    def rows(self):
        """Return (id, side, tick, displayed, hidden, owner) of every resting order: by rising tick, first in line first."""
        cdef int32_t tick = next_above(&self.book.resting, NO_BID), slot
        cdef Order order
        out = []
        while tick != NO_ASK:
            slot = find_level(&self.book.resting, tick).head
            while slot:
                order = self.book.orders[slot]
                out.append((order.id, order.side, order.tick, order.lots, order.hidden, order.owner))
                slot = order.next
            tick = next_above(&self.book.resting, tick)
        return out


FAULTS = (
    "", "the book is crossed", "a best quote is not the best level", "the bitmap disagrees with the levels",
    "a level's totals are not those of its orders", "a queue's links are broken", "an order is in the wrong level",
    "the id table does not lead to an order", "free and live orders are not the capacity",
    "volume in is not resting, traded and cancelled", "far levels are not sorted or not far",
    "an order rests without lots", "a stop that should have been triggered waits",
)


cdef int broken(Book* book) noexcept nogil:
    """Return the index into FAULTS of an invariant that does not hold, or 0."""
    cdef int fault
    cdef int64_t lots = 0
    cdef int32_t n = 0, free = 0, slot, entries = 0
    cdef uint64_t k
    if book.bid >= book.ask:
        return 1
    if book.bid != next_below(&book.resting, book.ask) or book.ask != next_above(&book.resting, book.bid):
        return 2
    if book.lowest_buy_stop != next_above(&book.buy_stops, NO_BID) or (
        book.highest_sell_stop != next_below(&book.sell_stops, NO_ASK)
    ):
        return 2
    fault = broken_ladder(book, &book.resting, 0, &n, &lots)
    if fault == 0:
        fault = broken_ladder(book, &book.buy_stops, BUY, &n, &lots)
    if fault == 0:
        fault = broken_ladder(book, &book.sell_stops, SELL, &n, &lots)
    if fault:
        return fault
    slot = book.free_slot
    while slot and free <= book.capacity:
        free += 1
        slot = book.orders[slot].next
    for k in range((<uint64_t> 1) << book.bits):
        entries += book.table[k].slot != 0
    if n != book.n_live or free + n != book.capacity:
        return 8
    if entries != n:
        return 7
    if lots != book.volume_resting or (
        book.volume_in != book.volume_resting + book.volume_traded + book.volume_cancelled
    ):
        return 9
    if book.last_tick and (book.lowest_buy_stop <= book.last_tick or book.highest_sell_stop >= book.last_tick):
        return 12
    return 0


cdef int broken_ladder(Book* book, Ladder* ladder, int waiting_side, int32_t* n, int64_t* lots) noexcept nogil:
    cdef int32_t i, tick = 0
    cdef int fault
    cdef bint marked
    for i in range(ladder.window):
        marked = (ladder.words[i >> 6] >> (i & 63)) & 1
        if marked != (ladder.dense[i].head != 0):
            return 3
        if marked:
            fault = broken_level(book, &ladder.dense[i], ladder.base + i, waiting_side, n, lots)
            if fault:
                return fault
        elif ladder.dense[i].lots or ladder.dense[i].hidden or ladder.dense[i].count or ladder.dense[i].tail:
            return 4
    for i in range(ladder.window // 64):
        if ((ladder.summary[i >> 6] >> (i & 63)) & 1) != (ladder.words[i] != 0):
            return 3
    for i in range(ladder.n_far):
        if ladder.far[i].tick <= tick or is_dense(ladder, ladder.far[i].tick) or ladder.far[i].head == 0:
            return 10
        tick = ladder.far[i].tick
        fault = broken_level(book, &ladder.far[i], tick, waiting_side, n, lots)
        if fault:
            return fault
    return 0


cdef int broken_level(Book* book, const Level* level, int32_t tick, int waiting_side, int32_t* n, int64_t* lots) noexcept nogil:
    cdef int64_t displayed = 0, hidden = 0, place
    cdef int32_t slot = level.head, before = 0, count = 0
    cdef Order* order
    if level.tick != tick:
        return 6
    while slot:
        order = &book.orders[slot]
        if order.prev != before or count > book.capacity or not order.used:
            return 5
        if order.lots <= 0 or order.hidden < 0:
            return 11
        if waiting_side:
            if not order.waiting or order.side != waiting_side or order.stop_tick != tick:
                return 6
        elif order.waiting or order.tick != tick or (order.side == BUY) != (tick <= book.bid):
            return 6
        place = find(book, order.id)
        if place < 0 or book.table[place].slot != slot:
            return 7
        displayed += order.lots
        hidden += order.hidden
        count += 1
        before, slot = slot, order.next
    if level.tail != before:
        return 5
    if displayed != level.lots or hidden != level.hidden or count != level.count:
        return 4
    n[0] += count
    lots[0] += displayed + hidden
    return 0
