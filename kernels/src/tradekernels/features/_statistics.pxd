"""Deviations, covariances, moments, ranks of the last n bars. From: slots of one block of bars, state. To: a slot.

What can be combined exactly goes by laps of prefix and suffix, as in _windows; the rest is computed anew for every bar
from the window itself (_lines).
"""

from libc.math cimport log, sqrt

from ._lines cimport TILE, over_windows


cdef inline void rows_to_suffixes(double* suffix, Py_ssize_t n, const double* inverse) noexcept nogil:
    """Turn the rows of a lap, (count 0 or 1, value), into count, mean and squares of all that follow them."""
    cdef Py_ssize_t j, count = 0
    cdef double first = 0.0, sum = 0.0, squares = 0.0, mean = 0.0, was, value
    cdef double* at
    for j in range(n - 1, -1, -1):
        at = suffix + 3 * j
        if at[0] != 0.0:
            value = at[1]
            if count == 0:
                first, mean = value, value
            was = mean
            count += 1
            sum += value - first
            mean = first + sum * inverse[count]
            squares += (value - was) * (value - mean)
        at[0], at[1], at[2] = <double> count, mean, squares


cdef inline void timed_std(const double* x, const double* step, double* y, Py_ssize_t n_bars, double* state, Py_ssize_t n,
                           const double* inverse) noexcept nogil:
    # Population deviation of the rows in the last n cells of the time grid; step is in cells since the row before.
    # As window_std, with counts. state: place; count, first value, sum of differences to it, squares of the prefix; then
    # n + 1 suffixes of count, mean, squares, the last of them empty
    cdef Py_ssize_t i, k, missing, place = <Py_ssize_t> state[0], count = <Py_ssize_t> state[1]
    cdef double first = state[2], sum = state[3], squares = state[4], delta, mean, was, share
    cdef double* suffix = state + 5
    cdef double* at
    mean = first + sum * inverse[count] if count else 0.0
    for i in range(n_bars):
        missing = 0
        if step[i] > 1.0:
            missing = <Py_ssize_t> step[i] - 1 if step[i] <= n else n
        for k in range(missing, -1, -1):  # the missing cells, then the row
            at = suffix + 3 * place
            at[0], at[1] = (1.0 if k == 0 else 0.0), x[i]
            if k == 0:
                if count == 0:
                    first, sum, squares, mean = x[i], 0.0, 0.0, x[i]
                was = mean
                count += 1
                sum += x[i] - first
                mean = first + sum * inverse[count]
                squares += (x[i] - was) * (x[i] - mean)
                share = inverse[count + <Py_ssize_t> at[3]]
                delta = at[4] - mean
                y[i] = (squares + at[5] + delta * delta * (count * at[3] * share)) * share
            place += 1
            if place == n:
                rows_to_suffixes(suffix, n, inverse)
                place = 0
                count = 0
    for i in range(n_bars):
        y[i] = sqrt(0.0 if y[i] < 0.0 else y[i])  # of equal values but for a rounding
    state[0], state[1], state[2], state[3], state[4] = place, count, first, sum, squares


cdef inline void window_covariance(const double* a, const double* b, double* y, Py_ssize_t n_bars, double* state,
                                   Py_ssize_t n, const double* inverse) noexcept nogil:
    # Population covariance, as window_std; for products of deviations after Pebay (2008). state: place; first value and
    # sum of differences of a, of b, products of the prefix; then n + 1 suffixes of mean, mean, products, the last empty
    cdef Py_ssize_t i, j, place = <Py_ssize_t> state[0]
    cdef double first_a = state[1], sum_a = state[2], first_b = state[3], sum_b = state[4], products = state[5]
    cdef double mean_a, mean_b, was_a, delta_a, delta_b, count
    cdef double* suffix = state + 6
    cdef double* at
    mean_a = first_a + sum_a * inverse[place] if place else 0.0
    for i in range(n_bars):
        if place == 0:
            first_a, sum_a, first_b, sum_b, products, mean_a = a[i], 0.0, b[i], 0.0, 0.0, a[i]
        at = suffix + 3 * place
        count = place + 1
        was_a = mean_a
        sum_a += a[i] - first_a
        sum_b += b[i] - first_b
        mean_a, mean_b = first_a + sum_a * inverse[place + 1], first_b + sum_b * inverse[place + 1]
        products += (a[i] - was_a) * (b[i] - mean_b)
        delta_a, delta_b = at[3] - mean_a, at[4] - mean_b
        y[i] = (products + at[5] + delta_a * delta_b * (count * (n - count) * inverse[n])) * inverse[n]
        at[0], at[1] = a[i], b[i]
        place += 1
        if place == n:
            sum_a = sum_b = products = 0.0
            first_a, first_b = a[i], b[i]
            was_a = first_a
            for j in range(n - 1, -1, -1):
                at = suffix + 3 * j
                sum_a += at[0] - first_a
                sum_b += at[1] - first_b
                mean_a, mean_b = first_a + sum_a * inverse[n - j], first_b + sum_b * inverse[n - j]
                products += (at[0] - was_a) * (at[1] - mean_b)
                at[0], at[1], at[2] = mean_a, mean_b, products
                was_a = mean_a
            place = 0
    state[0], state[1], state[2], state[3], state[4], state[5] = place, first_a, sum_a, first_b, sum_b, products


