"""A small live order book inside one candle (LOB-41, LOB-42). From: a table of flow, a key. To: what an own order got.

The book is `tradekernels.orderbook`'s own. It begins with levels drawn from the depth of the table, one tick apart,
around the price at which the order arrives; then events happen: market orders, limit orders, cancels. It ends with the
candle.
"""

from libc.stdint cimport int32_t, int64_t, uint64_t

from tradekernels.orderbook._flow_random cimport bits_at
from tradekernels.orderbook._matching cimport (
    ALLOW, BUY, IOC, SELL, Book, Message, Tape, book_clear, cancel, execute, find, rest,
)
from tradekernels.orderbook._matching_levels cimport NO_ASK, NO_BID

cdef enum:
    CENTRE = 1 << 20   # tick of the best bid at the beginning
    MAX_LEVELS = 16
    MAX_LIVE = 2048    # ids that a cancel may pick
    OWN = 1            # id of the own order; those of the flow follow
    MOST_LOTS = 1 << 30  # of one order, so that all of them fit the engine's totals

cdef struct FlowTable:      # BookFlow of flow.py
    int64_t events, n_levels, limit_orders  # a candle; on each side; 1: own orders are limit orders
    double market, add      # shares of the events; the others cancel
    double sign_memory      # P(a market order has the side of the last one)
    double[MAX_LEVELS] depth        # resting at each level, in minutes of the traded volume
    double[256] depth_factor, limit_factor, market_factor  # quantiles of sizes over their means
    double market_size              # mean market order, in minutes of the traded volume
    double limit_size               # mean limit order, as a share of its level
    int64_t[256] distance           # quantiles of a limit order's distance behind the touch, 0 at it

cdef struct Live:           # the book of one thread
    Book book
    Tape tape
    uint64_t key, counter
    int64_t next_id, n_ids
    int32_t last_side
    double volume           # lots a minute
    int64_t[MAX_LIVE] ids


cdef inline uint64_t draw(Live* live) noexcept nogil:
    live.counter += 1
    return bits_at(live.key, live.counter)


cdef inline int64_t lots_of(double mean, double factor) noexcept nogil:
    cdef double lots = mean * factor + 0.5
    return <int64_t> (lots if lots < MOST_LOTS else MOST_LOTS) if lots > 1.0 else 1


cdef inline void add(Live* live, int32_t side, int32_t tick, int64_t lots) noexcept nogil:
    """Rest an order of the flow; it does not cross."""
    if live.n_ids == MAX_LIVE or live.book.free_slot == 0 or tick < 1:
        return
    rest(&live.book, &live.tape, 0, live.next_id, side, tick, lots, 0, 0)
    live.ids[live.n_ids] = live.next_id
    live.n_ids += 1
    live.next_id += 1


cdef inline void open_book(Live* live, const FlowTable* flow, uint64_t key, double volume) noexcept nogil:
    """Draw the levels of a new book."""
    cdef int32_t level
    cdef uint64_t bits = 0
    book_clear(&live.book)
    live.tape.n_trades = live.tape.n_events = 0
    live.key, live.counter, live.volume, live.next_id, live.n_ids = key, 0, volume, OWN + 1, 0
    for level in range(<int32_t> flow.n_levels):
        bits = draw(live)
        add(live, BUY, CENTRE - level, lots_of(flow.depth[level] * volume, flow.depth_factor[bits & 255]))
        add(live, SELL, CENTRE + 1 + level, lots_of(flow.depth[level] * volume, flow.depth_factor[(bits >> 8) & 255]))
    live.last_side = BUY if bits >> 63 else SELL


cdef inline void limit_event(Live* live, const FlowTable* flow, uint64_t bits, int32_t side) noexcept nogil:
    cdef int32_t best = live.book.ask if side == BUY else live.book.bid
    cdef int64_t distance = flow.distance[(bits >> 32) & 255]
    cdef double mean = flow.depth[distance if distance < flow.n_levels else flow.n_levels - 1] * live.volume
    mean *= flow.limit_size
    if best == NO_ASK or best == NO_BID:
        best = CENTRE + 1 if side == BUY else CENTRE
    add(live, side, best - side * <int32_t> (1 + distance), lots_of(mean, flow.limit_factor[(bits >> 24) & 255]))


cdef inline void cancel_event(Live* live, uint64_t bits) noexcept nogil:
    """Cancel one of the flow's orders; nothing happens if that one has traded."""
    cdef Message m
    cdef int64_t k
    if live.n_ids == 0:
        return
    k = <int64_t> (((bits >> 32) * <uint64_t> live.n_ids) >> 32)
    m.id, m.time, m.lots, m.tick = live.ids[k], 0, 0, 0
    live.n_ids -= 1
    live.ids[k] = live.ids[live.n_ids]
    if find(&live.book, m.id) >= 0:
        cancel(&live.book, &live.tape, &m)


cdef inline void happen(Live* live, const FlowTable* flow, int64_t n_events) noexcept nogil:
    """Let events of the flow happen."""
    cdef int64_t k
    cdef uint64_t bits
    cdef double kind
    cdef int32_t side
    for k in range(n_events):
        bits = draw(live)
        kind = (bits & 0xFFFF) * (1.0 / 65536)
        side = BUY if (bits >> 16) & 1 else SELL
        if kind < flow.market:
            if (bits >> 48) * (1.0 / 65536) < flow.sign_memory:
                side = live.last_side
            live.last_side = side
            execute(&live.book, &live.tape, 0, live.next_id, side, True, 0,
                    lots_of(flow.market_size * live.volume, flow.market_factor[(bits >> 24) & 255]), 0, IOC, 0, ALLOW)
            live.next_id += 1
        elif kind < flow.market + flow.add:
            limit_event(live, flow, bits, side)
        else:
            cancel_event(live, bits)


cdef inline int64_t take(Live* live, int32_t side, int64_t lots) noexcept nogil:
    """Send the own market order; return the first of its trades on the tape."""
    cdef int64_t first = live.tape.n_trades
    execute(&live.book, &live.tape, 0, OWN, side, True, 0, lots, 0, IOC, 0, ALLOW)
    return first


cdef inline int32_t best_of(Live* live, int32_t side) noexcept nogil:
    """Return the tick of the best price on a side, or where it was at the beginning if the side is empty."""
    if side == BUY:
        return live.book.bid if live.book.bid != NO_BID else CENTRE
    return live.book.ask if live.book.ask != NO_ASK else CENTRE + 1


cdef inline int64_t queue(Live* live, const FlowTable* flow, int32_t side, int32_t tick, int64_t lots,
                          int64_t n_events) noexcept nogil:
    """Let the own order queue at a tick while events happen; return the lots of it that have traded."""
    cdef int64_t k, first = live.tape.n_trades, filled = 0
    rest(&live.book, &live.tape, 0, OWN, side, tick, lots, 0, 0)
    happen(live, flow, n_events)
    for k in range(first, live.tape.n_trades):
        if live.tape.trades[k].maker == OWN:
            filled += live.tape.trades[k].lots
    return filled
