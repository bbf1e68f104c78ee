# cython: language_level=3
"""Own orders: their arena, and which of them rest where at the venue. From: _desk.pxd, _venue.pxd. To: the same.

Resting orders hang in buckets of ticks, so a row of a feed finds those that it concerns with one look, whoever owns them.
"""

from libc.stdlib cimport free, malloc, realloc
from libc.string cimport memset

from ._book cimport key_of
from ._levels cimport EMPTY, i64

cdef enum Force:
    GTC, IOC, FOK, GTX

cdef enum Status:
    SENT, WORKING, PARTLY_FILLED, FILLED, CANCELED, EXPIRED, REJECTED

cdef enum Request:
    NOTHING, NEW, CANCEL, MODIFY

cdef enum:
    BUCKETS = 65536
    NEARBY = 4096  # ticks looked at one by one before all orders are


cdef struct Order:
    i64 id
    i64 number        # how many orders its trader had sent before
    i64 submit_ns
    i64 request_ns    # newest request about it
    i64 lots          # as submitted, or as last modified
    i64 leaves        # what the trader knows to be left
    i64 venue_leaves
    i64 born          # row of the venue's stream at which it queued
    double front      # what rests before it, in the units of the queue model
    double traded     # at its tick since the last SET
    int tick          # what the trader knows
    int venue_tick
    int next, previous          # orders of its bucket at the venue, oldest first; the first's previous is the last
    int next_own, previous_own  # orders of its trader; next_own chains the free list as well
    int trader
    int in_flight     # letters about it that are under way
    int n_requests, n_answers   # letters about it ever posted
    unsigned char side, force, resting, status, pending, finished


cdef struct OwnOrders:
    Order* order
    int n, room
    int unused        # first of the free list, -1 for none
    int* head[2]      # first order of each bucket
    i64 best[2]       # best key at which one rests, EMPTY for none
    i64 n_resting[2]


cdef inline bint create(OwnOrders* s) noexcept nogil:
    cdef int side
    s.unused = -1
    for side in range(2):
        s.best[side] = EMPTY
        s.head[side] = <int*> malloc(BUCKETS * sizeof(int))
        if s.head[side] == NULL:
            return False
        memset(s.head[side], 0xff, BUCKETS * sizeof(int))
    return True


cdef inline void destroy(OwnOrders* s) noexcept nogil:
    free(s.order)
    free(s.head[0])
    free(s.head[1])


cdef inline int new_slot(OwnOrders* s) noexcept nogil:
    """Return a slot for an order, all of it zero, or -1 without memory."""
    cdef int slot = s.unused, room = 2 * s.room + 256
    cdef Order* grown
    if slot >= 0:
        s.unused = s.order[slot].next_own
    else:
        if s.n == s.room:
            grown = <Order*> realloc(s.order, room * sizeof(Order))
            if grown == NULL:
                return -1
            s.order, s.room = grown, room
        slot = s.n
        s.n += 1
    memset(&s.order[slot], 0, sizeof(Order))
    return slot


cdef inline void rest(OwnOrders* s, int slot) noexcept nogil:
    """Queue an order at its tick, behind those that are there."""
    cdef Order* o = &s.order[slot]
    cdef int* head = &s.head[o.side][o.venue_tick & (BUCKETS - 1)]
    o.next, o.previous, o.resting = -1, slot, True
    if head[0] < 0:
        head[0] = slot
    else:
        o.previous = s.order[head[0]].previous
        s.order[o.previous].next = slot
        s.order[head[0]].previous = slot
    s.n_resting[o.side] += 1
    s.best[o.side] = max(s.best[o.side], key_of(o.side, o.venue_tick))


cdef inline void unrest(OwnOrders* s, int slot) noexcept nogil:
    """Take an order out of its queue."""
    cdef Order* o = &s.order[slot]
    cdef int* head = &s.head[o.side][o.venue_tick & (BUCKETS - 1)]
    cdef i64 key = key_of(o.side, o.venue_tick)
    if o.next >= 0:
        s.order[o.next].previous = o.previous
    else:
        s.order[head[0]].previous = o.previous  # a new last one
    if head[0] == slot:
        head[0] = o.next
    else:
        s.order[o.previous].next = o.next
    o.resting = False
    s.n_resting[o.side] -= 1
    if key == s.best[o.side]:
        s.best[o.side] = EMPTY
        s.best[o.side] = below(s, o.side, key + 1)


cdef inline i64 below(const OwnOrders* s, unsigned int side, i64 key) noexcept nogil:
    """Return the best key below `key` at which an own order rests, or EMPTY."""
    cdef i64 at, found = EMPTY
    cdef int k
    if s.n_resting[side] == 0:
        return EMPTY
    if s.best[side] < key and s.best[side] != EMPTY:
        return s.best[side]
    for at in range(key - 1, key - 1 - NEARBY, -1):
        k = s.head[side][key_of(side, at) & (BUCKETS - 1)]
        while k >= 0:
            if key_of(side, s.order[k].venue_tick) == at:
                return at
            k = s.order[k].next
    for k in range(s.n):
        if s.order[k].resting and s.order[k].side == side:
            at = key_of(side, s.order[k].venue_tick)
            if found < at < key:
                found = at
    return found
