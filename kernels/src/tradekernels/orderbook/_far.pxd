# cython: language_level=3
"""Levels far from the best: a sparse ordered map from price to lots. From: _levels.pxd. To: _levels.pxd.

One hash table holds two kinds of entry: the lots at a key (storey 0), and words whose 64 bits say which of 64 neighbours
of the storey below are there. Six storeys of words span all prices, so the next level below any price takes at most
twelve look-ups, however many levels there are and however far apart they lie.
"""

from libc.stdlib cimport calloc, free

cdef extern from *:
    """
    #if defined(_MSC_VER)
    #include <intrin.h>
    static __inline int tk_highest_bit(unsigned long long x) { unsigned long i; _BitScanReverse64(&i, x); return (int)i; }
    #else
    static inline int tk_highest_bit(unsigned long long x) { return 63 - __builtin_clzll(x); }
    #endif
    #define TK_EMPTY (-(1LL << 60))
    #define TK_HASH(name, shift) ((long long)(((unsigned long long)(name) * 0x9E3779B97F4A7C15ULL) >> (shift)))
    """
    const long long EMPTY "TK_EMPTY"  # key of no level
    int highest_bit "tk_highest_bit"(unsigned long long x) noexcept nogil
    long long slot_of "TK_HASH"(unsigned long long name, int shift) noexcept nogil

ctypedef long long i64
ctypedef unsigned long long u64

cdef enum:
    STOREYS = 6
    STOREY_SHIFT = 40        # a name is the storey and, below this bit, the place in it
    FIRST_BITS = 8           # logarithm of the slots to begin with

cdef struct Entry:
    u64 name      # 0: a free slot; no key has place 0
    i64 value     # lots, or the bits of a word; never 0


cdef struct Far:
    Entry* slot
    i64 n         # entries
    int shift     # there are 2 ** (64 - shift) slots
    bint failed   # out of memory: levels are missing


cdef inline bint far_create(Far* f) noexcept nogil:
    f.n, f.shift, f.failed = 0, 64 - FIRST_BITS, False
    f.slot = <Entry*> calloc(1 << FIRST_BITS, sizeof(Entry))
    return f.slot != NULL


cdef inline void far_destroy(Far* f) noexcept nogil:
    free(f.slot)


cdef inline i64 place_of(i64 key) noexcept nogil:
    return key + (<i64> 1 << 31)  # ticks fit into 31 bits, so places are positive and fit into 32


cdef inline Entry* find(const Far* f, u64 name) noexcept nogil:
    """Return the entry of a name, or the free slot where it would go."""
    cdef i64 mask = (<i64> 1 << (64 - f.shift)) - 1, i = slot_of(name, f.shift)
    while f.slot[i].name != name and f.slot[i].name:
        i = (i + 1) & mask
    return &f.slot[i]


cdef inline i64 value_of(const Far* f, u64 name) noexcept nogil:
    return find(f, name).value  # of a free slot: 0


cdef inline void grow(Far* f) noexcept nogil:
    cdef i64 size = <i64> 1 << (64 - f.shift), k
    cdef Far wider = f[0]
    wider.slot = <Entry*> calloc(2 * size, sizeof(Entry))
    if wider.slot == NULL:
        f.failed = True
        return
    wider.shift -= 1
    for k in range(size):
        if f.slot[k].name:
            find(&wider, f.slot[k].name)[0] = f.slot[k]
    free(f.slot)
    f[0] = wider


cdef inline void remove(Far* f, Entry* entry) noexcept nogil:
    """Free a slot: entries behind it that may move towards their home do."""
    cdef i64 mask = (<i64> 1 << (64 - f.shift)) - 1, hole = entry - f.slot, i = hole, home
    while True:
        i = (i + 1) & mask
        if f.slot[i].name == 0:
            break
        home = slot_of(f.slot[i].name, f.shift)
        if ((i - home) & mask) >= ((i - hole) & mask):
            f.slot[hole] = f.slot[i]
            hole = i
    f.slot[hole] = Entry(0, 0)
    f.n -= 1


cdef inline void assign(Far* f, Entry* entry, u64 name, i64 value) noexcept nogil:
    """Give the entry that `find` returned for a name another value; 0 removes it."""
    if entry.name == 0 and value:
        if 2 * (f.n + 1) > <i64> 1 << (64 - f.shift):
            grow(f)
            if f.failed:
                return
            entry = find(f, name)
        entry.name = name
        f.n += 1
    entry.value = value
    if value == 0 and entry.name:
        remove(f, entry)


cdef inline i64 far_get(const Far* f, i64 key) noexcept nogil:
    return value_of(f, <u64> place_of(key)) if f.n else 0


cdef inline i64 far_put(Far* f, i64 key, i64 lots) noexcept nogil:
    """Set a level and return what was there; 0 removes it."""
    cdef u64 name = <u64> place_of(key), place = name, storey = 0, before, after, bit
    cdef Entry* entry = find(f, name)
    cdef i64 was = entry.value
    assign(f, entry, name, lots)
    if (was == 0) == (lots == 0):
        return was
    while storey < STOREYS and not f.failed:
        storey += 1
        bit = <u64> 1 << (place & 63)
        place >>= 6
        name = (storey << STOREY_SHIFT) | place
        entry = find(f, name)
        before = <u64> entry.value
        after = before | bit if lots else before & ~bit
        assign(f, entry, name, <i64> after)
        if before and after:
            break
    return was


cdef inline i64 far_below(const Far* f, i64 key) noexcept nogil:
    """Return the highest key below `key` that has lots, or EMPTY."""
    cdef i64 end = place_of(key)
    cdef u64 place, storey = 0, bits
    if f.n == 0 or end <= 0:
        return EMPTY
    place = <u64> min(end, <i64> 1 << 32)
    while storey < STOREYS:  # up, until something lies before us in a word
        storey += 1
        bits = (<u64> 1 << (place & 63)) - 1
        place >>= 6
        bits &= <u64> value_of(f, (storey << STOREY_SHIFT) | place)
        if bits:
            break
    else:
        return EMPTY
    while True:  # and down to its best level
        place = (place << 6) + <u64> highest_bit(bits)
        storey -= 1
        if storey == 0:
            return <i64> place - (<i64> 1 << 31)
        bits = <u64> value_of(f, (storey << STOREY_SHIFT) | place)
