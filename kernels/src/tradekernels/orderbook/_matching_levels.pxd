"""Price levels of a matching book. From: the engine in _matching.pxd. To: the same; nothing here knows an order's content.

A ladder holds levels by tick: a dense window around the touch with a two-step bitmap, and _matching_far.pxd for ticks
beyond it. One tick never carries both sides of an uncrossed book, so both sides share one ladder. A far level costs a few
look-ups more than a dense one; after half a window's worth of those the window moves to where the touch has gone, so that
a level costs O(1) amortised however far the market travels.
"""

from libc.stdint cimport int32_t, int64_t, uint64_t
from libc.stdlib cimport calloc, free
from libc.string cimport memset

from ._matching_far cimport (
    MAX_TICK, NO_ASK, NO_BID, Far, Level, far_above, far_below, far_drop, far_find, far_make,
)
from ._machine cimport highest_bit, lowest_bit, rarely, zeroed_block


cdef struct Ladder:
    Level* dense               # `window` levels from tick `base` on
    uint64_t* words            # a bit a dense level that holds orders
    uint64_t* summary          # a bit a word that is not zero
    Far* far                   # levels outside the window, never an empty one; the book's, shared by its ladders
    uint64_t number            # tells the ladders of a book apart, from 1 on
    int32_t n_far, window, base, searches


