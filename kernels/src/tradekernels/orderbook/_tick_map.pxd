# cython: language_level=3
"""A sparse ordered map from price to number. From: _levels.pxd and _matching_far.pxd, for ticks outside a window. To: them.

One hash table holds two kinds of words: the values (storey 0), and words whose 64 bits say which of 64 neighbours of the
storey below are there. Six storeys of those span 2^32 places, so the next one below or above any place takes at most
twelve look-ups, however many there are and however far apart they lie. Maps of different tags share a table.

The table doubles when it is half full. One that was made with room for all its words therefore never allocates again.
"""

from libc.stdint cimport int64_t, uint64_t
from libc.stdlib cimport calloc, free

from ._machine cimport highest_bit, lowest_bit, rarely

cdef enum:
    STOREYS = 6
    PLACES_BITS = 32
    NOWHERE = -1      # below and above every place


cdef struct Word:
    uint64_t name     # tag, storey and place in it; 0: a free slot
    uint64_t value    # never 0 in use

cdef struct TickMap:
    Word* word
    int64_t n         # words in use
    int shift         # there are 2 ** (64 - shift) slots
    bint failed       # out of memory: values are missing


cdef inline bint map_create(TickMap* m, int64_t n_words) noexcept nogil:
    """Make an empty map with room for so many words. Memory that is never used is never touched. False: there is none."""
    m.n, m.shift, m.failed = 0, 64 - 1, False
    while <int64_t> 1 << (64 - m.shift) < 2 * n_words:
        m.shift -= 1
    m.word = <Word*> calloc(<size_t> 1 << (64 - m.shift), sizeof(Word))
    return m.word != NULL


cdef inline void map_destroy(TickMap* m) noexcept nogil:
    free(m.word)
    m.word = NULL


# ---- words by name

cdef inline uint64_t name_of(uint64_t tag, int storey, uint64_t place) noexcept nogil:
    return tag << 40 | <uint64_t> storey << PLACES_BITS | place  # never 0: tags count from 1


cdef inline uint64_t home_of(const TickMap* m, uint64_t name) noexcept nogil:
    return (name * <uint64_t> 0x9E3779B97F4A7C15) >> m.shift  # Fibonacci hashing, Knuth 6.4


cdef inline Word* find(const TickMap* m, uint64_t name) noexcept nogil:
    """Return the word of a name, or the free slot where it would go."""
    cdef uint64_t mask = (<uint64_t> 1 << (64 - m.shift)) - 1, i = home_of(m, name)
    while m.word[i].name != name and m.word[i].name:
        i = (i + 1) & mask
    return &m.word[i]


cdef inline uint64_t value_of(const TickMap* m, uint64_t tag, int storey, uint64_t place) noexcept nogil:
    return find(m, name_of(tag, storey, place)).value  # of a free slot: 0


cdef inline void grow(TickMap* m) noexcept nogil:
    cdef int64_t size = <int64_t> 1 << (64 - m.shift), k
    cdef TickMap wider = m[0]
    wider.shift -= 1
    wider.word = <Word*> calloc(2 * size, sizeof(Word))
    if wider.word == NULL:
        m.failed = True
        return
    for k in range(size):
        if m.word[k].name:
            find(&wider, m.word[k].name)[0] = m.word[k]
    free(m.word)
    m[0] = wider


cdef inline void remove(TickMap* m, Word* word) noexcept nogil:
    """Free a slot: words behind it that can move towards their home do (Knuth 6.4, algorithm R)."""
    cdef uint64_t mask = (<uint64_t> 1 << (64 - m.shift)) - 1, hole = <uint64_t> (word - m.word), i = hole
    while True:
        i = (i + 1) & mask
        if m.word[i].name == 0:
            break
        if ((i - home_of(m, m.word[i].name)) & mask) >= ((i - hole) & mask):
            m.word[hole] = m.word[i]
            hole = i
    m.word[hole] = Word(0, 0)
    m.n -= 1


