"""Compiled loops of `tradekernels.execution`. From: arrays that the wrappers have checked. To: `out`, the caller's."""

from tradekernels.execution._random cimport philox


def steps(const double[::1] x, double part, double whole, int direction, double[::1] out):
    """Write whole numbers of steps: -1 down, 0 nearest, 1 up."""
    cdef Py_ssize_t i
    with nogil:
        for i in range(x.shape[0]):
            if direction < 0:
                out[i] = steps_down(x[i], part, whole)
            elif direction > 0:
                out[i] = steps_up(x[i], part, whole)
            else:
                out[i] = steps_nearest(x[i], part, whole)


def slippage(const double[::1] half_spread_bps, double k, const double[::1] volatility_bps, const double[::1] size,
             const double[::1] liquidity, double[::1] out):
    """Write EXE-2 in basis points."""
    cdef Py_ssize_t i
    with nogil:
        for i in range(size.shape[0]):
            out[i] = slippage_bps(half_spread_bps[i], k, volatility_bps[i], size[i], liquidity[i])


def random_words(unsigned long long seed, unsigned long long stream, const unsigned long long[::1] counter,
                 unsigned long long[:, ::1] out):
    """Write four words for every counter."""
    cdef Py_ssize_t i
    with nogil:
        for i in range(counter.shape[0]):
            philox(seed, stream, counter[i], 0, 0, &out[i, 0])


def latencies(const double[::1] model, const double[::1] hour_of_week, const long long[::1] hour,
              const unsigned long long[:, ::1] words, double[::1] out, int[::1] attempts):
    """Write milliseconds and the attempt that arrived, 0 for none (EXE-3)."""
    cdef Latency it
    cdef Py_ssize_t i
    it.base, it.jitter, it.spike_probability = model[0], model[1], model[2]
    it.spike_multiple, it.timeout, it.retries = model[3], model[4], <long long> model[5]
    for i in range(168):
        it.hour_of_week[i] = hour_of_week[i]
    with nogil:
        for i in range(hour.shape[0]):
            out[i] = latency_ms(&it, <int> hour[i], &words[i, 0], &attempts[i])
