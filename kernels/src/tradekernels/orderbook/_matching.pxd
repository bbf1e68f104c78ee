"""A price-time priority book, driven without Python. From: messages. To: a tape of trades and order events.

Everything is inline, so that the flow generator and the environment compile it into their own loops:

    cdef Book book
    cdef Tape tape
    book_start(&book, capacity, window); tape_start(&tape)
    submit(&book, &message, &tape)   # as often as wanted; read tape.trades[:tape.n_trades]
    book_stop(&book); tape_stop(&tape)

One idea a file, each built on those before it: _far and _levels (prices), _tape (records), _arena (orders
and ids), _queues, _stops, _match, _rejects; _invariants looks at the result.
"""

from libc.stdint cimport int32_t, int64_t, uint8_t

from ._matching_arena cimport (
    Book, Order, book_clear, book_start, book_stop, find, forget, give_slot, hidden_of, home_of, mark_of, owner_of, peak_of,
)
from ._matching_far cimport NO_ASK, NO_BID, Level
from ._matching_levels cimport find_level, follow, is_dense, level_at, next_above, next_below
from ._matching_match cimport execute, run_triggered
from ._machine cimport prefetch, rarely
from ._matching_queues cimport drop_resting, rest
from ._matching_rejects cimport fault_of, fault_of_change, reject
from ._matching_stops cimport drop_waiting, wait_for_price
from ._matching_tape cimport (
    ALLOW, BAD_KIND, BUY, CANCEL, CANCELLED, GTC, IOC, LIMIT, MARKET, MAX_CAPACITY, MAX_SLICES, MODIFIED, MODIFY, NO_REASON,
    REDUCE, REQUESTED, SELL, STOP, STOP_LIMIT, TRIGGERED, UNKNOWN_ID, Event, Grow, Message, Tape, Trade, max_lots,
    tape_start, tape_stop, write_event,
)


cdef inline void cancel(Book* book, Tape* tape, const Message* m) noexcept nogil:
    cdef int64_t place = find(book, m.id), lots
    cdef int32_t slot
    cdef Order* order
    if rarely(place < 0):
        reject(tape, m, UNKNOWN_ID)
        return
    slot = book.table[place].slot
    order = &book.orders[slot]
    lots = order.lots + hidden_of(book, slot)
    book.volume_cancelled += lots
    write_event(tape, m.time, m.id, lots, order.tick, CANCELLED, REQUESTED)
    if rarely(order.waiting):
        drop_waiting(book, slot)
        forget(book, place)
        give_slot(book, slot)
    else:
        drop_resting(book, slot, place)


cdef inline void shrink(Book* book, Tape* tape, int64_t time, int32_t slot, int64_t lots) noexcept nogil:
    """Take lots from an order that keeps its place: from an iceberg's reserve first."""
    cdef Order* order = &book.orders[slot]
    cdef Level* level = level_at(&book.resting, order.tick)
    cdef int64_t reserve = min(lots, hidden_of(book, slot))
    if reserve:
        book.terms[slot].hidden -= reserve
        level.hidden -= reserve
    order.lots -= lots - reserve
    level.lots -= lots - reserve
    book.volume_cancelled += lots
    book.volume_resting -= lots
    write_event(tape, time, order.id, order.lots + hidden_of(book, slot), order.tick, MODIFIED, NO_REASON)