cdef inline bint add(TickMap* m, Word* word, uint64_t name, uint64_t value) noexcept nogil:
    """Use the free slot that `find` returned for a name. False: there is no memory."""
    if rarely(2 * (m.n + 1) > <int64_t> 1 << (64 - m.shift)):
        grow(m)
        if m.failed:
            return False
        word = find(m, name)
    word.name, word.value = name, value
    m.n += 1
    return True


# ---- the path to a place

cdef inline void mark(TickMap* m, uint64_t tag, uint64_t place) noexcept nogil:
    """Note in the storeys above that a place has a value now."""
    cdef uint64_t bit, name
    cdef Word* word
    cdef int storey
    for storey in range(1, STOREYS + 1):
        bit = <uint64_t> 1 << (place & 63)
        place >>= 6
        name = name_of(tag, storey, place)
        word = find(m, name)
        if word.name:
            word.value |= bit
            break
        if not add(m, word, name, bit):
            break


cdef inline void unmark(TickMap* m, uint64_t tag, uint64_t place) noexcept nogil:
    """Note in the storeys above that a place has lost its value."""
    cdef uint64_t bit
    cdef Word* word
    cdef int storey
    for storey in range(1, STOREYS + 1):
        bit = <uint64_t> 1 << (place & 63)
        place >>= 6
        word = find(m, name_of(tag, storey, place))
        word.value &= ~bit
        if word.value or word.name == 0:  # no word: there was no memory for it
            break
        remove(m, word)


# ---- the map; places are in [0, 2^32)

cdef inline uint64_t map_get(const TickMap* m, uint64_t tag, int64_t place) noexcept nogil:
    """Return the value at a place, 0 for none."""
    return value_of(m, tag, 0, <uint64_t> place) if m.n else 0


cdef inline uint64_t map_put(TickMap* m, uint64_t tag, int64_t place, uint64_t value) noexcept nogil:
    """Set the value at a place, 0 for none, and return what was there."""
    cdef uint64_t name = name_of(tag, 0, <uint64_t> place), was
    cdef Word* word = find(m, name)
    was = word.value
    if value == 0:
        if was:
            remove(m, word)
            unmark(m, tag, <uint64_t> place)
    elif was:
        word.value = value
    elif add(m, word, name, value):
        mark(m, tag, <uint64_t> place)
    return was


cdef inline int64_t map_below(const TickMap* m, uint64_t tag, int64_t place) noexcept nogil:
    """Return the highest place below any number that has a value, or NOWHERE."""
    cdef uint64_t at, bits
    cdef int storey = 0
    if m.n == 0 or place <= 0:
        return NOWHERE
    at = <uint64_t> min(place, <int64_t> 1 << PLACES_BITS)
    while storey < STOREYS:  # up, until something lies before us in a word
        storey += 1
        bits = (<uint64_t> 1 << (at & 63)) - 1
        at >>= 6
        bits &= value_of(m, tag, storey, at)
        if bits:
            break
    else:
        return NOWHERE
    while True:  # and down to its last place
        at = (at << 6) + <uint64_t> highest_bit(bits)
        storey -= 1
        if storey == 0:
            return <int64_t> at
        bits = value_of(m, tag, storey, at)


cdef inline int64_t map_above(const TickMap* m, uint64_t tag, int64_t place) noexcept nogil:
    """Return the lowest place above a place that has a value, or NOWHERE."""
    cdef uint64_t at = <uint64_t> place, bits
    cdef int storey = 0
    if m.n == 0:
        return NOWHERE
    while storey < STOREYS:  # up, until something lies behind us in a word
        storey += 1
        bits = ~(<uint64_t> 1) << (at & 63)
        at >>= 6
        bits &= value_of(m, tag, storey, at)
        if bits:
            break
    else:
        return NOWHERE
    while True:  # and down to its first place
        at = (at << 6) + <uint64_t> lowest_bit(bits)
        storey -= 1
        if storey == 0:
            return <int64_t> at
        bits = value_of(m, tag, storey, at)
