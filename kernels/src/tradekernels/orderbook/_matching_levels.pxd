"""Price levels of a matching book. From: the engine in _matching.pxd. To: the same; nothing here knows an order's content.

A ladder holds levels by tick: a dense window around the touch with a two-step bitmap, and a sorted array for ticks beyond
it. One tick never carries both sides of an uncrossed book, so both sides share one ladder. Far levels are found by binary
search; after a window's worth of such searches the window moves to where the touch has gone, so that a level costs O(1)
amortised however far the market travels.
"""

from libc.stdint cimport int32_t, int64_t, uint64_t
from libc.stdlib cimport calloc, free
from libc.string cimport memmove, memset


cdef extern from *:
    """
    #include <stdlib.h>
    #include <string.h>
    #if defined(__linux__)
      #include <sys/mman.h>
    #endif
    /* Zeroed memory; large blocks in huge pages where the system lends them, which halves the cost of a deep book. */
    static void* tradekernels_block(size_t size) {
    #if defined(__linux__) && defined(MADV_HUGEPAGE)
        void* block = NULL;
        if (size >= ((size_t)1 << 20)) {
            size = (size + ((size_t)1 << 21) - 1) & ~(((size_t)1 << 21) - 1);
            if (posix_memalign(&block, (size_t)1 << 21, size)) return NULL;
            madvise(block, size, MADV_HUGEPAGE);
            return memset(block, 0, size);
        }
    #endif
        return calloc(1, size);
    }
    #if defined(_MSC_VER)
      #include <intrin.h>
      static __inline int tradekernels_lowest_bit(unsigned long long x) { unsigned long i; _BitScanForward64(&i, x); return (int)i; }
      static __inline int tradekernels_highest_bit(unsigned long long x) { unsigned long i; _BitScanReverse64(&i, x); return (int)i; }
      #define tradekernels_prefetch(p) ((void)(p))
      #define tradekernels_rarely(x) (x)
    #else
      #define tradekernels_lowest_bit(x) __builtin_ctzll(x)
      #define tradekernels_highest_bit(x) (63 - __builtin_clzll(x))
      /* The empty statement keeps GCC 12 from finding that a function which only prefetches does nothing. */
      #define tradekernels_prefetch(p) do { __builtin_prefetch(p); __asm__ volatile(""); } while (0)
      #define tradekernels_rarely(x) __builtin_expect(!!(x), 0)
    #endif
    """
    void* zeroed_block "tradekernels_block"(size_t size) noexcept nogil
    int lowest_bit "tradekernels_lowest_bit"(uint64_t x) noexcept nogil
    int highest_bit "tradekernels_highest_bit"(uint64_t x) noexcept nogil
    void prefetch "tradekernels_prefetch"(const void* p) noexcept nogil
    bint rarely "tradekernels_rarely"(bint x) noexcept nogil


cdef enum:
    NO_BID = 0                 # below every price
    MAX_TICK = 1 << 30
    NO_ASK = MAX_TICK + 1      # above every price


cdef struct Level:
    int32_t head, tail         # first and last order of the queue, 0 in an empty one
    int32_t tick, count
    int64_t lots, hidden       # displayed, and the reserve of icebergs


cdef struct Ladder:
    Level* dense               # `window` levels from tick `base` on
    uint64_t* words            # a bit a dense level that holds orders
    uint64_t* summary          # a bit a word that is not zero
    Level* far                 # levels outside the window, by ascending tick; never an empty one
    int32_t n_far, far_room
    int32_t window, base, searches


