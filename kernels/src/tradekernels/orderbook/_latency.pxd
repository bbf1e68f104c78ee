# cython: language_level=3
"""How long letters take (LOB-11). From: the parameters that latency.py has checked. To: _engine.pyx."""

from ._levels cimport i64, u64

cdef enum LatencyKind:
    CONSTANT, FEED, TABLE, DRAWN


cdef struct Latency:
    int kind
    i64 entry, response             # CONSTANT, and added to FEED
    double entry_factor, response_factor  # FEED: times the latency of the newest message
    const i64* request_time         # TABLE, sorted
    const i64* exchange_time
    const i64* response_time
    Py_ssize_t n
    double base, jitter, spike_probability, spike_multiple  # DRAWN, ns
    double hour[168]                # multipliers from Monday 00:00 UTC on
    i64 timeout
    int retries
    u64 seed, drawn


cdef inline double uniform(Latency* l) noexcept nogil:
    """Draw from [0, 1): SplitMix64 of a counter."""
    cdef u64 z
    l.drawn += 1
    z = l.seed + l.drawn * <u64> 0x9E3779B97F4A7C15ULL
    z = (z ^ (z >> 30)) * <u64> 0xBF58476D1CE4E5B9ULL
    z = (z ^ (z >> 27)) * <u64> 0x94D049BB133111EBULL
    z = z ^ (z >> 31)
    return <double> (z >> 11) * (1.0 / 9007199254740992.0)


cdef inline i64 draw(Latency* l, i64 time) noexcept nogil:
    cdef double ns = l.base + l.jitter * uniform(l)
    if uniform(l) < l.spike_probability:
        ns *= l.spike_multiple
    return <i64> (ns * l.hour[(time // 3600000000000LL + 72) % 168])  # 1970 began on a Thursday


cdef inline i64 between(const i64* x, const i64* y, Py_ssize_t n, i64 at) noexcept nogil:
    """Return y - x at a time, interpolated over x; the nearest end's outside."""
    cdef Py_ssize_t low = 0, high = n - 1, middle
    if at <= x[0]:
        return y[0] - x[0]
    if at >= x[high]:
        return y[high] - x[high]
    while high - low > 1:
        middle = (low + high) // 2
        if x[middle] <= at:
            low = middle
        else:
            high = middle
    return <i64> ((y[low] - x[low]) + <double> ((y[high] - x[high]) - (y[low] - x[low]))
                  * (<double> (at - x[low]) / <double> (x[high] - x[low])))


cdef inline i64 entry_ns(Latency* l, i64 now, i64 feed, bint* lost) noexcept nogil:
    """Time from the trader to the venue; of a lost request, the time until the trader gives up."""
    cdef i64 waited = 0, ns
    cdef int k
    lost[0] = False
    if l.kind == CONSTANT:
        return l.entry
    if l.kind == FEED:
        return max(0, l.entry + <i64> (l.entry_factor * <double> feed))
    if l.kind == TABLE:
        return max(0, between(l.request_time, l.exchange_time, l.n, now))
    for k in range(l.retries + 1):
        ns = draw(l, now + waited)
        if ns <= l.timeout:
            return waited + ns
        waited += l.timeout
    lost[0] = True
    return waited


cdef inline i64 response_ns(Latency* l, i64 time, i64 feed) noexcept nogil:
    """Time from the venue to the trader; an answer may be late but is never lost."""
    if l.kind == CONSTANT:
        return l.response
    if l.kind == FEED:
        return max(0, l.response + <i64> (l.response_factor * <double> feed))
    if l.kind == TABLE:
        return max(0, between(l.exchange_time, l.response_time, l.n, time))
    return draw(l, time)
