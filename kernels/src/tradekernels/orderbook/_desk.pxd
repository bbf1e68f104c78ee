# cython: language_level=3
"""A trader's desk: requests leave it, answers are booked. From: _engine.pyx, loops of strategies. To: _venue.pxd.

The venue and the trader meet only in letters, which are written and read here.
"""

from . cimport _account, _latency, _mail, _own_orders
from ._levels cimport NEVER, i64
from ._mail cimport Letter
from ._own_orders cimport (CANCEL, CANCELED, EXPIRED, FILLED, NEW, NOTHING, PARTLY_FILLED, REJECTED, SENT, WORKING,
                           Order)
from ._venue cimport ACCEPTED, CHANGED, GONE, LOST, TRADED, UNFILLABLE, Trader, Venue


cdef inline int submit(Venue* v, int who, i64 id, unsigned char side, int tick, i64 lots,
                       unsigned char force) noexcept nogil:
    """Send a new order; return its slot, or -1 without memory."""
    cdef Trader* t = &v.trader[who]
    cdef Order* o
    cdef int slot = _own_orders.new_slot(&v.orders)
    if slot < 0:
        v.failed = True
        return -1
    o = &v.orders.order[slot]
    o.id, o.number, o.submit_ns = id, t.account.n_submits, v.now
    o.lots, o.leaves, o.venue_leaves, o.tick, o.venue_tick = lots, lots, lots, tick, tick
    o.side, o.force, o.trader, o.status = side, force, who, SENT
    o.next_own, o.previous_own = t.first_own, -1
    if t.first_own >= 0:
        v.orders.order[t.first_own].previous_own = slot
    t.first_own = slot
    t.account.n_submits += 1
    request(v, slot, NEW, tick, lots)
    return slot


cdef inline void request(Venue* v, int slot, unsigned char kind, int tick, i64 lots) noexcept nogil:
    """Post a request about an order, or the news that it got lost."""
    cdef Order* o = &v.orders.order[slot]
    cdef Trader* t = &v.trader[o.trader]
    cdef bint lost
    cdef Letter letter = Letter(time=0, lots=lots, leaves=0, fill=-1, order=slot, tick=tick, kind=kind, maker=False)
    letter.time = v.now + _latency.entry_ns(&t.latency, v.now, v.received, o.number, o.n_requests, &lost)
    o.pending, o.request_ns = kind, v.now
    o.n_requests += 1
    o.in_flight += 1
    t.account.n_cancels += kind == CANCEL
    if lost:
        letter.kind = LOST
    if not _mail.post(&t.losses if lost else &t.requests, &letter):
        v.failed = True
    v.next_arrival = min(v.next_arrival, _mail.next_time(&t.requests))


cdef inline void deliver(Venue* v, int who, i64 until) noexcept nogil:
    """Tell a trader what the venue answered, and what got lost, up to a time."""
    cdef Trader* t = &v.trader[who]
    cdef Letter letter
    cdef Order* o
    cdef i64 answered, lost
    while True:
        answered, lost = _mail.next_time(&t.answers), _mail.next_time(&t.losses)
        if min(answered, lost) > until:
            return
        letter = _mail.take(&t.answers if answered <= lost else &t.losses)
        o = &v.orders.order[letter.order]
        t.changed = True
        o.in_flight -= 1
        if letter.kind == TRADED:
            o.leaves = letter.leaves
            o.status = FILLED if letter.leaves == 0 else PARTLY_FILLED
            v.tape[letter.fill].request_time_ns = o.request_ns
            _account.book_fill(&t.account, o.side, letter.tick, letter.lots, letter.maker)
        elif letter.kind == ACCEPTED:
            o.status = WORKING if o.status == SENT else o.status
        elif letter.kind == GONE:
            o.status = CANCELED
        elif letter.kind == UNFILLABLE:
            o.status = EXPIRED
        elif letter.kind == CHANGED:
            o.tick, o.lots, o.leaves = letter.tick, letter.lots, letter.leaves
        elif letter.kind == LOST and o.pending == NEW:
            o.status = REJECTED
        o.finished = o.status >= FILLED
        # A fill and an acceptance also follow older requests than the pending one, which only its own answer ends.
        if o.pending == NEW or not (letter.kind == TRADED or letter.kind == ACCEPTED):
            o.pending = NOTHING


cdef inline i64 next_letter(const Venue* v, int who) noexcept nogil:
    """Return the time of the first letter on its way to a trader."""
    return min(_mail.next_time(&v.trader[who].answers), _mail.next_time(&v.trader[who].losses))


cdef inline void forget(Venue* v, int slot) noexcept nogil:
    """Take a finished order, which no letter names, off its trader's list, and free its slot."""
    cdef Order* order = v.orders.order
    cdef Order* o = &order[slot]
    if o.previous_own >= 0:
        order[o.previous_own].next_own = o.next_own
    else:
        v.trader[o.trader].first_own = o.next_own
    if o.next_own >= 0:
        order[o.next_own].previous_own = o.previous_own
    o.next_own, v.orders.unused = v.orders.unused, slot
