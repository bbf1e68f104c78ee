"""Moments, ranks and roughness of the last n bars. From: slots of one block of bars, state. To: a slot.

What can be combined exactly goes by laps of prefix and suffix, as in _windows. The rest is computed anew for every
bar from the window itself, which lies in a line: the last n - 1 rows, then room for more. A full line moves its newest
n - 1 rows to its beginning, so that every window is contiguous and a row of a stream costs no copy of its window.
Neighbouring windows are computed side by side, `lanes` of them, each with the same operations in the same order.
"""

from libc.math cimport fabs, log, sqrt
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
                              Py_ssize_t n, Py_ssize_t k) noexcept nogil:
    """Run a kernel over the window of every row. state: place, a line of x."""
    cdef Py_ssize_t i = 0, place, size
    while i < n_bars:
        place = next_place(state, n, 1)
        size = min(n_bars - i, n - 1 + ROOM - place)
        memcpy(state + 1 + place, x + i, size * sizeof(double))
        side_by_side(kernel, state + 1 + place - n + 1, y + i, size, n, k)
        state[0] = place + size
        i += size


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


cdef inline void window_slope(const double* x, double* y, Py_ssize_t n_bars, double* state,
                              Py_ssize_t n) noexcept nogil:
    # Least squares on the bar number, per bar; relative to the newest value, so that equal values rise by exactly 0
    over_windows(slopes, x, y, n_bars, state, n, 0)


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


cdef inline void window_skew(const double* x, double* y, Py_ssize_t n_bars, double* state, Py_ssize_t n) noexcept nogil:
    # m3 / m2^1.5 of the population, Fisher (1930)
    over_windows(skews, x, y, n_bars, state, n, 0)


cdef inline void window_kurtosis(const double* x, double* y, Py_ssize_t n_bars, double* state,
                                 Py_ssize_t n) noexcept nogil:
    # m4 / m2^2 - 3 of the population, Fisher (1930)
    over_windows(kurtoses, x, y, n_bars, state, n, 0)


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


cdef inline void rank_below(const double* x, double* y, Py_ssize_t n_bars, double* state, Py_ssize_t n) noexcept nogil:
    # How many of the last n values are below the newest; NaN is below nothing
    over_windows(ranks, x, y, n_bars, state, n, 0)


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


cdef inline void rescaled_ranges(const double* x, double* y, Py_ssize_t n, Py_ssize_t unused,
                                 Py_ssize_t lanes) noexcept nogil:
    """Write range of the cumulative deviations from the mean / deviation; 0 where nothing but rounding moved."""
    cdef Py_ssize_t j, k, step
    cdef double delta, part, end, top, bottom
    cdef double mean[TILE]
    cdef double squares[TILE]
    cdef double path[TILE]
    cdef double high[TILE]
    cdef double low[TILE]
    for k in range(lanes):
        mean[k] = squares[k] = path[k] = high[k] = low[k] = 0.0
    for j in range(0, n, 8):  # eight steps at once: compilers make vectors of this body, but not of one step alone
        for k in range(lanes):
            part = 0.0
            for step in range(8):
                part += x[j + step + k] - x[n - 1 + k]
            mean[k] += part
    for k in range(lanes):
        mean[k] = x[n - 1 + k] + mean[k] / n
    for j in range(0, n, 8):
        for k in range(lanes):
            part, end, top, bottom = 0.0, path[k], high[k], low[k]
            for step in range(8):
                delta = x[j + step + k] - mean[k]
                part += delta * delta
                end += delta
                top = end if end > top else top
                bottom = end if end < bottom else bottom
            squares[k] += part
            path[k], high[k], low[k] = end, top, bottom
    for k in range(lanes):
        delta = squares[k] / n
        part = (high[k] - low[k]) / sqrt(delta)
        y[k] = 0.0 if delta <= 0.0 or delta <= 1e-20 * (mean[k] * mean[k]) else part


