"""A matching book's memory: orders in an arena, ids in a hash table, levels in ladders. From: capacities. To: the engine.

An order is 32 bytes, two to a cache line, linked into the queue of its level; slot 0 is nobody. What only icebergs, owned
orders and stops need lies apart, and is neither read nor written for a plain order. Ids are found through an open hash
table whose entries carry enough of the hash to be moved without looking at the orders.
"""

from libc.stdint cimport int8_t, int32_t, int64_t, uint8_t, uint32_t, uint64_t
from libc.stdlib cimport free
from libc.string cimport memset

from ._matching_far cimport NO_ASK, NO_BID, Far, far_start, far_stop
from ._matching_levels cimport Ladder, ladder_clear, ladder_start, ladder_stop
from ._machine cimport zeroed_block


cdef struct Order:
    int64_t id, lots           # displayed
    int32_t tick, prev, next
    int8_t side
    uint8_t used, waiting
    uint8_t special            # its Terms hold; else it hides nothing and nobody owns it

cdef struct Terms:             # of the order in the same slot
    int64_t hidden, peak
    int32_t stop_tick, owner
    uint8_t kind, policy, self_trade

cdef struct Entry:
    uint32_t mark              # upper half of the id's hash
    int32_t slot               # 0: empty

cdef struct Book:
    Order* orders              # slots 1 .. capacity
    Terms* terms
    Entry* table
    Far* far
    Ladder resting, buy_stops, sell_stops
    int32_t bid, ask           # best ticks, NO_BID and NO_ASK on an empty side
    int32_t lowest_buy_stop, highest_sell_stop
    int32_t last_tick          # of the last trade, 0 before the first
    int32_t first_tick         # tick of the first trade of the execution at work, 0 before it: the other end of `last_tick`
    int32_t free_slot, n_live, n_waiting, capacity
    int32_t first_triggered, last_triggered
    int32_t bits               # log2 of the table's size
    int64_t volume_resting
    uint64_t volume_in, volume_traded, volume_cancelled  # modulo 2^64; a trade counts for both of its orders


# ---- ids

cdef inline uint32_t mark_of(int64_t id) noexcept nogil:
    return <uint32_t> ((<uint64_t> id * <uint64_t> 0x9E3779B97F4A7C15) >> 32)  # Fibonacci hashing, Knuth 6.4


cdef inline uint32_t home_of(const Book* book, uint32_t mark) noexcept nogil:
    return mark >> (32 - book.bits)


cdef inline int64_t find(const Book* book, int64_t id) noexcept nogil:
    """Return where the table has a live id, or -1."""
    cdef uint32_t wanted = mark_of(id), mask = (<uint32_t> 1 << book.bits) - 1, i = home_of(book, wanted)
    while book.table[i].slot:
        if book.table[i].mark == wanted and book.orders[book.table[i].slot].id == id:
            return i
        i = (i + 1) & mask
    return -1


cdef inline void remember(Book* book, int64_t id, int32_t slot) noexcept nogil:
    cdef uint32_t own = mark_of(id), mask = (<uint32_t> 1 << book.bits) - 1, i = home_of(book, own)
    while book.table[i].slot:
        i = (i + 1) & mask
    book.table[i].mark, book.table[i].slot = own, slot


cdef inline void forget(Book* book, int64_t place) noexcept nogil:
    """Empty an entry; those behind it that can move up do (Knuth 6.4, algorithm R)."""
    cdef uint32_t mask = (<uint32_t> 1 << book.bits) - 1, hole = <uint32_t> place, i = hole, home
    while True:
        i = (i + 1) & mask
        if book.table[i].slot == 0:
            break
        home = home_of(book, book.table[i].mark)
        if ((i - home) & mask) >= ((i - hole) & mask):
            book.table[hole] = book.table[i]
            hole = i
    book.table[hole].slot = 0


# ---- slots

cdef inline int32_t take_slot(Book* book) noexcept nogil:
    cdef int32_t slot = book.free_slot
    book.free_slot = book.orders[slot].next
    book.orders[slot].used = 1
    book.n_live += 1
    return slot


cdef inline void give_slot(Book* book, int32_t slot) noexcept nogil:
    book.orders[slot].used = 0
    book.orders[slot].next = book.free_slot
    book.free_slot = slot
    book.n_live -= 1


cdef inline int64_t hidden_of(const Book* book, int32_t slot) noexcept nogil:
    return book.terms[slot].hidden if book.orders[slot].special else 0


cdef inline int64_t peak_of(const Book* book, int32_t slot) noexcept nogil:
    return book.terms[slot].peak if book.orders[slot].special else 0


cdef inline int32_t owner_of(const Book* book, int32_t slot) noexcept nogil:
    return book.terms[slot].owner if book.orders[slot].special else 0


# ---- life of a book

cdef inline void book_clear(Book* book) noexcept nogil:
    """Forget every order and the last trade, keep the memory."""
    cdef int32_t k
    ladder_clear(&book.resting)
    ladder_clear(&book.buy_stops)
    ladder_clear(&book.sell_stops)
    memset(book.table, 0, (<size_t> 1 << book.bits) * sizeof(Entry))
    for k in range(1, book.capacity + 1):
        book.orders[k].used = 0
        book.orders[k].next = k + 1 if k < book.capacity else 0
    book.free_slot, book.n_live, book.n_waiting = 1, 0, 0
    book.bid, book.ask, book.lowest_buy_stop, book.highest_sell_stop = NO_BID, NO_ASK, NO_ASK, NO_BID
    book.last_tick = book.first_triggered = book.last_triggered = 0
    book.volume_resting = 0
    book.volume_in = book.volume_traded = book.volume_cancelled = 0


cdef inline void book_stop(Book* book) noexcept nogil:
    ladder_stop(&book.resting)
    ladder_stop(&book.buy_stops)
    ladder_stop(&book.sell_stops)
    far_stop(book.far)
    free(book.orders)
    free(book.terms)
    free(book.table)
    memset(book, 0, sizeof(Book))


cdef inline bint book_start(Book* book, int32_t capacity, int32_t window) noexcept nogil:
    """Make an empty book for `capacity` live orders; window: ladder_start. False: no memory, and nothing to stop."""
    memset(book, 0, sizeof(Book))
    book.capacity, book.bits = capacity, 4
    while (<int64_t> 1 << book.bits) < 2 * <int64_t> capacity:
        book.bits += 1
    book.orders = <Order*> zeroed_block((<size_t> capacity + 1) * sizeof(Order))
    book.terms = <Terms*> zeroed_block((<size_t> capacity + 1) * sizeof(Terms))
    book.table = <Entry*> zeroed_block((<size_t> 1 << book.bits) * sizeof(Entry))
    book.far = far_start(capacity)
    if not (book.orders != NULL and book.terms != NULL and book.table != NULL and book.far != NULL
            and ladder_start(&book.resting, window, book.far, 1) and ladder_start(&book.buy_stops, 64, book.far, 2)
            and ladder_start(&book.sell_stops, 64, book.far, 3)):
        book_stop(book)
        return False
    book_clear(book)
    return True
