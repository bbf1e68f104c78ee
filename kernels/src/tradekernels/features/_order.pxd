"""Order statistics of the last n bars. From: a slot of one block of bars, state. To: a slot.

Two heaps after Haerdle and Steiger (1995): `lower` holds the smallest values with the largest on top, `upper` the
others with the smallest on top. Both are heaps of the largest: `upper` is kept in the mirror, its values negated, and
grows from the far end of the same arrays towards `lower`. Every cell of the window knows its place in its heap, so a
value leaves in O(log n) as it came. NaN and missing cells are in neither heap.

state: place, size of lower, size of upper; n of each: slot of a cell, value in a slot, cell of a slot. Slots of
`lower` are 1, 2 .. and those of `upper` -1, -2 ..; 0 is none.
"""

from libc.math cimport NAN, floor


cdef inline void settle(double* value, double* cell, double* slot, Py_ssize_t side, Py_ssize_t size, Py_ssize_t hole,
                        double what, double whose) noexcept nogil:
    """Fill the hole of a heap of `size` slots with a value, moving it up or down to where it belongs."""
    cdef Py_ssize_t next = (hole - 1) // 2, start = hole
    while hole > 0 and value[side * next] < what:
        value[side * hole], cell[side * hole] = value[side * next], cell[side * next]
        slot[<Py_ssize_t> cell[side * hole]] = side * (hole + 1)
        hole = next
        next = (hole - 1) // 2
    if hole == start:
        next = 2 * hole + 1
        while next < size:
            if next + 1 < size and value[side * (next + 1)] > value[side * next]:
                next += 1
            if value[side * next] <= what:
                break
            value[side * hole], cell[side * hole] = value[side * next], cell[side * next]
            slot[<Py_ssize_t> cell[side * hole]] = side * (hole + 1)
            hole = next
            next = 2 * hole + 1
    value[side * hole], cell[side * hole] = what, whose
    slot[<Py_ssize_t> whose] = side * (hole + 1)


cdef inline void push(double* state, Py_ssize_t n, Py_ssize_t side, double what, double whose) noexcept nogil:
    """Add a value of a cell to the heap of a side: 1 is lower, -1 is upper, which gets it in the mirror."""
    cdef double* value = state + 3 + n if side > 0 else state + 2 + 2 * n
    cdef double* size = state + 1 if side > 0 else state + 2
    size[0] += 1.0
    settle(value, value + n, state + 3, side, <Py_ssize_t> size[0], <Py_ssize_t> size[0] - 1, what, whose)


cdef inline void leave(double* state, Py_ssize_t n, Py_ssize_t whose) noexcept nogil:
    """Take the value of a cell, if it has one, out of its heap."""
    cdef Py_ssize_t hole = <Py_ssize_t> state[3 + whose], side = 1 if hole > 0 else -1, last
    cdef double* value = state + 3 + n if side > 0 else state + 2 + 2 * n
    cdef double* size = state + 1 if side > 0 else state + 2
    if hole == 0:
        return
    size[0] -= 1.0
    last = <Py_ssize_t> size[0]
    hole = side * hole - 1
    state[3 + whose] = 0.0
    if hole < last:
        settle(value, value + n, state + 3, side, last, hole, value[side * last], value[n + side * last])


cdef inline void pass_on(double* state, Py_ssize_t n, Py_ssize_t side) noexcept nogil:
    """Move the top of the heap of a side to the other heap."""
    cdef double* value = state + 3 + n if side > 0 else state + 2 + 2 * n
    cdef double what = value[0], whose = value[n]
    leave(state, n, <Py_ssize_t> whose)
    push(state, n, -side, -what, whose)


cdef inline void take(double* state, Py_ssize_t n, double x, Py_ssize_t missing) noexcept nogil:
    """Let a row into the window, after `missing` cells without one; the cells that they take the place of leave."""
    cdef Py_ssize_t k, hole, side, place = <Py_ssize_t> state[0]
    cdef double* lower = state + 3 + n
    cdef double* upper = lower + n - 1
    cdef double* value
    cdef double top, whose
    for k in range(missing):
        leave(state, n, place)
        place = place + 1 if place + 1 < n else 0
    hole = <Py_ssize_t> state[3 + place]
    if hole != 0 and x == x:  # the new value takes the slot of the old one, then the two tops may have to change places
        side = 1 if hole > 0 else -1
        value = lower if hole > 0 else upper
        settle(value, value + n, state + 3, side, <Py_ssize_t> (state[1] if hole > 0 else state[2]), side * hole - 1,
               side * x, place)
        if state[1] > 0.0 and state[2] > 0.0 and lower[0] > -upper[0]:
            top, whose = lower[0], lower[n]
            settle(lower, lower + n, state + 3, 1, <Py_ssize_t> state[1], 0, -upper[0], upper[n])
            settle(upper, upper + n, state + 3, -1, <Py_ssize_t> state[2], 0, -top, whose)
    else:
        leave(state, n, place)
        if x == x:
            side = 1 if state[1] > 0.0 and x < lower[0] else -1
            push(state, n, side, side * x, place)
    state[0] = place + 1 if place + 1 < n else 0


cdef inline void timed_quantile(const double* x, const double* step, double* y, Py_ssize_t n_bars, double* state,
                                Py_ssize_t n, double q) noexcept nogil:
    # Linear between the two nearest ranks (number 7 of Hyndman and Fan 1996), of the rows in the last n cells of the
    # time grid that are not NaN; step is in cells since the row before. NaN without any
    cdef Py_ssize_t i, missing
    cdef double count, rank, low, high, share
    cdef const double* lower = state + 3 + n
    cdef const double* upper = lower + n - 1
    for i in range(n_bars):
        missing = 0
        if step[i] > 1.0:
            missing = <Py_ssize_t> step[i] - 1 if step[i] <= n else n
        take(state, n, x[i], missing)
        count = state[1] + state[2]
        if count == 0.0:
            y[i] = NAN
            continue
        rank = floor(q * (count - 1.0))
        share = q * (count - 1.0) - rank
        while state[1] <= rank:
            pass_on(state, n, -1)
        while state[1] > rank + 1.0:
            pass_on(state, n, 1)
        low = lower[0]
        high = -upper[0] if state[2] > 0.0 else low
        y[i] = low + (high - low) * share if share < 0.5 else high - (high - low) * (1.0 - share)  # as NumPy rounds


cdef inline void tail_mean(const double* x, double* y, Py_ssize_t n_bars, double* state, Py_ssize_t n,
                           double k) noexcept nogil:
    # Mean of the k smallest of the last n rows: expected shortfall, Acerbi and Tasche (2002). NaN without any
    cdef Py_ssize_t i, j
    cdef double total
    cdef const double* lower = state + 3 + n
    for i in range(n_bars):
        take(state, n, x[i], 0)
        while state[1] < k and state[2] > 0.0:
            pass_on(state, n, -1)
        while state[1] > k:
            pass_on(state, n, 1)
        total = 0.0
        for j in range(<Py_ssize_t> state[1]):
            total += lower[j]
        y[i] = total / state[1]