cdef inline bint ladder_start(Ladder* ladder, int32_t window, Far* far, uint64_t number) noexcept nogil:
    """Make an empty ladder; `window` is a multiple of 4096 or a smaller power of two from 64 on. False: no memory."""
    memset(ladder, 0, sizeof(Ladder))
    ladder.window, ladder.far, ladder.number = window, far, number
    ladder.dense = <Level*> zeroed_block(window * sizeof(Level))
    ladder.words = <uint64_t*> calloc(window // 64, sizeof(uint64_t))
    ladder.summary = <uint64_t*> calloc((window + 4095) // 4096, sizeof(uint64_t))
    return ladder.dense != NULL and ladder.words != NULL and ladder.summary != NULL


cdef inline void ladder_stop(Ladder* ladder) noexcept nogil:
    free(ladder.dense)
    free(ladder.words)
    free(ladder.summary)
    memset(ladder, 0, sizeof(Ladder))


cdef inline void ladder_clear(Ladder* ladder) noexcept nogil:
    """Empty every level at the cost of those that hold orders."""
    cdef int32_t w, n_words = ladder.window // 64, tick = NO_BID
    for w in range(n_words):
        if ladder.words[w]:
            memset(ladder.dense + 64 * w, 0, 64 * sizeof(Level))
            ladder.words[w] = 0
    memset(ladder.summary, 0, ((ladder.window + 4095) // 4096) * sizeof(uint64_t))
    while ladder.n_far:
        tick = far_above(ladder.far, ladder.number, tick)
        drop_far(ladder, tick)
    ladder.searches = 0


cdef inline bint is_dense(const Ladder* ladder, int32_t tick) noexcept nogil:
    return <uint64_t> (<int64_t> tick - ladder.base) < <uint64_t> ladder.window


cdef inline Level* make_far(Ladder* ladder, int32_t tick) noexcept nogil:
    ladder.n_far += 1
    return far_make(ladder.far, ladder.number, tick)


cdef inline void drop_far(Ladder* ladder, int32_t tick) noexcept nogil:
    ladder.n_far -= 1
    far_drop(ladder.far, ladder.number, tick)


cdef inline Level* level_at(Ladder* ladder, int32_t tick) noexcept nogil:
    """Return the level of a tick that holds orders, or is about to."""
    cdef Level* level
    if rarely(not is_dense(ladder, tick)):
        ladder.searches += 1
        level = far_find(ladder.far, ladder.number, tick)
        return level if level != NULL else make_far(ladder, tick)
    return &ladder.dense[tick - ladder.base]


cdef inline const Level* find_level(const Ladder* ladder, int32_t tick) noexcept nogil:
    """Return the level of a tick, or NULL where it holds no order. For readers: costs the window no search."""
    if is_dense(ladder, tick):
        return &ladder.dense[tick - ladder.base] if ladder.dense[tick - ladder.base].head else NULL
    return far_find(ladder.far, ladder.number, tick)


cdef inline void mark(Ladder* ladder, int32_t tick) noexcept nogil:
    """Note that a level has its first order."""
    cdef int32_t i = tick - ladder.base
    if is_dense(ladder, tick):
        ladder.dense[i].tick = tick
        ladder.words[i >> 6] |= (<uint64_t> 1) << (i & 63)
        ladder.summary[i >> 12] |= (<uint64_t> 1) << ((i >> 6) & 63)


cdef inline void unmark(Ladder* ladder, int32_t tick) noexcept nogil:
    """Note that a level has lost its last order."""
    cdef int32_t i = tick - ladder.base
    if is_dense(ladder, tick):
        ladder.words[i >> 6] &= ~((<uint64_t> 1) << (i & 63))
        if ladder.words[i >> 6] == 0:
            ladder.summary[i >> 12] &= ~((<uint64_t> 1) << ((i >> 6) & 63))
    else:
        ladder.searches += 1
        drop_far(ladder, tick)


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


cdef inline int32_t next_below(const Ladder* ladder, int32_t tick) noexcept nogil:
    """Return the highest tick below `tick` that holds orders, or NO_BID."""
    cdef int32_t i
    cdef int64_t above = <int64_t> tick - ladder.base
    if rarely(ladder.n_far > 0 and above > ladder.window):
        i = far_below(ladder.far, ladder.number, tick)
        if i >= ladder.base + ladder.window:
            return i
    if above > 0:
        i = dense_below(ladder, <int32_t> min(above, <int64_t> ladder.window))
        if i >= 0:
            return ladder.base + i
    if rarely(ladder.n_far > 0):
        return far_below(ladder.far, ladder.number, min(tick, ladder.base))
    return NO_BID


cdef inline int32_t next_above(const Ladder* ladder, int32_t tick) noexcept nogil:
    """Return the lowest tick above `tick` that holds orders, or NO_ASK."""
    cdef int32_t i
    cdef int64_t above = <int64_t> tick - ladder.base
    if rarely(ladder.n_far > 0 and above < -1):
        i = far_above(ladder.far, ladder.number, tick)
        if i < ladder.base:
            return i
    if above < ladder.window - 1:
        i = dense_above(ladder, <int32_t> max(above, <int64_t> -1))
        if i >= 0:
            return ladder.base + i
    if rarely(ladder.n_far > 0):
        return far_above(ladder.far, ladder.number, max(tick, ladder.base + ladder.window - 1))
    return NO_ASK


cdef inline void settle(Ladder* ladder, int32_t tick) noexcept nogil:
    """Put the window of an empty ladder around its first level."""
    if rarely(not is_dense(ladder, tick)):
        ladder.base = max(tick - ladder.window // 2, 0)


cdef inline void move_window(Ladder* ladder, int32_t base) noexcept nogil:
    """Begin the window at another tick: every level keeps its queue."""
    cdef int32_t shift = base - ladder.base, i = -1 if shift > 0 else ladder.window, tick
    cdef Level level
    while True:  # in the direction in which the new place of each level has already been left
        if shift > 0:
            i = dense_above(ladder, i) if i < ladder.window - 1 else -1
        else:
            i = dense_below(ladder, i) if i > 0 else -1
        if i < 0:
            break
        level = ladder.dense[i]
        unmark(ladder, level.tick)
        memset(&ladder.dense[i], 0, sizeof(Level))
        ladder.base += shift
        if is_dense(ladder, level.tick):
            ladder.dense[level.tick - base] = level
            mark(ladder, level.tick)
        else:
            make_far(ladder, level.tick)[0] = level
        ladder.base -= shift
    ladder.base = base
    if ladder.n_far == 0:
        return
    tick = far_above(ladder.far, ladder.number, max(base - 1, NO_BID))
    while tick != NO_ASK and is_dense(ladder, tick):
        ladder.dense[tick - base] = far_find(ladder.far, ladder.number, tick)[0]
        mark(ladder, tick)
        drop_far(ladder, tick)
        tick = far_above(ladder.far, ladder.number, tick)


cdef inline void follow(Ladder* ladder, int32_t bid, int32_t ask) noexcept nogil:
    """Move the window once it has cost half a window's worth of searches and the touch has left its middle half."""
    cdef int32_t centre
    if not rarely(ladder.searches > ladder.window // 2):
        return
    ladder.searches = 0
    if bid == NO_BID and ask == NO_ASK:
        return
    centre = ask if bid == NO_BID else bid if ask == NO_ASK else bid + (ask - bid) // 2
    if not (ladder.window // 4 <= <int64_t> centre - ladder.base < 3 * (ladder.window // 4)):
        if ladder.base != max(centre - ladder.window // 2, 0):
            move_window(ladder, max(centre - ladder.window // 2, 0))
