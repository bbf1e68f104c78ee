# cython: language_level=3
"""Queue models: how much rests before an own order (LOB-13). From: SET rows and trades at its tick. To: _venue.pxd.

Quantities are in the model's units: base currency for the probability models, lots for the others, always float64.
"""

from libc.math cimport isinf, log, pow

cdef enum QueueModel:
    RISK, POWER, LOG, POWER2, LOG2, POWER3, FIFO


cdef inline double power(double x, double n) noexcept nogil:
    return x * x if n == 2.0 else x if n == 1.0 else pow(x, n)


cdef inline double share_behind(int model, double n, double front, double back) noexcept nogil:
    """Probability that a cancelled quantity was behind the order."""
    cdef double x
    if model == POWER:
        x = power(back, n)
        return x / (x + power(front, n))
    if model == LOG:
        x = log(1.0 + back)
        return x / (x + log(1.0 + front))
    if model == POWER2:
        return power(back, n) / power(back + front, n)
    if model == LOG2:
        return log(1.0 + back) / log(1.0 + (back + front))
    return 1.0 - power(front / (front + back), n)


cdef inline double after_set(int model, double n, double front, double was, double now, double traded) noexcept nogil:
    """Return the front after the level went from `was` to `now`, of which `traded` is explained by trades."""
    cdef double change, back, share, estimate
    if model != RISK:
        change = was - now - traded
        if change >= 0.0:
            back = was - front
            share = share_behind(model, n, front, back)
            if isinf(share):
                share = 1.0
            if share != share:
                return now
            estimate = back - share * change
            estimate = front - (1.0 - share) * change + (estimate if estimate < 0.0 else 0.0)
            return estimate if estimate < now else now
    return front if front < now else now
