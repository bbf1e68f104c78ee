# cython: language_level=3
"""One side of a book: a map from price to resting lots that knows its best price. From: _book.pxd. To: _book.pxd.

A price is a key that is higher when it is better: the tick of a bid, minus the tick of an ask, so both sides run the
same code. Keys near the best lie in a window, a dense array under a bitmap of three storeys (64 keys a word, 64 words a
word above); the few others are in a sparse map (_tick_map.pxd). The window moves when the best has left its good part and
enough work has gone to the map to pay for the move.
"""

from libc.stdlib cimport calloc, free

from ._machine cimport highest_bit, rarely
from ._tick_map cimport NOWHERE, TickMap, map_below, map_create, map_destroy, map_get, map_put

cdef extern from *:
    """
    #define TK_EMPTY (-(1LL << 60))
    #define TK_NEVER 0x7fffffffffffffffLL
    """
    const long long EMPTY "TK_EMPTY"  # key of no level
    const long long NEVER "TK_NEVER"  # a time after all others

ctypedef long long i64
ctypedef unsigned long long u64

cdef enum:
    WINDOW_BITS = 16
    WINDOW = 1 << WINDOW_BITS  # keys
    WORDS = WINDOW >> 6
    TOP_WORDS = (WORDS + 63) >> 6
    MIN_WORK = 256
    FAR_WORDS = 128            # room in the map to begin with
    TAG = 1                    # the map holds nothing else


cdef struct Levels:
    i64 best        # EMPTY: the side is
    i64 base        # key of the first slot of the window
    i64* lots
    u64* word       # bit k of word w: lots[64 w + k] is not 0
    u64* top        # bit k of top t: word[64 t + k] is not 0
    TickMap far
    i64 far_work    # levels set in the map since the window moved
    i64 move_work   # what its last move took
    bint placed     # the window has been put somewhere


cdef inline bint create(Levels* s) noexcept nogil:
    s.best, s.base, s.far_work, s.move_work, s.placed = EMPTY, 0, 0, 0, False
    s.lots = <i64*> calloc(WINDOW, sizeof(i64))
    s.word = <u64*> calloc(WORDS, sizeof(u64))
    s.top = <u64*> calloc(TOP_WORDS, sizeof(u64))
    return map_create(&s.far, FAR_WORDS) and s.lots != NULL and s.word != NULL and s.top != NULL


cdef inline void destroy(Levels* s) noexcept nogil:
    free(s.lots)
    free(s.word)
    free(s.top)
    map_destroy(&s.far)


cdef inline i64 far_place(i64 key) noexcept nogil:
    return key + (<i64> 1 << 31)  # ticks fit into 31 bits, so places are positive and fit into 32


cdef inline i64 far_get(const Levels* s, i64 key) noexcept nogil:
    return <i64> map_get(&s.far, TAG, far_place(key))


cdef inline i64 far_put(Levels* s, i64 key, i64 lots) noexcept nogil:
    return <i64> map_put(&s.far, TAG, far_place(key), <u64> lots)


cdef inline i64 far_below(const Levels* s, i64 key) noexcept nogil:
    cdef i64 place = map_below(&s.far, TAG, far_place(key))
    return EMPTY if place == NOWHERE else place - (<i64> 1 << 31)


cdef inline i64 get(const Levels* s, i64 key) noexcept nogil:
    cdef i64 i = key - s.base
    if rarely(<u64> i >= <u64> WINDOW):
        return far_get(s, key)
    return s.lots[i]


cdef inline i64 put(Levels* s, i64 key, i64 lots) noexcept nogil:
    """Set the lots at a key, 0 for none, and return what was there. The best is the caller's business."""
    cdef i64 i = key - s.base, was
    cdef u64 before, after, bit
    if rarely(<u64> i >= <u64> WINDOW):
        s.far_work += 1
        return far_put(s, key, lots)
    was = s.lots[i]
    s.lots[i] = lots
    bit = <u64> (i & 63)
    before = s.word[i >> 6]
    after = (before & ~(<u64> 1 << bit)) | (<u64> (lots != 0) << bit)
    s.word[i >> 6] = after
    if (before == 0) != (after == 0):
        bit = <u64> 1 << ((i >> 6) & 63)
        if after:
            s.top[i >> 12] |= bit
        else:
            s.top[i >> 12] &= ~bit
    return was


cdef inline i64 window_below(const Levels* s, i64 i) noexcept nogil:
    """Return the highest slot below i that holds lots, or -1. 0 <= i <= WINDOW."""
    cdef i64 w, t
    cdef u64 bits
    if i <= 0:
        return -1
    i -= 1
    w = i >> 6
    bits = s.word[w] & (~(<u64> 0) >> (63 - (i & 63)))
    if bits:
        return (w << 6) + highest_bit(bits)
    if w == 0:
        return -1
    w -= 1
    t = w >> 6
    bits = s.top[t] & (~(<u64> 0) >> (63 - (w & 63)))
    while bits == 0:
        if t == 0:
            return -1
        t -= 1
        bits = s.top[t]
    w = (t << 6) + highest_bit(bits)
    return (w << 6) + highest_bit(s.word[w])


cdef inline i64 below(Levels* s, i64 key) noexcept nogil:
    """Return the best stored key that is worse than `key`, or EMPTY."""
    cdef i64 end = s.base + WINDOW, i, found
    if rarely(key > end):
        found = far_below(s, key)
        if found >= end:
            return found
        key = end
    i = window_below(s, key - s.base)
    if rarely(i < 0):
        return far_below(s, min(s.base, key))
    return s.base + i


cdef inline void move_window(Levels* s) noexcept nogil:
    """Put the window where the best lies at three quarters of it. Costs a step a level, whatever the width."""
    cdef i64 i = WINDOW, at, lots
    s.move_work = 0
    while True:  # all levels go to the map
        i = window_below(s, i)
        if i < 0:
            break
        at, lots = s.base + i, s.lots[i]
        put(s, at, 0)
        far_put(s, at, lots)
        s.move_work += 1
    s.base = s.best - 3 * (WINDOW >> 2)
    at = far_below(s, s.base + WINDOW)
    while at >= s.base:  # and those come back that are near now
        lots = far_put(s, at, 0)
        put(s, at, lots)
        s.move_work += 1
        at = far_below(s, at)
    s.far_work, s.placed = 0, True


cdef inline void settle(Levels* s) noexcept nogil:
    """Move the window if the best is out of its good part and the work on the table has paid for it."""
    cdef i64 i = s.best - s.base
    if rarely(i < (WINDOW >> 3) or i >= WINDOW - (WINDOW >> 4)) and s.best != EMPTY and (
            not s.placed or s.far_work > MIN_WORK + 2 * s.move_work):
        move_window(s)


cdef inline void erase_from(Levels* s, i64 key, i64 top) noexcept nogil:
    """Remove every level in [key, top]."""
    cdef i64 at = below(s, top + 1)
    while at >= key and at != EMPTY:
        put(s, at, 0)
        at = below(s, at)
