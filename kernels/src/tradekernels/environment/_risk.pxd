"""Risk limits of the environment (ENV-8, RSK-5). From: one copy and the order it wants. To: _environment.pyx.

Only orders that open or enlarge a position are refused: exits are always allowed. The first reason counts.
"""

from libc.math cimport fabs

from tradekernels.environment._state cimport (
    Copy, DRAWDOWN, INTRABAR_DRAWDOWN, NOTIONAL_LIMIT, ORDER_RATE, ORDERS_PER_MINUTE, PEAK_BARS, PEAK_RING,
    POSITION_LIMIT, Settings,
)


cdef inline double peak_of(Copy* it) noexcept nogil:
    """Return the highest worth of the last 500 bars, this one included."""
    return it.peak_worth[it.peak_head & (PEAK_RING - 1)]


cdef inline void push_peak(Copy* it) noexcept nogil:
    """Take the worth of a new bar: a queue of falling worths, so the highest is always its head (amortised O(1))."""
    cdef long long last = it.peak_head + it.peak_count - 1
    if it.peak_count > 0 and it.peak_row[it.peak_head & (PEAK_RING - 1)] <= it.row - PEAK_BARS:
        it.peak_head += 1
        it.peak_count -= 1
    while it.peak_count > 0 and it.peak_worth[last & (PEAK_RING - 1)] <= it.worth:
        last -= 1
        it.peak_count -= 1
    it.peak_count += 1
    last += 1
    it.peak_worth[last & (PEAK_RING - 1)] = it.worth
    it.peak_row[last & (PEAK_RING - 1)] = it.row


cdef inline void pause(Copy* it, const Settings* s, long long now, int reason) noexcept nogil:
    it.paused_until = now + <long long> s.pause_ms
    it.pause_reason = reason


cdef inline int refusal(Copy* it, const Settings* s, long long now, double units_after, double notional) noexcept nogil:
    """Return why an opening order is refused, -1 if it is not. Base and quote currency; `now` in ms."""
    cdef double peak = peak_of(it)
    if fabs(units_after) > s.position_limit:
        return POSITION_LIMIT
    if notional > s.notional_limit:
        return NOTIONAL_LIMIT
    if peak - it.worth >= s.max_drawdown * peak:
        return DRAWDOWN
    if now < it.paused_until:
        return <int> it.pause_reason
    if it.order_times[it.order_at] > now - 60_000:  # the order before the last 59
        pause(it, s, now, ORDER_RATE)
        return ORDER_RATE
    return -1


cdef inline void count_order(Copy* it, long long now) noexcept nogil:
    it.order_times[it.order_at] = now
    it.order_at = (it.order_at + 1) % ORDERS_PER_MINUTE


cdef inline void watch_bar(Copy* it, const Settings* s, long long now, double was, double worst) noexcept nogil:
    """Pause entries when the bar's worst price has taken too much of the worth before it."""
    if was - worst >= s.max_intrabar_drawdown * was:
        pause(it, s, now, INTRABAR_DRAWDOWN)