cdef inline void hurst(const double* x, double* y, Py_ssize_t n_bars, double* state, Py_ssize_t n) noexcept nogil:
    # Rescaled range of chunks of 8, 16 .. n rows, Hurst (1951): the slope of the logarithm of their mean on that of
    # their length, clipped to 0..1; 0.5 where a mean is 0. n is 8 times a power of two. A chunk is computed on its last
    # row and found again when older. state: place, a line of x, a line for every length of chunk
    cdef Py_ssize_t i = 0, j, k, m, place, size, scale, n_scales = 0, length = n - 1 + ROOM
    cdef double* line
    cdef double total, slope, spread
    cdef double mean[64]
    cdef bint still
    while 8 << n_scales <= n:
        n_scales += 1
    spread = n_scales * (<double> n_scales * n_scales - 1.0) / 6.0 * log(2.0)  # twice the squares of ln m, over ln 2
    while i < n_bars:
        place = next_place(state, n, n_scales + 1)
        size = min(n_bars - i, length - place)
        line = state + 1
        memcpy(line + place, x + i, size * sizeof(double))
        for scale in range(n_scales):
            m = 8 << scale
            side_by_side(rescaled_ranges, line + place - m + 1, line + (scale + 1) * length + place, size, m, 0)
        for k in range(size):
            still = False
            for scale in range(n_scales):
                m = 8 << scale
                line = state + 1 + (scale + 1) * length + place + k
                total = 0.0
                for j in range(n >> (3 + scale)):
                    total += line[-j * m]
                mean[scale] = total * m / n
                still = still or total == 0.0
            slope = 0.0
            for scale in range(n_scales // 2):  # the lengths are even steps of ln m, hence weighed in pairs
                j = n_scales - 1 - scale
                slope += (j - scale) * log(mean[j] / mean[scale])
            slope /= spread
            slope = 0.0 if slope < 0.0 else (1.0 if slope > 1.0 else slope)
            y[i + k] = 0.5 if still else slope
        state[0] = place + size
        i += size


cdef inline void curve_lengths(const double* steps, double* y, Py_ssize_t n, Py_ssize_t k,
                               Py_ssize_t lanes) noexcept nogil:
    """Write Higuchi's L(k): the mean over its k curves of their steps, each scaled to the whole window."""
    cdef Py_ssize_t j, m, lane, count
    cdef double scale
    cdef double total[TILE]
    for lane in range(lanes):
        y[lane] = 0.0
    for m in range(1, k + 1):
        count = (n - m) // k
        scale = (n - 1.0) / (<double> count * k) / (<double> k * k)
        for lane in range(lanes):
            total[lane] = 0.0
        for j in range(1, count + 1):
            for lane in range(lanes):
                total[lane] += steps[m + j * k - 1 + lane]
        for lane in range(lanes):
            y[lane] += total[lane] * scale


cdef inline void higuchi(const double* x, double* y, Py_ssize_t n_bars, double* state, Py_ssize_t n) noexcept nogil:
    # Fractal dimension after Higuchi (1988), curves of every 1st to 8th point: minus the slope of ln L(k) on ln k,
    # clipped to 1..2; 1 where a length is 0. state: place, a line of x, lines of |x - x[k]| for k in 1..8
    cdef Py_ssize_t i = 0, j, k, place, size, length = n - 1 + ROOM
    cdef double* line
    cdef double mean = 0.0, spread = 0.0, slope
    cdef double ln_k[8]
    cdef double L[8][ROOM]
    cdef bint still
    ln_k[:] = [0.0, 0.6931471805599453, 1.0986122886681098, 1.3862943611198906, 1.6094379124341003,
               1.791759469228055, 1.9459101490553132, 2.0794415416798357]
    for k in range(8):
        mean += ln_k[k] / 8.0
    for k in range(8):
        ln_k[k] -= mean
        spread += ln_k[k] * ln_k[k]
    while i < n_bars:
        place = next_place(state, n, 9)
        size = min(n_bars - i, length - place)
        memcpy(state + 1 + place, x + i, size * sizeof(double))
        for k in range(1, 9):
            line = state + 1 + k * length
            for j in range(place, place + size):
                line[j] = fabs(state[1 + j] - state[1 + j - k])
            side_by_side(curve_lengths, line + place - n + 1, &L[k - 1][0], size, n, k)
        for j in range(size):
            slope = 0.0
            still = False
            for k in range(8):
                slope -= ln_k[k] * log(L[k][j])
                still = still or L[k][j] == 0.0
            slope /= spread
            slope = 1.0 if slope < 1.0 else (2.0 if slope > 2.0 else slope)
            y[i + j] = 1.0 if still else slope
        state[0] = place + size
        i += size
