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
    if n_bars >= n:  # the block holds its own past: the ring is read out once and filled anew
        for i in range(n):
            y[i] = ring[place + i - (n if place + i >= n else 0)]
        for i in range(n, n_bars):
            y[i] = x[i - n]
        for i in range(n):
            ring[i] = x[n_bars - n + i]
        place = 0
    else:
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
    # Every choice is between two doubles already at hand: which of them wins is not predictable, a branch would stall.
    cdef Py_ssize_t i, j, place = <Py_ssize_t> state[0]
    cdef double empty = state[3 + n], prefix = state[1], prefix_place = state[2], now = place, value, best, best_place
    cdef double* suffix = state + 3
    cdef double* suffix_place = suffix + n + 1
    for i in range(n_bars):
        value = side * x[i]
        prefix_place = now if value >= prefix else prefix_place
        prefix = value if value >= prefix else prefix
        best = suffix_place[place + 1] - n
        y[i] = now - (prefix_place if prefix >= suffix[place + 1] else best)
        suffix[place] = value
        place += 1
        now += 1.0
        if place == n:
            best, best_place = suffix[n - 1], n - 1
            suffix_place[n - 1] = best_place
            now = n - 1.0
            for j in range(n - 2, -1, -1):
                now -= 1.0
                best_place = now if suffix[j] > best else best_place
                best = suffix[j] if suffix[j] > best else best
                suffix[j], suffix_place[j] = best, best_place
            place = 0
            now = 0.0
            prefix = empty
    state[0] = place
    state[1] = prefix
    state[2] = prefix_place


cdef inline void last_to_first(double* mean, double* squares, Py_ssize_t n, const double* inverse) noexcept nogil:
    """Turn the values of a lap into means and squared deviations of all that follow them, themselves included."""
    cdef Py_ssize_t j
    cdef double last = mean[n - 1], sum = 0.0, total = 0.0, value, now, was = last
    squares[n - 1] = 0.0
    for j in range(n - 2, -1, -1):
        value = mean[j]
        sum += value - last
        now = last + sum * inverse[n - j]
        total += (value - was) * (value - now)
        mean[j], squares[j] = now, total
        was = now


cdef inline void window_std(const double* x, double* y, Py_ssize_t n_bars, double* state, Py_ssize_t n,
                            const double* inverse) noexcept nogil:
    # Population deviation. An aggregate is (mean, sum of squared deviations), combined after Chan et al. (1979). Its mean
    # is kept as a sum of differences to its first value: equal values leave exactly 0, and rows wait for one addition.
    # inverse[k] is 1 / k. state: place; first value, sum of differences, squares of the prefix; n + 1 suffix means, squares.
    cdef Py_ssize_t i, place = <Py_ssize_t> state[0]
    cdef double first = state[1], sum = state[2], squares = state[3], delta, mean, was, count
    cdef double* suffix_mean = state + 4
    cdef double* suffix_squares = suffix_mean + n + 1
    mean = first + sum * inverse[place] if place else 0.0
    for i in range(n_bars):
        if place == 0:
            first, sum, squares, mean = x[i], 0.0, 0.0, x[i]
        was = mean
        count = place + 1
        sum += x[i] - first
        mean = first + sum * inverse[place + 1]
        squares += (x[i] - was) * (x[i] - mean)
        delta = suffix_mean[place + 1] - mean
        y[i] = (squares + suffix_squares[place + 1] + delta * delta * (count * (n - count) * inverse[n])) * inverse[n]
        suffix_mean[place] = x[i]
        place += 1
        if place == n:
            last_to_first(suffix_mean, suffix_squares, n, inverse)
            place = 0
    for i in range(n_bars):
        y[i] = sqrt(0.0 if y[i] < 0.0 else y[i])  # of equal values but for a rounding
    state[0], state[1], state[2], state[3] = place, first, sum, squares


cdef enum:
    TILE = 32  # neighbouring windows that are summed side by side


cdef inline double deviation(const double* old, Py_ssize_t n_old, const double* new,
                             Py_ssize_t n_new) noexcept nogil:
    """Return the mean absolute deviation of one window, given as two runs; n_new is at least 1."""
    cdef Py_ssize_t j, n = n_old + n_new
    cdef double newest = new[n_new - 1], total = 0.0, mean
    for j in range(n_old):
        total += old[j] - newest
    for j in range(n_new):
        total += new[j] - newest
    mean = newest + total / n
    total = 0.0
    for j in range(n_old):
        total += fabs(old[j] - mean)
    for j in range(n_new):
        total += fabs(new[j] - mean)
    return total / n


cdef inline void deviations(const double* x, double* y, Py_ssize_t n) noexcept nogil:
    """Write `deviation` of the TILE windows that begin at x[0], x[1] and so on: the same sums in the same order."""
    cdef Py_ssize_t j, k
    cdef double newest[TILE]
    cdef double mean[TILE]
    cdef double total[TILE]
    for k in range(TILE):
        newest[k] = x[n - 1 + k]
        total[k] = 0.0
    for j in range(n):
        for k in range(TILE):
            total[k] += x[j + k] - newest[k]
    for k in range(TILE):
        mean[k] = newest[k] + total[k] / n
        total[k] = 0.0
    for j in range(n):
        for k in range(TILE):
            total[k] += fabs(x[j + k] - mean[k])
    for k in range(TILE):
        y[k] = total[k] / n


cdef inline void mean_deviation(const double* x, double* y, Py_ssize_t n_bars, double* state,
                                Py_ssize_t n) noexcept nogil:
    # Mean absolute deviation from the window's own mean: two passes over n values, oldest first. The mean is taken
    # relative to the newest value, so that equal values deviate by exactly 0. state: the n - 1 values before the block.
    cdef Py_ssize_t i = 0, j
    while i < n_bars:
        if i >= n - 1 and i + TILE <= n_bars:
            deviations(x + i - n + 1, y + i, n)
            i += TILE
        elif i >= n - 1:
            y[i] = deviation(x, 0, x + i - n + 1, n)
            i += 1
        else:
            y[i] = deviation(state + i, n - 1 - i, x, i + 1)
            i += 1
    for j in range(n - 1):  # n_bars may be fewer than n - 1: then older values stay, moved up
        state[j] = state[j + n_bars] if j + n_bars < n - 1 else x[j + n_bars - (n - 1)]
