"""What the observation shares with every compiled loop that builds one: agent slots, their window, tanh.

From: C arrays that their owner has checked. To: C arrays that the caller owns. The environment and the strategies go
through the same functions (OBS-61).
"""

from libc.math cimport copysign, fabs, isfinite
from libc.string cimport memcpy


cdef enum:
    N_AGENT_FIELDS = 9   # what an account and its last bars come down to
    N_AGENT_SLOTS = 6    # slots 21 to 26
    N_BAR_FIELDS = 7     # the fields that are sums over bars, from BOUGHT on
    BAR = 8              # numbers that a bar takes in a ring: its fields, and one to fill the lanes
    WINDOW = 20          # bars

cdef enum:           # fields of an account; quote and base are the currencies of the pair
    CASH, UNITS          # quote; base, negative when short
    BOUGHT, SOLD         # base, own fills
    FILLS                # count
    SPREAD_SUM           # of side * (fill price - mid)/mid, side 1 for a buy and -1 for a sell
    SPREAD_COUNT         # fills in that sum
    FILLED, PLACED       # base, amounts of own orders


cdef inline double tanh(double x) noexcept nogil:
    # expm1(y)/(expm1(y) + 2) with y = 2|x| = k ln 2 + r and |r| <= ln(2)/2, where 13 terms of Taylor's series are exact
    # to the last bit or two. Without branches, so that loops vectorise, and the same bits on every machine.
    cdef double y = 2.0 * fabs(x), shifted, k, r, p, power, e
    cdef unsigned long long bits
    y = 44.0 if y > 44.0 else y  # 1 from here on; NaN stays NaN
    shifted = y * 1.4426950408889634 + 6755399441055744.0  # 1.5 * 2^52: the low bits now hold the nearest whole k
    memcpy(&bits, &shifted, 8)
    k = shifted - 6755399441055744.0
    r = y - k * 0.6931471803691238 - k * 1.9082149292705877e-10
    p = r * (1.0 + r * (1.0 / 2 + r * (1.0 / 6 + r * (1.0 / 24 + r * (1.0 / 120 + r * (1.0 / 720 + r * (
        1.0 / 5040 + r * (1.0 / 40320 + r * (1.0 / 362880 + r * (1.0 / 3628800 + r * (1.0 / 39916800 + r * (
            1.0 / 479001600 + r * (1.0 / 6227020800.0)))))))))))))
    bits = (bits + 1023) << 52
    memcpy(&power, &bits, 8)  # 2^k
    e = power * p + (power - 1.0)
    return copysign(e / (e + 2.0), x)


cdef inline double clipped(double x, double low, double high) noexcept nogil:
    x = x if x > low else low
    return x if x < high else high


cdef inline int agent_fault(const double* agent) noexcept nogil:
    """Return the first field that is not finite, or is a sum below 0 that cannot be; -1 if there is none."""
    cdef int k
    for k in range(N_AGENT_FIELDS):
        if not isfinite(agent[k]) or (k >= BOUGHT and k != SPREAD_SUM and agent[k] < 0.0):
            return k
    return -1


cdef inline void agent_slots(const double* agent, double price, double* out) noexcept nogil:
    """Write slots 21 to 26 (OBS-21..26) of an account whose units are worth `price` each."""
    cdef double position = agent[UNITS] * price, worth = agent[CASH] + position
    cdef double traded = agent[BOUGHT] + agent[SOLD], share = position / worth
    out[0] = clipped(agent[CASH] / worth, 0.0, 1.0) if worth > 0.0 else 1.0
    out[1] = tanh(share if share == share else 1.0) if worth > 0.0 else 0.0  # a position beyond 1e308 is all of it
    out[2] = tanh((agent[BOUGHT] - agent[SOLD]) / traded) if traded > 0.0 else 0.0
    out[3] = tanh(agent[FILLS] / WINDOW)
    out[4] = clipped(agent[SPREAD_SUM] / agent[SPREAD_COUNT], -0.1, 0.1) if agent[SPREAD_COUNT] > 0.0 else 0.0
    # What was placed before the window and filled in it would make the ratio exceed 1.
    out[5] = clipped(agent[FILLED] / agent[PLACED], 0.0, 1.0) if agent[PLACED] > 0.0 else 0.0


cdef inline void window_sums(const double* bars, Py_ssize_t newest, double* out) noexcept nogil:
    """Write the sums of the last 20 bars, added oldest first: no running sum, so nothing lingers that has left.

    `bars` holds WINDOW rows of BAR numbers, a ring whose newest row is `newest`; `out` takes N_BAR_FIELDS.
    """
    cdef double[BAR] sums
    cdef Py_ssize_t row, k
    for k in range(BAR):
        sums[k] = 0.0
    for row in range(newest + 1, WINDOW):
        for k in range(BAR):
            sums[k] += bars[row * BAR + k]
    for row in range(newest + 1):
        for k in range(BAR):
            sums[k] += bars[row * BAR + k]
    memcpy(out, sums, N_BAR_FIELDS * sizeof(double))
