"""Recurrences over the last n bars. From: a slot of one block of bars and the node's state. To: a slot.

Nothing is ever subtracted from a running sum, so nothing drifts. Bars are counted in laps of n. `prefix` aggregates
this lap so far; when a lap ends its values turn into suffix aggregates, in place. The window at place p of a lap is
then prefix + suffix[p + 1]: exact, one combination per bar, and one more on average for the suffixes.
"""

from libc.math cimport fabs, sqrt


cdef inline void lag(const double* x, double* y, Py_ssize_t n_bars, double* state, Py_ssize_t n) noexcept nogil:
    # state: place, then the last n values
    cdef Py_ssize_t i, place = <Py_ssize_t> state[0]
    cdef double* ring = state + 1
    cdef double now
    for i in range(n_bars):
        now = x[i]
        y[i] = ring[place]
        ring[place] = now
        place += 1
        if place == n:
            place = 0
    state[0] = place


cdef inline void window_sum(const double* x, double* y, Py_ssize_t n_bars, double* state,
                            Py_ssize_t n) noexcept nogil:
    # state: place, prefix, then n + 1 suffixes of which the last is the empty sum
    cdef Py_ssize_t i, j, place = <Py_ssize_t> state[0]
    cdef double prefix = state[1]
    cdef double* suffix = state + 2
    for i in range(n_bars):
        prefix += x[i]
        y[i] = prefix + suffix[place + 1]
        suffix[place] = x[i]
        place += 1
        if place == n:
            for j in range(n - 2, -1, -1):
                suffix[j] += suffix[j + 1]
            place = 0
            prefix = 0.0
    state[0] = place
    state[1] = prefix


cdef inline void window_extreme(const double* x, double* y, Py_ssize_t n_bars, double* state, Py_ssize_t n,
                                double side) noexcept nogil:
    # side 1: the maximum; side -1: the minimum, as the maximum of the mirror. state: as window_sum, empty is -inf
    cdef Py_ssize_t i, j, place = <Py_ssize_t> state[0]
    cdef double empty = state[2 + n], prefix = state[1], value
    cdef double* suffix = state + 2
    for i in range(n_bars):
        value = side * x[i]
        prefix = prefix if prefix > value else value
        y[i] = side * (prefix if prefix > suffix[place + 1] else suffix[place + 1])
        suffix[place] = value
        place += 1
        if place == n:
            for j in range(n - 2, -1, -1):
                suffix[j] = suffix[j] if suffix[j] > suffix[j + 1] else suffix[j + 1]
            place = 0
            prefix = empty
    state[0] = place
    state[1] = prefix


cdef inline void bars_since_extreme(const double* x, double* y, Py_ssize_t n_bars, double* state, Py_ssize_t n,
                                    double side) noexcept nogil:
    # state: place, prefix value, its place; n + 1 suffix values, n + 1 places of theirs. Of equals the latest counts.
    cdef Py_ssize_t i, j, place = <Py_ssize_t> state[0]
    cdef double empty = state[3 + n], prefix = state[1], prefix_place = state[2], value
    cdef double* suffix = state + 3
    cdef double* suffix_place = suffix + n + 1
    for i in range(n_bars):
        value = side * x[i]
        if value >= prefix:
            prefix = value
            prefix_place = place
        if prefix >= suffix[place + 1]:
            y[i] = place - prefix_place
        else:
            y[i] = place + n - suffix_place[place + 1]
        suffix[place] = value
        place += 1
        if place == n:
            suffix_place[n - 1] = n - 1
            for j in range(n - 2, -1, -1):
                if suffix[j] > suffix[j + 1]:
                    suffix_place[j] = j
                else:
                    suffix[j] = suffix[j + 1]
                    suffix_place[j] = suffix_place[j + 1]
            place = 0
            prefix = empty
    state[0] = place
    state[1] = prefix
    state[2] = prefix_place


cdef inline void window_std(const double* x, double* y, Py_ssize_t n_bars, double* state,
                            Py_ssize_t n) noexcept nogil:
    # Population deviation. An aggregate is (count, mean, sum of squared deviations), combined after Chan et al. (1979):
    # equal values leave deviations of exactly 0. state: place, prefix mean and squares; n + 1 suffix means, squares.
    cdef Py_ssize_t i, j, place = <Py_ssize_t> state[0]
    cdef double mean = state[1], squares = state[2], delta, step, count, others
    cdef double* suffix_mean = state + 3
    cdef double* suffix_squares = suffix_mean + n + 1
    cdef double scale = 1.0 / n
    for i in range(n_bars):
        count = place + 1
        others = n - count
        step = 1.0 / count
        delta = x[i] - mean
        mean += delta * step
        squares += delta * (x[i] - mean)
        delta = suffix_mean[place + 1] - mean
        y[i] = sqrt((squares + suffix_squares[place + 1] + delta * delta * (count * others * scale)) * scale)
        suffix_mean[place] = x[i]
        place += 1
        if place == n:
            suffix_squares[n - 1] = 0.0
            for j in range(n - 2, -1, -1):
                delta = suffix_mean[j] - suffix_mean[j + 1]
                step = 1.0 / <double> (n - j)
                suffix_squares[j] = suffix_squares[j + 1] + delta * delta * ((n - j - 1) * step)
                suffix_mean[j] = suffix_mean[j + 1] + delta * step
            place = 0
            mean = 0.0
            squares = 0.0
    state[0] = place
    state[1] = mean
    state[2] = squares


cdef inline void mean_deviation(const double* x, double* y, Py_ssize_t n_bars, double* state,
                                Py_ssize_t n) noexcept nogil:
    # Mean absolute deviation from the window's own mean: two passes over n values. The mean is taken relative to the
    # newest value, so that equal values deviate by exactly 0. state: place, then the last n values.
    cdef Py_ssize_t i, j, place = <Py_ssize_t> state[0]
    cdef Py_ssize_t even = n - n % 4
    cdef double* ring = state + 1
    cdef double mean, newest, s0, s1, s2, s3
    for i in range(n_bars):
        newest = x[i]
        ring[place] = newest
        place += 1
        if place == n:
            place = 0
        s0 = s1 = s2 = s3 = 0.0
        for j in range(0, even, 4):
            s0 += ring[j] - newest
            s1 += ring[j + 1] - newest
            s2 += ring[j + 2] - newest
            s3 += ring[j + 3] - newest
        for j in range(even, n):
            s0 += ring[j] - newest
        mean = newest + ((s0 + s1) + (s2 + s3)) / n
        s0 = s1 = s2 = s3 = 0.0
        for j in range(0, even, 4):
            s0 += fabs(ring[j] - mean)
            s1 += fabs(ring[j + 1] - mean)
            s2 += fabs(ring[j + 2] - mean)
            s3 += fabs(ring[j + 3] - mean)
        for j in range(even, n):
            s0 += fabs(ring[j] - mean)
        y[i] = ((s0 + s1) + (s2 + s3)) / n
    state[0] = place
