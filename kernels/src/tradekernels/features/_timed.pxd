"""Recurrences over a stretch of clock time, and the grid they count on. From: a slot, the node's state. To: a slot.

`step[i]` is the number of cells of the timeframe's grid from the row before to row i: 1 where no bar is missing. A
window of n cells is a window of n bars into which the missing bars are pushed as nothing at all.
"""

from libc.math cimport NAN

from . cimport _windows


cdef inline void timed_sum(const double* x, const double* step, double* y, Py_ssize_t n_bars, double* state,
                           Py_ssize_t n) noexcept nogil:
    # state: as window_sum
    cdef Py_ssize_t i, first = 0
    cdef double missing, nothing = 0.0, unread = 0.0
    for i in range(n_bars):
        if step[i] == 1.0:
            continue
        _windows.window_sum(x + first, y + first, i - first, state, n)
        missing = min(step[i] - 1.0, <double> n)
        while missing > 0.0:
            _windows.window_sum(&nothing, &unread, 1, state, n)
            missing -= 1.0
        first = i
    _windows.window_sum(x + first, y + first, n_bars - first, state, n)


cdef inline void timed_lag(const double* x, const double* step, double* y, Py_ssize_t n_bars, double* state,
                           Py_ssize_t n) noexcept nogil:
    # The newest value known n cells ago: a missing bar repeats the one before it. state: last value, then as lag.
    cdef Py_ssize_t i, first = 0
    cdef double missing, last = state[0], unread = 0.0
    for i in range(n_bars):
        if step[i] == 1.0:
            continue
        _windows.lag(x + first, y + first, i - first, state + 1, n)
        last = x[i - 1] if i > 0 else state[0]
        missing = min(step[i] - 1.0, <double> n)
        while missing > 0.0:
            _windows.lag(&last, &unread, 1, state + 1, n)
            missing -= 1.0
        first = i
    _windows.lag(x + first, y + first, n_bars - first, state + 1, n)
    state[0] = x[n_bars - 1]


cdef inline void timed_mean(const double* x, const double* step, double* y, Py_ssize_t n_bars, double* state,
                            Py_ssize_t n, Py_ssize_t start, double alpha) noexcept nogil:
    # An exponential mean in clock time: a missing bar repeats the one before it, at most 100 windows of them.
    # state: rows and missing bars seen while seeding, level, last value
    cdef Py_ssize_t i
    cdef double seen = state[0], level = state[1], last = state[2], missing
    for i in range(n_bars):
        missing = min(step[i] - 1.0, 100.0 * n)
        while missing > 0.0 and seen > start:
            level += (last - level) / (seen - start + 1.0) if seen < start + n else alpha * (last - level)
            seen += seen < start + n
            missing -= 1.0
        if seen < start:
            seen += 1.0
        elif seen < start + n:
            level += (x[i] - level) / (seen - start + 1.0)
            seen += 1.0
        else:
            level += alpha * (x[i] - level)
        y[i] = level
        last = x[i]
    state[0] = seen
    state[1] = level
    state[2] = last


cdef inline void restarting_mean(const double* x, double* y, Py_ssize_t n_bars, double* state, Py_ssize_t n,
                                 double alpha) noexcept nogil:
    # An exponential mean that begins anew, with the mean of n values, after a stretch of NaN. state: values seen, level
    cdef Py_ssize_t i
    cdef double seen = state[0], level = state[1]
    for i in range(n_bars):
        if x[i] != x[i]:
            seen = level = 0.0
        elif seen < n:
            seen += 1.0
            level += (x[i] - level) / seen
        else:
            level += alpha * (x[i] - level)
        y[i] = level if seen >= n else NAN
    state[0] = seen
    state[1] = level
