# cython: language_level=3
"""The venue: its book, own orders in it, and fills (LOB-12 to LOB-14). From: rows, requests. To: _desk.pxd, _engine.pyx.

Own orders never change the book. A trader is met in letters only: requests are handled here, answers are posted here.
_desk.pxd writes the former and reads the latter.
"""

from libc.math cimport round
from libc.stdlib cimport free, realloc

from ._account cimport Account
from ._book cimport L2, clear, key_of, set_level
from ._latency cimport LetterLatency, response_ns
from ._levels cimport EMPTY, NEVER, Levels, get, i64
from ._levels cimport below as level_below
from ._mail cimport Letter, Mailbox, next_time, post, take
from ._own_orders cimport BUCKETS, CANCEL, FOK, GTX, IOC, NEW, Order, OwnOrders, below, rest, unrest
from ._queue cimport FIFO, after_set
from ._records cimport BUY_TRADE, SELL_TRADE, SET_ASK, Row

cdef enum Answer:
    ACCEPTED, TRADED, GONE, UNFILLABLE, REFUSED, CHANGED, LOST


cdef packed struct Fill:
    i64 exchange_time_ns
    i64 local_time_ns
    i64 submit_time_ns
    i64 request_time_ns  # newest request about the order when the fill was reported
    i64 order_id
    i64 lots
    i64 tick
    i64 side             # 1 bought, -1 sold
    i64 maker
    i64 trader


cdef struct Trader:
    Account account
    int first_own        # its orders, newest first
    int queue_model
    double queue_n
    double unit_numerator, unit_denominator, lot  # lots to the units of the queue model
    bint partial
    const Row* trade     # newest one at the price of own orders, and with partial fills, what they have taken of it
    i64 taken
    LetterLatency latency
    Mailbox requests, answers, losses
    bint changed         # an answer came since the strategy last looked


cdef struct Venue:
    L2* book
    const Row* rows      # of the feed
    const int* born      # see Feed.born; NULL for L2
    i64 time, feed       # of its newest message: the time, and what it takes to the traders
    i64 now, received    # of the traders: the time, and what their newest message took
    i64 next_arrival     # time of the next request
    i64 next_row         # row that comes next: what queued before it is ahead
    i64 first_answer     # time of the first answer that was posted since this was set to NEVER
    OwnOrders orders
    Trader* trader
    int n_traders
    Fill* tape
    Py_ssize_t n_tape, tape_room
    bint failed          # out of memory


cdef inline double units(const Trader* t, i64 lots) noexcept nogil:
    """Return lots in the units of the queue model."""
    return <double> lots * t.unit_numerator / t.unit_denominator


# Rows of the feed.

cdef inline void apply_rows(Venue* v, const Row* row, const Row* end) noexcept nogil:
    """Apply the rows of one message to the book, and to the own orders that they concern."""
    cdef unsigned int side
    cdef i64 key, best, was
    while row < end:
        side = row.kind & 1
        if row.kind <= SET_ASK:
            key = key_of(side, row.tick)
            best = v.book.side[side].best
            was = set_level(v.book, side, key, row.lots)
            if v.orders.head[side][row.tick & (BUCKETS - 1)] >= 0:
                on_set(v, row, was)
            # the best came nearer: own orders opposite that it reaches fill, those it had passed before do not
            if v.book.side[side].best > best and v.orders.best[side ^ 1] + key >= 0:
                fill_between(v, side ^ 1, -key, -best - 1 if best != EMPTY else -EMPTY)
        elif row.kind == BUY_TRADE or row.kind == SELL_TRADE:
            if v.orders.best[side ^ 1] >= key_of(side ^ 1, row.tick):
                on_trade(v, row, side ^ 1)
        else:
            clear(v.book, row.kind, key_of(side, row.tick))
        row += 1


