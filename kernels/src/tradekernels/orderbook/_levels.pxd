# cython: language_level=3
"""One side of a book: a map from price to resting lots that knows its best price. From: _book.pxd. To: _book.pxd.

A price is a key that is higher when it is better: the tick of a bid, minus the tick of an ask, so both sides run the
same code. Keys near the best lie in a window, a dense array under a bitmap of three storeys (64 keys a word, 64 words a
word above); the few others are in a hash table. The window moves when the best has left its good part and enough work
has gone to the table to pay for the move.
"""

from libc.stdlib cimport calloc, free
from libc.string cimport memset

cdef extern from *:
    """
    #if defined(_MSC_VER)
    #include <intrin.h>
    static __inline int tk_highest_bit(unsigned long long x) { unsigned long i; _BitScanReverse64(&i, x); return (int)i; }
    #else
    static inline int tk_highest_bit(unsigned long long x) { return 63 - __builtin_clzll(x); }
    #endif
    #define TK_EMPTY (-(1LL << 60))
    #define TK_NEVER 0x7fffffffffffffffLL
    #define TK_HASH(key, shift) ((long long)(((unsigned long long)(key) * 0x9E3779B97F4A7C15ULL) >> (shift)))
    """
    const long long EMPTY "TK_EMPTY"  # best key of an empty side; also an empty slot of the table
    const long long NEVER "TK_NEVER"  # a time after all others
    int highest_bit "tk_highest_bit"(unsigned long long x) noexcept nogil
    long long slot_of "TK_HASH"(long long key, int shift) noexcept nogil

ctypedef long long i64
ctypedef unsigned long long u64

cdef enum:
    WINDOW_BITS = 16
    WINDOW = 1 << WINDOW_BITS  # keys
    WORDS = WINDOW >> 6
    TOP_WORDS = (WORDS + 63) >> 6


cdef struct Levels:
    i64 best
    i64 base        # key of the first slot of the window
    i64* lots
    u64* word       # bit k of word w: lots[64 w + k] is not 0
    u64* top        # bit k of top t: word[64 t + k] is not 0
    i64* far_key
    i64* far_lots
    i64 n_far
    i64 far_work    # what the table has cost since the window moved
    int far_shift   # the table has 2 ** (64 - far_shift) slots
    bint placed     # the window has been put somewhere
    bint failed     # out of memory: levels are missing


cdef inline bint create(Levels* s) noexcept nogil:
    s.best, s.base, s.n_far, s.far_work, s.far_shift, s.placed, s.failed = EMPTY, 0, 0, 0, 64 - 8, False, False
    s.lots = <i64*> calloc(WINDOW, sizeof(i64))
    s.word = <u64*> calloc(WORDS, sizeof(u64))
    s.top = <u64*> calloc(TOP_WORDS, sizeof(u64))
    s.far_key = <i64*> calloc(256, sizeof(i64))
    s.far_lots = <i64*> calloc(256, sizeof(i64))
    if s.lots == NULL or s.word == NULL or s.top == NULL or s.far_key == NULL or s.far_lots == NULL:
        return False
    forget_far(s)
    return True


cdef inline void destroy(Levels* s) noexcept nogil:
    free(s.lots)
    free(s.word)
    free(s.top)
    free(s.far_key)
    free(s.far_lots)


cdef inline i64 far_size(const Levels* s) noexcept nogil:
    return <i64> 1 << (64 - s.far_shift)


cdef inline void forget_far(Levels* s) noexcept nogil:
    cdef i64 i
    for i in range(far_size(s)):
        s.far_key[i] = EMPTY
    s.n_far = 0


cdef inline i64 far_find(const Levels* s, i64 key) noexcept nogil:
    """Return the slot of a key, or the empty one where it would go."""
    cdef i64 mask = far_size(s) - 1
    cdef i64 i = slot_of(key, s.far_shift)
    while s.far_key[i] != key and s.far_key[i] != EMPTY:
        i = (i + 1) & mask
    return i


cdef inline i64 far_get(const Levels* s, i64 key) noexcept nogil:
    cdef i64 i = far_find(s, key)
    return s.far_lots[i] if s.far_key[i] == key else 0


cdef inline void far_grow(Levels* s) noexcept nogil:
    cdef i64 old_size = far_size(s), k, i
    cdef i64* keys = s.far_key
    cdef i64* lots = s.far_lots
    s.far_key = <i64*> calloc(2 * old_size, sizeof(i64))
    s.far_lots = <i64*> calloc(2 * old_size, sizeof(i64))
    if s.far_key == NULL or s.far_lots == NULL:
        free(s.far_key)
        free(s.far_lots)
        s.far_key, s.far_lots, s.failed = keys, lots, True
        return
    s.far_shift -= 1
    forget_far(s)
    for k in range(old_size):
        if keys[k] != EMPTY:
            i = far_find(s, keys[k])
            s.far_key[i], s.far_lots[i] = keys[k], lots[k]
            s.n_far += 1
    free(keys)
    free(lots)


