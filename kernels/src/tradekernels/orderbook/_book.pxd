# cython: language_level=3
"""An L2 book: two sides and the rules between them (LOB-6). From: rows of a feed. To: readers and replays."""

from . cimport _levels
from ._levels cimport EMPTY, Levels, i64, u64
from ._records cimport BUY_TRADE, SELL_TRADE, SET_ASK, Row


cdef struct L2:
    Levels side[2]  # bids, asks; a key is tick for bids and -tick for asks


cdef inline bint create(L2* book) noexcept nogil:
    cdef bint bids = _levels.create(&book.side[0])
    return _levels.create(&book.side[1]) and bids


cdef inline void destroy(L2* book) noexcept nogil:
    _levels.destroy(&book.side[0])
    _levels.destroy(&book.side[1])


cdef inline i64 key_of(unsigned int side, i64 tick) noexcept nogil:
    """Turn a tick into a key, and a key into a tick."""
    return (tick ^ -<i64> side) + <i64> side


cdef inline i64 set_level(L2* book, unsigned int side, i64 key, i64 lots) noexcept nogil:
    """Apply a SET row and return the lots that were there before."""
    cdef Levels* own = &book.side[side]
    cdef Levels* other
    cdef i64 was = _levels.put(own, key, lots)
    if key >= own.best:
        if lots:
            if key > own.best:
                own.best = key
                _levels.settle(own)
                other = &book.side[side ^ 1]
                if key + other.best >= 0:  # it reaches the opposite best: that one becomes the first strictly beyond
                    other.best = _levels.below(other, -key)
                    _levels.settle(other)
        elif key == own.best:
            own.best = _levels.below(own, key)
            _levels.settle(own)
    return was


cdef inline void clear(L2* book, unsigned int kind, i64 key) noexcept nogil:
    """Apply a CLEAR or DROP row."""
    cdef Levels* own = &book.side[kind & 1]
    if kind < SELL_TRADE:  # CLEAR: up to the best; the next best is one step further than it should be, as the peer's
        if own.best != EMPTY:
            _levels.erase_from(own, key, own.best)
        own.best = _levels.below(own, key - 1)
    else:
        _levels.erase_from(own, key, (<i64> 1 << 40))
        own.best = _levels.below(own, key)
    _levels.settle(own)


cdef inline void apply_rows(L2* book, const Row* row, const Row* end) noexcept nogil:
    """Apply the rows of one message; trades do not touch a book."""
    while row < end:
        if row.kind <= SET_ASK:
            set_level(book, row.kind & 1, key_of(row.kind & 1, row.tick), row.lots)
        elif row.kind != BUY_TRADE and row.kind != SELL_TRADE:
            clear(book, row.kind, key_of(row.kind & 1, row.tick))
        row += 1


cdef inline bint failed(const L2* book) noexcept nogil:
    return book.side[0].far.failed or book.side[1].far.failed


cdef class BookState:
    cdef L2 book

    cdef int check(self) except -1
