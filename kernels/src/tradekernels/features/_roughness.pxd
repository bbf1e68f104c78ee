"""Memory and roughness of the last n bars. From: a slot of one block of bars, state. To: a slot."""

from libc.math cimport fabs, log, sqrt
from libc.string cimport memcpy

from ._lines cimport ROOM, TILE, next_place, side_by_side, skipped


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


cdef inline void hurst(const double* x, double* y, Py_ssize_t n_bars, double* state, Py_ssize_t n,
                       Py_ssize_t unread) noexcept nogil:
    # Rescaled range of chunks of 8, 16 .. n rows, Hurst (1951): the slope of the logarithm of their mean on that of
    # their length, clipped to 0..1; 0.5 where a mean is 0. n is 8 times a power of two. A chunk is computed on its last
    # row and found again when older. state: place, a line of x, a line for every length of chunk
    cdef Py_ssize_t i = 0, j, k, m, place, size, skip, scale, n_scales = 0, length = n - 1 + ROOM
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
        skip = skipped(unread - n - i, size)  # a window reads no chunk that ended n rows before it
        for scale in range(n_scales):
            m = 8 << scale
            side_by_side(rescaled_ranges, line + place - m + 1 + skip, line + (scale + 1) * length + place + skip,
                         size - skip, m, 0)
        for k in range(skipped(unread - i, size), size):
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


cdef inline void higuchi(const double* x, double* y, Py_ssize_t n_bars, double* state, Py_ssize_t n,
                         Py_ssize_t unread) noexcept nogil:
    # Fractal dimension after Higuchi (1988), curves of every 1st to 8th point: minus the slope of ln L(k) on ln k,
    # clipped to 1..2; 1 where a length is 0. state: place, a line of x, lines of |x - x[k]| for k in 1..8
    cdef Py_ssize_t i = 0, j, k, place, size, skip, length = n - 1 + ROOM
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
        skip = skipped(unread - i, size)
        for k in range(1, 9):
            line = state + 1 + k * length
            for j in range(place, place + size):
                line[j] = fabs(state[1 + j] - state[1 + j - k])
            side_by_side(curve_lengths, line + place - n + 1 + skip, &L[k - 1][skip], size - skip, n, k)
        for j in range(skip, size):
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
