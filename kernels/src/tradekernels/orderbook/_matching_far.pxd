"""Levels at any price, each made, found and dropped in constant time. From: a ladder, for ticks outside its window. To: it.

An arena holds the levels, one map leads to them: the three ladders of a book share both, each under a number of its own.
"""

from libc.stdint cimport int32_t, int64_t, uint64_t
from libc.stdlib cimport calloc, free
from libc.string cimport memset

from ._tick_map cimport NOWHERE, TickMap, map_above, map_below, map_create, map_destroy, map_get, map_put

cdef enum:
    NO_BID = 0                 # below every price
    MAX_TICK = 1 << 30
    NO_ASK = MAX_TICK + 1      # above every price


cdef struct Level:
    int32_t head, tail         # first and last order of the queue, 0 in an empty one
    int32_t tick, count
    int64_t lots, hidden       # displayed, and the reserve of icebergs

cdef struct Far:
    TickMap places             # where in `levels` a tick has its level
    Level* levels              # from 1 on; free ones linked by `head`
    int32_t free_level


cdef inline void far_stop(Far* far) noexcept nogil:
    if far != NULL:
        map_destroy(&far.places)
        free(far.levels)
        free(far)


cdef inline Far* far_start(int32_t n_levels) noexcept nogil:
    """Make room for as many levels, and never more; memory that is never used is never touched. NULL: there is none."""
    cdef Far* far = <Far*> calloc(1, sizeof(Far))
    # A level has its word and a path of six; from storey 3 on a ladder has few words, whatever the number of levels.
    cdef int64_t n_words = min(7 * <int64_t> n_levels, 3 * <int64_t> n_levels + 3 * (1 << 13))
    if far == NULL:
        return NULL
    far.levels = <Level*> calloc(<size_t> n_levels + 1, sizeof(Level))
    if not map_create(&far.places, n_words) or far.levels == NULL:
        far_stop(far)
        return NULL
    far.free_level = 1  # its successor is the next in memory as long as `head` is 0
    return far


cdef inline Level* far_find(const Far* far, uint64_t ladder, int32_t tick) noexcept nogil:
    """Return the level of a tick, or NULL."""
    cdef uint64_t slot = map_get(&far.places, ladder, tick)
    return &far.levels[slot] if slot else NULL


cdef inline Level* far_make(Far* far, uint64_t ladder, int32_t tick) noexcept nogil:
    """Return a new empty level. There is one for each order of the arena, so they never run out."""
    cdef int32_t slot = far.free_level
    cdef Level* level = &far.levels[slot]
    far.free_level = level.head if level.head else slot + 1
    memset(level, 0, sizeof(Level))
    level.tick = tick
    map_put(&far.places, ladder, tick, <uint64_t> slot)
    return level


cdef inline void far_drop(Far* far, uint64_t ladder, int32_t tick) noexcept nogil:
    """Forget the level of a tick."""
    cdef int32_t slot = <int32_t> map_put(&far.places, ladder, tick, 0)
    far.levels[slot].head = far.free_level
    far.free_level = slot


cdef inline int32_t far_above(const Far* far, uint64_t ladder, int32_t tick) noexcept nogil:
    """Return the lowest tick above `tick` that has a level, or NO_ASK."""
    cdef int64_t found = map_above(&far.places, ladder, tick)
    return NO_ASK if found == NOWHERE else <int32_t> found


cdef inline int32_t far_below(const Far* far, uint64_t ladder, int32_t tick) noexcept nogil:
    """Return the highest tick below `tick` that has a level, or NO_BID."""
    cdef int64_t found = map_below(&far.places, ladder, tick)
    return NO_BID if found == NOWHERE else <int32_t> found
