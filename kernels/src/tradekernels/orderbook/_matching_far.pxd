"""Levels at any price, each found, made and dropped in constant time. From: a ladder, for ticks outside its window. To: it.

A hash table holds two kinds of words. At depth 0 a word leads from a tick to its level. At depths 1 to 5 it is a node of
a tree over the 2^30 ticks: 64 bits, one for each child that holds levels, so that the next level above or below is
found in at most five steps up and five down, however many levels there are and however far apart. A word that loses its
last bit goes. The three ladders of a book share one table.
"""

from libc.stdint cimport int32_t, int64_t, uint64_t
from libc.stdlib cimport calloc, free, malloc
from libc.string cimport memset

from ._matching_memory cimport highest_bit, lowest_bit

cdef enum:
    NO_BID = 0                 # below every price
    MAX_TICK = 1 << 30
    NO_ASK = MAX_TICK + 1      # above every price
    DEPTH = 5                  # 64^5 ticks


cdef struct Level:
    int32_t head, tail         # first and last order of the queue, 0 in an empty one
    int32_t tick, count
    int64_t lots, hidden       # displayed, and the reserve of icebergs

cdef struct Word:
    uint64_t key               # 0: empty
    uint64_t bits              # the children that are there; at depth 0, where the level is

cdef struct Far:
    Word* words
    Level* levels              # from 1 on; free ones linked by `head`
    int32_t free_level
    int32_t bits               # log2 of the table's size


cdef inline void far_stop(Far* far) noexcept nogil:
    if far != NULL:
        free(far.words)
        free(far.levels)
        free(far)


cdef inline Far* far_start(int32_t n_levels) noexcept nogil:
    """Make room for as many levels; memory that is never used is never touched. NULL: there is none."""
    cdef Far* far = <Far*> calloc(1, sizeof(Far))
    # A level has its word and its path; nodes at depth 3 and above are few, whatever the number of levels.
    cdef int64_t n_words = min(6 * <int64_t> n_levels, 3 * <int64_t> n_levels + 3 * ((1 << 12) + (1 << 6) + 1))
    if far == NULL:
        return NULL
    far.bits = 6
    while 3 * (<int64_t> 1 << far.bits) < 4 * n_words:
        far.bits += 1
    far.words = <Word*> calloc(<size_t> 1 << far.bits, sizeof(Word))
    far.levels = <Level*> calloc(n_levels + 1, sizeof(Level))
    if far.words == NULL or far.levels == NULL:
        far_stop(far)
        return NULL
    far.free_level = 1  # its successor is the next in memory as long as `head` is 0
    return far


cdef inline uint64_t key_of(uint64_t ladder, int depth, int32_t i) noexcept nogil:
    return ladder << 40 | (<uint64_t> depth) << 32 | <uint64_t> (i >> (6 * depth))


cdef inline uint64_t word_home(const Far* far, uint64_t key) noexcept nogil:
    return (key * <uint64_t> 0x9E3779B97F4A7C15) >> (64 - far.bits)


cdef inline Word* word_at(const Far* far, uint64_t key) noexcept nogil:
    """Return the word of a key, or the empty place where it belongs."""
    cdef uint64_t mask = (<uint64_t> 1 << far.bits) - 1, k = word_home(far, key)
    while far.words[k].key != key and far.words[k].key:
        k = (k + 1) & mask
    return &far.words[k]


cdef inline void drop_word(Far* far, Word* word) noexcept nogil:
    """Empty a place; words behind it that can move up do (Knuth 6.4, algorithm R)."""
    cdef uint64_t mask = (<uint64_t> 1 << far.bits) - 1, hole = <uint64_t> (word - far.words), k = hole
    while True:
        k = (k + 1) & mask
        if far.words[k].key == 0:
            break
        if ((k - word_home(far, far.words[k].key)) & mask) >= ((k - hole) & mask):
            far.words[hole] = far.words[k]
            hole = k
    far.words[hole].key = far.words[hole].bits = 0


cdef inline Level* far_find(const Far* far, uint64_t ladder, int32_t tick) noexcept nogil:
    """Return the level of a tick, or NULL."""
    cdef const Word* word = word_at(far, key_of(ladder, 0, tick - 1))
    return &far.levels[word.bits] if word.key else NULL


cdef inline Level* far_make(Far* far, uint64_t ladder, int32_t tick) noexcept nogil:
    """Return a new empty level. There is one for each order of the arena, so they never run out."""
    cdef int32_t i = tick - 1, slot = far.free_level
    cdef Level* level = &far.levels[slot]
    cdef Word* word = word_at(far, key_of(ladder, 0, i))
    cdef uint64_t child
    cdef int depth
    far.free_level = level.head if level.head else slot + 1
    memset(level, 0, sizeof(Level))
    level.tick = tick
    word.key, word.bits = key_of(ladder, 0, i), slot
    for depth in range(1, DEPTH + 1):
        child = (<uint64_t> 1) << ((i >> (6 * (depth - 1))) & 63)
        word = word_at(far, key_of(ladder, depth, i))
        if word.key:
            word.bits |= child
            break
        word.key, word.bits = key_of(ladder, depth, i), child
    return level


cdef inline void far_drop(Far* far, uint64_t ladder, int32_t tick) noexcept nogil:
    """Forget the level of a tick."""
    cdef int32_t i = tick - 1
    cdef Word* word = word_at(far, key_of(ladder, 0, i))
    cdef int depth
    far.levels[word.bits].head = far.free_level
    far.free_level = <int32_t> word.bits
    drop_word(far, word)
    for depth in range(1, DEPTH + 1):
        word = word_at(far, key_of(ladder, depth, i))
        word.bits &= ~((<uint64_t> 1) << ((i >> (6 * (depth - 1))) & 63))
        if word.bits:
            break
        drop_word(far, word)


cdef inline int32_t far_above(const Far* far, uint64_t ladder, int32_t tick) noexcept nogil:
    """Return the lowest tick above `tick` that has a level, or NO_ASK."""
    cdef int32_t i = tick  # ticks count from 1, places from 0: the first place that will do
    cdef uint64_t bits
    cdef int depth = 1
    while i < MAX_TICK:
        bits = word_at(far, key_of(ladder, depth, i)).bits & (~(<uint64_t> 0) << ((i >> (6 * (depth - 1))) & 63))
        if bits:
            i = (i >> (6 * depth)) << 6 | lowest_bit(bits)
            while depth > 1:
                depth -= 1
                i = i << 6 | lowest_bit(word_at(far, key_of(ladder, depth, i << (6 * depth))).bits)
            return i + 1
        if depth == DEPTH:
            break
        i = ((i >> (6 * depth)) + 1) << (6 * depth)
        depth += 1
    return NO_ASK


cdef inline int32_t far_below(const Far* far, uint64_t ladder, int32_t tick) noexcept nogil:
    """Return the highest tick below `tick` that has a level, or NO_BID."""
    cdef int32_t i = tick - 2
    cdef uint64_t bits
    cdef int depth = 1
    while i >= 0:
        bits = word_at(far, key_of(ladder, depth, i)).bits & (~(<uint64_t> 0) >> (63 - ((i >> (6 * (depth - 1))) & 63)))
        if bits:
            i = (i >> (6 * depth)) << 6 | highest_bit(bits)
            while depth > 1:
                depth -= 1
                i = i << 6 | highest_bit(word_at(far, key_of(ladder, depth, i << (6 * depth))).bits)
            return i + 1
        if depth == DEPTH:
            break
        i = ((i >> (6 * depth)) << (6 * depth)) - 1
        depth += 1
    return NO_BID
