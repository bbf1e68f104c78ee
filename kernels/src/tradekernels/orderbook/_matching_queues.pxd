"""Orders enter and leave the queues of their levels. From: the engine in _matching.pxd. To: arena and ladders."""

from libc.stdint cimport int32_t, int64_t

from ._matching_arena cimport Book, Order, forget, give_slot, hidden_of, remember, take_slot
from ._matching_far cimport NO_ASK, NO_BID, Level
from ._matching_levels cimport Ladder, level_at, mark, next_above, next_below, settle, unmark
from ._machine cimport rarely
from ._matching_tape cimport BUY, NO_REASON, RESTING, Tape, write_event


cdef inline void enqueue(Book* book, Ladder* ladder, int32_t tick, int32_t slot, int64_t lots,
                         int64_t hidden) noexcept nogil:
    """Put an order at the end of a level's queue. Its sizes come along: they were stored too short ago to be read."""
    cdef Order* order = &book.orders[slot]
    cdef Level* level = level_at(ladder, tick)
    order.prev, order.next = level.tail, 0
    if level.tail:
        book.orders[level.tail].next = slot
    else:
        level.head = slot
        mark(ladder, tick)
    level.tail = slot
    level.count += 1
    level.lots += lots
    level.hidden += hidden


cdef inline bint dequeue(Book* book, Ladder* ladder, Level* level, int32_t tick, int32_t slot) noexcept nogil:
    """Take an order out of its queue; True if the level is now empty, and gone if it was far."""
    cdef Order* order = &book.orders[slot]
    if order.prev:
        book.orders[order.prev].next = order.next
    else:
        level.head = order.next
    if order.next:
        book.orders[order.next].prev = order.prev
    else:
        level.tail = order.prev
    level.count -= 1
    level.lots -= order.lots
    if rarely(order.special):
        level.hidden -= book.terms[slot].hidden
    if level.head == 0:
        unmark(ladder, tick)
        return True
    return False


cdef inline void drop_resting(Book* book, int32_t slot, int64_t place) noexcept nogil:
    """Remove a resting order from queue, table and arena. `place` is where the table has it."""
    cdef Order* order = &book.orders[slot]
    cdef int32_t tick = order.tick
    book.volume_resting -= order.lots + hidden_of(book, slot)
    if dequeue(book, &book.resting, level_at(&book.resting, tick), tick, slot):
        if tick == book.bid:
            book.bid = next_below(&book.resting, tick)
        elif tick == book.ask:
            book.ask = next_above(&book.resting, tick)
    forget(book, place)
    give_slot(book, slot)


cdef inline void rest(Book* book, Tape* tape, int64_t time, int64_t id, int32_t side, int32_t tick, int64_t lots,
                      int64_t peak, int32_t owner) noexcept nogil:
    cdef int32_t slot = take_slot(book)
    cdef Order* order = &book.orders[slot]
    cdef int64_t shown = min(lots, peak) if peak > 0 else lots
    order.id, order.lots, order.tick, order.side, order.waiting = id, shown, tick, side, 0
    order.special = peak > 0 or owner != 0
    if rarely(order.special):
        book.terms[slot].hidden, book.terms[slot].peak, book.terms[slot].owner = lots - shown, peak, owner
    if rarely(book.bid == NO_BID and book.ask == NO_ASK):
        settle(&book.resting, tick)
    enqueue(book, &book.resting, tick, slot, shown, lots - shown)
    remember(book, id, slot)
    if side == BUY:
        book.bid = max(book.bid, tick)
    else:
        book.ask = min(book.ask, tick)
    book.volume_resting += lots
    write_event(tape, time, id, lots, tick, RESTING, NO_REASON)
