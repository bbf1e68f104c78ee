"""Recurrences without memory. From: slots of one block of bars. To: a slot; `y` overlaps no input."""

from libc.math cimport cos, fabs, floor, log, sin, sqrt


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
    # A denominator of 0 makes the ratio 0: the divisor becomes 1 and the numerator 0, so that the loop has no branch.
    cdef Py_ssize_t i
    cdef double divisor, share
    for i in range(n_bars):
        divisor = b[i] if b[i] != 0.0 else 1.0
        share = a[i] / divisor
        y[i] = share if b[i] != 0.0 else 0.0


cdef inline void maximum(const double* a, const double* b, double* y, Py_ssize_t n_bars) noexcept nogil:
    cdef Py_ssize_t i
    for i in range(n_bars):
        y[i] = a[i] if a[i] > b[i] else b[i]


cdef inline void minimum(const double* a, const double* b, double* y, Py_ssize_t n_bars) noexcept nogil:
    cdef Py_ssize_t i
    for i in range(n_bars):
        y[i] = a[i] if a[i] < b[i] else b[i]


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
    for i in range(n_bars):
        y[i] = a[i] if test[i] != 0.0 else b[i]


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
    cdef Py_ssize_t i
    for i in range(n_bars):
        y[i] = log(x[i])


cdef inline void sine(const double* x, double* y, Py_ssize_t n_bars) noexcept nogil:
    cdef Py_ssize_t i
    for i in range(n_bars):
        y[i] = sin(x[i])


cdef inline void cosine(const double* x, double* y, Py_ssize_t n_bars) noexcept nogil:
    cdef Py_ssize_t i
    for i in range(n_bars):
        y[i] = cos(x[i])


cdef inline void round_down(const double* x, double* y, Py_ssize_t n_bars) noexcept nogil:
    cdef Py_ssize_t i
    for i in range(n_bars):
        y[i] = floor(x[i])
