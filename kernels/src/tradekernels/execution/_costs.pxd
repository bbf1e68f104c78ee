"""What an order costs, for every compiled loop that fills one: the grid, fees, slippage, latency.

A step (tick, lot, quote step) is a fraction `part/whole` of whole numbers in doubles, so that its n-th multiple is one
correctly rounded division: the very double that the decimal text of that price parses to. Comparisons with it are
therefore exact at the borders up to 15 digits.

From: numbers that the caller has checked. To: the environment, and the loops of _costs.pyx.
"""

from libc.math cimport ceil, floor, sqrt

from tradekernels.execution._random cimport unit


cdef inline double steps_down(double x, double part, double whole) noexcept nogil:
    """Return the largest n with n steps <= x; exact while n * part is below 2^53."""
    cdef double n = floor(x * whole / part)
    if (n + 1.0) * part / whole <= x:
        return n + 1.0
    return n if n * part / whole <= x else n - 1.0


cdef inline double steps_up(double x, double part, double whole) noexcept nogil:
    """Return the smallest n with n steps >= x."""
    return -steps_down(-x, part, whole)


cdef inline double steps_nearest(double x, double part, double whole) noexcept nogil:
    """Return the nearest whole number of steps of x >= 0; half a step goes up."""
    cdef double n = steps_down(x, part, whole)
    return n + 1.0 if (2.0 * n + 1.0) * part / (2.0 * whole) <= x else n


cdef inline double slippage_bps(double half_spread_bps, double k, double volatility_bps, double size,
                                double liquidity) noexcept nogil:
    """EXE-2, the half spread already the larger of the two. Without any liquidity the order is all of it."""
    return half_spread_bps + k * volatility_bps * sqrt(size / liquidity if liquidity > 0.0 else 1.0)


cdef struct Latency:  # milliseconds; EXE-3
    double base, jitter, spike_probability, spike_multiple, timeout
    long long retries  # 0 or 1: a block of random words holds two attempts
    double[168] hour_of_week  # multipliers, from Monday 00:00 UTC


cdef inline double latency_ms(const Latency* it, int hour, const unsigned long long* words, int* attempts) noexcept nogil:
    """Return how long an order takes to arrive, waits for timeouts included; `attempts` is 0 if it never does."""
    cdef double total = 0.0, one
    cdef int attempt
    for attempt in range(1 + <int> it.retries):
        one = (it.base + it.jitter * unit(words[2 * attempt])) * it.hour_of_week[hour]
        if unit(words[2 * attempt + 1]) < it.spike_probability:
            one *= it.spike_multiple
        if one <= it.timeout:
            attempts[0] = attempt + 1
            return total + one
        total += it.timeout
    attempts[0] = 0
    return total


cdef inline double late_price(double open, double worst, double latency, double bar_ms) noexcept nogil:
    """Return the price a late order meets: from the open towards the bar's worst price for it.

    The range of a Brownian path grows with the square root of time, so that share of the bar's own excursion is what
    the first `latency` ms of it are expected to have made.
    """
    return open + (worst - open) * (sqrt(latency / bar_ms) if latency < bar_ms else 1.0)


cdef inline double fill_ticks(double price, double side, double slip_bps) noexcept nogil:
    """Return the tick a market order fills at: slipped, then to the worse tick, at least 1. `price` is in ticks."""
    cdef double slipped = price * (1.0 + side * slip_bps * 1e-4)
    if side > 0.0:
        return ceil(slipped - 1e-6)  # a millionth of a tick is rounding noise, not a price
    slipped = floor(slipped + 1e-6)
    return slipped if slipped > 1.0 else 1.0
