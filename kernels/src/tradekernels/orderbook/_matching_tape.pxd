"""What goes into a matching book and what comes out. From: the engine in _matching.pxd. To: arrays that grow.

The three records are those of the dtypes in matching.py. A tape's arrays belong to whoever gave it `grow`.
"""

from libc.stdint cimport int8_t, int32_t, int64_t, uint8_t
from libc.stdlib cimport free, realloc
from libc.string cimport memset

from ._machine cimport rarely


cdef enum Kind:
    LIMIT = 0, MARKET = 1, STOP = 2, STOP_LIMIT = 3, CANCEL = 4, REDUCE = 5, MODIFY = 6

cdef enum Policy:
    GTC = 0, IOC = 1, FOK = 2, POST_ONLY = 3

cdef enum SelfTrade:
    ALLOW = 0, CANCEL_NEWEST = 1, CANCEL_OLDEST = 2, CANCEL_BOTH = 3

cdef enum EventKind:
    RESTING = 1, WAITING = 2, TRIGGERED = 3, FILLED = 4, CANCELLED = 5, MODIFIED = 6, REFILLED = 7, REJECTED = 8

cdef enum Reason:
    NO_REASON = 0, REQUESTED = 1, UNFILLED = 2, SELF_TRADE = 3, WOULD_CROSS = 4
    BAD_KIND = 16, BAD_SIDE = 17, BAD_POLICY = 18, BAD_PRICE = 19, BAD_SIZE = 20, BAD_PEAK = 21, BAD_STOP = 22
    BAD_SELF_TRADE = 23, DUPLICATE_ID = 24, UNKNOWN_ID = 25, BOOK_FULL = 26, STILL_WAITING = 27

cdef enum:
    BUY = 1
    SELL = -1
    MAX_SLICES = 1000       # pieces an iceberg may be shown in: bounds the trades of a message
    MAX_CAPACITY = 1 << 22  # orders; with MAX_LOTS each, a level's total still fits 63 bits

cdef inline int64_t max_lots() noexcept nogil:
    return (<int64_t> 1) << 40


cdef packed struct Message:    # 48 bytes; matching.py has the same as a dtype
    int64_t time, id, lots, peak
    int32_t tick, stop_tick, owner
    uint8_t kind
    int8_t side
    uint8_t policy, self_trade

cdef packed struct Trade:      # 40 bytes
    int64_t time, taker, maker, lots
    int32_t tick, side

cdef packed struct Event:      # 32 bytes
    int64_t time, id, lots
    int32_t tick
    uint8_t kind, reason
    uint8_t reserved[2]


ctypedef bint (*Grow)(Tape* tape, bint trades) noexcept nogil

cdef struct Tape:
    Trade* trades
    Event* events
    int64_t n_trades, trade_room, n_events, event_room
    int64_t n_lost             # records that found no memory
    Grow grow
    void* owner


cdef inline bint grow_by_realloc(Tape* tape, bint trades) noexcept nogil:
    cdef int64_t room
    cdef void* block
    if trades:
        room = max(2 * tape.trade_room, <int64_t> 256)
        block = realloc(tape.trades, room * sizeof(Trade))
        if block == NULL:
            return False
        tape.trades, tape.trade_room = <Trade*> block, room
    else:
        room = max(2 * tape.event_room, <int64_t> 256)
        block = realloc(tape.events, room * sizeof(Event))
        if block == NULL:
            return False
        tape.events, tape.event_room = <Event*> block, room
    return True


cdef inline void tape_start(Tape* tape) noexcept nogil:
    """Make an empty tape that grows by itself; end it with `tape_stop`. Set both counts to 0 to write it anew."""
    memset(tape, 0, sizeof(Tape))
    tape.grow = grow_by_realloc


cdef inline void tape_stop(Tape* tape) noexcept nogil:
    free(tape.trades)
    free(tape.events)
    memset(tape, 0, sizeof(Tape))


cdef inline void write_trade(Tape* tape, int64_t time, int64_t taker, int64_t maker, int64_t lots, int32_t tick,
                             int32_t side) noexcept nogil:
    cdef Trade* trade
    if rarely(tape.n_trades == tape.trade_room):
        if not tape.grow(tape, True):
            tape.n_lost += 1
            return
    trade = &tape.trades[tape.n_trades]
    tape.n_trades += 1
    trade.time, trade.taker, trade.maker, trade.lots, trade.tick, trade.side = time, taker, maker, lots, tick, side


cdef inline void write_event(Tape* tape, int64_t time, int64_t id, int64_t lots, int32_t tick, uint8_t kind,
                             uint8_t reason) noexcept nogil:
    cdef Event* event
    if rarely(tape.n_events == tape.event_room):
        if not tape.grow(tape, False):
            tape.n_lost += 1
            return
    event = &tape.events[tape.n_events]
    tape.n_events += 1
    event.time, event.id, event.lots, event.tick, event.kind, event.reason = time, id, lots, tick, kind, reason
    event.reserved[0] = event.reserved[1] = 0
