"""Stop orders wait for a price to trade, then stand in line to be executed. From: the engine. To: arena and ladders."""

from libc.stdint cimport int32_t, int64_t

from ._matching_arena cimport Book, Order, Terms, remember, take_slot
from ._matching_far cimport NO_ASK, NO_BID
from ._matching_levels cimport Ladder, level_at, next_above, next_below, settle
from ._matching_queues cimport dequeue, enqueue
from ._matching_tape cimport BUY, NO_REASON, SELL, WAITING, Message, Tape, write_event


cdef inline void wait_for_price(Book* book, Tape* tape, const Message* m) noexcept nogil:
    """Keep a stop order until its price trades."""
    cdef int32_t slot = take_slot(book)
    cdef Order* order = &book.orders[slot]
    cdef Terms* terms = &book.terms[slot]
    order.id, order.lots, order.tick, order.side, order.waiting, order.special = m.id, m.lots, m.tick, m.side, 1, 1
    terms.hidden, terms.peak, terms.stop_tick, terms.owner = 0, m.peak, m.stop_tick, m.owner
    terms.kind, terms.policy, terms.self_trade = m.kind, m.policy, m.self_trade
    remember(book, m.id, slot)
    book.n_waiting += 1
    book.volume_resting += m.lots
    if m.side == BUY:
        if book.lowest_buy_stop == NO_ASK:
            settle(&book.buy_stops, m.stop_tick)
        enqueue(book, &book.buy_stops, m.stop_tick, slot, m.lots, 0)
        book.lowest_buy_stop = min(book.lowest_buy_stop, m.stop_tick)
    else:
        if book.highest_sell_stop == NO_BID:
            settle(&book.sell_stops, m.stop_tick)
        enqueue(book, &book.sell_stops, m.stop_tick, slot, m.lots, 0)
        book.highest_sell_stop = max(book.highest_sell_stop, m.stop_tick)
    write_event(tape, m.time, m.id, m.lots, m.stop_tick, WAITING, NO_REASON)


cdef inline void drop_waiting(Book* book, int32_t slot) noexcept nogil:
    """Take a stop order out of its queue; it stays in table and arena."""
    cdef const Order* order = &book.orders[slot]
    cdef Ladder* ladder = &book.buy_stops if order.side == BUY else &book.sell_stops
    cdef int32_t tick = book.terms[slot].stop_tick
    book.n_waiting -= 1
    book.volume_resting -= order.lots
    if dequeue(book, ladder, level_at(ladder, tick), tick, slot):
        if order.side == BUY and tick == book.lowest_buy_stop:
            book.lowest_buy_stop = next_above(ladder, tick)
        elif order.side == SELL and tick == book.highest_sell_stop:
            book.highest_sell_stop = next_below(ladder, tick)


cdef inline void note_triggered(Book* book, int32_t slot) noexcept nogil:
    """Put a stop whose price has traded at the end of the line of those to be executed."""
    drop_waiting(book, slot)
    book.orders[slot].next = 0
    if book.last_triggered:
        book.orders[book.last_triggered].next = slot
    else:
        book.first_triggered = slot
    book.last_triggered = slot


cdef inline void collect_triggered(Book* book, int32_t side, int64_t traded) noexcept nogil:
    """Take the stops whose price this execution has traded: buys by rising, then sells by falling price, old ones first.

    Trades of one execution run one way, so the first and the last tick of it are its low and high.
    """
    cdef int32_t low, high
    if traded == 0:
        return
    low = book.first_tick if side == BUY else book.last_tick
    high = book.last_tick if side == BUY else book.first_tick
    while book.lowest_buy_stop <= high:
        note_triggered(book, level_at(&book.buy_stops, book.lowest_buy_stop).head)
    while book.highest_sell_stop >= low:
        note_triggered(book, level_at(&book.sell_stops, book.highest_sell_stop).head)
