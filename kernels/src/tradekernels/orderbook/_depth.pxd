# cython: language_level=3
"""Lists of price levels. From: a cursor at `[["price", "quantity"], ...]`. To: rows of a feed, straight into the array."""

from ._decimal cimport Scale, decimal, quick_steps
from ._json cimport BAD_JSON, BAD_SHAPE, ZERO, Cursor, refuse, space, value
from ._records cimport CLEAR_BID, DROP_BID, SET_BID, Row


cdef struct Reader:
    Cursor at
    Scale price
    Scale lot
    Row* rows
    Py_ssize_t n_rows
    bint drop  # the venue discipline: snapshots drop rather than clear, and a side that they show empty is empty


cdef inline Py_ssize_t read_levels(Reader* r, bint ask, bint snapshot) noexcept nogil:
    """Read one side into SET rows, after one CLEAR or DROP row if they are a snapshot's; return the number of levels."""
    cdef Py_ssize_t first = r.n_rows, n
    r.n_rows += snapshot
    n = read_list(r, SET_BID + ask)
    if snapshot and not r.at.fault:
        if n or r.drop:
            r.rows[first].kind = (DROP_BID if r.drop else CLEAR_BID) + ask
            r.rows[first].tick, r.rows[first].lots = worst_tick(&r.rows[first + 1], n, ask, <int> r.price.most), 0
        else:
            r.n_rows = first
    return n


cdef inline int worst_tick(const Row* row, Py_ssize_t n, bint ask, int most) noexcept nogil:
    cdef int worst = 1 if ask else most
    cdef Py_ssize_t k
    if n == 0:
        return most if ask else 1
    for k in range(n):
        worst = max(worst, row[k].tick) if ask else min(worst, row[k].tick)
    return worst


cdef inline Py_ssize_t read_list(Reader* r, unsigned int kind) noexcept nogil:
    cdef Py_ssize_t first = r.n_rows
    cdef Row* row
    cdef const unsigned char* after
    r.at.p += 1
    space(&r.at)
    if r.at.p[0] == c"]":
        r.at.p += 1
        return 0
    while True:
        space(&r.at)
        if r.at.p[0] != c"[":
            refuse(&r.at, BAD_SHAPE, b"a level", NULL)
            return 0
        r.at.p += 1
        row = &r.rows[r.n_rows]
        row.kind = kind
        after = quick_level(r, row)
        if after != NULL:
            r.at.p = after
        else:
            slow_level(r, row)
            if r.at.fault:
                return 0
        r.n_rows += 1
        if r.at.p[0] == c"," and r.at.p[1] == c"[":
            r.at.p += 1
            continue
        space(&r.at)
        if r.at.p[0] == c"]":
            r.at.p += 1
            return r.n_rows - first
        if r.at.p[0] != c",":
            r.at.fault = BAD_JSON
            return 0
        r.at.p += 1


cdef inline const unsigned char* quick_level(Reader* r, Row* row) noexcept nogil:
    """Read `"price","quantity"]` as exchanges write it; return the end, NULL where `slow_level` has to look closer."""
    cdef long long tick, lots
    cdef const unsigned char* p = r.at.p
    if p[0] != c'"':
        return NULL
    p = quick_steps(p + 1, &r.price, &tick)
    if p == NULL or tick == 0 or p[0] != c"," or p[1] != c'"':
        return NULL
    p = quick_steps(p + 2, &r.lot, &lots)
    if p == NULL or p[0] != c"]":
        return NULL
    row.tick, row.lots = <int> tick, lots
    return p + 1


cdef inline void slow_level(Reader* r, Row* row) noexcept nogil:
    """Read a level of any form that JSON allows."""
    space(&r.at)
    row.tick = <int> decimal(&r.at, &r.price)
    if r.at.fault:
        r.at.field = b"price"
        return
    if row.tick == 0:
        refuse(&r.at, ZERO, b"price", NULL)
        return
    space(&r.at)
    if r.at.p[0] != c",":
        refuse(&r.at, BAD_SHAPE, b"a level", NULL)
        return
    r.at.p += 1
    space(&r.at)
    row.lots = decimal(&r.at, &r.lot)
    if r.at.fault:
        r.at.field = b"quantity"
        return
    space(&r.at)
    while not r.at.fault and r.at.p[0] == c",":  # the spot REST of old times had a third, empty value
        r.at.p += 1
        space(&r.at)
        value(&r.at, 3)
        space(&r.at)
    if r.at.fault:
        return
    if r.at.p[0] != c"]":
        refuse(&r.at, BAD_SHAPE, b"a level", NULL)
        return
    r.at.p += 1
