# cython: language_level=3
"""What a trader's reported fills add up to (LOB-15), in exact integers. From: _desk.pxd. To: replay.py, grid.py."""

from libc.math cimport fabs

from ._levels cimport i64

cdef enum FeeBasis:
    PER_VALUE, PER_QUANTITY, PER_FILL


cdef struct Rate:         # a fee in whole fee steps: basis * numerator / denominator
    i64 numerator
    i64 denominator


cdef struct Account:
    i64 position          # lots
    i64 cash              # ticks * lots
    i64 fee               # fee steps
    i64 n_fills
    i64 volume            # lots traded
    i64 value             # ticks * lots traded
    i64 n_submits, n_cancels
    int fee_basis
    Rate maker, taker
    bint overflow         # a sum would not have fitted: the others are older than the fill


cdef inline bint fits(i64 a, i64 b) noexcept nogil:
    """Whether a * b and sums of as much can be told in 63 bits."""
    return fabs(<double> a) * fabs(<double> b) < 4e18


cdef inline i64 fee_of(const Rate* rate, i64 basis) noexcept nogil:
    """Return a fee in steps, half away from zero."""
    cdef i64 product = rate.numerator * basis
    cdef i64 whole = product // rate.denominator, rest = product % rate.denominator  # cdivision truncates
    if 2 * (rest if rest >= 0 else -rest) >= rate.denominator:
        whole += 1 if product >= 0 else -1
    return whole


cdef inline void book_fill(Account* a, i64 side, i64 tick, i64 lots, bint maker) noexcept nogil:
    """Add a fill; side 0 bought, 1 sold."""
    cdef const Rate* rate = &a.maker if maker else &a.taker
    cdef i64 sign = 1 - 2 * side, value, basis, fee
    if a.overflow or not fits(tick, lots):
        a.overflow = True
        return
    value = tick * lots
    basis = value if a.fee_basis == PER_VALUE else lots if a.fee_basis == PER_QUANTITY else 1
    if not fits(rate.numerator, basis) or not fits(a.value + value, 1):  # |cash| and |position| are never above value
        a.overflow = True
        return
    fee = fee_of(rate, basis)
    if not fits(a.fee + fee, 1):
        a.overflow = True
        return
    a.position += sign * lots
    a.cash -= sign * value
    a.fee += fee
    a.n_fills += 1
    a.volume += lots
    a.value += value
