"""Compiled decoder of order-level events (L3). From: sorted events that orders.py has checked. To: rows of a feed.

A level's total is what the loop keeps of the book; `born`, the row at which an order queued, is what a replay needs to
know whether a cancelled or executed order was before or behind an own one.
"""

from . cimport _book, _levels
from ._book cimport BookState
from ._levels cimport i64, u64
from ._records cimport BUY_TRADE, SELL_TRADE, Row


cdef packed struct OrderEvent:
    i64 exchange_time_ns
    i64 local_time_ns
    i64 order_id
    i64 lots
    int tick
    unsigned char kind
    unsigned char side
    unsigned short unused


cdef packed struct Slot:
    i64 id
    i64 lots  # 0: gone
    int tick
    int born
    i64 state  # 0 free, 1 + side otherwise


cdef enum EventKind:
    ADD, REDUCE, DELETE, EXECUTE, HIDDEN

cdef enum Fault:
    NONE, KIND, SIDE, RANGE, DUPLICATE, UNKNOWN, TOO_MANY

FAULTS = (
    "", "kind is none of ADD, REDUCE, DELETE, EXECUTE, HIDDEN", "side is neither 0 (bid) nor 1 (ask)",
    "tick or lots out of range", "an order of this id rests already", "no order of this id rests",
    "more lots than the order has left",
)  # fmt: skip

cdef enum:
    BEHIND_ALL = 0x7fffffff


cdef inline Slot* find(Slot* slots, u64 mask, i64 id) noexcept nogil:
    """Return the slot of an id, or the free one where it would go."""
    cdef u64 i = (<u64> id * <u64> 0x9E3779B97F4A7C15ULL) & mask
    i = (i ^ (i >> 17)) & mask
    while slots[i].state and slots[i].id != id:
        i = (i + 1) & mask
    return &slots[i]


cdef inline int fault_of(const OrderEvent* it, const Slot* slot) noexcept nogil:
    if it.kind > HIDDEN:
        return KIND
    if it.side > 1:
        return SIDE
    if it.kind == ADD or it.kind == HIDDEN:
        if it.tick < 1 or it.tick > 0x7ffffffe or it.lots < 1 or it.lots > <i64> 1 << 53:
            return RANGE
        return DUPLICATE if it.kind == ADD and slot.state and slot.lots else NONE
    if slot.state == 0 or slot.lots == 0:
        return UNKNOWN
    if it.kind != DELETE and (it.lots < 1 or it.lots > slot.lots):
        return RANGE if it.lots < 1 else TOO_MANY
    return NONE


def decode(const OrderEvent[::1] events, Slot[::1] slots, Row[::1] rows, int[::1] born, i64[::1] row_of, bint skip_bad,
           bint open_start):
    """Write rows and births, and the first row of every event; return (rows, bad events, unknown orders, event, fault).

    `open_start`: orders may rest from before the first event; what happens to them moves no level, and their
    executions are trades.
    """
    cdef Py_ssize_t k = 0, n = 0, n_bad = 0, n_unknown = 0
    cdef BookState state = BookState()
    cdef const OrderEvent* it
    cdef Slot* slot
    cdef u64 mask = slots.shape[0] - 1
    cdef int fault = NONE, queued
    cdef i64 key, total, lots
    cdef unsigned int side
    with nogil:
        for k in range(events.shape[0]):
            it = &events[k]
            row_of[k] = n
            slot = find(&slots[0], mask, it.order_id)
            fault = fault_of(it, slot)
            if fault == UNKNOWN and open_start:
                n_unknown += 1
                if it.kind == EXECUTE and it.tick >= 1 and it.lots >= 1 and it.lots <= <i64> 1 << 53:
                    rows[n].kind, rows[n].tick, rows[n].lots = SELL_TRADE - it.side, it.tick, it.lots
                    born[n] = -1
                    n += 1
                continue
            if fault:
                if not skip_bad:
                    break
                n_bad += 1
                continue
            if it.kind == HIDDEN:
                rows[n].kind, rows[n].tick, rows[n].lots = SELL_TRADE - it.side, it.tick, it.lots
                born[n] = BEHIND_ALL
                n += 1
                continue
            if it.kind == ADD:
                slot.id, slot.lots, slot.tick, slot.born, slot.state = it.order_id, it.lots, it.tick, <int> n, 1 + it.side
                lots, queued = it.lots, -1
            else:
                lots, queued = -(slot.lots if it.kind == DELETE else it.lots), slot.born
                slot.lots += lots
            side = <unsigned int> (slot.state - 1)
            if it.kind == EXECUTE:
                rows[n].kind, rows[n].tick, rows[n].lots = SELL_TRADE - side, slot.tick, it.lots
                born[n] = queued
                n += 1
            key = _book.key_of(side, slot.tick)
            total = _levels.get(&state.book.side[side], key) + lots
            _levels.put(&state.book.side[side], key, total)
            rows[n].kind, rows[n].tick, rows[n].lots = side, slot.tick, total
            born[n] = queued
            n += 1
    state.check()
    return n, n_bad, n_unknown, k, fault