cdef inline void on_set(Venue* v, const Row* row, i64 was) noexcept nogil:
    """Move the queues of own orders at a tick whose total changed."""
    cdef int k = v.orders.head[row.kind & 1][row.tick & (BUCKETS - 1)]
    cdef Order* o
    cdef Trader* t
    while k >= 0:
        o = &v.orders.order[k]
        k = o.next
        if o.venue_tick != row.tick:
            continue
        t = &v.trader[o.trader]
        if t.queue_model == FIFO:
            if 0 <= v.born[row - v.rows] < o.born:
                o.front -= <double> (was - row.lots)
        else:
            o.front = after_set(t.queue_model, t.queue_n, o.front, units(t, was), units(t, row.lots), o.traded)
            o.traded = 0.0


cdef inline void on_trade(Venue* v, const Row* row, unsigned int side) noexcept nogil:
    """Fill own orders that a trade passed, and move the queues of those at its tick."""
    cdef int slot, k
    cdef i64 left
    cdef Order* o
    cdef Trader* t
    cdef double quantity
    fill_between(v, side, key_of(side, row.tick) + 1, -EMPTY)
    k = v.orders.head[side][row.tick & (BUCKETS - 1)]
    while k >= 0:
        slot, o = k, &v.orders.order[k]
        k = o.next
        if o.venue_tick != row.tick:
            continue
        t = &v.trader[o.trader]
        left = 0
        if t.queue_model == FIFO:  # it took from an order behind this one: this one had its turn
            if v.born[row - v.rows] >= o.born:
                left = row.lots
        else:
            quantity = units(t, row.lots)
            o.front -= quantity
            o.traded += quantity
            left = <i64> round(-o.front / t.lot)
            if left > 0:
                o.front = 0.0
        if left > 0:
            left = left_of(t, row, left, o.venue_leaves) if t.partial else o.venue_leaves
        if left > 0:
            fill(v, slot, v.time, left, row.tick, True)


cdef inline i64 left_of(Trader* t, const Row* trade, i64 behind, i64 wanted) noexcept nogil:
    """Take what an order gets of a trade at its price, where partial fills are on.

    Of the lots that the trade left behind the market's queue, never more than its own, the trader's older orders at
    the tick have had theirs: together they get no more than there were.
    """
    if t.trade != trade:
        t.trade, t.taken = trade, 0
    cdef i64 lots = max(0, min(min(behind, trade.lots) - t.taken, wanted))
    t.taken += lots
    return lots


cdef inline void fill_between(Venue* v, unsigned int side, i64 low, i64 high) noexcept nogil:
    """Fill every own order with low <= key <= high, each at its own price."""
    cdef int k, slot
    cdef i64 key, tick
    while True:
        key = below(&v.orders, side, high + 1)
        if key < low or key == EMPTY:
            return
        tick = key_of(side, key)
        k = v.orders.head[side][tick & (BUCKETS - 1)]
        while k >= 0:
            slot, k = k, v.orders.order[k].next
            if v.orders.order[slot].venue_tick == tick:
                fill(v, slot, v.time, v.orders.order[slot].venue_leaves, <int> tick, True)
        high = key - 1


# Requests of traders.

cdef inline void arrive(Venue* v, int who) noexcept nogil:
    """Handle the next request of a trader."""
    cdef Letter letter = take(&v.trader[who].requests)
    cdef Order* o = &v.orders.order[letter.order]
    o.in_flight -= 1
    if letter.kind == NEW:
        place(v, letter.order, letter.time)
    elif not o.resting:
        answer(v, letter.order, letter.time, REFUSED, 0, letter.tick, False)
    elif letter.kind == CANCEL:
        unrest(&v.orders, letter.order)
        answer(v, letter.order, letter.time, GONE, 0, letter.tick, False)
    elif letter.tick == o.venue_tick and letter.lots <= o.venue_leaves:
        o.venue_leaves = letter.lots
        answer(v, letter.order, letter.time, CHANGED, letter.lots, letter.tick, False)
    else:
        unrest(&v.orders, letter.order)
        o.venue_tick, o.venue_leaves = letter.tick, letter.lots
        answer(v, letter.order, letter.time, CHANGED, letter.lots, letter.tick, False)
        place(v, letter.order, letter.time)


