"""Windows that lie in a line, for what is computed anew for every bar. From: slots of one block of bars. To: kernels.

A line holds the last n - 1 rows, then room for more. A full line moves its newest n - 1 rows to its beginning, so that
every window is contiguous and a row of a stream costs no copy of its window. Neighbouring windows are computed side by
side, `lanes` of them, each with the same operations in the same order.
"""

from libc.string cimport memcpy, memmove


cdef enum:
    ROOM = 64  # rows that a line takes in before it moves
    TILE = 16  # windows side by side


cdef inline Py_ssize_t next_place(double* state, Py_ssize_t n, Py_ssize_t n_lines) noexcept nogil:
    """Return the place of the next row in its lines, of n - 1 + ROOM doubles each, and make room for it."""
    # state: place, at first n - 1; then the lines one after the other
    cdef Py_ssize_t k, place = <Py_ssize_t> state[0], length = n - 1 + ROOM
    cdef double* line = state + 1
    if place == length:
        for k in range(n_lines):
            memmove(line + k * length, line + k * length + ROOM, (n - 1) * sizeof(double))
        place = n - 1
    return place


cdef inline Py_ssize_t skipped(Py_ssize_t unread, Py_ssize_t size) noexcept nogil:
    """Return how many of `size` rows need no value, as nobody reads the first `unread`, which may be below 0."""
    return 0 if unread < 0 else (unread if unread < size else size)


ctypedef void (*Kernel)(const double* x, double* y, Py_ssize_t n, Py_ssize_t k, Py_ssize_t lanes) noexcept nogil


cdef inline void side_by_side(Kernel kernel, const double* x, double* y, Py_ssize_t size, Py_ssize_t n,
                              Py_ssize_t k) noexcept nogil:
    """Run a kernel over `size` neighbouring windows of n, the first of which begins at x; k is the kernel's own."""
    cdef Py_ssize_t i = 0
    while i + TILE <= size:
        kernel(x + i, y + i, n, k, TILE)
        i += TILE
    while i < size:
        kernel(x + i, y + i, n, k, 1)
        i += 1


cdef inline void over_windows(Kernel kernel, const double* x, double* y, Py_ssize_t n_bars, double* state,
                              Py_ssize_t n, Py_ssize_t k, Py_ssize_t unread) noexcept nogil:
    """Run a kernel over the window of every row but the first `unread`. state: place, a line of x."""
    cdef Py_ssize_t i = 0, place, size, skip
    while i < n_bars:
        place = next_place(state, n, 1)
        size = min(n_bars - i, n - 1 + ROOM - place)
        memcpy(state + 1 + place, x + i, size * sizeof(double))
        skip = skipped(unread - i, size)
        side_by_side(kernel, state + 1 + place - n + 1 + skip, y + i + skip, size - skip, n, k)
        state[0] = place + size
        i += size
