"""Recurrences without memory. From: slots of one block of bars. To: a slot; `y` overlaps no input."""

from libc.math cimport erfc, exp, fabs, floor, log, sqrt


cdef extern from *:
    """
    #include <stdint.h>

    /* ln x of a positive normal number, after fdlibm's e_log.c (Sun Microsystems, 1993): x = 2^k m with m around 1, and
       ln m as a polynomial in s = (m - 1) / (m + 1). Below one unit in the last place. Unlike libm's it vectorises and
       is the same on every machine. */
    static inline double natural_log(double x) {
        union { double number; uint64_t bits; } from = {x}, mantissa, exponent;
        uint64_t raised = from.bits - 0x3fe6a09e667f3bcdULL + (1024ULL << 52);  /* m from sqrt(1/2) on, k + 1024 */
        exponent.bits = (raised >> 52) | 0x4330000000000000ULL;
        mantissa.bits = from.bits - (raised & 0xfff0000000000000ULL) + (1024ULL << 52);
        double k = exponent.number - (4503599627370496.0 + 1024.0);
        double f = mantissa.number - 1.0, s = f / (2.0 + f), z = s * s, w = z * z, half = 0.5 * f * f;
        double odd = z * (6.666666666666735130e-01 + w * (2.857142874366239149e-01 + w * (1.818357216161805012e-01
                   + w * 1.479819860511658591e-01)));
        double even = w * (3.999999999940941908e-01 + w * (2.222219843214978396e-01 + w * 1.531383769920937332e-01));
        return k * 6.93147180369123816490e-01
             - ((half - (s * (half + (odd + even)) + k * 1.90821492927058770002e-10)) - f);
    }
    """
    double natural_log(double x) nogil


cdef inline void add(const double* a, const double* b, double* y, Py_ssize_t n_bars) noexcept nogil:
    cdef Py_ssize_t i
    for i in range(n_bars):
        y[i] = a[i] + b[i]


cdef inline void subtract(const double* a, const double* b, double* y, Py_ssize_t n_bars) noexcept nogil:
    cdef Py_ssize_t i
    for i in range(n_bars):
        y[i] = a[i] - b[i]


cdef inline void multiply(const double* a, const double* b, double* y, Py_ssize_t n_bars) noexcept nogil:
    cdef Py_ssize_t i
    for i in range(n_bars):
        y[i] = a[i] * b[i]


cdef inline void divide(const double* a, const double* b, double* y, Py_ssize_t n_bars) noexcept nogil:
    cdef Py_ssize_t i
    for i in range(n_bars):
        y[i] = a[i] / b[i]


cdef inline void ratio(const double* a, const double* b, double* y, Py_ssize_t n_bars) noexcept nogil:
    # A denominator of 0 makes the ratio 0. The division is done all the same, so that the loop has no branch.
    cdef Py_ssize_t i
    cdef double share, divisor
    for i in range(n_bars):
        divisor = b[i]
        share = a[i] / divisor
        y[i] = share if divisor != 0.0 else 0.0


cdef inline void maximum(const double* a, const double* b, double* y, Py_ssize_t n_bars) noexcept nogil:
    cdef Py_ssize_t i
    cdef double one, other
    for i in range(n_bars):
        one, other = a[i], b[i]
        y[i] = one if one > other else other


cdef inline void minimum(const double* a, const double* b, double* y, Py_ssize_t n_bars) noexcept nogil:
    cdef Py_ssize_t i
    cdef double one, other
    for i in range(n_bars):
        one, other = a[i], b[i]
        y[i] = one if one < other else other


cdef inline void greater(const double* a, const double* b, double* y, Py_ssize_t n_bars) noexcept nogil:
    cdef Py_ssize_t i
    for i in range(n_bars):
        y[i] = 1.0 if a[i] > b[i] else 0.0


cdef inline void greater_equal(const double* a, const double* b, double* y, Py_ssize_t n_bars) noexcept nogil:
    cdef Py_ssize_t i
    for i in range(n_bars):
        y[i] = 1.0 if a[i] >= b[i] else 0.0


cdef inline void select(const double* test, const double* a, const double* b, double* y,
                        Py_ssize_t n_bars) noexcept nogil:
    cdef Py_ssize_t i
    cdef double yes, no
    for i in range(n_bars):
        yes, no = a[i], b[i]  # both are read, so that the choice needs no branch
        y[i] = yes if test[i] != 0.0 else no