cdef inline i64 far_put(Levels* s, i64 key, i64 lots) noexcept nogil:
    """Set a level of the table and return what was there; 0 removes it."""
    cdef i64 i = far_find(s, key), mask = far_size(s) - 1, was = 0, hole, home
    s.far_work += 1
    if s.far_key[i] == key:
        was = s.far_lots[i]
        s.far_lots[i] = lots
        if lots == 0:  # close the hole: entries behind it that may move towards their home do
            s.n_far -= 1
            hole = i
            while True:
                i = (i + 1) & mask
                if s.far_key[i] == EMPTY:
                    break
                home = slot_of(s.far_key[i], s.far_shift)
                if ((i - home) & mask) >= ((i - hole) & mask):
                    s.far_key[hole], s.far_lots[hole] = s.far_key[i], s.far_lots[i]
                    hole = i
            s.far_key[hole] = EMPTY
    elif lots:
        if 2 * (s.n_far + 1) > far_size(s):
            far_grow(s)
            if s.failed:
                return 0
            i = far_find(s, key)
        s.far_key[i], s.far_lots[i] = key, lots
        s.n_far += 1
    return was


cdef inline i64 get(const Levels* s, i64 key) noexcept nogil:
    cdef i64 i = key - s.base
    if <u64> i < <u64> WINDOW:
        return s.lots[i]
    return far_get(s, key) if s.n_far else 0


cdef inline i64 put(Levels* s, i64 key, i64 lots) noexcept nogil:
    """Set the lots at a key, 0 for none, and return what was there. The best is the caller's business."""
    cdef i64 i = key - s.base, was
    cdef u64 before, after, bit
    if <u64> i >= <u64> WINDOW:
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


cdef inline i64 far_between(Levels* s, i64 low, i64 high) noexcept nogil:
    """Return the highest key of the table in [low, high), or EMPTY."""
    cdef i64 k, found = EMPTY
    if s.n_far == 0:
        return EMPTY
    s.far_work += far_size(s)
    for k in range(far_size(s)):
        if low <= s.far_key[k] < high and s.far_key[k] > found:
            found = s.far_key[k]
    return found


cdef inline i64 below(Levels* s, i64 key) noexcept nogil:
    """Return the best stored key that is worse than `key`, or EMPTY."""
    cdef i64 end = s.base + WINDOW, i, found
    if key > end:
        found = far_between(s, end, key)
        if found != EMPTY:
            return found
        key = end
    i = window_below(s, key - s.base)
    if i >= 0:
        return s.base + i
    return far_between(s, EMPTY + 1, min(s.base, key))


cdef inline void move_window(Levels* s) noexcept nogil:
    """Put the window where the best lies at three quarters of it. Costs a step a level, whatever the width."""
    cdef i64 i = WINDOW, base = s.best - 3 * (WINDOW >> 2), k, n = 0, size
    cdef i64* keys
    cdef i64* lots
    s.far_work, s.placed = 0, True
    while True:  # all levels go to the table
        i = window_below(s, i)
        if i < 0:
            break
        far_put(s, s.base + i, s.lots[i])
        if s.failed:
            return
        s.lots[i] = 0
        s.word[i >> 6] &= ~(<u64> 1 << <u64> (i & 63))
        if s.word[i >> 6] == 0:
            s.top[i >> 12] &= ~(<u64> 1 << <u64> ((i >> 6) & 63))
    s.base = base
    size = far_size(s)
    keys, lots = s.far_key, s.far_lots
    s.far_key, s.far_lots = <i64*> calloc(size, sizeof(i64)), <i64*> calloc(size, sizeof(i64))
    if s.far_key == NULL or s.far_lots == NULL:
        free(s.far_key)
        free(s.far_lots)
        s.far_key, s.far_lots, s.failed = keys, lots, True
        return
    forget_far(s)
    for k in range(size):  # and each to where it belongs now
        if keys[k] != EMPTY:
            put(s, keys[k], lots[k])
    free(keys)
    free(lots)
    s.far_work = 0


cdef inline void settle(Levels* s) noexcept nogil:
    """Move the window if the best is out of its good part and the work on the table has paid for it."""
    cdef i64 i = s.best - s.base
    if (i < (WINDOW >> 3) or i >= WINDOW - (WINDOW >> 4)) and s.best != EMPTY and (
            not s.placed or s.far_work > far_size(s)):
        move_window(s)


cdef inline void erase_from(Levels* s, i64 key, i64 top) noexcept nogil:
    """Remove every level in [key, top]."""
    cdef i64 at = below(s, top + 1)
    while at >= key and at != EMPTY:
        put(s, at, 0)
        at = below(s, at)
