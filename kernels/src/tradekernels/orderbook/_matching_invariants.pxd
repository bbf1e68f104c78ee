"""What holds after each message, whatever it was (LOB-22). From: a book. To: the number of the first law that does not.

The numbers are the places in FAULTS of _matching.pyx.
"""

from libc.stdint cimport int32_t, int64_t, uint64_t

from ._matching_arena cimport Book, Order, find, hidden_of
from ._matching_far cimport NO_ASK, NO_BID, Level, far_above, far_below, far_find
from ._matching_levels cimport Ladder, is_dense, next_above, next_below
from ._matching_tape cimport BUY, SELL


cdef inline int broken_level(Book* book, const Level* level, int32_t tick, int waiting_side, int32_t* n, int64_t* lots) noexcept nogil:
    cdef int64_t displayed = 0, hidden = 0, place
    cdef int32_t slot = level.head, before = 0, count = 0
    cdef Order* order
    if level.tick != tick:
        return 6
    while slot:
        order = &book.orders[slot]
        if order.prev != before or count > book.capacity or not order.used:
            return 5
        if order.lots <= 0 or hidden_of(book, slot) < 0:
            return 11
        if waiting_side:
            if not order.waiting or order.side != waiting_side or book.terms[slot].stop_tick != tick:
                return 6
        elif order.waiting or order.tick != tick or (order.side == BUY) != (tick <= book.bid):
            return 6
        place = find(book, order.id)
        if place < 0 or book.table[place].slot != slot:
            return 7
        displayed += order.lots
        hidden += hidden_of(book, slot)
        count += 1
        before, slot = slot, order.next
    if level.tail != before:
        return 5
    if displayed != level.lots or hidden != level.hidden or count != level.count:
        return 4
    n[0] += count
    lots[0] += displayed + hidden
    return 0


cdef inline int broken_ladder(Book* book, Ladder* ladder, int waiting_side, int32_t* n, int64_t* lots) noexcept nogil:
    cdef int32_t i, tick, n_far = 0, before = NO_BID
    cdef const Level* level
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
    tick = far_above(ladder.far, ladder.number, NO_BID)
    while tick != NO_ASK:
        level = far_find(ladder.far, ladder.number, tick)
        if level == NULL or is_dense(ladder, tick) or level.head == 0 or far_below(ladder.far, ladder.number, tick) != before:
            return 10
        fault = broken_level(book, level, tick, waiting_side, n, lots)
        if fault:
            return fault
        n_far, before = n_far + 1, tick
        tick = far_above(ladder.far, ladder.number, tick)
    if n_far != ladder.n_far:
        return 10
    return 0


cdef inline int broken(Book* book) noexcept nogil:
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
        book.volume_in != <uint64_t> book.volume_resting + book.volume_traded + book.volume_cancelled
    ):
        return 9
    if book.last_tick and (book.lowest_buy_stop <= book.last_tick or book.highest_sell_stop >= book.last_tick):
        return 12
    return 0