cdef inline bint covered(const Order* o, Levels* other) noexcept nogil:
    """Whether what is displayed within an order's limit is as much as the order."""
    cdef i64 key = key_of(o.side, o.venue_tick), at = other.best, left = o.venue_leaves
    while left > 0 and at != EMPTY and key + at >= 0:
        left -= get(other, at)
        at = level_below(other, at)
    return left <= 0


cdef inline void place(Venue* v, int slot, i64 time) noexcept nogil:
    """Match an order against what is displayed, then let it rest or expire."""
    cdef Order* o = &v.orders.order[slot]
    cdef Trader* t = &v.trader[o.trader]
    cdef Levels* other = &v.book.side[o.side ^ 1]
    cdef i64 key = key_of(o.side, o.venue_tick), at = other.best, lots
    if at != EMPTY and key + at >= 0:
        if o.force == GTX or (o.force == FOK and t.partial and not covered(o, other)):
            answer(v, slot, time, UNFILLABLE, 0, o.venue_tick, False)
            return
        while o.venue_leaves > 0 and at != EMPTY and key + at >= 0:
            lots = min(get(other, at), o.venue_leaves) if t.partial else o.venue_leaves
            fill(v, slot, time, lots, <int> key_of(o.side ^ 1, at), False)
            at = level_below(other, at)
        if o.venue_leaves == 0:
            return
    if o.force == IOC or o.force == FOK:
        answer(v, slot, time, UNFILLABLE, 0, o.venue_tick, False)
        return
    o.front = units(t, get(&v.book.side[o.side], key))
    o.traded, o.born = 0.0, v.next_row
    rest(&v.orders, slot)
    answer(v, slot, time, ACCEPTED, 0, o.venue_tick, False)


# Answers.

cdef inline void fill(Venue* v, int slot, i64 time, i64 lots, int tick, bint maker) noexcept nogil:
    """Trade an own order, note it on the tape, and write to its trader."""
    cdef Order* o = &v.orders.order[slot]
    cdef Py_ssize_t room = 2 * v.tape_room + 1024
    cdef Fill* it
    o.venue_leaves -= lots
    if maker and o.venue_leaves == 0:
        unrest(&v.orders, slot)
    if v.n_tape == v.tape_room:
        it = <Fill*> realloc(v.tape, room * sizeof(Fill))
        if it == NULL:
            v.failed = True
            return
        v.tape, v.tape_room = it, room
    answer(v, slot, time, TRADED, lots, tick, maker)
    it = &v.tape[v.n_tape]
    it.exchange_time_ns, it.local_time_ns = time, v.trader[o.trader].answers.newest
    it.submit_time_ns, it.request_time_ns, it.order_id = o.submit_ns, o.request_ns, o.id
    it.lots, it.tick = lots, tick
    it.side, it.maker, it.trader = 1 - 2 * <i64> o.side, maker, o.trader
    v.n_tape += 1


cdef inline void answer(Venue* v, int slot, i64 time, int kind, i64 lots, int tick, bint maker) noexcept nogil:
    """Post an answer about an order to its trader."""
    cdef Order* o = &v.orders.order[slot]
    cdef Trader* t = &v.trader[o.trader]
    cdef Letter letter = Letter(time=0, lots=lots, leaves=o.venue_leaves, fill=v.n_tape, order=slot, tick=tick,
                                kind=kind, maker=maker)
    letter.time = time + response_ns(&t.latency, time, v.feed, o.number, o.n_answers)
    o.n_answers += 1
    o.in_flight += 1
    if not post(&t.answers, &letter):
        v.failed = True
    v.first_answer = min(v.first_answer, t.answers.newest)
