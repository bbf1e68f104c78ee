"""Which order an action asks for (ENV-2, ENV-8). From: a weight, one copy, the row it sees. To: whole lots."""

from libc.math cimport fabs, trunc

from tradekernels.environment._fill cimport price, units
from tradekernels.environment._risk cimport refusal
from tradekernels.environment._state cimport MIN_NOTIONAL, Copy, Pair, Row, Settings
from tradekernels.observation._observation cimport clipped


cdef inline double wanted_lots(Copy* it, const Settings* s, const Pair* pair, const Row* now,
                               double weight) noexcept nogil:
    """Return the order (lots, negative to sell) towards a weight of the worth: the difference, quantised (ENV-2)."""
    cdef double close = price(pair, now.close), target, order
    cdef int reason
    weight = clipped(weight, s.lowest_weight, 1.0)
    if weight != 0.0 and fabs(weight - units(pair, it.lots) * close / it.worth) < s.dead_band:
        return 0.0
    target = trunc(weight * it.worth / (close * pair.lot_part / pair.lot_whole))
    order = target - it.lots
    if order == 0.0:
        return 0.0
    if fabs(order) * now.close < pair.least:
        it.refusals[MIN_NOTIONAL] += 1
        return 0.0
    if fabs(target) > fabs(it.lots) or target * it.lots < 0.0:
        reason = refusal(it, s, now.close_time, units(pair, target), units(pair, fabs(order)) * close)
        if reason >= 0:
            it.refusals[reason] += 1
            # A reversal that is refused still closes: exits are always allowed.
            order = -it.lots if target * it.lots < 0.0 and fabs(it.lots) * now.close >= pair.least else 0.0
    return order
