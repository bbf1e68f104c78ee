"""What may be wrong with a message (LOB-23). From: a message and the book. To: a reason, and its event."""

from libc.stdint cimport int32_t, uint8_t

from ._matching_arena cimport Book, find, hidden_of, peak_of
from ._matching_far cimport MAX_TICK
from ._matching_tape cimport (
    BAD_PEAK, BAD_POLICY, BAD_PRICE, BAD_SELF_TRADE, BAD_SIDE, BAD_SIZE, BAD_STOP, BOOK_FULL, BUY, CANCEL_BOTH, DUPLICATE_ID,
    FOK, GTC, IOC, LIMIT, MAX_SLICES, MODIFY, NO_REASON, POST_ONLY, REJECTED, SELL, STILL_WAITING, STOP, STOP_LIMIT,
    WOULD_CROSS, Message, Tape, max_lots, write_event,
)


cdef inline bint would_cross(const Book* book, int32_t side, int32_t tick) noexcept nogil:
    return book.ask <= tick if side == BUY else book.bid >= tick


cdef inline uint8_t fault_of(const Book* book, const Message* m) noexcept nogil:
    """Return what is wrong with a new order, or NO_REASON."""
    cdef bint priced = m.kind == LIMIT or m.kind == STOP_LIMIT
    if m.side != BUY and m.side != SELL:
        return BAD_SIDE
    if m.policy > POST_ONLY or (m.policy == POST_ONLY and not priced):
        return BAD_POLICY
    if m.self_trade > CANCEL_BOTH:
        return BAD_SELF_TRADE
    if priced and not (1 <= m.tick <= MAX_TICK):
        return BAD_PRICE
    if m.lots <= 0 or m.lots > max_lots():
        return BAD_SIZE
    if m.peak != 0 and (m.peak < 0 or not priced or m.policy == IOC or m.policy == FOK
                        or (m.lots - 1) // m.peak >= MAX_SLICES):
        return BAD_PEAK
    if (m.kind == STOP or m.kind == STOP_LIMIT) and not (1 <= m.stop_tick <= MAX_TICK):
        return BAD_STOP
    if find(book, m.id) >= 0:
        return DUPLICATE_ID
    if book.free_slot == 0 and (m.kind >= STOP or (m.kind == LIMIT and m.policy != IOC and m.policy != FOK)):
        return BOOK_FULL
    if m.policy == POST_ONLY and m.kind == LIMIT and would_cross(book, m.side, m.tick):
        return WOULD_CROSS
    return NO_REASON


cdef inline uint8_t fault_of_change(const Book* book, int32_t slot, const Message* m) noexcept nogil:
    """Return what is wrong with a REDUCE or MODIFY of the order in a slot, or NO_REASON."""
    if book.orders[slot].waiting:
        return STILL_WAITING
    if m.lots <= 0 or m.lots > max_lots():
        return BAD_SIZE
    if m.kind != MODIFY:
        return NO_REASON
    if not (1 <= m.tick <= MAX_TICK):
        return BAD_PRICE
    if m.policy != GTC and m.policy != POST_ONLY:
        return BAD_POLICY
    if m.self_trade > CANCEL_BOTH:
        return BAD_SELF_TRADE
    if m.tick == book.orders[slot].tick and m.lots <= book.orders[slot].lots + hidden_of(book, slot):
        return NO_REASON
    if peak_of(book, slot) > 0 and (m.lots - 1) // peak_of(book, slot) >= MAX_SLICES:
        return BAD_PEAK
    if m.policy == POST_ONLY and would_cross(book, book.orders[slot].side, m.tick):
        return WOULD_CROSS
    return NO_REASON


cdef inline void reject(Tape* tape, const Message* m, uint8_t reason) noexcept nogil:
    write_event(tape, m.time, m.id, m.lots, m.tick, REJECTED, reason)