cdef inline void modulo(const double* a, const double* b, double* y, Py_ssize_t n_bars) noexcept nogil:
    # Exact for whole milliseconds: a / b stays far from the next whole number compared with its rounding error.
    cdef Py_ssize_t i
    for i in range(n_bars):
        y[i] = a[i] - b[i] * floor(a[i] / b[i])


cdef inline void absolute(const double* x, double* y, Py_ssize_t n_bars) noexcept nogil:
    cdef Py_ssize_t i
    for i in range(n_bars):
        y[i] = fabs(x[i])


cdef inline void sign(const double* x, double* y, Py_ssize_t n_bars) noexcept nogil:
    cdef Py_ssize_t i
    for i in range(n_bars):
        y[i] = (1.0 if x[i] > 0.0 else 0.0) - (1.0 if x[i] < 0.0 else 0.0)


cdef inline void square_root(const double* x, double* y, Py_ssize_t n_bars) noexcept nogil:
    cdef Py_ssize_t i
    for i in range(n_bars):
        y[i] = sqrt(x[i])


cdef inline void logarithm(const double* x, double* y, Py_ssize_t n_bars) noexcept nogil:
    cdef Py_ssize_t i, strange = 0
    for i in range(n_bars):
        y[i] = natural_log(x[i])
    for i in range(n_bars):
        strange += not (x[i] >= 2.2250738585072014e-308 and x[i] <= 1.7976931348623157e308)
    if strange:  # zero, negative, subnormal, infinite or NaN
        for i in range(n_bars):
            if not (x[i] >= 2.2250738585072014e-308 and x[i] <= 1.7976931348623157e308):
                y[i] = log(x[i])


cdef inline void sine_of_turns(const double* x, double* y, Py_ssize_t n_bars) noexcept nogil:
    # sin(2 pi x): whole turns are dropped and the rest is mirrored into a quarter turn, both exactly; there the Taylor
    # series to the 19th power is good to 3e-16. Unlike libm's sine it vectorises and is the same on every machine.
    cdef Py_ssize_t i
    cdef double turn, mirrored, angle, square
    cdef double whole = 6755399441055744.0  # 1.5 * 2**52: adding and subtracting it rounds to a whole number
    for i in range(n_bars):
        turn = x[i] - ((x[i] + whole) - whole)
        mirrored = (0.5 if turn > 0.0 else -0.5) - turn
        angle = 6.283185307179586 * (mirrored if fabs(turn) > 0.25 else turn)
        square = angle * angle
        y[i] = angle * (1.0 + square * (-1.0 / 6.0 + square * (1.0 / 120.0 + square * (-1.0 / 5040.0 + square * (
            1.0 / 362880.0 + square * (-1.0 / 39916800.0 + square * (1.0 / 6227020800.0 + square * (
                -1.0 / 1307674368000.0 + square * (1.0 / 355687428096000.0 + square * (
                    -1.0 / 121645100408832000.0))))))))))


cdef inline void round_down(const double* x, double* y, Py_ssize_t n_bars) noexcept nogil:
    cdef Py_ssize_t i
    for i in range(n_bars):
        y[i] = floor(x[i])


cdef inline void exponential(const double* x, double* y, Py_ssize_t n_bars) noexcept nogil:
    cdef Py_ssize_t i
    for i in range(n_bars):
        y[i] = exp(x[i])


cdef inline void normal_cdf(const double* x, double* y, Py_ssize_t n_bars) noexcept nogil:
    cdef Py_ssize_t i
    for i in range(n_bars):
        y[i] = 0.5 * erfc(-x[i] * 0.7071067811865476)  # accurate in the left tail too


cdef inline void known(const double* x, double* y, Py_ssize_t n_bars) noexcept nogil:
    cdef Py_ssize_t i
    for i in range(n_bars):
        y[i] = 1.0 if x[i] == x[i] else 0.0


cdef inline void first_known(const double* a, const double* b, double* y, Py_ssize_t n_bars) noexcept nogil:
    cdef Py_ssize_t i
    cdef double one, other
    for i in range(n_bars):
        one, other = a[i], b[i]
        y[i] = one if one == one else other