cdef inline void change(Book* book, Tape* tape, const Message* m) noexcept nogil:
    """REDUCE by `lots`, or MODIFY to `tick` and `lots`: a smaller order at its price keeps its place, any other loses it."""
    cdef int64_t place = find(book, m.id), lots, peak
    cdef int32_t slot, owner, side
    cdef uint8_t fault
    if rarely(place < 0):
        reject(tape, m, UNKNOWN_ID)
        return
    slot = book.table[place].slot
    fault = fault_of_change(book, slot, m)
    if rarely(fault != NO_REASON):
        reject(tape, m, fault)
        return
    lots = book.orders[slot].lots + hidden_of(book, slot)
    if m.kind == REDUCE:
        if m.lots >= lots:
            cancel(book, tape, m)
        else:
            shrink(book, tape, m.time, slot, m.lots)
    elif m.tick == book.orders[slot].tick and m.lots <= lots:
        shrink(book, tape, m.time, slot, lots - m.lots)
    else:
        peak, owner, side = peak_of(book, slot), owner_of(book, slot), book.orders[slot].side
        book.volume_cancelled += lots
        book.volume_in += m.lots
        drop_resting(book, slot, place)
        write_event(tape, m.time, m.id, m.lots, m.tick, MODIFIED, NO_REASON)
        execute(book, tape, m.time, m.id, side, False, m.tick, m.lots, peak, GTC, owner, m.self_trade)
        run_triggered(book, tape, m.time)


cdef inline void submit(Book* book, const Message* m, Tape* tape) noexcept nogil:
    """Take one message; whatever comes of it is on the tape."""
    cdef uint8_t fault
    if m.kind == CANCEL:
        cancel(book, tape, m)
    elif m.kind <= STOP_LIMIT:
        fault = fault_of(book, m)
        if rarely(fault != NO_REASON):
            reject(tape, m, fault)
            return
        book.volume_in += m.lots
        if rarely(m.kind >= STOP and not (book.last_tick > 0 and m.side * m.stop_tick <= m.side * book.last_tick)):
            wait_for_price(book, tape, m)
        else:
            if rarely(m.kind >= STOP):
                write_event(tape, m.time, m.id, m.lots, m.stop_tick, TRIGGERED, NO_REASON)
            execute(book, tape, m.time, m.id, m.side, m.kind == MARKET or m.kind == STOP, m.tick, m.lots, m.peak,
                    m.policy, m.owner, m.self_trade)
            if rarely(book.first_triggered):
                run_triggered(book, tape, m.time)
    elif m.kind <= MODIFY:
        change(book, tape, m)
    else:
        reject(tape, m, BAD_KIND)
    follow(&book.resting, book.bid, book.ask)


cdef inline Py_ssize_t depth_of(Book* book, int side, int64_t[:, ::1] out) noexcept nogil:
    """Write (tick, displayed lots, orders) of the best levels; return how many there are."""
    cdef int32_t tick = book.bid if side == BUY else book.ask
    cdef Py_ssize_t k = 0
    cdef const Level* level
    while k < out.shape[0] and tick != NO_BID and tick != NO_ASK:
        level = find_level(&book.resting, tick)
        out[k, 0], out[k, 1], out[k, 2] = tick, level.lots, level.count
        tick = next_below(&book.resting, tick) if side == BUY else next_above(&book.resting, tick)
        k += 1
    return k


cdef inline void look_ahead(const Book* book, const Message* messages, int64_t left) noexcept nogil:
    """Fetch what the next messages will read: the table's entry, then the order, then its neighbours and its level.

    Without branches on what a message is, which nobody can predict: one that is no cancel looks at slot 0, which is near.
    """
    cdef const Order* order
    cdef const Message* m
    cdef int32_t tick
    cdef bint known
    if left <= 16 or book.n_live < 4096:  # a small book lies in the cache
        return
    prefetch(&book.table[home_of(book, mark_of(messages[16].id))])
    m = &messages[10]
    prefetch(&book.orders[book.table[home_of(book, mark_of(m.id))].slot * (m.kind >= CANCEL)])
    m = &messages[5]
    known = m.kind >= CANCEL
    order = &book.orders[book.table[home_of(book, mark_of(m.id))].slot * known]
    prefetch(&book.orders[order.next * known])
    prefetch(&book.orders[order.prev * known])
    tick = order.tick if known else m.tick
    if is_dense(&book.resting, tick):
        prefetch(&book.resting.dense[tick - book.resting.base])
    m = &messages[2]
    tick = m.tick
    if is_dense(&book.resting, tick):  # a new order stands behind the last one at its price
        prefetch(&book.orders[book.resting.dense[tick - book.resting.base].tail])