cdef inline bint ladder_start(Ladder* ladder, int32_t window, int32_t far_room) noexcept nogil:
    """Make an empty ladder; `window` is a multiple of 4096 or a smaller power of two from 64 on. False: no memory."""
    memset(ladder, 0, sizeof(Ladder))
    ladder.window = window
    ladder.far_room = far_room
    ladder.base = NO_ASK + 1  # no price: the first one moves it
    ladder.dense = <Level*> zeroed_block(window * sizeof(Level))
    ladder.words = <uint64_t*> calloc(window // 64, sizeof(uint64_t))
    ladder.summary = <uint64_t*> calloc((window + 4095) // 4096, sizeof(uint64_t))
    ladder.far = <Level*> calloc(far_room, sizeof(Level))
    return ladder.dense != NULL and ladder.words != NULL and ladder.summary != NULL and ladder.far != NULL


cdef inline void ladder_stop(Ladder* ladder) noexcept nogil:
    free(ladder.dense)
    free(ladder.words)
    free(ladder.summary)
    free(ladder.far)
    memset(ladder, 0, sizeof(Ladder))


cdef inline void ladder_clear(Ladder* ladder) noexcept nogil:
    """Empty every level at the cost of those that hold orders."""
    cdef int32_t w, n_words = ladder.window // 64
    for w in range(n_words):
        if ladder.words[w]:
            memset(ladder.dense + 64 * w, 0, 64 * sizeof(Level))
            ladder.words[w] = 0
    memset(ladder.summary, 0, ((ladder.window + 4095) // 4096) * sizeof(uint64_t))
    ladder.n_far = 0
    ladder.searches = 0


cdef inline bint is_dense(const Ladder* ladder, int32_t tick) noexcept nogil:
    return <uint64_t> (<int64_t> tick - ladder.base) < <uint64_t> ladder.window


cdef inline int32_t far_place(const Ladder* ladder, int32_t tick) noexcept nogil:
    """Return where the first far level at or above `tick` is."""
    cdef int32_t low = 0, high = ladder.n_far, middle
    while low < high:
        middle = (low + high) >> 1
        if ladder.far[middle].tick < tick:
            low = middle + 1
        else:
            high = middle
    return low


cdef inline Level* far_level(Ladder* ladder, int32_t tick) noexcept nogil:
    """Return a far level, made where there was none. Room is what the arena has orders for, so it never runs out."""
    cdef int32_t k = far_place(ladder, tick)
    ladder.searches += 1
    if k == ladder.n_far or ladder.far[k].tick != tick:
        memmove(&ladder.far[k + 1], &ladder.far[k], (ladder.n_far - k) * sizeof(Level))
        memset(&ladder.far[k], 0, sizeof(Level))
        ladder.far[k].tick = tick
        ladder.n_far += 1
    return &ladder.far[k]


cdef inline Level* level_at(Ladder* ladder, int32_t tick) noexcept nogil:
    """Return the level of a tick that holds orders, or is about to."""
    if rarely(not is_dense(ladder, tick)):
        return far_level(ladder, tick)
    return &ladder.dense[tick - ladder.base]


cdef inline const Level* find_level(const Ladder* ladder, int32_t tick) noexcept nogil:
    """Return the level of a tick, or NULL where it holds no order. For readers: costs the window no search."""
    cdef int32_t k
    if is_dense(ladder, tick):
        return &ladder.dense[tick - ladder.base] if ladder.dense[tick - ladder.base].head else NULL
    k = far_place(ladder, tick)
    return &ladder.far[k] if k < ladder.n_far and ladder.far[k].tick == tick else NULL


cdef inline void mark(Ladder* ladder, int32_t tick) noexcept nogil:
    """Note that a level has its first order."""
    cdef int32_t i = tick - ladder.base
    if is_dense(ladder, tick):
        ladder.dense[i].tick = tick
        ladder.words[i >> 6] |= (<uint64_t> 1) << (i & 63)
        ladder.summary[i >> 12] |= (<uint64_t> 1) << ((i >> 6) & 63)


cdef inline void unmark(Ladder* ladder, int32_t tick) noexcept nogil:
    """Note that a level has lost its last order."""
    cdef int32_t i = tick - ladder.base, k
    if is_dense(ladder, tick):
        ladder.words[i >> 6] &= ~((<uint64_t> 1) << (i & 63))
        if ladder.words[i >> 6] == 0:
            ladder.summary[i >> 12] &= ~((<uint64_t> 1) << ((i >> 6) & 63))
    else:
        ladder.searches += 1
        k = far_place(ladder, tick)
        ladder.n_far -= 1
        memmove(&ladder.far[k], &ladder.far[k + 1], (ladder.n_far - k) * sizeof(Level))


cdef inline int32_t dense_below(const Ladder* ladder, int32_t i) noexcept nogil:
    """Return the highest marked index below i, or -1; i in (0, window]."""
    cdef int32_t w = (i - 1) >> 6, s
    cdef uint64_t bits = ladder.words[w] & (~(<uint64_t> 0) >> (63 - ((i - 1) & 63)))
    if bits:
        return (w << 6) + highest_bit(bits)
    s = w >> 6
    bits = ladder.summary[s] & (((<uint64_t> 1) << (w & 63)) - 1)
    while bits == 0:
        s -= 1
        if s < 0:
            return -1
        bits = ladder.summary[s]
    w = (s << 6) + highest_bit(bits)
    return (w << 6) + highest_bit(ladder.words[w])


cdef inline int32_t dense_above(const Ladder* ladder, int32_t i) noexcept nogil:
    """Return the lowest marked index above i, or -1; i in [-1, window - 1)."""
    cdef int32_t w = (i + 1) >> 6, s, n_summary = (ladder.window + 4095) // 4096
    cdef uint64_t bits = ladder.words[w] & (~(<uint64_t> 0) << ((i + 1) & 63))
    if bits:
        return (w << 6) + lowest_bit(bits)
    s = w >> 6
    bits = ladder.summary[s] & ((~(<uint64_t> 0) << (w & 63)) << 1)
    while bits == 0:
        s += 1
        if s >= n_summary:
            return -1
        bits = ladder.summary[s]
    w = (s << 6) + lowest_bit(bits)
    return (w << 6) + lowest_bit(ladder.words[w])


cdef inline int32_t next_below(Ladder* ladder, int32_t tick) noexcept nogil:
    """Return the highest tick below `tick` that holds orders, or NO_BID."""
    cdef int32_t i, k = -1
    cdef int64_t above = <int64_t> tick - ladder.base  # 64 bits: base may lie anywhere
    if rarely(ladder.n_far > 0 and above > ladder.window):
        k = far_place(ladder, tick) - 1
        if k >= 0 and ladder.far[k].tick >= ladder.base + ladder.window:
            return ladder.far[k].tick
    if above > 0:
        i = dense_below(ladder, <int32_t> min(above, <int64_t> ladder.window))
        if i >= 0:
            return ladder.base + i
    if rarely(ladder.n_far > 0):
        k = far_place(ladder, min(tick, ladder.base)) - 1
        if k >= 0:
            return ladder.far[k].tick
    return NO_BID


cdef inline int32_t next_above(Ladder* ladder, int32_t tick) noexcept nogil:
    """Return the lowest tick above `tick` that holds orders, or NO_ASK."""
    cdef int32_t i, k
    cdef int64_t above = <int64_t> tick - ladder.base
    if rarely(ladder.n_far > 0 and above < -1):
        k = far_place(ladder, tick + 1)
        if k < ladder.n_far and ladder.far[k].tick < ladder.base:
            return ladder.far[k].tick
    if above < ladder.window - 1:
        i = dense_above(ladder, <int32_t> max(above, <int64_t> -1))
        if i >= 0:
            return ladder.base + i
    if rarely(ladder.n_far > 0):
        k = far_place(ladder, max(tick + 1, ladder.base + ladder.window))
        if k < ladder.n_far:
            return ladder.far[k].tick
    return NO_ASK


cdef inline void move_window(Ladder* ladder, int32_t centre, Level* spare) noexcept nogil:
    """Put the window around `centre`: every level keeps its queue. `spare` has room for as many levels as `far`."""
    cdef int32_t n = 0, i, tick
    cdef Level* level
    tick = next_above(ladder, NO_BID)
    while tick != NO_ASK:  # by ascending tick, so that what lies far is sorted again
        spare[n] = ladder.dense[tick - ladder.base] if is_dense(ladder, tick) else ladder.far[far_place(ladder, tick)]
        n += 1
        tick = next_above(ladder, tick)
    ladder_clear(ladder)
    ladder.base = max(centre - ladder.window // 2, 0)
    for i in range(n):
        if is_dense(ladder, spare[i].tick):
            ladder.dense[spare[i].tick - ladder.base] = spare[i]
            mark(ladder, spare[i].tick)
        else:
            ladder.far[ladder.n_far] = spare[i]
            ladder.n_far += 1


cdef inline void follow(Ladder* ladder, int32_t bid, int32_t ask, Level* spare) noexcept nogil:
    """Move the window once it has cost a window's worth of searches and the touch has left its middle half."""
    cdef int32_t centre
    if not rarely(ladder.searches > ladder.window // 8):
        return
    ladder.searches = 0
    if bid == NO_BID and ask == NO_ASK:
        return
    centre = ask if bid == NO_BID else bid if ask == NO_ASK else bid + (ask - bid) // 2
    if not (ladder.window // 4 <= <int64_t> centre - ladder.base < 3 * (ladder.window // 4)):
        if ladder.base != max(centre - ladder.window // 2, 0):
            move_window(ladder, centre, spare)
