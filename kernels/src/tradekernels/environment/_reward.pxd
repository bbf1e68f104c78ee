"""The reward of one step (ENV-4 to ENV-7). From: worth, position, trade. To: _environment.pyx.

All money is quote currency. W is the worth after the step, W_prev before it. The terms of ENV-6 divide by W held
within 0.1 and 10 times W_prev, the bounds that ENV-4 sets for its ratio, so that ruin divides by nothing near 0.
"""

from libc.math cimport fabs, log, pow

from tradekernels.observation._observation cimport clipped, tanh


cdef struct Reward:
    double logarithmic          # 1: log(W/W_prev); 0: (W - W_prev)/abs(W_prev)
    double gamma, shaping, variance, drawdown  # ENV-5: gamma, c, a_var, a_dd
    double per_trade            # ENV-6, as all below
    double taker_bps, half_spread_bps, impact_bps, impact_exponent
    double turnover
    double gain_bonus, loss_penalty  # at the close of a position


cdef inline double growth(const Reward* r, double worth, double was) noexcept nogil:
    """ENV-4."""
    if r.logarithmic != 0.0:
        return log(clipped(worth / was, 0.1, 10.0))
    return (worth - was) / fabs(was)


cdef inline double potential(const Reward* r, double units, double atr, double worth, double peak) noexcept nogil:
    """phi of ENV-5."""
    if r.shaping == 0.0:
        return 0.0
    return r.shaping * tanh(-r.variance * fabs(units) * atr / worth - r.drawdown * (peak - worth) / peak)


cdef inline double trade_cost(const Reward* r, double notional, double daily_volume, double worth,
                              double was) noexcept nogil:
    """What ENV-6 takes off for a trade; 0 without one. Without a daily volume the trade counts as all of it."""
    cdef double bps = r.taker_bps + r.half_spread_bps
    if notional == 0.0:
        return 0.0
    if r.impact_bps != 0.0:
        bps += r.impact_bps * pow(notional / daily_volume if daily_volume > 0.0 else 1.0, r.impact_exponent)
    return r.per_trade + notional * (bps * 1e-4 + r.turnover) / clipped(worth, 0.1 * was, 10.0 * was)


cdef inline double total(const Reward* r, double worth, double was, double phi_next, double phi, double notional,
                         double daily_volume, double closed) noexcept nogil:
    """The reward; `closed` is the profit of a position that this trade closed, 0 if it closed none."""
    cdef double sum = growth(r, worth, was) + (r.gamma * phi_next - phi)
    sum -= trade_cost(r, notional, daily_volume, worth, was)
    if closed > 0.0:
        sum += r.gain_bonus
    elif closed < 0.0:
        sum -= r.loss_penalty
    return clipped(sum, -10.0, 10.0)