cdef inline void slopes(const double* x, double* y, Py_ssize_t n, Py_ssize_t unused, Py_ssize_t lanes) noexcept nogil:
    cdef Py_ssize_t j, k
    cdef double centre = 0.5 * (n - 1), scale = 12.0 / (<double> n * (<double> n * n - 1.0)), weight
    cdef double total[TILE]
    for k in range(lanes):
        total[k] = 0.0
    for j in range(n):
        weight = j - centre
        for k in range(lanes):
            total[k] += weight * (x[j + k] - x[n - 1 + k])
    for k in range(lanes):
        y[k] = total[k] * scale


cdef inline void window_slope(const double* x, double* y, Py_ssize_t n_bars, double* state, Py_ssize_t n,
                              Py_ssize_t unread) noexcept nogil:
    # Least squares on the bar number, per bar; relative to the newest value, so that equal values rise by exactly 0
    over_windows(slopes, x, y, n_bars, state, n, 0, unread)


cdef inline void moments(const double* x, double* y, Py_ssize_t n, Py_ssize_t power, Py_ssize_t lanes) noexcept nogil:
    """Write the standardised third or fourth moment; 0 where nothing but rounding moved."""
    cdef Py_ssize_t j, k
    cdef double delta, square, variance
    cdef double mean[TILE]
    cdef double second[TILE]
    cdef double high[TILE]
    for k in range(lanes):
        mean[k] = second[k] = high[k] = 0.0
    for j in range(n):
        for k in range(lanes):
            mean[k] += x[j + k] - x[n - 1 + k]
    for k in range(lanes):
        mean[k] = x[n - 1 + k] + mean[k] / n
    for j in range(n):
        for k in range(lanes):
            delta = x[j + k] - mean[k]
            square = delta * delta
            second[k] += square
            high[k] += square * (delta if power == 3 else square)
    for k in range(lanes):
        variance = second[k] / n
        delta = high[k] / n / (variance * (sqrt(variance) if power == 3 else variance))
        delta -= 0.0 if power == 3 else 3.0
        square = 1e-20 * (mean[k] * mean[k])
        y[k] = 0.0 if variance <= (square if square > 1e-150 else 1e-150) else delta


cdef inline void skews(const double* x, double* y, Py_ssize_t n, Py_ssize_t unused, Py_ssize_t lanes) noexcept nogil:
    moments(x, y, n, 3, lanes)  # the constant makes a loop of its own


cdef inline void kurtoses(const double* x, double* y, Py_ssize_t n, Py_ssize_t unused, Py_ssize_t lanes) noexcept nogil:
    moments(x, y, n, 4, lanes)


cdef inline void window_skew(const double* x, double* y, Py_ssize_t n_bars, double* state, Py_ssize_t n,
                             Py_ssize_t unread) noexcept nogil:
    # m3 / m2^1.5 of the population, Fisher (1930)
    over_windows(skews, x, y, n_bars, state, n, 0, unread)


cdef inline void window_kurtosis(const double* x, double* y, Py_ssize_t n_bars, double* state, Py_ssize_t n,
                                 Py_ssize_t unread) noexcept nogil:
    # m4 / m2^2 - 3 of the population, Fisher (1930)
    over_windows(kurtoses, x, y, n_bars, state, n, 0, unread)


cdef inline void ranks(const double* x, double* y, Py_ssize_t n, Py_ssize_t unused, Py_ssize_t lanes) noexcept nogil:
    cdef Py_ssize_t j, k
    cdef long long below[TILE]
    for k in range(lanes):
        below[k] = 0
    for j in range(n):
        for k in range(lanes):
            below[k] += x[j + k] < x[n - 1 + k]
    for k in range(lanes):
        y[k] = <double> below[k]


cdef inline void rank_below(const double* x, double* y, Py_ssize_t n_bars, double* state, Py_ssize_t n,
                            Py_ssize_t unread) noexcept nogil:
    # How many of the last n values are below the newest; NaN is below nothing
    over_windows(ranks, x, y, n_bars, state, n, 0, unread)


cdef inline void entropy(const double* x, double* y, Py_ssize_t n_bars, double* state, Py_ssize_t n) noexcept nogil:
    # Shannon (1948), in nats, of the last n codes; what is not in 0..7 counts as 0. state: place, 8 counts, the n + 1
    # terms -p ln p (all 0 before the first row), n codes
    cdef Py_ssize_t i, k, place = <Py_ssize_t> state[0], code
    cdef double* count = state + 1
    cdef double* term = count + 8
    cdef double* codes = term + n + 1
    cdef double total
    if term[1] == 0.0:
        for k in range(1, n):
            term[k] = -(<double> k / n) * log(<double> k / n)
    for i in range(n_bars):
        code = <Py_ssize_t> x[i] if x[i] >= 0.0 and x[i] < 8.0 else 0
        count[<Py_ssize_t> codes[place]] -= 1.0
        count[code] += 1.0
        codes[place] = code
        place = place + 1 if place + 1 < n else 0
        total = 0.0
        for k in range(8):
            total += term[<Py_ssize_t> count[k]]
        y[i] = total
    state[0] = place
