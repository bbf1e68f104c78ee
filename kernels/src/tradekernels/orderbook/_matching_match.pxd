"""An order meets the other side of the book. From: the engine, after every check. To: trades on the tape."""

from libc.stdint cimport int32_t, int64_t, uint8_t

from ._matching_arena cimport (
    Book, Order, Terms, find, forget, give_slot, hidden_of, home_of, mark_of, owner_of,
)
from ._matching_far cimport MAX_TICK, NO_ASK, NO_BID, Level
from ._matching_levels cimport level_at, next_above, next_below, unmark
from ._machine cimport prefetch, rarely
from ._matching_queues cimport dequeue, drop_resting, enqueue, rest
from ._matching_stops cimport collect_triggered
from ._matching_tape cimport (
    ALLOW, BUY, CANCEL_NEWEST, CANCEL_OLDEST, CANCELLED, FILLED, FOK, IOC, NO_REASON, POST_ONLY, REFILLED, SELF_TRADE, STOP,
    TRIGGERED, UNFILLED, WOULD_CROSS, Tape, write_event, write_trade,
)


cdef inline int64_t available(Book* book, int32_t side, int32_t limit, int64_t wanted, int32_t owner,
                              uint8_t self_trade) noexcept nogil:
    """Return how much of `wanted` can be bought up to `limit` (or sold down to it), hidden reserve included."""
    cdef int32_t tick = book.ask if side == BUY else book.bid, slot
    cdef int64_t found = 0
    cdef Level* level
    while found < wanted and side * tick <= side * limit and tick != NO_BID and tick != NO_ASK:
        level = level_at(&book.resting, tick)
        if self_trade == ALLOW or owner == 0:
            found += level.lots + level.hidden
        else:
            slot = level.head
            while slot and found < wanted:
                if owner_of(book, slot) != owner:
                    found += book.orders[slot].lots  # what an iceberg hides stands behind the whole queue
                elif self_trade != CANCEL_OLDEST:
                    return found
                slot = book.orders[slot].next
            slot = level.head
            while slot and found < wanted:
                if owner_of(book, slot) != owner:
                    found += hidden_of(book, slot)
                slot = book.orders[slot].next
        tick = next_above(&book.resting, tick) if side == BUY else next_below(&book.resting, tick)
    return min(found, wanted)


cdef inline void show_next_piece(Book* book, Tape* tape, int64_t time, Level* level, int32_t slot) noexcept nogil:
    """Show the next piece of an iceberg; shown anew, it stands behind everyone at its price."""
    cdef Order* order = &book.orders[slot]
    cdef Terms* terms = &book.terms[slot]
    cdef int64_t size = min(terms.peak, terms.hidden)
    dequeue(book, &book.resting, level, order.tick, slot)
    order.lots = size
    terms.hidden -= size
    enqueue(book, &book.resting, order.tick, slot, size, terms.hidden)
    write_event(tape, time, order.id, size, order.tick, REFILLED, NO_REASON)


cdef inline int64_t sweep(Book* book, Tape* tape, int64_t time, int64_t taker, int32_t side, int32_t limit,
                          int64_t lots, int32_t owner, uint8_t self_trade) noexcept nogil:
    """Trade up to `limit`; return the lots left, or minus them if self-trade prevention ended the taker."""
    cdef int32_t* best = &book.ask if side == BUY else &book.bid
    cdef int32_t tick, slot
    cdef int64_t size
    cdef Level* level
    cdef Order* maker
    cdef bint guarded = self_trade != ALLOW and owner != 0
    while lots > 0 and side * best[0] <= side * limit:
        tick = best[0]
        level = level_at(&book.resting, tick)
        slot = level.head
        while True:
            maker = &book.orders[slot]
            if rarely(guarded and owner_of(book, slot) == owner):
                if self_trade != CANCEL_NEWEST:
                    size = maker.lots + hidden_of(book, slot)
                    book.volume_cancelled += size
                    write_event(tape, time, maker.id, size, tick, CANCELLED, SELF_TRADE)
                    drop_resting(book, slot, find(book, maker.id))
                if self_trade != CANCEL_OLDEST:
                    return -lots
                break  # the level may be gone: look at the best again
            size = min(lots, maker.lots)
            write_trade(tape, time, taker, maker.id, size, tick, side)
            lots -= size
            maker.lots -= size
            level.lots -= size
            book.volume_traded += size
            book.volume_resting -= size
            book.last_tick = tick
            if book.first_tick == 0:
                book.first_tick = tick
            if maker.lots > 0:
                break
            if rarely(maker.special and book.terms[slot].hidden > 0):
                show_next_piece(book, tape, time, level, slot)
                break
            write_event(tape, time, maker.id, 0, tick, FILLED, NO_REASON)
            forget(book, find(book, maker.id))
            level.head = maker.next
            level.count -= 1
            give_slot(book, slot)
            slot = level.head
            if slot == 0:
                level.tail = 0
                unmark(&book.resting, tick)
                best[0] = next_above(&book.resting, tick) if side == BUY else next_below(&book.resting, tick)
                break
            book.orders[slot].prev = 0
            prefetch(&book.table[home_of(book, mark_of(book.orders[slot].id))])
            if lots == 0:
                break
    return lots


cdef inline void execute(Book* book, Tape* tape, int64_t time, int64_t id, int32_t side, bint market, int32_t tick,
                         int64_t lots, int64_t peak, uint8_t policy, int32_t owner, uint8_t self_trade) noexcept nogil:
    """Match an order that has passed every check, and rest, cancel or finish what is left of it."""
    cdef int32_t limit = tick if not market else MAX_TICK if side == BUY else 1, shown = 0 if market else tick
    cdef int64_t left
    cdef bint crosses = book.ask <= limit if side == BUY else book.bid >= limit
    if crosses:
        if rarely(policy == POST_ONLY or policy == FOK):
            if policy == POST_ONLY or available(book, side, limit, lots, owner, self_trade) < lots:
                book.volume_cancelled += lots
                write_event(tape, time, id, lots, shown, CANCELLED, WOULD_CROSS if policy == POST_ONLY else UNFILLED)
                return
        book.first_tick = 0
        left = sweep(book, tape, time, id, side, limit, lots, owner, self_trade)
        if rarely(book.n_waiting > 0):
            collect_triggered(book, side, lots - (left if left >= 0 else -left))
        book.volume_traded += lots - (left if left >= 0 else -left)
        lots = left
        if lots == 0:
            write_event(tape, time, id, 0, shown, FILLED, NO_REASON)
            return
        if rarely(lots < 0):
            book.volume_cancelled -= lots
            write_event(tape, time, id, -lots, shown, CANCELLED, SELF_TRADE)
            return
    if market or policy == IOC or policy == FOK:
        book.volume_cancelled += lots
        write_event(tape, time, id, lots, shown, CANCELLED, UNFILLED)
        return
    rest(book, tape, time, id, side, tick, lots, peak, owner)


cdef inline void run_triggered(Book* book, Tape* tape, int64_t time) noexcept nogil:
    cdef int32_t slot
    cdef Order order
    cdef Terms terms
    while book.first_triggered:
        slot = book.first_triggered
        order, terms = book.orders[slot], book.terms[slot]
        book.first_triggered = order.next
        if order.next == 0:
            book.last_triggered = 0
        forget(book, find(book, order.id))
        give_slot(book, slot)
        write_event(tape, time, order.id, order.lots, terms.stop_tick, TRIGGERED, NO_REASON)
        execute(book, tape, time, order.id, order.side, terms.kind == STOP, order.tick, order.lots, terms.peak,
                terms.policy, terms.owner, terms.self_trade)
