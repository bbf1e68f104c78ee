# cython: language_level=3
"""How long letters take (LOB-11). From: the parameters that models.py has checked. To: _venue.pxd, _desk.pxd.

Draws are those of `tradekernels.execution.Latency` (EXE-3), in ns: the words of a letter depend on the seed, the number
of its order and how many letters about the order went the same way before, on nothing else.
"""

from tradekernels.execution._costs cimport Latency as Drawn
from tradekernels.execution._costs cimport latency_ms
from tradekernels.execution._random cimport philox

from ._levels cimport i64, u64

cdef extern from *:
    """
    #define TK_HOUR_NS 3600000000000LL
    #define TK_LONGEST_NS (1LL << 60)
    """
    const i64 HOUR_NS "TK_HOUR_NS"
    const i64 LONGEST_NS "TK_LONGEST_NS"  # 36 years: no letter takes longer

cdef enum LatencyKind:
    CONSTANT, FEED, TABLE, DRAWN


cdef struct LetterLatency:
    int kind
    i64 entry, response             # CONSTANT, and added to FEED
    double entry_factor, response_factor  # FEED: times the latency of the newest message
    const i64* request_time         # TABLE, sorted
    const i64* exchange_time
    const i64* response_time
    Py_ssize_t n
    Drawn request, answer           # DRAWN, ns; an answer has no timeout
    int retries
    u64 seed


cdef inline i64 within(double ns) noexcept nogil:
    """Return whole ns of 0 .. LONGEST_NS."""
    return 0 if ns <= 0.0 else <i64> ns if ns < <double> LONGEST_NS else LONGEST_NS


cdef inline int hour_of_week(i64 time_ns) noexcept nogil:
    """Return 0 for Monday 00:00 UTC to 167, as `execution.hour_of_week`; before 1970 as well."""
    cdef i64 hour = time_ns // HOUR_NS - (time_ns % HOUR_NS < 0)  # cdivision truncates
    hour = (hour + 72) % 168  # 1970 began on a Thursday
    return <int> (hour + 168 if hour < 0 else hour)


cdef inline i64 draw(const LetterLatency* l, bint is_answer, i64 time, i64 number, i64 nth, bint* lost) noexcept nogil:
    """Return the latency of the nth letter of a direction about an order; a block of words holds two attempts."""
    cdef u64[4] words
    cdef Drawn one = l.answer if is_answer else l.request
    cdef double total = 0.0
    cdef int attempts = 1 + (0 if is_answer else l.retries), block = 0, arrived = 0
    while 2 * block < attempts and not arrived:
        philox(l.seed, 0, <u64> number, <u64> (2 * nth + is_answer), <u64> block, words)
        one.retries = 1 if attempts - 2 * block > 1 else 0
        total += latency_ms(&one, hour_of_week(time), words, &arrived)
        block += 1
    lost[0] = not arrived
    return within(total)


cdef inline i64 between(const i64* x, const i64* y, Py_ssize_t n, i64 at) noexcept nogil:
    """Return y - x at a time, interpolated over x; the nearest end's outside."""
    cdef Py_ssize_t low = 0, high = n - 1, middle
    cdef i64 ns, following
    if at <= x[0]:
        return max(0, y[0] - x[0])
    if at >= x[high]:
        return max(0, y[high] - x[high])
    while high - low > 1:
        middle = (low + high) // 2
        if x[middle] <= at:
            low = middle
        else:
            high = middle
    ns, following = y[low] - x[low], y[high] - x[high]
    # in this order and truncated before the sum, as hftbacktest does
    return max(0, ns + <i64> (<double> (following - ns) / <double> (x[high] - x[low]) * <double> (at - x[low])))


cdef inline i64 entry_ns(const LetterLatency* l, i64 now, i64 feed, i64 number, i64 nth, bint* lost) noexcept nogil:
    """Time from the trader to the venue; of a lost request, the time until the trader gives up."""
    lost[0] = False
    if l.kind == CONSTANT:
        return l.entry
    if l.kind == FEED:
        return max(0, l.entry + within(l.entry_factor * <double> feed))
    if l.kind == TABLE:
        return between(l.request_time, l.exchange_time, l.n, now)
    return draw(l, False, now, number, nth, lost)


cdef inline i64 response_ns(const LetterLatency* l, i64 time, i64 feed, i64 number, i64 nth) noexcept nogil:
    """Time from the venue to the trader; an answer may be late but is never lost."""
    cdef bint lost
    if l.kind == CONSTANT:
        return l.response
    if l.kind == FEED:
        return max(0, l.response + within(l.response_factor * <double> feed))
    if l.kind == TABLE:
        return between(l.exchange_time, l.response_time, l.n, time)
    return draw(l, True, time, number, nth, &lost)
